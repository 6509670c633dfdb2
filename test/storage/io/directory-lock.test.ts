import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockDirectory } from '../../../storage/io/directory-lock.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'varve-lock-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('a second holder is refused by the name of the directory, and let in after close', () => {
  const lock = lockDirectory(directory);
  const refused = expect.objectContaining({ kind: 'locked', message: expect.stringContaining(directory) });
  expect(() => lockDirectory(directory)).toThrow(refused);
  lock.close();
  lock.close();
  lockDirectory(directory).close();
});

test('a lock file left by nobody does not matter', () => {
  writeFileSync(join(directory, 'lock'), '');
  lockDirectory(directory).close();
});

test('a directory that is not there or cannot be locked is named', () => {
  const unavailable = expect.objectContaining({ kind: 'unavailable', message: expect.stringContaining(directory) });
  expect(() => lockDirectory(join(directory, 'none'))).toThrow(unavailable);
  writeFileSync(join(directory, 'lock'), 'not a lock of ours, but the file of somebody who had other plans'.repeat(20));
  expect(() => lockDirectory(directory)).toThrow(unavailable);
});

test('the lock of another process holds while it lives and ends when it is killed', async () => {
  const module = new URL('../../../storage/io/directory-lock.ts', import.meta.url).href;
  const holder = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    `import { lockDirectory } from ${JSON.stringify(module)};
     globalThis.lock = lockDirectory(${JSON.stringify(directory)});
     console.log('locked'); setInterval(() => {}, 1000);`,
  ]);
  await once(holder.stdout, 'data');
  expect(() => lockDirectory(directory)).toThrow(expect.objectContaining({ kind: 'locked' }));
  const exit = once(holder, 'exit');
  holder.kill('SIGKILL');
  await exit;
  lockDirectory(directory).close();
});
