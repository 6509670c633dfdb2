/**
 * Blocks for benchmarks: one that a server has cut from what it was sent, and copies of it that lie in other windows, written
 * by the engine's own writer. Writing a month through the server would take hours and make the same bytes.
 */
import { join } from 'node:path';
import { DirectoryBlockFiles } from '../../storage/block/block-files.ts';
import { BlockReader } from '../../storage/block/block-reader.ts';
import { type BlockSeries, writeBlock } from '../../storage/block/block-writer.ts';
import { type BlockMeta, parseMeta } from '../../storage/block/meta.ts';
import { type Chunk, compareUtf8, nodeFileSystem } from '../../storage/index.ts';
import { ByteReader, ByteWriter } from '../../storage/lib/bytes.ts';
import { encodeUlid } from '../../storage/lib/ulid.ts';
import { WINDOW_MS } from '../../storage/model/time-range.ts';
import { until } from '../../test/support/until.ts';
import { Varve } from '../../test/support/varve.ts';
import { sendScrape } from './scrape.ts';
import { Sender } from './sender.ts';
import { Source } from './source.ts';
import { TEMPLATES } from './templates.ts';

export interface BlockLoad {
  readonly series: number;
  readonly intervalMs: number;
}

/** A window that is over whatever the time of day. */
const WINDOW_START_MS: number = (Math.floor(Date.now() / WINDOW_MS) - 2) * WINDOW_MS;
const SERIES_PER_REQUEST = 2000;
const CONNECTIONS = 4;
/** Longer than any pause between two requests. */
const IDLE_CUT = '5s';

/** Sends a server 2 h of samples on a data directory of its own; resolves with the directory of the block that it cuts. */
export async function cutBlock(dataDirectory: string, { series, intervalMs }: BlockLoad): Promise<string> {
  await using varve = await Varve.start({ directory: dataDirectory, flags: [`--head.idle-cut=${IDLE_CUT}`] });
  const source = new Source((TEMPLATES.node as NonNullable<(typeof TEMPLATES)[string]>)(), series, 1);
  const sender = new Sender({ url: `${varve.url}/api/v1/write`, connections: CONNECTIONS, rate: 0, protocol: 'v1' });
  for (let ms = 0; ms < WINDOW_MS; ms += intervalMs) {
    source.step();
    await sendScrape(sender, source, SERIES_PER_REQUEST, WINDOW_START_MS + ms);
  }
  if (sender.errors > 0) throw new Error(`${sender.errors} requests failed: ${sender.firstError}`);
  await until('the cut', () => varve.blocks().length > 0, { timeoutMs: 120_000 });
  const [block, ...more] = varve.blocks();
  const samples = series * (WINDOW_MS / intervalMs);
  if (block?.stats.numSamples !== samples || more.length > 0)
    throw new Error(`${more.length + 1} blocks, the first with ${block?.stats.numSamples} of ${samples} samples`);
  return join(varve.bucket, block.ulid);
}

/** The meta of the block in a directory. */
export function blockMetaIn(directory: string): BlockMeta {
  const path = join(directory, 'meta.json');
  const file = nodeFileSystem.open(path, 'read');
  try {
    const bytes = new Uint8Array(file.size());
    file.read(bytes, 0);
    return parseMeta(bytes, path);
  } finally {
    file.close();
  }
}

/** A block in memory, to be written again and again. */
export class BlockCopies {
  readonly meta: BlockMeta;
  readonly #symbols: readonly string[];
  readonly #labels: readonly Uint32Array[];
  readonly #chunks: readonly (readonly Chunk[])[];

  private constructor(
    meta: BlockMeta,
    symbols: readonly string[],
    labels: readonly Uint32Array[],
    chunks: readonly (readonly Chunk[])[],
  ) {
    this.meta = meta;
    this.#symbols = symbols;
    this.#labels = labels;
    this.#chunks = chunks;
  }

  static async of(directory: string): Promise<BlockCopies> {
    const meta = blockMetaIn(directory);
    const range = { minTimeMs: meta.minTime, maxTimeMs: meta.maxTime };
    const files = new DirectoryBlockFiles(nodeFileSystem, directory);
    try {
      const reader = await BlockReader.open(files, meta, []);
      const series = await reader.select([], range);
      const symbols = [...new Set(series.flatMap(({ labels }) => labels))].sort(compareUtf8);
      const numbers = new Map(symbols.map((symbol, number) => [symbol, number]));
      const labels = series.map((one) => Uint32Array.from(one.labels, (label) => numbers.get(label) as number));
      return new BlockCopies(meta, symbols, labels, await reader.readChunks(series, range));
    } finally {
      files.close();
    }
  }

  /** Writes the block of `windows` windows earlier into the directory that blocks lie in. */
  write(directory: string, windows: number): BlockMeta {
    const byMs = -windows * WINDOW_MS;
    const { minTime, maxTime, thanos } = this.meta;
    const ulid = encodeUlid(maxTime + byMs, new Uint8Array(10));
    return writeBlock(nodeFileSystem, join(directory, ulid), {
      ulid,
      minTimeMs: minTime + byMs,
      maxTimeMs: maxTime + byMs,
      symbols: this.#symbols,
      series: this.#series(byMs),
      thanosLabels: thanos?.labels ?? {},
      source: 'receive',
    });
  }

  *#series(byMs: number): Generator<BlockSeries> {
    for (const [i, labels] of this.#labels.entries())
      yield { labels, chunks: (this.#chunks[i] as readonly Chunk[]).map((chunk) => movedChunk(chunk, byMs)) };
  }
}

const START = new ByteWriter(16);

/** An XOR chunk (storage/chunk) says its first time behind its count, and all others by differences. */
function movedChunk({ minTimeMs, maxTimeMs, encoding, bytes }: Chunk, byMs: number): Chunk {
  const reader = new ByteReader(bytes, 2);
  START.reset();
  START.raw(bytes.subarray(0, 2));
  START.varint(reader.varint() + byMs);
  const moved = new Uint8Array(START.bytes.length + reader.remaining);
  moved.set(START.bytes);
  moved.set(bytes.subarray(reader.offset), START.bytes.length);
  return { minTimeMs: minTimeMs + byMs, maxTimeMs: maxTimeMs + byMs, encoding, bytes: moved };
}
