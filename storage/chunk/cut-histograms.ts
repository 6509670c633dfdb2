/**
 * Histograms of one series in time order, cut into chunks as Prometheus cuts them. A row begins a chunk where
 *
 *   integer, float or gauge, the schema, the zero threshold or the custom bounds change · a counter was reset: a count
 *   became less, a bucket in use disappeared, or the sender says so · the row before was stale · 120 rows are full
 *
 * New buckets do not end a chunk: all of its rows get the buckets that any of them has, with zeros in the others.
 * Source: the rules of Prometheus's tsdb/chunkenc/histogram.go and float_histogram.go (appendable).
 */
import { StorageError } from '../lib/errors.ts';
import {
  BucketLayout,
  COUNT,
  CUSTOM_BUCKETS_SCHEMA,
  FIRST_BUCKET,
  type HistogramRow,
  type HistogramRun,
  isStaleHistogram,
  NO_BUCKETS,
  ResetHint,
  SUM,
  ZERO_COUNT,
} from '../model/histogram.ts';
import type { Chunk } from '../model/series-source.ts';
import { windowOf } from '../model/time-range.ts';
import { encodeHistograms, MAX_CHUNK_NUMBERS } from './histogram-chunk.ts';

/** As many as Prometheus puts into a chunk. */
const ROWS_PER_CHUNK = 120;

/** How a row follows the one before it: in its chunk, or in a new one that says this of it. */
const Follows = { IN_CHUNK: -1, AFTER_RESET: ResetHint.YES, UNKNOWN: ResetHint.UNKNOWN } as const;
type Follows = (typeof Follows)[keyof typeof Follows];

/** Appends the chunks of the rows, which ascend in time, to `target`. None crosses a 2 h window. */
export function cutHistograms(rows: readonly HistogramRow[], target: Chunk[]): void {
  let group: ChunkRows | undefined;
  for (const row of rows) {
    if (group === undefined) {
      group = new ChunkRows(row, firstHint(row, Follows.UNKNOWN));
      continue;
    }
    const follows = followsOn(group.last, row, group.isGauge);
    if (follows === Follows.IN_CHUNK && group.add(row)) continue;
    target.push(group.encode());
    // What would have fitted is known to go on without a reset.
    group = new ChunkRows(row, firstHint(row, follows === Follows.IN_CHUNK ? ResetHint.NO : follows));
  }
  if (group !== undefined) target.push(group.encode());
}

function firstHint(row: HistogramRow, follows: ResetHint): ResetHint {
  const hint = hintOf(row);
  return hint === ResetHint.GAUGE || hint === ResetHint.YES ? hint : follows;
}

/** What the source says of a row itself. */
function hintOf({ run, row }: HistogramRow): ResetHint {
  return run.hint === ResetHint.GAUGE || row === 0 ? run.hint : ResetHint.NO;
}

function followsOn(before: HistogramRow, row: HistogramRow, isGauge: boolean): Follows {
  const [a, b] = [before.run.layout, row.run.layout];
  if (before.run.isFloat !== row.run.isFloat) return Follows.UNKNOWN;
  const hint = hintOf(row);
  if (hint === ResetHint.YES) return Follows.AFTER_RESET;
  if (isStaleHistogram(row)) return Follows.IN_CHUNK;
  if (isStaleHistogram(before) || (hint === ResetHint.GAUGE) !== isGauge) return Follows.UNKNOWN;
  if (!isGauge && isLess(row, before, COUNT)) return Follows.AFTER_RESET;
  if (a.schema !== b.schema || a.zeroThreshold !== b.zeroThreshold) return Follows.UNKNOWN;
  if (a.schema === CUSTOM_BUCKETS_SCHEMA && !haveSameBounds(a, b))
    return isGauge ? Follows.UNKNOWN : Follows.AFTER_RESET;
  if (isGauge) return Follows.IN_CHUNK;
  if (isLess(row, before, ZERO_COUNT)) return Follows.AFTER_RESET;
  const grew = row.run.isFloat ? floatBucketsGrew : integerBucketsGrew;
  return grew(before, row, 'positive') && grew(before, row, 'negative') ? Follows.IN_CHUNK : Follows.AFTER_RESET;
}

function haveSameBounds(a: BucketLayout, b: BucketLayout): boolean {
  if (a.customValues.length !== b.customValues.length) return false;
  return a.customValues.every((bound, i) => bound === b.customValues[i]);
}

/** Whether a number of row `a` is less than that of row `b`. */
function isLess(a: HistogramRow, b: HistogramRow, number: number): boolean {
  if (a.run.isFloat) return floatAt(a, number) < floatAt(b, number);
  const [i, j] = [indexOf(a, number), indexOf(b, number)];
  const [aHigh, bHigh] = [a.run.words[i + 1] as number, b.run.words[j + 1] as number];
  return aHigh < bHigh || (aHigh === bHigh && (a.run.words[i] as number) < (b.run.words[j] as number));
}

function indexOf({ run, row }: HistogramRow, number: number): number {
  return 2 * (row * run.layout.width + number);
}

function floatAt({ run, row }: HistogramRow, number: number): number {
  return floatsOf(run)[row * run.layout.width + number] as number;
}

function floatsOf({ words }: HistogramRun): Float64Array {
  return new Float64Array(words.buffer, words.byteOffset, words.length / 2);
}

type Side = 'positive' | 'negative';

function bucketsOf(layout: BucketLayout, side: Side): readonly number[] {
  return side === 'positive' ? layout.positiveBuckets : layout.negativeBuckets;
}

function firstOf(layout: BucketLayout, side: Side): number {
  return FIRST_BUCKET + (side === 'positive' ? 0 : layout.positiveCount);
}

/** Whether no bucket became less; one that is gone must have been empty. */
function floatBucketsGrew(before: HistogramRow, row: HistogramRow, side: Side): boolean {
  const [old, now] = [bucketsOf(before.run.layout, side), bucketsOf(row.run.layout, side)];
  const [oldFloats, nowFloats] = [floatsOf(before.run), floatsOf(row.run)];
  const oldAt = before.row * before.run.layout.width + firstOf(before.run.layout, side);
  const nowAt = row.row * row.run.layout.width + firstOf(row.run.layout, side);
  let j = 0;
  for (let i = 0; i < old.length; i++) {
    while (j < now.length && (now[j] as number) < (old[i] as number)) j++;
    const count = oldFloats[oldAt + i] as number;
    const isThere = j < now.length && now[j] === old[i];
    if (isThere ? count > (nowFloats[nowAt + j] as number) : count !== 0) return false;
  }
  return true;
}

/** The same for buckets that are differences; the counts are signed numbers of 64 bits. */
function integerBucketsGrew(before: HistogramRow, row: HistogramRow, side: Side): boolean {
  const [old, now] = [bucketsOf(before.run.layout, side), bucketsOf(row.run.layout, side)];
  const oldCount = new Counter(before, firstOf(before.run.layout, side));
  const nowCount = new Counter(row, firstOf(row.run.layout, side));
  let j = 0;
  for (let i = 0; i < old.length; i++) {
    oldCount.add();
    while (j < now.length && (now[j] as number) < (old[i] as number)) {
      nowCount.add();
      j++;
    }
    if (j < now.length && now[j] === old[i]) {
      nowCount.add();
      j++;
      if (oldCount.isMoreThan(nowCount)) return false;
    } else if (!oldCount.isZero) return false;
  }
  return true;
}

/** Adds up differences, modulo 2^64. */
class Counter {
  low = 0;
  high = 0;
  readonly #words: Uint32Array;
  #at: number;

  constructor(row: HistogramRow, number: number) {
    this.#words = row.run.words;
    this.#at = indexOf(row, number);
  }

  get isZero(): boolean {
    return this.low === 0 && this.high === 0;
  }

  /** Adds the next difference. */
  add(): void {
    const sum = this.low + (this.#words[this.#at] as number);
    this.low = sum >>> 0;
    this.high = (this.high + (this.#words[this.#at + 1] as number) + (sum > 0xffff_ffff ? 1 : 0)) >>> 0;
    this.#at += 2;
  }

  isMoreThan(other: Counter): boolean {
    const [mine, others] = [this.high | 0, other.high | 0];
    return mine > others || (mine === others && this.low > other.low);
  }
}

/** The rows of one chunk, and the layout that all of them fit into. */
class ChunkRows {
  readonly isGauge: boolean;
  readonly #hint: ResetHint;
  readonly #rows: HistogramRow[];
  #layout: BucketLayout;
  /** The layout of the last row that was met: rows mostly share theirs. */
  #known: BucketLayout;

  constructor(first: HistogramRow, hint: ResetHint) {
    this.isGauge = hint === ResetHint.GAUGE;
    this.#hint = hint;
    this.#rows = [first];
    this.#layout = isStaleHistogram(first) ? NO_BUCKETS : first.run.layout;
    this.#known = this.#layout;
    if (this.#layout.width > MAX_CHUNK_NUMBERS)
      throw new StorageError('limit', `a histogram of ${this.#layout.width} numbers, at most ${MAX_CHUNK_NUMBERS}`);
  }

  get last(): HistogramRow {
    return this.#rows.at(-1) as HistogramRow;
  }

  /** Adds a row that may follow; false if the chunk is full. */
  add(row: HistogramRow): boolean {
    const count = this.#rows.length + 1;
    if (count > ROWS_PER_CHUNK || windowOf(timeOf(row)) !== windowOf(timeOf(this.last))) return false;
    const layout =
      isStaleHistogram(row) || row.run.layout.equals(this.#known) ? this.#layout : union(this.#layout, row.run.layout);
    if (layout.width * count > MAX_CHUNK_NUMBERS) return false;
    if (!isStaleHistogram(row)) this.#known = row.run.layout;
    this.#layout = layout;
    this.#rows.push(row);
    return true;
  }

  encode(): Chunk {
    const rows = this.#rows;
    const { width } = this.#layout;
    const words = new Uint32Array(2 * width * rows.length);
    rows.forEach((row, i) => void copyRow(row, this.#layout, words, 2 * width * i));
    const { isFloat } = this.last.run;
    return encodeHistograms({
      isFloat,
      layout: this.#layout,
      hint: this.#hint,
      timestamps: Float64Array.from(rows, timeOf),
      words,
    });
  }
}

function timeOf({ run, row }: HistogramRow): number {
  return run.timestamps[row] as number;
}

/** A layout with the buckets of both. As in Prometheus the newer spans stay as they are where they hold all buckets. */
function union(older: BucketLayout, newer: BucketLayout): BucketLayout {
  const positiveSpans = spansOfBoth(older, newer, 'positive');
  const negativeSpans = spansOfBoth(older, newer, 'negative');
  const { schema, zeroThreshold, customValues } = older;
  return new BucketLayout({ schema, zeroThreshold, customValues, positiveSpans, negativeSpans });
}

function spansOfBoth(older: BucketLayout, newer: BucketLayout, side: Side): Int32Array {
  const [a, b] = [bucketsOf(older, side), bucketsOf(newer, side)];
  const all = mergeSorted(a, b);
  if (all.length === a.length) return side === 'positive' ? older.positiveSpans : older.negativeSpans;
  if (all.length === b.length) return side === 'positive' ? newer.positiveSpans : newer.negativeSpans;
  const spans: number[] = [];
  all.forEach((bucket, i) => {
    const before = i === 0 ? -1 : (all[i - 1] as number);
    if (i > 0 && bucket === before + 1) spans[spans.length - 1] = (spans.at(-1) as number) + 1;
    else spans.push(i === 0 ? bucket : bucket - before - 1, 1);
  });
  return Int32Array.from(spans);
}

function mergeSorted(a: readonly number[], b: readonly number[]): number[] {
  const merged: number[] = [];
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    const next = Math.min(a[i] ?? Number.POSITIVE_INFINITY, b[j] ?? Number.POSITIVE_INFINITY);
    merged.push(next);
    if (a[i] === next) i++;
    if (b[j] === next) j++;
  }
  return merged;
}

/** Writes the numbers of a row in another layout, which has all its buckets, to `target[to…]`. */
function copyRow(source: HistogramRow, layout: BucketLayout, target: Uint32Array, to: number): void {
  const { run } = source;
  const from = indexOf(source, 0);
  if (isStaleHistogram(source)) {
    target.set(run.words.subarray(from + 2 * SUM, from + 2 * SUM + 2), to + 2 * SUM);
    return;
  }
  if (run.layout.equals(layout)) {
    target.set(run.words.subarray(from, from + 2 * layout.width), to);
    return;
  }
  target.set(run.words.subarray(from, from + 2 * FIRST_BUCKET), to);
  for (const side of ['positive', 'negative'] as const) spreadBuckets(source, layout, side, target, to);
}

function spreadBuckets(source: HistogramRow, layout: BucketLayout, side: Side, target: Uint32Array, to: number): void {
  const { words, layout: own, isFloat } = source.run;
  const [buckets, ownBuckets] = [bucketsOf(layout, side), bucketsOf(own, side)];
  let from = indexOf(source, firstOf(own, side));
  let at = to + 2 * firstOf(layout, side);
  const counter = new Counter(source, firstOf(own, side));
  let lastLow = 0;
  let lastHigh = 0;
  for (let i = 0, j = 0; i < buckets.length; i++, at += 2) {
    const isOwn = ownBuckets[j] === buckets[i];
    if (isFloat) {
      if (isOwn) target.set(words.subarray(from, from + 2), at);
    } else {
      // The difference to the bucket before, which may be an empty one now.
      if (isOwn) counter.add();
      const low = isOwn ? counter.low : 0;
      const high = isOwn ? counter.high : 0;
      target[at] = low - lastLow;
      target[at + 1] = high - lastHigh - (low < lastLow ? 1 : 0);
      lastLow = low;
      lastHigh = high;
    }
    if (isOwn) {
      j++;
      from += 2;
    }
  }
}
