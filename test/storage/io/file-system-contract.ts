/** What every FileSystem does. An implementation's test calls `testFileSystem` with a way to make an empty one. */
import { expect, test } from 'vitest';
import type { FileSystem } from '../../../storage/io/file-system.ts';

/** `directory` exists and is empty; `remove` cleans up after the test. */
export interface FileSystemUnderTest {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  readonly remove: () => void;
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

export function testFileSystem(name: string, make: () => FileSystemUnderTest): void {
  const check = (behaviour: string, run: (fs: FileSystem, directory: string) => void): void => {
    test(`${name}: ${behaviour}`, () => {
      const made = make();
      try {
        run(made.fileSystem, made.directory);
      } finally {
        made.remove();
      }
    });
  };

  const read = (fs: FileSystem, path: string): string => {
    const file = fs.open(path, 'read');
    const bytes = new Uint8Array(file.size());
    expect(file.read(bytes, 0)).toBe(bytes.length);
    file.close();
    return new TextDecoder().decode(bytes);
  };

  const put = (fs: FileSystem, path: string, content: string): void => {
    const file = fs.open(path, 'create');
    file.write(text(content), 0);
    file.sync();
    file.close();
  };

  check('a file gives back what was written, at any position', (fs, directory) => {
    const path = `${directory}/a`;
    const file = fs.open(path, 'create');
    expect(file.path).toBe(path);
    expect(file.size()).toBe(0);
    file.write(text('world'), 6);
    file.write(text('hello '), 0);
    file.sync();
    expect(file.size()).toBe(11);
    const middle = new Uint8Array(5);
    expect(file.read(middle, 3)).toBe(5);
    expect(new TextDecoder().decode(middle)).toBe('lo wo');
    file.close();
    expect(read(fs, path)).toBe('hello world');
  });

  check('a gap that was never written reads as zeros', (fs, directory) => {
    const file = fs.open(`${directory}/a`, 'create');
    file.write(text('x'), 10_000);
    const bytes = new Uint8Array(10_001).fill(7);
    expect(file.read(bytes, 0)).toBe(10_001);
    expect(bytes.subarray(0, 10_000).every((byte) => byte === 0)).toBe(true);
    file.close();
  });

  check('a read at the end returns how many bytes there were', (fs, directory) => {
    put(fs, `${directory}/a`, 'abc');
    const file = fs.open(`${directory}/a`, 'read');
    expect(file.read(new Uint8Array(10), 1)).toBe(2);
    expect(file.read(new Uint8Array(10), 3)).toBe(0);
    expect(file.read(new Uint8Array(10), 300)).toBe(0);
    file.close();
  });

  check("mode 'create' empties, 'update' keeps, 'read' does not write", (fs, directory) => {
    const path = `${directory}/a`;
    put(fs, path, 'abcdef');
    const updated = fs.open(path, 'update');
    updated.write(text('X'), 1);
    updated.close();
    expect(read(fs, path)).toBe('aXcdef');
    const reader = fs.open(path, 'read');
    expect(() => reader.write(text('no'), 0)).toThrow(expect.objectContaining({ code: 'EBADF' }));
    reader.close();
    fs.open(path, 'create').close();
    expect(read(fs, path)).toBe('');
  });

  check('an absent file is ENOENT by its code', (fs, directory) => {
    for (const mode of ['read', 'update'] as const) {
      expect(() => fs.open(`${directory}/none`, mode)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    }
    expect(() => fs.open(`${directory}/none/a`, 'create')).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    expect(() => fs.rename(`${directory}/none`, `${directory}/b`)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    expect(() => fs.syncDirectory(`${directory}/none`)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  });

  check('truncate cuts and extends', (fs, directory) => {
    const path = `${directory}/a`;
    put(fs, path, 'abcdef');
    const file = fs.open(path, 'update');
    file.truncate(2);
    expect(file.size()).toBe(2);
    file.truncate(4);
    file.close();
    expect(read(fs, path)).toBe('ab\0\0');
  });

  check('directories are made with their parents and listed in name order', (fs, directory) => {
    fs.makeDirectory(`${directory}/x/y/z`);
    fs.makeDirectory(`${directory}/x/y/z`);
    put(fs, `${directory}/x/b`, '');
    put(fs, `${directory}/x/a`, '');
    fs.syncDirectory(`${directory}/x`);
    expect(fs.list(`${directory}/x`)).toEqual([
      { name: 'a', isDirectory: false },
      { name: 'b', isDirectory: false },
      { name: 'y', isDirectory: true },
    ]);
    expect(fs.list(`${directory}/none`)).toEqual([]);
    expect(fs.exists(`${directory}/x/y`)).toBe(true);
    expect(fs.exists(`${directory}/x/a`)).toBe(true);
    expect(fs.exists(`${directory}/x/c`)).toBe(false);
  });

  check('rename moves files and directories, over an old file too', (fs, directory) => {
    put(fs, `${directory}/a`, 'new');
    put(fs, `${directory}/b`, 'old');
    fs.rename(`${directory}/a`, `${directory}/b`);
    expect(read(fs, `${directory}/b`)).toBe('new');
    expect(fs.exists(`${directory}/a`)).toBe(false);
    fs.makeDirectory(`${directory}/d`);
    put(fs, `${directory}/d/f`, 'inside');
    fs.rename(`${directory}/d`, `${directory}/e`);
    expect(read(fs, `${directory}/e/f`)).toBe('inside');
  });

  check('remove takes files, whole directories and nothing', (fs, directory) => {
    put(fs, `${directory}/a`, 'x');
    fs.makeDirectory(`${directory}/d/e`);
    put(fs, `${directory}/d/e/f`, 'x');
    fs.remove(`${directory}/a`);
    fs.remove(`${directory}/d`);
    fs.remove(`${directory}/none`);
    expect(fs.list(directory)).toEqual([]);
  });

  check('an open file lives on after its name is gone', (fs, directory) => {
    put(fs, `${directory}/a`, 'still');
    const file = fs.open(`${directory}/a`, 'read');
    fs.remove(`${directory}/a`);
    const bytes = new Uint8Array(5);
    expect(file.read(bytes, 0)).toBe(5);
    file.close();
  });

  check('the volume has free bytes and a type', (fs, directory) => {
    const { freeBytes, type } = fs.volume(directory);
    expect(freeBytes).toBeGreaterThan(0);
    expect(type).not.toBe('');
  });

  check('a directory has one holder at a time', (fs, directory) => {
    const lock = fs.lockDirectory(directory);
    const locked = expect.objectContaining({ kind: 'locked', message: expect.stringContaining(directory) });
    expect(() => fs.lockDirectory(directory)).toThrow(locked);
    lock.close();
    const next = fs.lockDirectory(directory);
    // The first holder has nothing left to give free.
    lock.close();
    expect(() => fs.lockDirectory(directory)).toThrow(locked);
    next.close();
    const unavailable = expect.objectContaining({ kind: 'unavailable', message: expect.stringContaining('none') });
    expect(() => fs.lockDirectory(`${directory}/none`)).toThrow(unavailable);
  });
}
