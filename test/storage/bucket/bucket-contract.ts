/** What every Bucket does. An implementation's test calls `testBucket` with a way to make an empty one. */
import { expect, test } from 'vitest';
import { META_FILE } from '../../../storage/block/layout.ts';
import type { Bucket } from '../../../storage/bucket/bucket.ts';
import type { FileSystem } from '../../../storage/io/file-system.ts';

/** `blocks` is an empty directory on `fileSystem`, where blocks are made before the bucket takes them over. */
export interface BucketUnderTest {
  readonly bucket: Bucket;
  readonly fileSystem: FileSystem;
  readonly blocks: string;
}

const NAME = '01HZZZZZZZZZZZZZZZZZZZZZZZ';

/** A complete block, as far as a bucket looks. */
export function makeBlock(fileSystem: FileSystem, directory: string, meta = '{}'): void {
  for (const [name, text] of Object.entries({ index: 'index', 'chunks/000001': 'chunks', [META_FILE]: meta })) {
    const path = `${directory}/${name}`;
    fileSystem.makeDirectory(path.slice(0, path.lastIndexOf('/')));
    const file = fileSystem.open(path, 'create');
    file.write(new TextEncoder().encode(text), 0);
    file.sync();
    file.close();
    fileSystem.syncDirectory(path.slice(0, path.lastIndexOf('/')));
  }
  fileSystem.syncDirectory(directory);
}

export function testBucket(name: string, make: () => BucketUnderTest): void {
  test(`${name}: an empty bucket has no directories and no objects`, async () => {
    const { bucket } = make();
    expect(await bucket.directories()).toEqual([]);
    await expect(bucket.get(`${NAME}/${META_FILE}`)).rejects.toMatchObject({
      kind: 'not-found',
      message: expect.stringContaining(NAME),
    });
    expect(bucket.description).not.toBe('');
  });

  test(`${name}: a block that was taken over is there with all its files, and is where it was made no more`, async () => {
    const { bucket, fileSystem, blocks } = make();
    makeBlock(fileSystem, `${blocks}/${NAME}.tmp`, '{"a":1}');
    await bucket.adopt(`${blocks}/${NAME}.tmp`, NAME);
    expect(await bucket.directories()).toEqual([NAME]);
    const text = async (file: string): Promise<string> => new TextDecoder().decode(await bucket.get(`${NAME}/${file}`));
    expect([await text(META_FILE), await text('index'), await text('chunks/000001')]).toEqual([
      '{"a":1}',
      'index',
      'chunks',
    ]);
    expect(fileSystem.list(blocks)).toEqual([]);
  });

  test(`${name}: a block that is not there cannot be taken over, and leaves nothing`, async () => {
    const { bucket, blocks } = make();
    await expect(bucket.adopt(`${blocks}/none`, NAME)).rejects.toThrow();
    expect(await bucket.directories()).toEqual([]);
  });

  test(`${name}: directories come in name order`, async () => {
    const { bucket, fileSystem, blocks } = make();
    const names = ['3', '1', '2'].map((last) => `01HZZZZZZZZZZZZZZZZZZZZZZ${last}`);
    for (const each of names) {
      makeBlock(fileSystem, `${blocks}/${each}`);
      await bucket.adopt(`${blocks}/${each}`, each);
    }
    expect(await bucket.directories()).toEqual([...names].sort());
  });
}
