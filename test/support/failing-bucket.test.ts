import { expect, test } from 'vitest';
import { bytesContent } from '../../storage/bucket/bucket.ts';
import { DirectoryBucket } from '../../storage/bucket/directory-bucket.ts';
import { testBucket } from '../storage/bucket/bucket-contract.ts';
import { FailingBucket } from './failing-bucket.ts';
import { SimFileSystem } from './sim-file-system.ts';

const make = (): FailingBucket => new FailingBucket(new DirectoryBucket(new SimFileSystem(), '/bucket'));
const content = bytesContent(Buffer.from('0123456789'));
const unavailable = { name: 'StorageError', kind: 'unavailable' };

testBucket('without a fault', async () => make());

test('what fails before it is sent is not done, and what fails after is', async () => {
  const bucket = make();
  await bucket.arm('put', 'before');
  await bucket.arm('put', 'after');
  await expect(bucket.put('a', content)).rejects.toMatchObject(unavailable);
  await expect(bucket.get('a')).rejects.toMatchObject({ kind: 'not-found' });
  await expect(bucket.put('a', content)).rejects.toMatchObject(unavailable);
  expect(await bucket.size('a')).toBe(10);
  await bucket.put('a', content);
  expect(bucket.calls).toEqual(['put a', 'get a', 'put a', 'size a', 'put a']);
});

test('a fault meets only the calls it is made for, under every purpose', async () => {
  const bucket = make();
  await bucket.put('a', content);
  await bucket.put('b', content);
  await bucket.arm('getRange', 'throttle', { times: 2, matches: (name) => name === 'b' });
  await bucket.getRange('a', 0, 1);
  for (const purpose of ['query', 'sync'] as const)
    await expect(bucket.for(purpose).getRange('b', 0, 1)).rejects.toMatchObject({
      message: expect.stringContaining('SlowDown'),
    });
  expect(Buffer.from(await bucket.getRange('b', 0, 1)).toString()).toBe('0');
});

test('reads are cut in half or have one other bit', async () => {
  const bucket = make();
  await bucket.put('a', content);
  await bucket.arm('get', 'truncated');
  await bucket.arm('get', 'flipped');
  expect(Buffer.from(await bucket.get('a')).toString()).toBe('01234');
  expect(Buffer.from(await bucket.get('a')).toString()).toBe('0123446789');
  expect(Buffer.from(await bucket.get('a')).toString()).toBe('0123456789');
});

test('a stale listing shows what was there', async () => {
  const bucket = make();
  await bucket.put('x/old', content);
  await bucket.arm('list', 'stale');
  await bucket.arm('directories', 'stale');
  await bucket.put('y/new', content);
  await bucket.delete('x/old');
  const pages = [];
  for await (const page of bucket.list('')) pages.push(page);
  expect(pages.flat().map(({ name }) => name)).toEqual(['x/old']);
  expect(await bucket.directories('')).toEqual(['x']);
  expect(await bucket.directories('')).toEqual(['y']);
});

test('what hangs fails when it is released', async () => {
  const bucket = make();
  await bucket.arm('delete', 'hang');
  let isSettled = false;
  const hanging = bucket.delete('a').finally(() => {
    isSettled = true;
  });
  await bucket.size('b').catch(() => {});
  expect(isSettled).toBe(false);
  bucket.release();
  await expect(hanging).rejects.toMatchObject(unavailable);
});
