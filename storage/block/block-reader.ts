/**
 * A block as a query sees it. The index is loaded whole and stays; chunks are read when asked for, close ones together.
 * A chunk ref of this source is `series ref · 2^20 + number of the chunk in its series`: it leads back to the index,
 * which knows the chunk's times and place.
 */
import type { ChunkMeta } from '../index/format.ts';
import { type IndexedSeries, IndexReader } from '../index/index-reader.ts';
import { selectPostings } from '../index/postings.ts';
import { StorageError } from '../lib/errors.ts';
import type { MetricMetadata, StartTimes, StoredExemplar } from '../model/extras.ts';
import type { Labels } from '../model/labels.ts';
import type { Matcher } from '../model/matcher.ts';
import type { Chunk, SeriesSource, SourceSeries } from '../model/series-source.ts';
import type { TimeRange } from '../model/time-range.ts';
import type { BlockFiles } from './block-files.ts';
import { readChunkRanges } from './chunk-ranges.ts';
import { EXTRA_FILES, ExtraKind, ExtraReader } from './extra-file.ts';
import { decodeExemplars, decodeMetadata, decodeStartTimes, METADATA_REF } from './extras.ts';
import { INDEX_FILE } from './layout.ts';
import { type BlockMeta, blockRange } from './meta.ts';

const CHUNKS_PER_SERIES: number = 2 ** 20;

/** One read of the index is at most this long: Node reads no more than 2 GiB at once. */
const INDEX_READ_BYTES: number = 256 * 1024 * 1024;

/** A chunk to read and its place among the chunks of its series. */
interface WantedChunk {
  readonly meta: ChunkMeta;
  readonly target: Chunk[];
  readonly at: number;
}

export class BlockReader implements SeriesSource {
  readonly meta: BlockMeta;
  readonly externalLabels: Labels;
  readonly #files: BlockFiles;
  readonly #index: IndexReader;

  private constructor(meta: BlockMeta, externalLabels: Labels, files: BlockFiles, index: IndexReader) {
    this.meta = meta;
    this.externalLabels = externalLabels;
    this.#files = files;
    this.#index = index;
  }

  /**
   * Loads the index. `files` stays the caller's, to close when the reader is no longer used; `externalLabels` as
   * `blockExternalLabels` finds them. Throws CorruptionError and what `files` throws.
   */
  static async open(files: BlockFiles, meta: BlockMeta, externalLabels: Labels): Promise<BlockReader> {
    const index = new IndexReader(`${meta.ulid}/${INDEX_FILE}`, await readIndex(files));
    return new BlockReader(meta, externalLabels, files, index);
  }

  /** The memory that the reader holds, for a cache that bounds it. */
  get byteSize(): number {
    return this.#index.byteSize;
  }

  async labelNames(matchers: readonly Matcher[], range: TimeRange): Promise<string[]> {
    if (!this.#overlaps(range)) return [];
    if (matchers.length === 0) return this.#index.names();
    const names = new Set<number>();
    for (const { symbols } of this.#matching(matchers, range)) {
      for (let i = 0; i < symbols.length; i += 2) names.add(symbols[i] as number);
    }
    return this.#sortedStrings(names);
  }

  async labelValues(name: string, matchers: readonly Matcher[], range: TimeRange): Promise<string[]> {
    if (!this.#overlaps(range)) return [];
    if (matchers.length === 0) return this.#index.values(name);
    const values = new Set<number>();
    for (const { symbols } of this.#matching(matchers, range)) {
      for (let i = 0; i < symbols.length; i += 2) {
        if (this.#index.symbols.lookup(symbols[i] as number) === name) values.add(symbols[i + 1] as number);
      }
    }
    return this.#sortedStrings(values);
  }

  async select(matchers: readonly Matcher[], range: TimeRange): Promise<SourceSeries[]> {
    const selected: SourceSeries[] = [];
    if (!this.#overlaps(range)) return selected;
    for (const { ref, symbols, chunks } of this.#matching(matchers, range)) {
      if (chunks.length > CHUNKS_PER_SERIES) {
        throw new StorageError('limit', `${this.meta.ulid}: a series has ${chunks.length} chunks`);
      }
      const chunkRefs: number[] = [];
      for (let i = 0; i < chunks.length; i++) {
        if (overlaps(chunks[i] as ChunkMeta, range)) chunkRefs.push(ref * CHUNKS_PER_SERIES + i);
      }
      selected.push({ labels: this.#index.strings(symbols), chunkRefs });
    }
    return selected;
  }

  /** Chunks that were read together are views of one buffer: a copy of each would cost as much as all the rest. */
  async readChunks(series: readonly SourceSeries[], range: TimeRange): Promise<Chunk[][]> {
    const wanted: WantedChunk[] = [];
    const chunks = series.map(({ chunkRefs }) => {
      const metas = this.#chunkMetas(chunkRefs).filter((meta) => overlaps(meta, range));
      const target = new Array<Chunk>(metas.length);
      metas.forEach((meta, at) => void wanted.push({ meta, target, at }));
      return target;
    });
    // In the order of the file, which that of a selection is already.
    wanted.sort((a, b) => a.meta.ref - b.meta.ref);
    const refs = Float64Array.from(wanted, ({ meta }) => meta.ref);
    const guessBytes = this.meta.thanos?.index_stats?.chunk_max_size;
    await readChunkRanges(this.#files, this.meta.ulid, refs, guessBytes, (i, encoding, bytes) => {
      const { meta, target, at } = wanted[i] as WantedChunk;
      target[at] = { minTimeMs: meta.minTimeMs, maxTimeMs: meta.maxTimeMs, encoding, bytes };
    });
    return chunks;
  }

  /** The exemplars of each series in the range, in time order. Throws CorruptionError and what the files throw. */
  async exemplars(series: readonly SourceSeries[], range: TimeRange): Promise<StoredExemplar[][]> {
    const lists = await this.#extras(series, ExtraKind.EXEMPLARS, decodeExemplars);
    return lists.map((list = []) => list.filter(({ timeMs }) => timeMs >= range.minTimeMs && timeMs < range.maxTimeMs));
  }

  /** When the counting of each series began. Throws CorruptionError and what the files throw. */
  async startTimes(series: readonly SourceSeries[]): Promise<StartTimes[]> {
    const starts = await this.#extras(series, ExtraKind.START_TIMES, decodeStartTimes);
    return starts.map((one) => one ?? { floats: [], histograms: [] });
  }

  /** What the block knows of its metric families, in byte order of their names. Throws as the others. */
  async metadata(): Promise<MetricMetadata[]> {
    const reader = await this.#extraFile(ExtraKind.METADATA);
    return reader === undefined ? [] : ((await readExtra(reader, METADATA_REF, decodeMetadata)) ?? []);
  }

  async #extras<T>(
    series: readonly SourceSeries[],
    kind: ExtraKind,
    decode: (content: Uint8Array) => T | undefined,
  ): Promise<(T | undefined)[]> {
    const reader = await this.#extraFile(kind);
    if (reader === undefined) return series.map(() => undefined);
    const extras: (T | undefined)[] = [];
    for (const { chunkRefs } of series) {
      const ref = Math.floor((chunkRefs[0] as number) / CHUNKS_PER_SERIES);
      extras.push(await readExtra(reader, ref, decode));
    }
    return extras;
  }

  /** The file, if meta.json lists it: in blocks of others, and where Thanos compacted ours, there is none. */
  async #extraFile(kind: ExtraKind): Promise<ExtraReader | undefined> {
    const isThere = this.meta.thanos?.files?.some((file) => file.rel_path === EXTRA_FILES[kind]) ?? false;
    return isThere ? await ExtraReader.open(this.#files, this.meta.ulid, kind) : undefined;
  }

  #overlaps(range: TimeRange): boolean {
    const own = blockRange(this.meta);
    return own.minTimeMs < range.maxTimeMs && range.minTimeMs < own.maxTimeMs;
  }

  /** The matching series that have a chunk in the range, in label order. */
  *#matching(matchers: readonly Matcher[], range: TimeRange): Generator<IndexedSeries & { ref: number }> {
    for (const ref of selectPostings(this.#index, matchers)) {
      const { symbols, chunks } = this.#index.series(ref);
      if (chunks.some((chunk) => overlaps(chunk, range))) yield { ref, symbols, chunks };
    }
  }

  /** The chunks that refs of this source name. Refs of one series are neighbours, so its entry is read once. */
  #chunkMetas(chunkRefs: readonly number[]): ChunkMeta[] {
    let lastRef = -1;
    let chunks: readonly ChunkMeta[] = [];
    return chunkRefs.map((chunkRef) => {
      const ref = Math.floor(chunkRef / CHUNKS_PER_SERIES);
      if (ref !== lastRef) {
        chunks = this.#index.series(ref).chunks;
        lastRef = ref;
      }
      return chunks[chunkRef % CHUNKS_PER_SERIES] as ChunkMeta;
    });
  }

  /** Symbols are numbered in byte order, so their strings come sorted. */
  #sortedStrings(symbols: ReadonlySet<number>): string[] {
    return this.#index.strings([...symbols].sort((a, b) => a - b));
  }
}

/** What the series has of it; undefined if there is none. */
async function readExtra<T>(
  reader: ExtraReader,
  ref: number,
  decode: (content: Uint8Array) => T | undefined,
): Promise<T | undefined> {
  const content = await reader.read(ref);
  if (content === undefined) return undefined;
  const decoded = decode(content);
  if (decoded === undefined) throw reader.corrupt(ref);
  return decoded;
}

function overlaps(chunk: ChunkMeta, range: TimeRange): boolean {
  return chunk.minTimeMs < range.maxTimeMs && chunk.maxTimeMs >= range.minTimeMs;
}

async function readIndex(files: BlockFiles): Promise<Uint8Array> {
  const size = await files.size(INDEX_FILE);
  if (size <= INDEX_READ_BYTES) return files.read(INDEX_FILE, 0, size);
  const bytes = new Uint8Array(size);
  for (let offset = 0; offset < size; offset += INDEX_READ_BYTES) {
    bytes.set(await files.read(INDEX_FILE, offset, Math.min(INDEX_READ_BYTES, size - offset)), offset);
  }
  return bytes;
}
