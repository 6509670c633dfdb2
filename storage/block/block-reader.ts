/**
 * A block as a query sees it. The header of the index stays in memory; postings, series entries and chunks are read when
 * asked for, close ones together. A chunk ref of this source is `series ref · 2^20 + number of the chunk in its series`:
 * it leads back to the series entry, which knows the chunk's times and place.
 */

import type { IndexedSeries } from '../index/entries.ts';
import type { ChunkMeta } from '../index/format.ts';
import type { IndexHeader } from '../index/index-header.ts';
import { StorageError } from '../lib/errors.ts';
import type { MetricMetadata, StartTimes, StoredExemplar } from '../model/extras.ts';
import type { Labels } from '../model/labels.ts';
import type { Matcher } from '../model/matcher.ts';
import type { Chunk, SeriesSource, SourceSeries } from '../model/series-source.ts';
import type { TimeRange } from '../model/time-range.ts';
import type { BlockFiles } from './block-files.ts';
import { BlockIndex } from './block-index.ts';
import { readChunkRanges } from './chunk-ranges.ts';
import { EXTRA_FILES, ExtraKind, ExtraReader } from './extra-file.ts';
import { decodeExemplars, decodeMetadata, decodeStartTimes, METADATA_REF } from './extras.ts';
import { type IndexHeaders, loadIndexHeader } from './index-headers.ts';
import { INDEX_FILE } from './layout.ts';
import { type BlockMeta, blockRange, fileBytes } from './meta.ts';

const CHUNKS_PER_SERIES: number = 2 ** 20;

/** The entries of so many series are in memory at once while series are looked through for one answer. */
const SERIES_AT_ONCE = 16_384;

interface MatchingSeries extends IndexedSeries {
  readonly ref: number;
}

/**
 * What a selection found, for as long as its series are held. Its series come back in batches, each of which would read the
 * same stretches of the files again: of a light one all chunks are read with the first batch.
 */
interface Selection {
  /** Of all chunks, ascending. */
  readonly places: Float64Array;
  /** Of a light selection, the chunks of each series by its ref. */
  readonly metas: ReadonlyMap<number, readonly ChunkMeta[]> | undefined;
  chunks?: Promise<ReadonlyMap<number, RawChunk>>;
}

interface RawChunk {
  readonly encoding: number;
  readonly bytes: Uint8Array;
}

/** So many chunks of a block are held; with 360 blocks and 200 bytes each that is 150 MB. */
const LIGHT_CHUNKS = 2048;

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
  readonly #index: BlockIndex;
  /** The selection that a series came with. */
  readonly #selections = new WeakMap<SourceSeries, Selection>();

  private constructor(meta: BlockMeta, externalLabels: Labels, files: BlockFiles, header: IndexHeader) {
    this.meta = meta;
    this.externalLabels = externalLabels;
    this.#files = files;
    this.#index = new BlockIndex(meta.ulid, files, header, meta.thanos?.index_stats?.series_max_size);
  }

  /**
   * Loads the header of the index: from `headers`, if given, else from the index. `files` stays the caller's, to close when
   * the reader is no longer used; `externalLabels` as `blockExternalLabels` finds them. Rejects with CorruptionError and
   * what `files` reject with.
   */
  static async open(
    files: BlockFiles,
    meta: BlockMeta,
    externalLabels: Labels,
    headers?: IndexHeaders,
  ): Promise<BlockReader> {
    const indexBytes = fileBytes(meta, INDEX_FILE);
    const header =
      headers === undefined
        ? await loadIndexHeader(meta.ulid, files, indexBytes)
        : await headers.open(meta.ulid, files, indexBytes);
    return new BlockReader(meta, externalLabels, files, header);
  }

  /** The memory that the reader holds, for a cache that bounds it. */
  get byteSize(): number {
    return this.#index.header.byteSize;
  }

  async labelNames(matchers: readonly Matcher[], range: TimeRange): Promise<string[]> {
    if (!this.#overlaps(range)) return [];
    if (matchers.length === 0) return this.#index.header.names();
    const names = new Set<number>();
    for await (const batch of this.#matching(matchers, range)) {
      for (const { symbols } of batch) {
        for (let i = 0; i < symbols.length; i += 2) names.add(symbols[i] as number);
      }
    }
    return this.#sortedStrings(names);
  }

  async labelValues(name: string, matchers: readonly Matcher[], range: TimeRange): Promise<string[]> {
    if (!this.#overlaps(range)) return [];
    if (matchers.length === 0) return this.#index.header.values(name);
    const values = new Set<number>();
    for await (const batch of this.#matching(matchers, range)) {
      for (const { symbols } of batch) {
        for (let i = 0; i < symbols.length; i += 2) {
          if (this.#index.header.symbols.lookup(symbols[i] as number) === name) values.add(symbols[i + 1] as number);
        }
      }
    }
    return this.#sortedStrings(values);
  }

  async select(matchers: readonly Matcher[], range: TimeRange): Promise<SourceSeries[]> {
    const selected: SourceSeries[] = [];
    if (!this.#overlaps(range)) return selected;
    const places: number[] = [];
    const metas = new Map<number, readonly ChunkMeta[]>();
    for await (const batch of this.#matching(matchers, range)) {
      for (const one of batch) {
        selected.push(this.#selected(one, range));
        if (this.#files.sparse === undefined) continue; // What is here is read again at no cost.
        for (const chunk of one.chunks) if (overlaps(chunk, range)) places.push(chunk.ref);
        if (places.length <= LIGHT_CHUNKS) metas.set(one.ref, one.chunks);
        else metas.clear();
      }
    }
    this.#noteSelection(selected, places, metas);
    return selected;
  }

  #selected({ ref, symbols, chunks }: MatchingSeries, range: TimeRange): SourceSeries {
    if (chunks.length > CHUNKS_PER_SERIES)
      throw new StorageError('limit', `${this.meta.ulid}: a series has ${chunks.length} chunks`);
    const chunkRefs: number[] = [];
    for (let i = 0; i < chunks.length; i++) {
      if (overlaps(chunks[i] as ChunkMeta, range)) chunkRefs.push(ref * CHUNKS_PER_SERIES + i);
    }
    return { labels: this.#index.header.strings(symbols), chunkRefs };
  }

  /** Chunks that were read together are views of one buffer: a copy of each would cost as much as all the rest. */
  async readChunks(series: readonly SourceSeries[], range: TimeRange): Promise<Chunk[][]> {
    const [first] = series;
    const selection = first && this.#selections.get(first);
    const wanted: WantedChunk[] = [];
    const allMetas = await this.#chunkMetas(series, selection?.metas);
    const chunks = allMetas.map((seriesMetas) => {
      const metas = seriesMetas.filter((meta) => overlaps(meta, range));
      const target = new Array<Chunk>(metas.length);
      metas.forEach((meta, at) => void wanted.push({ meta, target, at }));
      return target;
    });
    const take = ({ meta, target, at }: WantedChunk, { encoding, bytes }: RawChunk): void => {
      target[at] = { minTimeMs: meta.minTimeMs, maxTimeMs: meta.maxTimeMs, encoding, bytes };
    };
    const all = await this.#chunksOf(selection);
    if (all !== undefined && wanted.every(({ meta }) => all.has(meta.ref)))
      for (const chunk of wanted) take(chunk, all.get(chunk.meta.ref) as RawChunk);
    else await this.#readWanted(wanted, selection, take);
    return chunks;
  }

  async #readWanted(
    wanted: WantedChunk[],
    selection: Selection | undefined,
    take: (chunk: WantedChunk, raw: RawChunk) => void,
  ): Promise<void> {
    // In the order of the file, which that of a selection is already.
    wanted.sort((a, b) => a.meta.ref - b.meta.ref);
    const refs = Float64Array.from(wanted, ({ meta }) => meta.ref);
    const aheadRef = this.#aheadRef(selection?.places, refs.at(-1));
    await this.#readRefs(refs, aheadRef, (i, raw) => take(wanted[i] as WantedChunk, raw));
  }

  /** The chunks of a light selection, by their places, read once; undefined for another. */
  #chunksOf(selection: Selection | undefined): Promise<ReadonlyMap<number, RawChunk>> | undefined {
    if (selection?.metas === undefined) return undefined;
    selection.chunks ??= this.#readAll(selection.places).catch((error: unknown) => {
      delete selection.chunks; // The next one tries again.
      throw error;
    });
    return selection.chunks;
  }

  async #readAll(places: Float64Array): Promise<ReadonlyMap<number, RawChunk>> {
    const chunks = new Map<number, RawChunk>();
    await this.#readRefs(places, undefined, (i, raw) => void chunks.set(places[i] as number, raw));
    return chunks;
  }

  async #readRefs(
    refs: Float64Array,
    aheadRef: number | undefined,
    take: (index: number, chunk: RawChunk) => void,
  ): Promise<void> {
    const guessBytes = this.meta.thanos?.index_stats?.chunk_max_size;
    const options = { guessBytes, ...(aheadRef === undefined ? {} : { aheadRef }) };
    await readChunkRanges(this.#files, this.meta.ulid, refs, options, (i, encoding, bytes) =>
      take(i, { encoding, bytes }),
    );
  }

  /** Keeps where the chunks of a selection are, for when its series come back. */
  #noteSelection(
    selected: readonly SourceSeries[],
    places: readonly number[],
    metas: ReadonlyMap<number, readonly ChunkMeta[]>,
  ): void {
    if (places.length === 0) return;
    const isLight = places.length <= LIGHT_CHUNKS;
    const selection: Selection = {
      places: Float64Array.from(places).sort(),
      metas: isLight ? metas : undefined,
    };
    for (const series of selected) this.#selections.set(series, selection);
  }

  /** The last of the places that is wanted within reach behind the chunk at `ref`. */
  #aheadRef(places: Float64Array | undefined, ref = 0): number {
    let last = ref;
    if (places === undefined) return last;
    const { gapBytes, aheadBytes } = this.#files;
    for (let i = firstAfter(places, ref); i < places.length; i++) {
      const place = places[i] as number;
      if (place - last > gapBytes || place - ref > aheadBytes) break;
      last = place;
    }
    return last;
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

  /** The matching series that have a chunk in the range, in label order, in batches. */
  async *#matching(matchers: readonly Matcher[], range: TimeRange): AsyncGenerator<MatchingSeries[], void, undefined> {
    const refs = await this.#index.select(matchers);
    for (let from = 0; from < refs.length; from += SERIES_AT_ONCE) {
      const some = refs.subarray(from, from + SERIES_AT_ONCE);
      const entries = await this.#index.series(some);
      const batch: MatchingSeries[] = [];
      entries.forEach(({ symbols, chunks }, i) => {
        if (chunks.some((chunk) => overlaps(chunk, range))) batch.push({ ref: some[i] as number, symbols, chunks });
      });
      yield batch;
    }
  }

  /** The chunks that the refs of each series name. A series' refs lead to its one entry. */
  async #chunkMetas(
    series: readonly SourceSeries[],
    known: ReadonlyMap<number, readonly ChunkMeta[]> | undefined,
  ): Promise<ChunkMeta[][]> {
    const refOf = ({ chunkRefs }: SourceSeries): number => Math.floor((chunkRefs[0] ?? 0) / CHUNKS_PER_SERIES);
    const metasIn = (metas: ReadonlyMap<number, readonly ChunkMeta[]>): ChunkMeta[][] =>
      series.map((one) => {
        const chunks = metas.get(refOf(one)) ?? [];
        return one.chunkRefs.map((chunkRef) => chunks[chunkRef % CHUNKS_PER_SERIES] as ChunkMeta);
      });
    if (known !== undefined && series.every((one) => one.chunkRefs.length === 0 || known.has(refOf(one))))
      return metasIn(known);
    const refs = Uint32Array.from(
      series.filter(({ chunkRefs }) => chunkRefs.length > 0),
      refOf,
    ).sort();
    const entries = await this.#index.series(refs);
    return metasIn(new Map(entries.map(({ chunks }, i) => [refs[i] as number, chunks])));
  }

  /** Symbols are numbered in byte order, so their strings come sorted. */
  #sortedStrings(symbols: ReadonlySet<number>): string[] {
    return this.#index.header.strings([...symbols].sort((a, b) => a - b));
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

/** Index of the first of the ascending places that is behind `ref`. */
function firstAfter(places: Float64Array, ref: number): number {
  let low = 0;
  let high = places.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((places[middle] as number) <= ref) low = middle + 1;
    else high = middle;
  }
  return low;
}

function overlaps(chunk: ChunkMeta, range: TimeRange): boolean {
  return chunk.minTimeMs < range.maxTimeMs && chunk.maxTimeMs >= range.minTimeMs;
}
