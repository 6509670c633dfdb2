import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BlockFiles, DirectoryBlockFiles } from '../../../storage/block/block-files.ts';
import type { BlockReader } from '../../../storage/block/block-reader.ts';
import { type BlockSeries, writeBlock } from '../../../storage/block/block-writer.ts';
import { CorruptionError } from '../../../storage/lib/errors.ts';
import type { MetricMetadata, StartTimes, StoredExemplar } from '../../../storage/model/extras.ts';
import { BLOCK_DIRECTORY, blockInput, bytesOf, EVER, openBlock, overwrite, smallSeries } from '../../support/blocks.ts';
import { SimFileSystem } from '../../support/sim-file-system.ts';

interface Extras {
  readonly exemplars: StoredExemplar[];
  readonly startTimes: StartTimes;
}

const NO_STARTS: StartTimes = { floats: [], histograms: [] };

const FILES = ['varve-exemplars', 'varve-start-times', 'varve-metadata'];

const metadata: MetricMetadata[] = [
  { family: 'went', type: 'counter', help: 'Was weg ist.\n"é€😀"', unit: 'seconds' },
  { family: 'up', type: 'gauge', help: '', unit: '' },
];

function exemplar(timeMs: number, text: string): StoredExemplar {
  return { timeMs, message: new TextEncoder().encode(text) };
}

const some: Extras[] = [
  {
    exemplars: [exemplar(3, 'one'), exemplar(20, '')],
    startTimes: { floats: [{ timeMs: 0, startMs: -5 }], histograms: [] },
  },
  { exemplars: [], startTimes: NO_STARTS },
  {
    exemplars: [exemplar(25, 'three')],
    startTimes: {
      floats: [{ timeMs: 30, startMs: 29 }],
      histograms: [
        { timeMs: 25, startMs: 1_700_000_000_000 },
        { timeMs: 35, startMs: 0 },
      ],
    },
  },
];

/** The block of the three small series, with these extras for each. */
function blockWith(extras: readonly Extras[], of: readonly MetricMetadata[]): SimFileSystem {
  const fileSystem = new SimFileSystem();
  const input = blockInput(smallSeries);
  const series = [...(input.series as BlockSeries[])].map((one, i): BlockSeries => ({ ...one, ...extras[i] }));
  writeBlock(fileSystem, BLOCK_DIRECTORY, { ...input, series, metadata: of });
  return fileSystem;
}

async function extrasOf(reader: BlockReader): Promise<Extras[]> {
  const series = await reader.select([], EVER);
  const exemplars = await reader.exemplars(series, EVER);
  const startTimes = await reader.startTimes(series);
  return series.map((_, i) => ({
    exemplars: (exemplars[i] ?? []).map(({ timeMs, message }) => ({ timeMs, message: Uint8Array.from(message) })),
    startTimes: startTimes[i] ?? NO_STARTS,
  }));
}

test('exemplars, start times and metadata are read as they were written', async () => {
  const fileSystem = blockWith(some, metadata);
  const reader = await openBlock(fileSystem);
  expect(await extrasOf(reader)).toEqual(some);
  expect(await reader.metadata()).toEqual([metadata[1], metadata[0]]);
  const series = await reader.select([], EVER);
  const cut = await reader.exemplars(series, { minTimeMs: 3, maxTimeMs: 20 });
  expect(cut.map((list) => list.map(({ timeMs }) => timeMs))).toEqual([[3], [], []]);
});

test('meta.json lists the files that there are, with their sizes', async () => {
  const fileSystem = blockWith([{ exemplars: [exemplar(1, 'x')], startTimes: NO_STARTS }], []);
  const { meta } = await openBlock(fileSystem);
  expect(meta.thanos?.files?.map(({ rel_path }) => rel_path)).toEqual([
    'chunks/000001',
    'index',
    'varve-exemplars',
    'meta.json',
  ]);
  const listed = meta.thanos?.files?.find(({ rel_path }) => rel_path === 'varve-exemplars');
  expect(listed?.size_bytes).toBe(bytesOf(fileSystem, 'varve-exemplars').length);
  expect(fileSystem.paths().filter((path) => path.includes('varve-'))).toEqual([`${BLOCK_DIRECTORY}/varve-exemplars`]);
});

test('a block without such files has none of it', async () => {
  const reader = await openBlock(blockWith([], []));
  expect(await extrasOf(reader)).toEqual([0, 1, 2].map(() => ({ exemplars: [], startTimes: NO_STARTS })));
  expect(await reader.metadata()).toEqual([]);
});

const time = fc.integer({ min: -(2 ** 45), max: 2 ** 45 });
const arbitraryStarts = fc
  .array(fc.record({ timeMs: time, startMs: fc.oneof(fc.constant(0), time) }))
  .map((list) => list.sort((a, b) => a.timeMs - b.timeMs));
const arbitraryExtras: fc.Arbitrary<Extras> = fc.record({
  exemplars: fc
    .array(fc.record({ timeMs: time, message: fc.uint8Array({ maxLength: 300 }) }))
    .map((list) => list.sort((a, b) => a.timeMs - b.timeMs)),
  startTimes: fc.record({ floats: arbitraryStarts, histograms: arbitraryStarts }),
});

test('whatever they are', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(arbitraryExtras, { minLength: 3, maxLength: 3 }), async (extras) => {
      expect(await extrasOf(await openBlock(blockWith(extras, [])))).toEqual(
        extras.map(({ exemplars, startTimes }) => ({
          exemplars: exemplars.map(({ timeMs, message }) => ({ timeMs, message: Uint8Array.from(message) })),
          startTimes,
        })),
      );
    }),
    { numRuns: 200 },
  );
});

test.each(FILES)('any changed byte of %s is found, wherever it is', async (file) => {
  const fileSystem = blockWith(some, metadata);
  const whole = bytesOf(fileSystem, file);
  const reader = await openBlock(fileSystem);
  const wanted = JSON.stringify([await extrasOf(reader), await reader.metadata()]);
  let found = 0;
  for (let at = 0; at < whole.length; at++) {
    const damaged = whole.slice();
    damaged[at] = (damaged[at] as number) ^ 0x41;
    overwrite(fileSystem, file, damaged);
    const again = await openBlock(fileSystem);
    try {
      expect(JSON.stringify([await extrasOf(again), await again.metadata()])).toBe(wanted);
    } catch (error) {
      expect(error).toBeInstanceOf(CorruptionError);
      found++;
    }
  }
  expect(found).toBe(whole.length - 2); // Two bytes of the header are of no use yet.
});

test.each(FILES)('a cut %s is damage, wherever it ends', async (file) => {
  const fileSystem = blockWith(some, metadata);
  const whole = bytesOf(fileSystem, file);
  for (let length = 0; length < whole.length; length++) {
    overwrite(fileSystem, file, whole.slice(0, length));
    const reader = await openBlock(fileSystem);
    await expect((async () => [await extrasOf(reader), await reader.metadata()])()).rejects.toThrow(CorruptionError);
  }
});

test('a file of a newer version is refused by name', async () => {
  const fileSystem = blockWith(some, metadata);
  const bytes = bytesOf(fileSystem, 'varve-exemplars').slice();
  bytes[4] = 2;
  overwrite(fileSystem, 'varve-exemplars', bytes);
  const reader = await openBlock(fileSystem);
  await expect(reader.exemplars(await reader.select([], EVER), EVER)).rejects.toThrow(
    /varve-exemplars at 4: version 2, but only 1 can be read/,
  );
});

test('of a large file only the table and the wanted entries are read', async () => {
  const large = 'x'.repeat(100_000);
  const extras = [0, 1, 2].map((i) => ({ exemplars: [exemplar(i, large)], startTimes: NO_STARTS }));
  const fileSystem = blockWith(extras, []);
  const files = new DirectoryBlockFiles(fileSystem, BLOCK_DIRECTORY);
  let read = 0;
  const counted: BlockFiles = {
    gapBytes: files.gapBytes,
    readsAtOnce: files.readsAtOnce,
    aheadBytes: files.aheadBytes,
    size: (name) => files.size(name),
    read: (name, offset, length) => {
      if (name === 'varve-exemplars') read += length;
      return files.read(name, offset, length);
    },
  };
  const reader = await openBlock(fileSystem, counted);
  const [, second] = await reader.select([], EVER);
  const [list] = await reader.exemplars(second === undefined ? [] : [second], EVER);
  expect(list?.length).toBe(1);
  expect(read).toBeLessThan(100_200);
});

test('the bytes of a file of exemplars', () => {
  const fileSystem = blockWith([{ exemplars: [exemplar(3, 'one'), exemplar(20, '')], startTimes: NO_STARTS }], []);
  // As in docs/formats/block.md.
  expect(Buffer.from(bytesOf(fileSystem, 'varve-exemplars')).toString('hex')).toBe(
    '5641525801010000' + '151061ce0206036f6e652200' + '000000040000000000000008' + '00000001b634f3ec',
  );
});
