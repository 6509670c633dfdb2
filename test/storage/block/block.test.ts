/** Block writer and reader against each other and against a plain list of series. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BlockFiles, DirectoryBlockFiles } from '../../../storage/block/block-files.ts';
import { BlockReader } from '../../../storage/block/block-reader.ts';
import { writeBlock } from '../../../storage/block/block-writer.ts';
import { parseMeta } from '../../../storage/block/meta.ts';
import type { FileSystem } from '../../../storage/io/file-system.ts';
import { CorruptionError } from '../../../storage/lib/errors.ts';
import { compareLabels, compareUtf8, type Labels, labelValue } from '../../../storage/model/labels.ts';
import { Matcher } from '../../../storage/model/matcher.ts';
import type { Chunk, SeriesSource } from '../../../storage/model/series-source.ts';
import type { TimeRange } from '../../../storage/model/time-range.ts';
import { blockInput, type PlainSeries, TEST_ULID, xorChunk } from '../../support/blocks.ts';
import { FaultyFileSystem } from '../../support/faulty-file-system.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';

const BUCKET = '/bucket';
const DIRECTORY = `${BUCKET}/${TEST_ULID}`;
const EVER: TimeRange = { minTimeMs: Number.MIN_SAFE_INTEGER, maxTimeMs: Number.MAX_SAFE_INTEGER };

const small: PlainSeries[] = [
  {
    labels: ['__name__', 'up', 'job', 'a'],
    chunks: [
      [
        [0, 1],
        [10, 2],
      ],
      [
        [20, 3],
        [30, 4],
      ],
    ],
  },
  { labels: ['__name__', 'up', 'job', 'b'], chunks: [[[5, 1]]] },
  {
    labels: ['__name__', 'went', 'zone', 'é'],
    chunks: [
      [
        [25, 7],
        [35, -0],
      ],
    ],
  },
];

/** Counts and keeps every ranged read. */
class CountedFiles implements BlockFiles {
  readonly reads: { name: string; offset: number; length: number }[] = [];
  readonly #files: BlockFiles;

  constructor(files: BlockFiles) {
    this.#files = files;
  }

  read(name: string, offset: number, length: number): Promise<Uint8Array> {
    this.reads.push({ name, offset, length });
    return this.#files.read(name, offset, length);
  }

  size(name: string): Promise<number> {
    return this.#files.size(name);
  }
}

function writtenBlock(series: readonly PlainSeries[], segmentBytes?: number): SimFileSystem {
  const fileSystem = new SimFileSystem();
  writeBlock(fileSystem, DIRECTORY, blockInput(series, segmentBytes === undefined ? {} : { segmentBytes }));
  return fileSystem;
}

/** The bytes of a file of the block. */
function bytesOf(fileSystem: FileSystem, name: string): Uint8Array {
  const file = fileSystem.open(`${DIRECTORY}/${name}`, 'read');
  const bytes = new Uint8Array(file.size());
  file.read(bytes, 0);
  file.close();
  return bytes;
}

function overwrite(fileSystem: FileSystem, name: string, bytes: Uint8Array): void {
  fileSystem.open(`${DIRECTORY}/${name}`, 'create').write(bytes, 0);
}

async function openBlock(fileSystem: SimFileSystem, files?: BlockFiles): Promise<BlockReader> {
  const meta = parseMeta(bytesOf(fileSystem, 'meta.json'), 'meta.json');
  return BlockReader.open(files ?? new DirectoryBlockFiles(fileSystem, DIRECTORY), meta, ['cluster', 'eu']);
}

/** Each selected series with its chunks. */
async function read(
  source: SeriesSource,
  matchers: readonly Matcher[],
  range: TimeRange,
): Promise<{ labels: Labels; chunks: Chunk[] }[]> {
  const selected = await source.select(matchers, range);
  const chunks = await source.readChunks(selected, range);
  return selected.map(({ labels }, i) => ({ labels, chunks: chunks[i] as Chunk[] }));
}

/** The same by looping over the series. */
function expectedRead(
  series: readonly PlainSeries[],
  matchers: readonly Matcher[],
  { minTimeMs, maxTimeMs }: TimeRange,
): { labels: Labels; chunks: Chunk[] }[] {
  return [...series]
    .sort((a, b) => compareLabels(a.labels, b.labels))
    .filter(({ labels }) => matchers.every((matcher) => matcher.matches(labelValue(labels, matcher.name))))
    .map(({ labels, chunks }) => ({
      labels,
      chunks: chunks.map(xorChunk).filter((chunk) => chunk.minTimeMs < maxTimeMs && chunk.maxTimeMs >= minTimeMs),
    }))
    .filter(({ chunks }) => chunks.length > 0);
}

test('meta.json tells what was written, and comes last', () => {
  const fileSystem = writtenBlock(small);
  expect(fileSystem.paths().at(-1)).toBe(`${DIRECTORY}/meta.json`);
  const sizes = (name: string): number => bytesOf(fileSystem, name).length;
  expect(parseMeta(bytesOf(fileSystem, 'meta.json'), 'meta.json')).toEqual({
    ulid: TEST_ULID,
    minTime: 0,
    maxTime: 36,
    stats: { numSamples: 7, numFloatSamples: 7, numSeries: 3, numChunks: 4 },
    compaction: { level: 1, sources: [TEST_ULID] },
    version: 1,
    thanos: {
      version: 1,
      labels: { tenant_id: 'default-tenant' },
      downsample: { resolution: 0 },
      source: 'receive',
      segment_files: ['000001'],
      files: [
        { rel_path: 'chunks/000001', size_bytes: sizes('chunks/000001') },
        { rel_path: 'index', size_bytes: sizes('index') },
        { rel_path: 'meta.json' },
      ],
      index_stats: { series_max_size: 17, chunk_max_size: 22 },
    },
  });
});

test('a segment begins with its magic and version, and a chunk is framed by length, encoding and checksum', () => {
  const fileSystem = writtenBlock([{ labels: ['a', 'b'], chunks: [[[1000, 1]]] }]);
  const segment = bytesOf(fileSystem, 'chunks/000001');
  expect(Buffer.from(segment).toString('hex')).toBe(
    `85bd40dd01000000${'0c'}${'01'}${'0001d00f3ff0000000000000'}${'b1834301'}`,
  );
});

test('extensions, labels and compaction are those given', () => {
  const fileSystem = new SimFileSystem();
  const varve = { format: 1, instance: 'i', epoch: 0, tenant: 't', window: 0, generation: 0, position: 9 };
  const compaction = { level: 2, sources: [TEST_ULID, TEST_ULID] };
  const meta = writeBlock(
    fileSystem,
    DIRECTORY,
    blockInput(small, { extensions: { varve }, thanosLabels: { b: '1', a: '2' }, compaction, resolutionMs: 300_000 }),
  );
  expect(Object.keys(meta.thanos?.labels ?? {})).toEqual(['a', 'b']);
  expect([meta.compaction, meta.thanos?.downsample, meta.thanos?.extensions]).toEqual([
    compaction,
    { resolution: 300_000 },
    { varve },
  ]);
});

test('series and chunks are filtered by a half-open range', async () => {
  const reader = await openBlock(writtenBlock(small));
  for (const [minTimeMs, maxTimeMs] of [
    [0, 36],
    [0, 5],
    [0, 6],
    [10, 11],
    [11, 20],
    [11, 21],
    [30, 31],
    [31, 36],
    [36, 99],
    [-5, 0],
  ]) {
    const range = { minTimeMs, maxTimeMs } as TimeRange;
    expect(await read(reader, [], range), JSON.stringify(range)).toEqual(expectedRead(small, [], range));
  }
});

test('names and values come from the postings table, or from the matching series', async () => {
  const reader = await openBlock(writtenBlock(small));
  const up = [new Matcher('=', '__name__', 'up')];
  expect(await reader.labelNames([], EVER)).toEqual(['__name__', 'job', 'zone']);
  expect(await reader.labelNames(up, EVER)).toEqual(['__name__', 'job']);
  expect(await reader.labelValues('job', [], EVER)).toEqual(['a', 'b']);
  expect(await reader.labelValues('job', [new Matcher('!=', 'job', 'a')], EVER)).toEqual(['b']);
  expect(await reader.labelValues('job', up, { minTimeMs: 6, maxTimeMs: 36 })).toEqual(['a']);
  expect(await reader.labelValues('nope', up, EVER)).toEqual([]);
  const before = { minTimeMs: -10, maxTimeMs: 0 };
  expect([await reader.labelNames([], before), await reader.labelValues('job', [], before)]).toEqual([[], []]);
});

test('the reader keeps what it was given and tells its size', async () => {
  const fileSystem = writtenBlock(small);
  const reader = await openBlock(fileSystem);
  expect(reader.externalLabels).toEqual(['cluster', 'eu']);
  expect(reader.meta.ulid).toBe(TEST_ULID);
  expect(reader.byteSize).toBeGreaterThan(bytesOf(fileSystem, 'index').length);
});

const value = fc.constantFrom('a', 'b', 'ab', '\uffff', '😀');
const anySeries = fc
  .uniqueArray(
    fc.record({
      labels: fc.dictionary(fc.constantFrom('x', 'y', 'z', '😀'), value, { minKeys: 1 }).map(
        (labels): Labels =>
          Object.entries(labels)
            .sort(([a], [b]) => compareUtf8(a, b))
            .flat(),
      ),
      chunks: fc.array(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 50 }), fc.double()), { minLength: 1, maxLength: 5 }),
        {
          minLength: 1,
          maxLength: 4,
        },
      ),
      startMs: fc.integer({ min: -100, max: 100 }),
    }),
    { minLength: 1, maxLength: 15, selector: ({ labels }) => JSON.stringify(labels) },
  )
  .map((list) =>
    list.map(({ labels, chunks, startMs }): PlainSeries => {
      let timeMs = startMs;
      return {
        labels,
        chunks: chunks.map((samples) =>
          samples.map(([step, sample]): [number, number] => {
            timeMs += step;
            return [timeMs, sample];
          }),
        ),
      };
    }),
  );
const anyMatcher = fc.tuple(
  fc.constantFrom('=' as const, '!=' as const, '=~' as const, '!~' as const),
  fc.constantFrom('x', 'y', 'missing'),
  fc.constantFrom('a', 'b', '', 'a|b', 'a.*', '.+'),
);

test('a block answers as the list of its series does', async () => {
  await fc.assert(
    fc.asyncProperty(
      anySeries,
      fc.array(anyMatcher, { maxLength: 3 }),
      fc.tuple(fc.integer({ min: -150, max: 300 }), fc.nat(200)),
      fc.constantFrom(undefined, 60, 200),
      async (series, conditions, [minTimeMs, span], segmentBytes) => {
        const matchers = conditions.map(([type, name, text]) => new Matcher(type, name, text));
        const range = { minTimeMs, maxTimeMs: minTimeMs + span };
        const reader = await openBlock(writtenBlock(series, segmentBytes));
        expect(await read(reader, [], EVER)).toEqual(expectedRead(series, [], EVER));
        const expected = expectedRead(series, matchers, range);
        expect(await read(reader, matchers, range)).toEqual(expected);
        const names = new Set(expected.flatMap(({ labels }) => labels.filter((_, i) => i % 2 === 0)));
        if (matchers.length > 0) expect(await reader.labelNames(matchers, range)).toEqual([...names].sort(compareUtf8));
      },
    ),
    { numRuns: 200 },
  );
});

test('chunks go to a new segment when one is full, and no chunk is split', async () => {
  const series: PlainSeries[] = Array.from({ length: 20 }, (_, i) => ({
    labels: ['n', `v${i}`],
    chunks: [
      [
        [0, i],
        [1, 0.1 * i],
      ],
    ],
  }));
  const fileSystem = writtenBlock(series, 100);
  const segments = fileSystem.list(`${DIRECTORY}/chunks`).map(({ name }) => name);
  expect(segments.slice(0, 3)).toEqual(['000001', '000002', '000003']);
  for (const name of segments) {
    expect(bytesOf(fileSystem, `chunks/${name}`).length).toBeLessThanOrEqual(100);
  }
  const reader = await openBlock(fileSystem);
  expect(reader.meta.thanos?.segment_files).toEqual(segments);
  expect(await read(reader, [], EVER)).toEqual(expectedRead(series, [], EVER));
});

/** A chunk of an encoding that nobody knows, of so many bytes. */
function foreignChunk(minTimeMs: number, size: number): Chunk {
  return { minTimeMs, maxTimeMs: minTimeMs, encoding: 0xff, bytes: new Uint8Array(size).fill(minTimeMs) };
}

test('close chunks are read together, distant ones and those of 8 MiB apart', async () => {
  const sizes = [100, 100, 40_000, 100, 90_000, 100, 5_000_000, 5_000_000, 100];
  const fileSystem = new SimFileSystem();
  writeBlock(fileSystem, DIRECTORY, {
    ...blockInput(small),
    symbols: ['n', ...sizes.map((_, i) => `v${i}`)],
    series: sizes.map((size, i) => ({ labels: [0, i + 1], chunks: [foreignChunk(i, size)] })),
  });
  const files = new CountedFiles(new DirectoryBlockFiles(fileSystem, DIRECTORY));
  const reader = await openBlock(fileSystem, files);
  const selected = await reader.select([], EVER);
  const readSizes = async (...which: number[]): Promise<number[]> => {
    files.reads.length = 0;
    const chunks = await reader.readChunks(
      which.map((i) => selected[i] as (typeof selected)[number]),
      EVER,
    );
    which.forEach((i, k) => {
      const [chunk] = chunks[k] as [Chunk];
      const expected = foreignChunk(i, sizes[i] as number);
      expect([chunk.minTimeMs, chunk.encoding]).toEqual([expected.minTimeMs, expected.encoding]);
      expect(Buffer.compare(chunk.bytes, expected.bytes)).toBe(0);
    });
    return files.reads.map(({ length }) => length);
  };
  expect(await readSizes(0, 1)).toHaveLength(1); // Neighbours.
  expect(await readSizes(1, 3)).toHaveLength(1); // 40 kB between them.
  expect(await readSizes(3, 5)).toHaveLength(2); // 90 kB between them, of which the guess takes 16.
  expect(await readSizes(2)).toHaveLength(2); // Longer than the guess: read again.
  expect(Math.max(...(await readSizes(0, 1, 2, 3, 4, 5, 6, 7, 8)))).toBeLessThanOrEqual(8 * 1024 * 1024);
  expect(await readSizes(5, 0, 3, 1)).toHaveLength(2); // In any order.
  expect(await readSizes(0, 0, 1, 1)).toHaveLength(1); // Repeated.
});

test('chunks of other encodings are handed on with their byte', async () => {
  const fileSystem = new SimFileSystem();
  const chunks = [
    { minTimeMs: 0, maxTimeMs: 1, encoding: 2, bytes: Uint8Array.of(0, 3, 0) },
    { minTimeMs: 2, maxTimeMs: 3, encoding: 0xff, bytes: new Uint8Array(0) },
  ];
  const input = { ...blockInput(small), symbols: ['a', 'b'], series: [{ labels: [0, 1], chunks }] };
  const meta = writeBlock(fileSystem, DIRECTORY, input);
  expect(meta.stats).toEqual({ numSamples: 3, numHistogramSamples: 3, numSeries: 1, numChunks: 2 });
  expect(await read(await openBlock(fileSystem), [], EVER)).toEqual([{ labels: ['a', 'b'], chunks }]);
});

test("bytes of chunks are the caller's: writing into them changes no later answer", async () => {
  const reader = await openBlock(writtenBlock(small));
  for (const { chunks } of await read(reader, [], EVER)) for (const { bytes } of chunks) bytes.fill(0xff);
  expect(await read(reader, [], EVER)).toEqual(expectedRead(small, [], EVER));
});

test('a chunk outside the block, or series out of order, are refused and leave no meta.json', () => {
  const fileSystem = new SimFileSystem();
  const outside = blockInput(small, { maxTimeMs: 35 });
  expect(() => writeBlock(fileSystem, DIRECTORY, outside)).toThrow(/outside its block/);
  const input = blockInput(small);
  const unordered = { ...input, series: [...input.series].reverse() };
  expect(() => writeBlock(fileSystem, DIRECTORY, unordered)).toThrow(/label order/);
  expect(fileSystem.exists(`${DIRECTORY}/meta.json`)).toBe(false);
});

test('a flipped byte in index or chunks gives the same answers or a CorruptionError', async () => {
  const fileSystem = writtenBlock(small);
  const answers = async (): Promise<unknown> => {
    const reader = await openBlock(fileSystem);
    return {
      series: await read(reader, [], EVER),
      pairs: await Promise.all(
        ['a', 'b', 'up', 'went', 'é'].flatMap((text) =>
          ['__name__', 'job', 'zone'].map((name) => read(reader, [new Matcher('=', name, text)], EVER)),
        ),
      ),
      names: await reader.labelNames([], EVER),
      values: await reader.labelValues('job', [], EVER),
    };
  };
  const expected = await answers();
  let detected = 0;
  let tried = 0;
  for (const name of ['index', 'chunks/000001']) {
    const bytes = bytesOf(fileSystem, name);
    for (let i = 0; i < bytes.length; i++) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const damaged = bytes.slice();
        damaged[i] = (damaged[i] as number) ^ mask;
        overwrite(fileSystem, name, damaged);
        tried++;
        try {
          expect(await answers()).toEqual(expected);
        } catch (error) {
          expect(error).toBeInstanceOf(CorruptionError);
          expect((error as CorruptionError).file).toBe(`${TEST_ULID}/${name}`);
          detected++;
        }
      }
    }
    overwrite(fileSystem, name, bytes);
  }
  // Padding and the header of a segment are not under a checksum.
  expect(detected / tried).toBeGreaterThan(0.85);
});

test('a segment cut short anywhere is corrupt', async () => {
  const fileSystem = writtenBlock(small);
  const bytes = bytesOf(fileSystem, 'chunks/000001');
  const reader = await openBlock(fileSystem);
  for (let length = 0; length < bytes.length; length++) {
    overwrite(fileSystem, 'chunks/000001', bytes.slice(0, length));
    await expect(read(reader, [], EVER)).rejects.toThrow(CorruptionError);
  }
});

test('wherever writing fails and the power with it, a whole meta.json means a whole block', async () => {
  const expected = expectedRead(small, [], EVER);
  let failures = 0;
  let whole = 0;
  for (let seed = 0; seed < 200; seed++) {
    const disk = new SimFileSystem();
    disk.makeDirectory(BUCKET);
    disk.syncDirectory('/');
    const faults = new FaultyFileSystem(disk, { at: 1 + (seed % 20), sticky: true, code: 'EIO', written: 0.5 });
    let isWritten = false;
    try {
      writeBlock(faults, DIRECTORY, blockInput(small));
      disk.syncDirectory(BUCKET);
      isWritten = true;
    } catch (error) {
      expect(error).toMatchObject({ code: 'EIO' });
      failures++;
    }
    disk.crash(seededChance(seed));
    const isThere = disk.exists(`${DIRECTORY}/meta.json`) && isJson(bytesOf(disk, 'meta.json'));
    if (isWritten) expect(isThere).toBe(true);
    if (isThere) {
      expect(await read(await openBlock(disk), [], EVER)).toEqual(expected);
      whole++;
    }
  }
  expect([failures > 50, whole > 20]).toEqual([true, true]);
});

function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder().decode(bytes));
    return true;
  } catch {
    return false;
  }
}

test('a failed write leaves no file open', () => {
  for (let at = 1; at < 15; at++) {
    const disk = new SimFileSystem();
    let open = 0;
    const faults = new FaultyFileSystem(disk, { at, sticky: true, code: 'ENOSPC' });
    const original = faults.open.bind(faults);
    faults.open = (path, mode) => {
      const file = original(path, mode);
      open++;
      const close = file.close.bind(file);
      return Object.assign(file, {
        close: () => {
          open--;
          close();
        },
      });
    };
    expect(() => writeBlock(faults, DIRECTORY, blockInput(small))).toThrow('ENOSPC');
    expect(open).toBe(0);
  }
});

test('files are opened once and closed together', async () => {
  const fileSystem = writtenBlock(small);
  let open = 0;
  let opened = 0;
  const original = fileSystem.open.bind(fileSystem);
  fileSystem.open = (path, mode) => {
    const file = original(path, mode);
    open++;
    opened++;
    return Object.assign(file, { close: () => void open-- });
  };
  const files = new DirectoryBlockFiles(fileSystem, DIRECTORY);
  const reader = await openBlock(fileSystem, files);
  await read(reader, [], EVER);
  await read(reader, [], EVER);
  // Index and segment; meta.json was closed again.
  expect([open, opened]).toEqual([2, 3]);
  files.close();
  expect(open).toBe(0);
});
