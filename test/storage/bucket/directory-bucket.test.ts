import { expect, test } from 'vitest';
import { bytesContent } from '../../../storage/bucket/bucket.ts';
import { BucketUsage } from '../../../storage/bucket/bucket-usage.ts';
import { DirectoryBucket } from '../../../storage/bucket/directory-bucket.ts';
import { nodeFileSystem } from '../../../storage/io/node-file-system.ts';
import { FaultyFileSystem } from '../../support/faulty-file-system.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';
import { testBucket } from './bucket-contract.ts';

testBucket('directory on a simulated disk', async () => new DirectoryBucket(new SimFileSystem(), '/bucket'));

const temporary = new TemporaryDirectory('bucket');
let made = 0;
testBucket('directory on this disk', async () => {
  return new DirectoryBucket(nodeFileSystem, `${temporary.path}/${made++}`);
});
test('the temporary directory goes away', () => temporary[Symbol.dispose]());

const CONTENT = bytesContent(new TextEncoder().encode('content'));

test('an object that was put survives a loss of power', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const disk = new SimFileSystem();
    const bucket = new DirectoryBucket(disk, '/bucket');
    await bucket.put('a/b/c', CONTENT);
    disk.crash(seededChance(seed));
    expect((await new DirectoryBucket(disk, '/bucket').get('a/b/c')).length).toBe(7);
  }
});

test('an object that could not be put leaves the one before, and nothing that is listed', async () => {
  for (const call of ['open', 'write', 'sync', 'rename'] as const) {
    const faulty = new FaultyFileSystem(new SimFileSystem());
    const bucket = new DirectoryBucket(faulty, '/bucket');
    await bucket.put('a', bytesContent(new Uint8Array(3)));
    faulty.breakAt({ at: 1, calls: [call], code: 'ENOSPC' });
    await expect(bucket.put('a', CONTENT)).rejects.toMatchObject({ kind: 'unavailable' });
    faulty.repair();
    expect(await bucket.size('a')).toBe(3);
    for await (const page of bucket.list('')) expect(page.map(({ name }) => name)).toEqual(['a']);
  }
});

test('a directory whose name could not be made durable is made so by the next put', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const disk = new SimFileSystem();
    const faulty = new FaultyFileSystem(disk);
    const bucket = new DirectoryBucket(faulty, '/bucket');
    faulty.breakAt({ at: 1, calls: ['syncDirectory'], code: 'EIO' });
    await expect(bucket.put('a/b', CONTENT)).rejects.toMatchObject({ kind: 'unavailable' });
    faulty.repair();
    await bucket.put('a/b', CONTENT);
    disk.crash(seededChance(seed));
    expect(await new DirectoryBucket(disk, '/bucket').size('a/b')).toBe(7);
  }
});

test('a name that leads out of the directory is refused', async () => {
  const bucket = new DirectoryBucket(new SimFileSystem(), '/data/bucket');
  for (const name of ['../a', 'a/../../b', '/a', '', 'a//b', '.'])
    await expect(bucket.put(name, CONTENT)).rejects.toMatchObject({ kind: 'invalid' });
});

test('requests are counted by purpose and operation, with their bytes', async () => {
  const usage = new BucketUsage();
  const bucket = new DirectoryBucket(new SimFileSystem(), '/bucket', { usage });
  await bucket.for('upload').put('a', CONTENT);
  await bucket.for('query').getRange('a', 1, 3);
  await bucket
    .for('query')
    .get('b')
    .catch(() => undefined);
  const counted = new BucketUsage(usage.memory).rows().filter(({ requests }) => requests > 0);
  expect(counted).toEqual([
    { purpose: 'upload', operation: 'put', requests: 1, failures: 0, receivedBytes: 0, sentBytes: 7 },
    { purpose: 'query', operation: 'get', requests: 2, failures: 1, receivedBytes: 3, sentBytes: 0 },
  ]);
});
