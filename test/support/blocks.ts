/** Blocks for tests: series in plain form, the block of them on a simulated disk, and what it should answer. */
import { type BlockFiles, DirectoryBlockFiles } from '../../storage/block/block-files.ts';
import { BlockReader } from '../../storage/block/block-reader.ts';
import { type BlockInput, type BlockSeries, writeBlock } from '../../storage/block/block-writer.ts';
import { parseMeta } from '../../storage/block/meta.ts';
import type { FileSystem } from '../../storage/io/file-system.ts';
import { compareLabels, compareUtf8, type Labels, labelValue } from '../../storage/model/labels.ts';
import type { Matcher } from '../../storage/model/matcher.ts';
import { type Chunk, type SeriesSource, XOR } from '../../storage/model/series-source.ts';
import type { TimeRange } from '../../storage/model/time-range.ts';
import { encodeXorChunk } from './oracle/xor-chunk.ts';
import { SimFileSystem } from './sim-file-system.ts';

/** A series with its samples, cut into chunks. */
export interface PlainSeries {
  readonly labels: Labels;
  readonly chunks: readonly (readonly (readonly [timestampMs: number, value: number])[])[];
}

export const TEST_ULID = '01HZZZZZZZZZZZZZZZZZZZZZZZ';

export function xorChunk(samples: readonly (readonly [timestampMs: number, value: number])[]): Chunk {
  const timestamps = Float64Array.from(samples, ([timestampMs]) => timestampMs);
  const values = Float64Array.from(samples, ([, value]) => value);
  return {
    minTimeMs: timestamps[0] as number,
    maxTimeMs: timestamps.at(-1) as number,
    encoding: XOR,
    bytes: encodeXorChunk({ timestamps, values }),
  };
}

/** Symbols and series of a block, sorted as the writer wants them. */
function blockSeries(series: readonly PlainSeries[]): { symbols: string[]; series: BlockSeries[] } {
  const symbols = [...new Set(series.flatMap(({ labels }) => labels))].sort(compareUtf8);
  const numbers = new Map(symbols.map((symbol, number) => [symbol, number]));
  return {
    symbols,
    series: [...series]
      .sort((a, b) => compareLabels(a.labels, b.labels))
      .map(({ labels, chunks }) => ({
        labels: labels.map((label) => numbers.get(label) as number),
        chunks: chunks.map(xorChunk),
      })),
  };
}

/** The whole input of a block whose range is just that of its samples. */
export function blockInput(series: readonly PlainSeries[], overrides: Partial<BlockInput> = {}): BlockInput {
  const times = series.flatMap(({ chunks }) => chunks.flat().map(([timestampMs]) => timestampMs));
  return {
    ulid: TEST_ULID,
    minTimeMs: Math.min(...times),
    maxTimeMs: Math.max(...times) + 1,
    ...blockSeries(series),
    thanosLabels: { tenant_id: 'default-tenant' },
    source: 'receive',
    ...overrides,
  };
}

/** Where `writtenBlock` puts the block. */
export const BLOCK_DIRECTORY: string = `/bucket/${TEST_ULID}`;

export const EVER: TimeRange = { minTimeMs: Number.MIN_SAFE_INTEGER, maxTimeMs: Number.MAX_SAFE_INTEGER };

/** Three series of two metrics. */
export const smallSeries: readonly PlainSeries[] = [
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

/** A block of the series on a disk of its own. */
export function writtenBlock(series: readonly PlainSeries[], segmentBytes?: number): SimFileSystem {
  const fileSystem = new SimFileSystem();
  writeBlock(fileSystem, BLOCK_DIRECTORY, blockInput(series, segmentBytes === undefined ? {} : { segmentBytes }));
  return fileSystem;
}

/** The bytes of a file of the block. */
export function bytesOf(fileSystem: FileSystem, name: string): Uint8Array {
  const file = fileSystem.open(`${BLOCK_DIRECTORY}/${name}`, 'read');
  const bytes = new Uint8Array(file.size());
  file.read(bytes, 0);
  file.close();
  return bytes;
}

/** Replaces the bytes of a file of the block. */
export function overwrite(fileSystem: FileSystem, name: string, bytes: Uint8Array): void {
  fileSystem.open(`${BLOCK_DIRECTORY}/${name}`, 'create').write(bytes, 0);
}

/** Opens the block, by other files than the disk's if given. */
export async function openBlock(fileSystem: SimFileSystem, files?: BlockFiles): Promise<BlockReader> {
  const meta = parseMeta(bytesOf(fileSystem, 'meta.json'), 'meta.json');
  return BlockReader.open(files ?? new DirectoryBlockFiles(fileSystem, BLOCK_DIRECTORY), meta, ['cluster', 'eu']);
}

/** Each selected series with its chunks. */
export async function readAll(
  source: SeriesSource,
  matchers: readonly Matcher[],
  range: TimeRange,
): Promise<{ labels: Labels; chunks: Chunk[] }[]> {
  const selected = await source.select(matchers, range);
  const chunks = await source.readChunks(selected, range);
  return selected.map(({ labels }, i) => ({ labels, chunks: chunks[i] as Chunk[] }));
}

/** What `readAll` should give, by looping over the series. */
export function expectedRead(
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
