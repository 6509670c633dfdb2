import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeFileSystem } from '../../../storage/io/node-file-system.ts';
import { testFileSystem } from './file-system-contract.ts';

testFileSystem('node file system', () => {
  const directory = mkdtempSync(join(tmpdir(), 'varve-fs-'));
  return { fileSystem: nodeFileSystem, directory, remove: () => rmSync(directory, { recursive: true }) };
});
