/**
 * What a query sees of the head and of a block alike: series by matchers, then their chunks. Series and chunks travel
 * in batches; a sample never crosses this border alone.
 */
import type { Labels } from './labels.ts';
import type { Matcher } from './matcher.ts';
import type { TimeRange } from './time-range.ts';

/**
 * Chunk encodings as in TSDB blocks; the last three have start timestamps and are only read. 255 is Thanos's chunk of
 * aggregates.
 */
export const Encoding = {
  XOR: 1,
  HISTOGRAM: 2,
  FLOAT_HISTOGRAM: 3,
  XOR2: 4,
  HISTOGRAM_START: 5,
  FLOAT_HISTOGRAM_START: 6,
} as const;
export const XOR: number = Encoding.XOR;

/** A chunk as stored in a TSDB block: for encodings up to 4 the bytes begin with the sample count (u16, big-endian). */
export interface Chunk {
  /** Time of the first and of the last sample, both inclusive. */
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly encoding: number;
  readonly bytes: Uint8Array;
}

/** How many samples a chunk holds by its first bytes; 0 for an encoding that says it elsewhere. */
export function chunkSampleCount({ encoding, bytes }: Chunk): number {
  const count = bytes.length < 2 ? 0 : ((bytes[0] as number) << 8) | (bytes[1] as number);
  switch (encoding) {
    case Encoding.XOR:
    case Encoding.HISTOGRAM:
    case Encoding.FLOAT_HISTOGRAM:
    case Encoding.XOR2:
      return count;
    case Encoding.HISTOGRAM_START:
    case Encoding.FLOAT_HISTOGRAM_START:
      return count & 0x3fff; // The two upper bits tell of counter resets.
    default:
      return 0;
  }
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
