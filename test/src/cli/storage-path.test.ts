import { existsSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openStoragePath } from '../../../src/cli/storage-path.ts';
import { FlagError } from '../../../src/config/flags.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';

test('a directory that is not there is made, with its parents', () => {
  using temporary = new TemporaryDirectory('storage-path');
  const path = join(temporary.path, 'a', 'b');
  expect(openStoragePath(path)).toBe(realpathSync(path));
  expect(existsSync(path)).toBe(true);
  expect(openStoragePath(path)).toBe(realpathSync(path));
});

test('a path that is no directory is refused by name', () => {
  using temporary = new TemporaryDirectory('storage-path');
  const file = join(temporary.path, 'file');
  writeFileSync(file, '');
  const refused = (path: string, reason: string): void => {
    expect(() => openStoragePath(path)).toThrow(
      new FlagError(`cannot use the data directory ${path} (--storage.path): ${reason}`),
    );
  };
  refused(file, 'it is not a directory');
  refused(join(file, 'below'), 'a part of the path is not a directory');
  const loop = join(temporary.path, 'loop');
  symlinkSync(loop, loop);
  refused(join(loop, 'data'), 'the path is a loop of symbolic links');
});

test('a directory that may not be written is refused by name', () => {
  // Nobody makes a directory here, root neither.
  expect(() => openStoragePath('/sys/varve')).toThrow(
    /^cannot use the data directory \/sys\/varve \(--storage\.path\): (permission denied|the file system is read-only)$/,
  );
});
