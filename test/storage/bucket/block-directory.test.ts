import { expect, test } from 'vitest';
import { META_FILE } from '../../../storage/block/layout.ts';
import { BlockDirectory } from '../../../storage/bucket/block-directory.ts';
import type { FileSystem } from '../../../storage/io/file-system.ts';
import { FaultyFileSystem } from '../../support/faulty-file-system.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';

const NAME = '01HZZZZZZZZZZZZZZZZZZZZZZZ';
const MADE = '/data/made';

/** A complete block, as far as a directory of blocks looks. */
function makeBlock(fileSystem: FileSystem, directory: string, meta = '{}'): void {
  for (const [name, text] of Object.entries({ index: 'index', 'chunks/000001': 'chunks', [META_FILE]: meta })) {
    const path = `${directory}/${name}`;
    const parent = path.slice(0, path.lastIndexOf('/'));
    fileSystem.makeDirectory(parent);
    const file = fileSystem.open(path, 'create');
    file.write(new TextEncoder().encode(text), 0);
    file.sync();
    file.close();
    fileSystem.syncDirectory(parent);
  }
  fileSystem.syncDirectory(directory);
}

function directoryOn(fileSystem: FileSystem): BlockDirectory {
  fileSystem.makeDirectory(MADE);
  return new BlockDirectory(fileSystem, '/data/bucket');
}

test('a block that was taken over is there with all its files, and is where it was made no more', async () => {
  const disk = new SimFileSystem();
  const directory = directoryOn(disk);
  makeBlock(disk, `${MADE}/${NAME}.tmp`, '{"a":1}');
  directory.adopt(`${MADE}/${NAME}.tmp`, NAME);
  expect(directory.names()).toEqual([NAME]);
  expect(new TextDecoder().decode(directory.meta(NAME))).toBe('{"a":1}');
  expect(new TextDecoder().decode(await directory.files(NAME).read('chunks/000001', 1, 100))).toBe('hunks');
  expect(disk.list(MADE)).toEqual([]);
});

test('a block that is not there cannot be taken over, and leaves nothing', () => {
  const directory = directoryOn(new SimFileSystem());
  expect(() => directory.adopt(`${MADE}/none`, NAME)).toThrow();
  expect(directory.names()).toEqual([]);
});

test('a block without a meta.json is told from one with it', () => {
  const directory = directoryOn(new SimFileSystem());
  expect(() => directory.meta(NAME)).toThrow(expect.objectContaining({ kind: 'not-found' }));
});

test('a block that was taken over survives a loss of power', () => {
  for (let seed = 0; seed < 20; seed++) {
    const disk = new SimFileSystem();
    const directory = directoryOn(disk);
    for (const path of ['/', '/data']) disk.syncDirectory(path);
    makeBlock(disk, `${MADE}/${NAME}.tmp`);
    directory.adopt(`${MADE}/${NAME}.tmp`, NAME);
    disk.crash(seededChance(seed));
    expect(new BlockDirectory(disk, '/data/bucket').names()).toEqual([NAME]);
  }
});

test('a block whose name could not be made durable is gone from both places', () => {
  for (const [call, at] of [
    ['rename', 1],
    ['syncDirectory', 1],
    ['syncDirectory', 2],
  ] as const) {
    const faulty = new FaultyFileSystem(new SimFileSystem());
    const directory = directoryOn(faulty);
    makeBlock(faulty, `${MADE}/${NAME}`);
    faulty.breakAt({ at, calls: [call], code: 'EIO' });
    expect(() => directory.adopt(`${MADE}/${NAME}`, NAME)).toThrow('EIO');
    expect([directory.names(), faulty.list(MADE)]).toEqual([[], []]);
  }
});

test('what a loss of power brings back of a removed block is no block', () => {
  for (let seed = 0; seed < 20; seed++) {
    const disk = new SimFileSystem();
    const directory = directoryOn(disk);
    for (const path of ['/', '/data']) disk.syncDirectory(path);
    makeBlock(disk, `${MADE}/${NAME}`);
    directory.adopt(`${MADE}/${NAME}`, NAME);
    directory.remove(NAME);
    disk.crash(seededChance(seed));
    expect(disk.exists(`/data/bucket/${NAME}/${META_FILE}`)).toBe(false);
  }
});
