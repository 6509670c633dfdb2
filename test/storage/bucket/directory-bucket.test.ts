import { expect, test } from 'vitest';
import { DirectoryBucket } from '../../../storage/bucket/directory-bucket.ts';
import type { FileSystem } from '../../../storage/io/file-system.ts';
import { nodeFileSystem } from '../../../storage/io/node-file-system.ts';
import { FaultyFileSystem } from '../../support/faulty-file-system.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';
import { type BucketUnderTest, makeBlock, testBucket } from './bucket-contract.ts';

const NAME = '01HZZZZZZZZZZZZZZZZZZZZZZZ';

function bucketOn(fileSystem: FileSystem, directory: string): BucketUnderTest {
  const blocks = `${directory}/blocks`;
  fileSystem.makeDirectory(blocks);
  return { bucket: new DirectoryBucket(fileSystem, `${directory}/bucket`), fileSystem, blocks };
}

testBucket('directory on a simulated disk', () => bucketOn(new SimFileSystem(), '/data'));

const temporary = new TemporaryDirectory('bucket');
let made = 0;
testBucket('directory on this disk', () => bucketOn(nodeFileSystem, `${temporary.path}/${made++}`));
test('the temporary directory goes away', () => temporary[Symbol.dispose]());

test('a block that was taken over survives a loss of power', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const disk = new SimFileSystem();
    const { bucket, blocks } = bucketOn(disk, '/data');
    for (const path of ['/', '/data']) disk.syncDirectory(path);
    makeBlock(disk, `${blocks}/${NAME}.tmp`);
    await bucket.adopt(`${blocks}/${NAME}.tmp`, NAME);
    disk.crash(seededChance(seed));
    expect(await new DirectoryBucket(disk, '/data/bucket').directories()).toEqual([NAME]);
  }
});

test('a block whose name could not be made durable is gone from both places', async () => {
  for (const [call, at] of [
    ['rename', 1],
    ['syncDirectory', 1],
    ['syncDirectory', 2],
  ] as const) {
    const faulty = new FaultyFileSystem(new SimFileSystem());
    const { bucket, blocks } = bucketOn(faulty, '/data');
    makeBlock(faulty, `${blocks}/${NAME}.tmp`);
    faulty.breakAt({ at, calls: [call], code: 'EIO' });
    await expect(bucket.adopt(`${blocks}/${NAME}.tmp`, NAME)).rejects.toThrow('EIO');
    expect([await bucket.directories(), faulty.list(blocks)]).toEqual([[], []]);
  }
});
