import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { nodeFileSystem } from '../../../storage/io/node-file-system.ts';
import { peers } from '../../support/peers.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';
import { testFileSystem } from './file-system-contract.ts';

testFileSystem('node file system', () => {
  const directory = mkdtempSync(join(tmpdir(), 'varve-fs-'));
  return { fileSystem: nodeFileSystem, directory, remove: () => rmSync(directory, { recursive: true }) };
});

test.skipIf(!peers.root)('a write that the disk takes a part of is an error, not a short file that looks whole', () => {
  using temporary = new TemporaryDirectory('short');
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', temporary.path]);
  try {
    const path = join(temporary.path, 'file');
    const bytes = new Uint8Array(300_000).fill(7);
    const plain = openSync(path, 'w');
    expect(writeSync(plain, bytes)).toBeLessThan(bytes.length); // This is how Node says it.
    closeSync(plain);
    const file = nodeFileSystem.open(path, 'create');
    expect(() => file.write(bytes, 0)).toThrow('ENOSPC');
    file.close();
    expect(readFileSync(path).length).toBeLessThan(bytes.length);
  } finally {
    execFileSync('umount', [temporary.path]);
  }
});
