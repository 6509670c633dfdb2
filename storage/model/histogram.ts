/**
 * Native histograms. Rows of one run share their bucket layout, and every number of a row is a word of 64 bits, kept as
 * it came: an integer, or the bits of a float, so that staleness markers and other NaN payloads survive.
 *
 *   row of an integer run   count u64 | zero count u64 | sum f64 | positive buckets i64 … | negative buckets i64 …
 *   row of a float run      count f64 | zero count f64 | sum f64 | positive buckets f64 … | negative buckets f64 …
 *
 * A bucket of an integer histogram is the difference to the bucket before it in its row (the first: to zero), one of a
 * float histogram is its count. A stale histogram is one whose sum is the staleness marker; nothing else of it counts.
 * Source of the model: Prometheus, model/histogram.
 */

/** What is known of a histogram's relation to the one before it; the numbers are those of the wire. */
export const ResetHint = { UNKNOWN: 0, YES: 1, NO: 2, GAUGE: 3 } as const;
export type ResetHint = (typeof ResetHint)[keyof typeof ResetHint];

/** Buckets with bounds of their own, in place of exponential ones. */
export const CUSTOM_BUCKETS_SCHEMA = -53;

/** Index in a row: the numbers before the buckets. */
export const COUNT = 0;
export const ZERO_COUNT = 1;
export const SUM = 2;
export const FIRST_BUCKET = 3;

const STALE_HIGH = 0x7ff00000;
const STALE_LOW = 2;

/** Which buckets a histogram has. Immutable. */
export class BucketLayout {
  readonly schema: number;
  readonly zeroThreshold: number;
  /** Offset (the first: from bucket 0, the others: from the end of the span before) and length, alternating. */
  readonly positiveSpans: Int32Array;
  readonly negativeSpans: Int32Array;
  /** Upper bounds of the buckets of schema -53, else empty. */
  readonly customValues: Float64Array;
  readonly positiveCount: number;
  readonly negativeCount: number;
  #positiveBuckets: readonly number[] | undefined;
  #negativeBuckets: readonly number[] | undefined;

  constructor(fields: {
    readonly schema: number;
    readonly zeroThreshold: number;
    readonly positiveSpans: Int32Array;
    readonly negativeSpans: Int32Array;
    readonly customValues: Float64Array;
  }) {
    this.schema = fields.schema;
    this.zeroThreshold = fields.zeroThreshold;
    this.positiveSpans = fields.positiveSpans;
    this.negativeSpans = fields.negativeSpans;
    this.customValues = fields.customValues;
    this.positiveCount = spanBuckets(fields.positiveSpans);
    this.negativeCount = spanBuckets(fields.negativeSpans);
  }

  /** How many numbers a row has. */
  get width(): number {
    return FIRST_BUCKET + this.positiveCount + this.negativeCount;
  }

  /** The number of each positive bucket in its schema, ascending. */
  get positiveBuckets(): readonly number[] {
    this.#positiveBuckets ??= bucketNumbers(this.positiveSpans);
    return this.#positiveBuckets;
  }

  get negativeBuckets(): readonly number[] {
    this.#negativeBuckets ??= bucketNumbers(this.negativeSpans);
    return this.#negativeBuckets;
  }

  /** Whether both describe the same buckets by the same spans. */
  equals(other: BucketLayout): boolean {
    if (this === other) return true;
    return (
      this.schema === other.schema &&
      this.zeroThreshold === other.zeroThreshold &&
      areEqual(this.positiveSpans, other.positiveSpans) &&
      areEqual(this.negativeSpans, other.negativeSpans) &&
      areEqual(this.customValues, other.customValues)
    );
  }
}

/** The layout of a stale histogram, which has no buckets. */
export const NO_BUCKETS: BucketLayout = new BucketLayout({
  schema: 0,
  zeroThreshold: 0,
  positiveSpans: new Int32Array(0),
  negativeSpans: new Int32Array(0),
  customValues: new Float64Array(0),
});

/** Histograms of one series with one layout, in time order. */
export interface HistogramRun {
  readonly isFloat: boolean;
  readonly layout: BucketLayout;
  /** GAUGE holds for all rows; anything else for the first, and the others are known to follow without a reset. */
  readonly hint: ResetHint;
  readonly timestamps: Float64Array;
  /** Number n of row r is words[2i] (low) and words[2i + 1] (high) with i = r · layout.width + n. */
  readonly words: Uint32Array;
  /** When the counting of each row began, 0 where that is not known; undefined if it is known of none. */
  readonly startTimes?: Float64Array;
}

/** One histogram of a run. */
export interface HistogramRow {
  readonly run: HistogramRun;
  readonly row: number;
}

/** Whether a histogram is a staleness marker. */
export function isStaleHistogram({ run, row }: HistogramRow): boolean {
  const at = 2 * (row * run.layout.width + SUM);
  return isStaleWord(run.words[at] as number, run.words[at + 1] as number);
}

/** Whether these are the bits of the staleness marker. */
export function isStaleWord(low: number, high: number): boolean {
  return high === STALE_HIGH && low === STALE_LOW;
}

/** How many buckets the spans hold together. */
export function spanBuckets(spans: Int32Array): number {
  let count = 0;
  for (let i = 1; i < spans.length; i += 2) count += spans[i] as number;
  return count;
}

function bucketNumbers(spans: Int32Array): number[] {
  const numbers: number[] = [];
  let next = 0;
  for (let i = 0; i < spans.length; i += 2) {
    next += spans[i] as number;
    for (let length = spans[i + 1] as number; length > 0; length--) numbers.push(next++);
  }
  return numbers;
}

function areEqual(a: Int32Array | Float64Array, b: Int32Array | Float64Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
