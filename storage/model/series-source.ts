/**
 * What a query sees of the head and of a block alike: series by matchers, then their chunks. Series and chunks travel
 * in batches; a sample never crosses this border alone.
 */
import type { Labels } from './labels.ts';
import type { Matcher } from './matcher.ts';
import type { TimeRange } from './time-range.ts';

/** Chunk encodings as in TSDB blocks. */
export const XOR = 1;

/** A chunk as stored in a TSDB block: for XOR the bytes begin with the sample count (u16, big-endian). */
export interface Chunk {
  /** Time of the first and of the last sample, both inclusive. */
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly encoding: number;
  readonly bytes: Uint8Array;
}

/** A series of one source. `chunkRefs` mean something only to the source that made it. */
export interface SourceSeries {
  /** Without external labels. */
  readonly labels: Labels;
  readonly chunkRefs: readonly number[];
}

export interface SeriesSource {
  /** Labels that every series of this source has besides its own. */
  readonly externalLabels: Labels;
  /** Names and values in byte order, of the series that match and have samples in the range. */
  labelNames(matchers: readonly Matcher[], range: TimeRange): Promise<string[]>;
  labelValues(name: string, matchers: readonly Matcher[], range: TimeRange): Promise<string[]>;
  /** The matching series that have chunks in the range, in label order. `matchers` see the series' own labels only. */
  select(matchers: readonly Matcher[], range: TimeRange): Promise<SourceSeries[]>;
  /**
   * The chunks of each series that reach into the range. They may overlap: at one timestamp the earlier chunk of the
   * list wins. The bytes are the caller's to read, and may be views of one buffer.
   */
  readChunks(series: readonly SourceSeries[], range: TimeRange): Promise<Chunk[][]>;
}
