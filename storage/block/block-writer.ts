/**
 * Writes a block: series by series into chunk segments and index, meta.json last. Every file and directory is durable
 * before meta.json is written, so a directory with a meta.json is a whole block; the name of the directory itself is the
 * caller's to make durable (it builds elsewhere and renames).
 */

import type { ChunkMeta } from '../index/format.ts';
import { IndexWriter } from '../index/index-writer.ts';
import type { File, FileSystem } from '../io/file-system.ts';
import type { Chunk } from '../model/series-source.ts';
import { ChunkWriter, chunkSamples, type SegmentFile } from './chunk-file.ts';
import { INDEX_FILE, META_FILE, segmentName } from './layout.ts';
import { type BlockCompaction, type BlockMeta, encodeMeta, META_VERSION, type ThanosMeta } from './meta.ts';

export interface BlockSeries {
  /** Flat pairs of symbol numbers (name, value), sorted by name. Read before the next series is asked for. */
  readonly labels: ArrayLike<number>;
  /** In time order, without overlap; at least one. */
  readonly chunks: readonly Chunk[];
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
  try {
    let indexBytes = 0;
    const index = new IndexWriter(input.symbols, (bytes) => {
      indexFile.write(bytes, indexBytes);
      indexBytes += bytes.length;
    });
    const stats = new StatsCounter();
    for (const series of input.series) writeSeries(series, input, chunkWriter, index, stats);
    const segments = chunkWriter.finish();
    index.finish();
    indexFile.sync();
    const meta = blockMeta(input, stats, {
      segments,
      indexBytes,
      maxSeriesBytes: index.maxSeriesBytes,
      maxChunkBytes: chunkWriter.maxChunkBytes,
    });
    writeMeta(fileSystem, directory, meta);
    return meta;
  } finally {
    chunkWriter.close();
    indexFile.close();
  }
}

class StatsCounter {
  floats = 0;
  histograms = 0;
  series = 0;
  chunks = 0;
}

function writeSeries(
  series: BlockSeries,
  input: BlockInput,
  chunkWriter: ChunkWriter,
  index: IndexWriter,
  stats: StatsCounter,
): void {
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
  index.addSeries(series.labels, metas);
  stats.series += 1;
  stats.chunks += metas.length;
}

interface WrittenFiles {
  readonly segments: readonly SegmentFile[];
  readonly indexBytes: number;
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
  { segments, indexBytes, maxSeriesBytes, maxChunkBytes }: WrittenFiles,
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
