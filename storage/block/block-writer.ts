/**
 * Writes a block: series by series into chunk segments, index and extra files, meta.json last. Every file and directory is durable
 * before meta.json is written, so a directory with a meta.json is a whole block; the name of the directory itself is the
 * caller's to make durable (it builds elsewhere and renames).
 */

import type { ChunkMeta } from '../index/format.ts';
import { IndexWriter } from '../index/index-writer.ts';
import type { File, FileSystem } from '../io/file-system.ts';
import { ByteWriter } from '../lib/bytes.ts';
import type { MetricMetadata, StartTimes, StoredExemplar } from '../model/extras.ts';
import { compareUtf8 } from '../model/labels.ts';
import type { Chunk } from '../model/series-source.ts';
import { ChunkWriter, chunkSamples, type SegmentFile } from './chunk-file.ts';
import { ExtraKind, ExtraWriter } from './extra-file.ts';
import { encodeExemplars, encodeMetadata, encodeStartTimes, METADATA_REF } from './extras.ts';
import { INDEX_FILE, META_FILE, segmentName } from './layout.ts';
import {
  type BlockCompaction,
  type BlockFile,
  type BlockMeta,
  encodeMeta,
  META_VERSION,
  type ThanosMeta,
} from './meta.ts';

export interface BlockSeries {
  /** Flat pairs of symbol numbers (name, value), sorted by name. Read before the next series is asked for. */
  readonly labels: ArrayLike<number>;
  /** In time order, without overlap; at least one. */
  readonly chunks: readonly Chunk[];
  /** In time order. */
  readonly exemplars?: readonly StoredExemplar[];
  readonly startTimes?: StartTimes;
}

export interface BlockInput {
  readonly ulid: string;
  /** The block's half-open range; all samples lie in it. */
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  /** All label names and values of the series, each once, in UTF-8 byte order. */
  readonly symbols: readonly string[];
  /** In label order, each label set once. Consumed once. */
  readonly series: Iterable<BlockSeries>;
  /** Of the families that the series belong to, in any order. */
  readonly metadata?: readonly MetricMetadata[];
  /** The labels of the Thanos section: external labels and the owner's. Thanos refuses a block without any. */
  readonly thanosLabels: Readonly<Record<string, string>>;
  /** Who made the block, as Thanos names its sources; 'receive' for one cut from a head. */
  readonly source: string;
  /** ms between samples; 0, the default, for raw ones. */
  readonly resolutionMs?: number;
  readonly extensions?: Readonly<Record<string, unknown>>;
  /** Default: level 1, its own source. */
  readonly compaction?: BlockCompaction;
  /** Default: 512 MiB. */
  readonly segmentBytes?: number;
}

/**
 * Writes the block into `directory`, which it makes, and returns its meta. Throws the file system's errors, and Error if
 * series or chunks are out of order; what was written then stays for the caller to remove.
 */
export function writeBlock(fileSystem: FileSystem, directory: string, input: BlockInput): BlockMeta {
  fileSystem.makeDirectory(directory);
  const chunkWriter = new ChunkWriter(fileSystem, directory, input.segmentBytes);
  const indexFile = fileSystem.open(`${directory}/${INDEX_FILE}`, 'create');
  const extras = new ExtrasWriter(fileSystem, directory);
  try {
    let indexBytes = 0;
    const index = new IndexWriter(input.symbols, (bytes) => {
      indexFile.write(bytes, indexBytes);
      indexBytes += bytes.length;
    });
    const stats = new StatsCounter();
    for (const series of input.series) {
      const ref = writeSeries(series, input, chunkWriter, index, stats);
      extras.append(ref, series);
    }
    const segments = chunkWriter.finish();
    index.finish();
    indexFile.sync();
    const meta = blockMeta(input, stats, {
      segments,
      indexBytes,
      extras: extras.finish(input.metadata ?? []),
      maxSeriesBytes: index.maxSeriesBytes,
      maxChunkBytes: chunkWriter.maxChunkBytes,
    });
    writeMeta(fileSystem, directory, meta);
    return meta;
  } finally {
    chunkWriter.close();
    indexFile.close();
    extras.close();
  }
}

/** The files beside those of Prometheus; each is there only if it has an entry. */
class ExtrasWriter {
  readonly #exemplars: ExtraWriter;
  readonly #startTimes: ExtraWriter;
  readonly #metadata: ExtraWriter;
  readonly #content = new ByteWriter(4096);

  constructor(fileSystem: FileSystem, directory: string) {
    this.#exemplars = new ExtraWriter(fileSystem, directory, ExtraKind.EXEMPLARS);
    this.#startTimes = new ExtraWriter(fileSystem, directory, ExtraKind.START_TIMES);
    this.#metadata = new ExtraWriter(fileSystem, directory, ExtraKind.METADATA);
  }

  append(ref: number, { exemplars = [], startTimes }: BlockSeries): void {
    if (exemplars.length > 0) this.#exemplars.append(ref, encodeExemplars(exemplars, this.#content));
    if (startTimes !== undefined && startTimes.floats.length + startTimes.histograms.length > 0)
      this.#startTimes.append(ref, encodeStartTimes(startTimes, this.#content));
  }

  /** Makes the files durable and returns them. */
  finish(metadata: readonly MetricMetadata[]): BlockFile[] {
    const sorted = [...metadata].sort((a, b) => compareUtf8(a.family, b.family));
    if (sorted.length > 0) this.#metadata.append(METADATA_REF, encodeMetadata(sorted));
    return this.#writers.flatMap((writer) => {
      const sizeBytes = writer.finish();
      return sizeBytes === 0 ? [] : [{ rel_path: writer.path, size_bytes: sizeBytes }];
    });
  }

  close(): void {
    for (const writer of this.#writers) writer.close();
  }

  get #writers(): readonly ExtraWriter[] {
    return [this.#exemplars, this.#startTimes, this.#metadata];
  }
}

class StatsCounter {
  floats = 0;
  histograms = 0;
  series = 0;
  chunks = 0;
}

/** Writes chunks and index entry of a series and returns its ref. */
function writeSeries(
  series: BlockSeries,
  input: BlockInput,
  chunkWriter: ChunkWriter,
  index: IndexWriter,
  stats: StatsCounter,
): number {
  const metas: ChunkMeta[] = [];
  for (const chunk of series.chunks) {
    const { minTimeMs, maxTimeMs } = chunk;
    if (minTimeMs < input.minTimeMs || maxTimeMs >= input.maxTimeMs) {
      throw new Error(`a chunk of ${minTimeMs} to ${maxTimeMs} is outside its block`);
    }
    metas.push({ minTimeMs, maxTimeMs, ref: chunkWriter.append(chunk) });
    const { floats, histograms } = chunkSamples(chunk);
    stats.floats += floats;
    stats.histograms += histograms;
  }
  stats.series += 1;
  stats.chunks += metas.length;
  return index.addSeries(series.labels, metas);
}

interface WrittenFiles {
  readonly segments: readonly SegmentFile[];
  readonly indexBytes: number;
  readonly extras: readonly BlockFile[];
  readonly maxSeriesBytes: number;
  readonly maxChunkBytes: number;
}

function blockMeta(input: BlockInput, stats: StatsCounter, files: WrittenFiles): BlockMeta {
  return {
    ulid: input.ulid,
    minTime: input.minTimeMs,
    maxTime: input.maxTimeMs,
    stats: withoutZeros({
      numSamples: stats.floats + stats.histograms,
      numFloatSamples: stats.floats,
      numHistogramSamples: stats.histograms,
      numSeries: stats.series,
      numChunks: stats.chunks,
    }),
    compaction: input.compaction ?? { level: 1, sources: [input.ulid] },
    version: META_VERSION,
    thanos: thanosMeta(input, files),
  };
}

function thanosMeta(
  input: BlockInput,
  { segments, indexBytes, extras, maxSeriesBytes, maxChunkBytes }: WrittenFiles,
): ThanosMeta {
  return {
    version: 1,
    labels: Object.fromEntries(Object.entries(input.thanosLabels).sort(([a], [b]) => (a < b ? -1 : 1))),
    downsample: { resolution: input.resolutionMs ?? 0 },
    source: input.source,
    segment_files: segments.map((_, segment) => segmentName(segment)),
    files: [
      ...segments.map(({ path, sizeBytes }) => ({ rel_path: path, size_bytes: sizeBytes })),
      { rel_path: INDEX_FILE, size_bytes: indexBytes },
      ...extras,
      { rel_path: META_FILE },
    ],
    index_stats: withoutZeros({ series_max_size: maxSeriesBytes, chunk_max_size: maxChunkBytes }),
    ...(input.extensions === undefined ? {} : { extensions: input.extensions }),
  };
}

/** Go leaves zeros of these out. */
function withoutZeros<T extends Record<string, number>>(numbers: T): Partial<T> {
  return Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== 0)) as Partial<T>;
}

function writeMeta(fileSystem: FileSystem, directory: string, meta: BlockMeta): void {
  // The names of index and chunks must be durable before meta.json says that they are there.
  fileSystem.syncDirectory(directory);
  const file: File = fileSystem.open(`${directory}/${META_FILE}`, 'create');
  try {
    file.write(encodeMeta(meta), 0);
    file.sync();
  } finally {
    file.close();
  }
  fileSystem.syncDirectory(directory);
}
