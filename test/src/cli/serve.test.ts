/** `varve serve` as a process: what it prints, how it ends, and what a second one on the same data directory does. */
import { mkdirSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Program } from '../../support/program.ts';
import { writeRequest } from '../../support/remote-write.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';
import { spawnVarve, Varve } from '../../support/varve.ts';

/** No stack trace, and no line of the runtime's own. */
function expectPlain(program: { readonly output: string }): void {
  expect(program.output).not.toMatch(/^\s+at .+:\d+:\d+\)?$/m);
  expect(program.output).not.toContain('Node.js v');
}

async function ended(program: Program): Promise<number | null> {
  const { code } = await program.ended;
  expectPlain(program);
  return code;
}

test('it prints where it is and what to paste, and then who wrote first', async () => {
  await using varve = await Varve.start();
  await until('the banner', () => varve.output.includes('waiting for the first sample …'));
  expect(varve.output).toMatch(/^Varve \d+\.\d+\.\d+, ready after \d+\.\d\d s$/m);
  expect(varve.output).toContain(`  address  ${varve.url}\n`);
  expect(varve.output).toContain(`  - url: ${varve.url}/api/v1/write\n`);
  expect(varve.output).toContain(`  bucket   ${varve.bucket}\n`);
  expect(varve.output).not.toContain('first write');

  const nowMs = Date.now();
  const series = ['a', 'b'].map((job) => ({
    labels: [
      ['__name__', 'up'],
      ['job', job],
    ] as const,
    samples: [[nowMs, 1]] as const,
  }));
  expect((await varve.write(writeRequest(series))).status).toBe(204);
  await until('the first write', () => varve.output.includes('first write'));
  expect(varve.output).toMatch(/^first write from 127\.0\.0\.1 \(.+\), tenant default-tenant$/m);
  expect(varve.output).toMatch(/^ {2}2 samples stored, 2 new series, 0 rejected, on disk after \d+\.\d ms$/m);
});

test.each(['SIGTERM', 'SIGINT'] as const)('%s ends it with code 0', async (signal) => {
  using temporary = new TemporaryDirectory('serve');
  await using program = spawnVarve(join(temporary.path, 'data'));
  await program.ready('the banner', () => program.output.includes('waiting for the first sample'));
  program.signal(signal);
  expect(await ended(program)).toBe(0);
  expect(program.output).toContain(`msg=stopping reason=${signal}`);
  expect(program.output).toContain('msg=stopped');
});

test('a second server on a data directory ends with 3, names the directory and leaves the first alone', async () => {
  await using varve = await Varve.start();
  // On its address too: what it says first is what harms most.
  for (const port of [0, Number(new URL(varve.url).port)]) {
    await using second = spawnVarve(varve.directory, [], port);
    expect(await ended(second)).toBe(3);
    expect(second.output).toContain(`${varve.directory} is in use by another server`);
  }
  expect((await fetch(`${varve.url}/-/ready`)).status).toBe(200);
  await varve.stop();
  await varve.restart();
});

test('an address that is taken ends it with 1 and is named', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  using temporary = new TemporaryDirectory('serve');
  await using program = spawnVarve(join(temporary.path, 'data'), [], port);
  expect(await ended(program)).toBe(1);
  expect(program.output).toContain(`127.0.0.1:${port}`);
  await new Promise((resolve) => server.close(resolve));
});

test('a data directory that is a file ends it with 2 and is named', async () => {
  using temporary = new TemporaryDirectory('serve');
  const file = join(temporary.path, 'file');
  writeFileSync(file, '');
  await using program = spawnVarve(file);
  expect(await ended(program)).toBe(2);
  expect(program.output).toBe(`varve: cannot use the data directory ${file} (--storage.path): it is not a directory\n`);
});

test('POST /-/quit ends it with code 0 where the lifecycle is enabled, and is refused where it is not', async () => {
  await using closed = await Varve.start();
  expect((await fetch(`${closed.url}/-/quit`, { method: 'POST' })).ok).toBe(false);
  expect(closed.isRunning).toBe(true);
  using temporary = new TemporaryDirectory('serve');
  mkdirSync(join(temporary.path, 'data'));
  await using open = spawnVarve(join(temporary.path, 'data'), ['--web.enable-lifecycle', '--log.format=json']);
  const url = await open.ready('the address', () => /http:\/\/127\.0\.0\.1:\d+/.exec(open.output)?.[0]);
  await open.answers(`${url}/-/ready`);
  expect((await fetch(`${url}/-/quit`, { method: 'POST' })).ok).toBe(true);
  expect(await ended(open)).toBe(0);
  expect(open.output).toContain('"msg":"stopping","reason":"POST /-/quit"');
});

test('an address of every interface is shown as such, with a URL to paste that works here', async () => {
  using temporary = new TemporaryDirectory('serve');
  const flags = ['--web.listen-address=0.0.0.0:0', '--web.route-prefix=/varve'];
  await using program = spawnVarve(join(temporary.path, 'data'), flags);
  await program.ready('the banner', () => program.output.includes('waiting for the first sample'));
  const [, first, second] = /address {2}(\S+), (\S+)$/m.exec(program.output) ?? [];
  expect(first).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/varve$/);
  expect(second).toMatch(/^http:\/\/0\.0\.0\.0:\d+\/varve$/);
  expect(program.output).toContain(`  - url: ${first}/api/v1/write\n`);
  expect(program.output).toContain('WITHOUT AUTHENTICATION');
  expect((await fetch(`${first}/-/ready`)).status).toBe(200);
});
