import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BucketBlockFiles, type PendingPages } from '../../../storage/bucket/bucket-block-files.ts';
import { BucketReads } from '../../../storage/bucket/bucket-reads.ts';
import { DirectoryBucket } from '../../../storage/bucket/directory-bucket.ts';
import { DiskPages, PAGE_BYTES } from '../../../storage/bucket/disk-pages.ts';
import { PageCache } from '../../../storage/bucket/page-cache.ts';
import { SimFileSystem } from '../../support/sim-file-system.ts';
import { SimClock } from '../../support/sim-machine.ts';

interface Made {
  readonly files: BucketBlockFiles;
  readonly asked: { offset: number; length: number }[];
}

/** The file `f` of a block in a bucket, its size known or not. */
function filesOf(content: Uint8Array, { isSizeKnown = true, memoryBytes = 0 } = {}): Made {
  const fileSystem = new SimFileSystem();
  fileSystem.makeDirectory('/bucket/B');
  fileSystem.open('/bucket/B/f', 'create').write(content, 0);
  const asked: Made['asked'] = [];
  const bucket = new DirectoryBucket(fileSystem, '/bucket');
  const getRange = bucket.getRange.bind(bucket);
  bucket.getRange = (name, offset, length) => {
    asked.push({ offset, length });
    return getRange(name, offset, length);
  };
  const clock = new SimClock(0);
  const disk = new DiskPages({ fileSystem, clock, directory: '/cache', maxBytes: 0, keepFreeBytes: 0 });
  const cache = new PageCache(memoryBytes, disk);
  const place = { ulid: 'B', directory: 'B', bytesOf: () => (isSizeKnown ? content.length : undefined) };
  const pending: PendingPages = new Map();
  const reads = new BucketReads(() => Promise.resolve(bucket), clock);
  return { files: new BucketBlockFiles(place, reads, cache, pending), asked };
}

function contentOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
}

test('any ranges, one after the other or at once, are the bytes of the file', async () => {
  const content = contentOf(3 * PAGE_BYTES + 1000);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(content.length + 100), fc.nat(2 * PAGE_BYTES), fc.nat(content.length)), {
        minLength: 1,
        maxLength: 8,
      }),
      fc.boolean(),
      fc.constantFrom(0, 100_000, 10_000_000),
      async (ranges, isSizeKnown, memoryBytes) => {
        const { files } = filesOf(content, { isSizeKnown, memoryBytes });
        const read = ([offset, length, ahead]: (typeof ranges)[number]) => files.read('f', offset, length, ahead);
        const expected = ranges.map(([offset, length]) => content.slice(offset, offset + length));
        for (const [i, range] of ranges.entries())
          expect(Buffer.compare(await read(range), expected[i] as Uint8Array)).toBe(0);
        const together = await Promise.all(ranges.map(read));
        together.forEach((bytes, i) => void expect(Buffer.compare(bytes, expected[i] as Uint8Array)).toBe(0));
      },
    ),
    { numRuns: 60 },
  );
});

test('missing pages side by side come with one request, and none that is there is asked for', async () => {
  const { files, asked } = filesOf(contentOf(10 * PAGE_BYTES), { memoryBytes: 10_000_000 });
  await files.read('f', 2 * PAGE_BYTES + 5, PAGE_BYTES);
  expect(asked.splice(0)).toEqual([{ offset: 2 * PAGE_BYTES, length: 2 * PAGE_BYTES }]);
  await files.read('f', 0, 6 * PAGE_BYTES);
  expect(asked.splice(0)).toEqual([
    { offset: 0, length: 2 * PAGE_BYTES },
    { offset: 4 * PAGE_BYTES, length: 2 * PAGE_BYTES },
  ]);
  await files.read('f', 0, 100, 9 * PAGE_BYTES);
  expect(asked.splice(0)).toEqual([]); // Nothing is fetched ahead alone.
  await files.read('f', 6 * PAGE_BYTES, 100, 9 * PAGE_BYTES);
  expect(asked.splice(0)).toEqual([{ offset: 6 * PAGE_BYTES, length: 3 * PAGE_BYTES }]);
});

test('who wants the same page at the same time waits for one request', async () => {
  const { files, asked } = filesOf(contentOf(PAGE_BYTES));
  await Promise.all(Array.from({ length: 20 }, (_, i) => files.read('f', i * 10, 10)));
  expect(asked).toHaveLength(1);
});

test('nothing is asked for behind the end of a file whose size is known', async () => {
  const { files, asked } = filesOf(contentOf(PAGE_BYTES), { memoryBytes: 10_000_000 });
  expect(await files.read('f', PAGE_BYTES - 10, 16_000)).toHaveLength(10);
  expect(await files.read('f', PAGE_BYTES, 10)).toHaveLength(0);
  expect(await files.size('f')).toBe(PAGE_BYTES);
  expect(asked).toEqual([{ offset: 0, length: PAGE_BYTES }]);
});

test('pages that were forgotten are fetched again', async () => {
  const { files, asked } = filesOf(contentOf(PAGE_BYTES), { memoryBytes: 10_000_000 });
  await files.read('f', 0, 10);
  files.forgetPages();
  await files.read('f', 0, 10);
  expect(asked).toHaveLength(2);
});

test('what is wanted of a long range is read without keeping the rest, and found again until it is forgotten', async () => {
  const content = contentOf(40 * PAGE_BYTES);
  const { files, asked } = filesOf(content, { memoryBytes: 10_000_000 });
  const bytes = await files.sparse.read('f', 100, 30 * PAGE_BYTES);
  expect(Buffer.compare(bytes, content.subarray(100, 100 + 30 * PAGE_BYTES))).toBe(0);
  expect(asked.splice(0)).toEqual([{ offset: 100, length: 30 * PAGE_BYTES }]);
  await files.read('f', 100, 10);
  expect(asked.splice(0)).toHaveLength(1);
  // Nothing is asked for behind the end.
  expect(await files.sparse.read('f', content.length - 7, 100)).toHaveLength(7);
  expect(await files.sparse.read('f', content.length, 100)).toHaveLength(0);
  for (const length of [0, 1, PAGE_BYTES - 1, PAGE_BYTES, 2 * PAGE_BYTES, 2 * PAGE_BYTES + 5]) {
    const kept = content.slice(0, length);
    expect(files.sparse.recall('f', `k${length}`)).toBeUndefined();
    files.sparse.keep('f', `k${length}`, kept);
    expect(Buffer.compare(files.sparse.recall('f', `k${length}`) as Uint8Array, kept)).toBe(0);
    expect(files.sparse.recall('g', `k${length}`)).toBeUndefined();
  }
  files.forgetPages();
  expect(files.sparse.recall('f', `k${PAGE_BYTES}`)).toBeUndefined();
});
