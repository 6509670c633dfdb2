/**
 * Data points as samples of Prometheus series. Values stay bits: a double goes from the request to the sample as its two
 * halves, a 64-bit integer becomes the nearest double.
 */
import { type Attribute, readAttribute } from './otlp-attributes.ts';
import { type PointExemplar, readExemplar } from './otlp-exemplars.ts';
import { doubleAt, signedAt, timeAt, unsignedAt } from './otlp-numbers.ts';
import { FieldCursor } from './otlp-protobuf.ts';
import type { RefusalReason } from './otlp-refusals.ts';

/** One sample of a data point, and how its series differs from the others of the point. */
export interface PointSample {
  /** Of the metric's name. */
  readonly suffix: '' | '_sum' | '_count' | '_bucket';
  /** The label beside the point's, '' if there is none. */
  readonly label: '' | 'le' | 'quantile';
  readonly labelValue: string;
  /** The halves of the value's bits. */
  readonly low: number;
  readonly high: number;
  /** Messages of remote write. */
  readonly exemplars?: readonly Uint8Array[];
}

export interface DataPoint {
  /** Rounded down; 0 if it has none. */
  readonly timeMs: number;
  readonly attributes: readonly Attribute[];
  /** Those without a label come first. */
  readonly samples: readonly PointSample[];
  /** A native histogram instead of samples: the message Histogram of remote write. */
  readonly histogram?: Uint8Array | undefined;
  /** Of the native histogram; messages of remote write. */
  readonly exemplars?: readonly Uint8Array[];
  /** Why it can be no samples. */
  readonly refusal: RefusalReason | undefined;
}

/** Reads the data point in `bytes[from, to)`. */
export type PointReader = (bytes: Uint8Array, from: number, to: number) => DataPoint;

/** In every kind of data point. */
const TIME = 3;
const NUMBER = { double: 4, exemplars: 5, int: 6, attributes: 7, flags: 8 } as const;
const HISTOGRAM = { count: 4, sum: 5, counts: 6, bounds: 7, exemplars: 8, attributes: 9, flags: 10 } as const;
const SUMMARY = { count: 4, sum: 5, quantiles: 6, attributes: 7, flags: 8 } as const;
const QUANTILE = { quantile: 1, value: 2 } as const;

const NO_RECORDED_VALUE = 1;
const STALE_LOW = 2;
const STALE_HIGH = 0x7ff0_0000;

/** Of a data point; the rest are left out. */
const MAX_EXEMPLARS = 1000;

/** Each becomes a series. Histograms of people have tens, the widest that programs make some hundreds. */
export const MAX_BUCKETS = 10_000;

const TWO_32 = 0x1_0000_0000;

/** A number on its way to being the halves of its bits. Nothing in it outlives a call. */
const scratch = new Float64Array(1);
const scratchWords = new Uint32Array(scratch.buffer);

/** Only the time, of a data point that is refused. */
export const readPointTime: PointReader = (bytes, from, to) => {
  const cursor = new FieldCursor(bytes, from, to);
  let timeMs = 0;
  while (cursor.next()) if (cursor.number === TIME) timeMs = timeAt(bytes, cursor.from);
  return { timeMs, attributes: [], samples: [], refusal: undefined };
};

/** Of a gauge, whose exemplars Prometheus leaves out. */
export const readNumberPoint: PointReader = (bytes, from, to) => readNumber(bytes, from, to, undefined);

/** Of a sum. */
export const readSumPoint: PointReader = (bytes, from, to) => readNumber(bytes, from, to, []);

function readNumber(bytes: Uint8Array, from: number, to: number, exemplars: PointExemplar[] | undefined): DataPoint {
  const cursor = new FieldCursor(bytes, from, to);
  const attributes: Attribute[] = [];
  let [timeMs, flags] = [0, 0];
  let sample: PointSample | undefined;
  while (cursor.next()) {
    const { number } = cursor;
    if (number === TIME) timeMs = timeAt(bytes, cursor.from);
    else if (number === NUMBER.double) sample = ofBits('', bytes, cursor.from);
    else if (number === NUMBER.int) sample = ofNumber('', '', '', signedAt(bytes, cursor.from));
    else if (number === NUMBER.exemplars) addExemplar(exemplars, bytes, cursor);
    else if (number === NUMBER.attributes) attributes.push(readAttribute(bytes, cursor.from, cursor.to));
    else if (number === NUMBER.flags) flags = cursor.uint32();
  }
  if (isStale(flags)) sample = stale(ofNumber('', '', '', 0));
  if (sample === undefined) return { timeMs, attributes, samples: [], refusal: 'no-value' };
  if (exemplars !== undefined && exemplars.length > 0) sample = withExemplars(sample, exemplars);
  return { timeMs, attributes, samples: [sample], refusal: undefined };
}

/** Remembers an exemplar that is read, if there is a list for it and the list is not full. */
export function addExemplar(
  exemplars: PointExemplar[] | undefined,
  bytes: Uint8Array,
  { from, to }: FieldCursor,
): void {
  if (exemplars === undefined || exemplars.length === MAX_EXEMPLARS) return;
  const exemplar = readExemplar(bytes, from, to);
  if (exemplar !== undefined) exemplars.push(exemplar);
}

function withExemplars(sample: PointSample, exemplars: readonly PointExemplar[]): PointSample {
  return { ...sample, exemplars: exemplars.map(({ message }) => message) };
}

/** Of a histogram with explicit buckets: `_sum` if there is one, `_count`, a cumulative `_bucket` for each bound. */
export const readHistogramPoint: PointReader = (bytes, from, to) => {
  const cursor = new FieldCursor(bytes, from, to);
  const attributes: Attribute[] = [];
  let [timeMs, flags, count] = [0, 0, 0];
  const samples: PointSample[] = [];
  const counts: number[] = []; // Where they lie.
  const bounds: number[] = [];
  const exemplars: PointExemplar[] = [];
  while (cursor.next()) {
    const { number } = cursor;
    if (number === TIME) timeMs = timeAt(bytes, cursor.from);
    else if (number === HISTOGRAM.count) count = unsignedAt(bytes, cursor.from);
    else if (number === HISTOGRAM.sum) samples[0] = ofBits('_sum', bytes, cursor.from);
    else if (number === HISTOGRAM.exemplars) addExemplar(exemplars, bytes, cursor);
    else if (number === HISTOGRAM.attributes) attributes.push(readAttribute(bytes, cursor.from, cursor.to));
    else if (number === HISTOGRAM.flags) flags = cursor.uint32();
    else if (number === HISTOGRAM.counts || number === HISTOGRAM.bounds) {
      const offsets = number === HISTOGRAM.counts ? counts : bounds;
      if (offsets.length + (cursor.to - cursor.from) / 8 > MAX_BUCKETS) return tooLarge(bytes, from, to);
      for (let at = cursor.from; at < cursor.to; at += 8) offsets.push(at);
    }
  }
  samples.push(ofNumber('_count', '', '', count));
  addBuckets(samples, bytes, counts, bounds);
  samples.push(ofNumber('_bucket', 'le', '+Inf', count));
  if (exemplars.length > 0) spreadExemplars(samples, exemplars);
  return { timeMs, attributes, samples: isStale(flags) ? samples.map(stale) : samples, refusal: undefined };
};

/** Each goes to the first bucket that it fits in; the buckets stand at the end of the samples, and both are sorted. */
function spreadExemplars(samples: PointSample[], exemplars: readonly PointExemplar[]): void {
  let next = 0;
  for (const [i, sample] of samples.entries()) {
    if (sample.label !== 'le') continue;
    const bound = sample.labelValue === '+Inf' ? Number.POSITIVE_INFINITY : Number(sample.labelValue);
    const first = next;
    while (next < exemplars.length && !((exemplars[next] as PointExemplar).value > bound)) next++;
    if (next > first) samples[i] = withExemplars(sample, exemplars.slice(first, next));
  }
}

function addBuckets(samples: PointSample[], bytes: Uint8Array, counts: number[], bounds: number[]): void {
  const words = new DataView(bytes.buffer, bytes.byteOffset);
  let [low, high] = [0, 0];
  for (let i = 0; i < bounds.length && i < counts.length; i++) {
    const at = counts[i] as number;
    low += words.getUint32(at, true);
    high = (high + words.getUint32(at + 4, true) + (low >= TWO_32 ? 1 : 0)) >>> 0;
    low >>>= 0;
    const bound = words.getFloat64(bounds[i] as number, true);
    samples.push(ofNumber('_bucket', 'le', decimal(bound), high * TWO_32 + low));
  }
}

/** Of a summary: `_sum`, `_count`, and a series for each quantile. */
export const readSummaryPoint: PointReader = (bytes, from, to) => {
  const cursor = new FieldCursor(bytes, from, to);
  const attributes: Attribute[] = [];
  let [timeMs, flags] = [0, 0];
  let sum = ofNumber('_sum', '', '', 0);
  let count = ofNumber('_count', '', '', 0);
  const quantiles: PointSample[] = [];
  while (cursor.next()) {
    const { number } = cursor;
    if (number === TIME) timeMs = timeAt(bytes, cursor.from);
    else if (number === SUMMARY.count) count = ofNumber('_count', '', '', unsignedAt(bytes, cursor.from));
    else if (number === SUMMARY.sum) sum = ofBits('_sum', bytes, cursor.from);
    else if (number === SUMMARY.attributes) attributes.push(readAttribute(bytes, cursor.from, cursor.to));
    else if (number === SUMMARY.flags) flags = cursor.uint32();
    else if (number === SUMMARY.quantiles) {
      if (quantiles.length === MAX_BUCKETS) return tooLarge(bytes, from, to);
      quantiles.push(readQuantile(bytes, cursor.from, cursor.to));
    }
  }
  const samples = [sum, count, ...quantiles];
  return { timeMs, attributes, samples: isStale(flags) ? samples.map(stale) : samples, refusal: undefined };
};

function readQuantile(bytes: Uint8Array, from: number, to: number): PointSample {
  const cursor = new FieldCursor(bytes, from, to);
  let quantile = 0;
  let value = ofNumber('', '', '', 0);
  while (cursor.next()) {
    if (cursor.number === QUANTILE.quantile) quantile = doubleAt(bytes, cursor.from);
    else if (cursor.number === QUANTILE.value) value = ofBits('', bytes, cursor.from);
  }
  return { ...value, label: 'quantile', labelValue: decimal(quantile) };
}

/** A data point that is refused for its size. */
export function tooLarge(bytes: Uint8Array, from: number, to: number): DataPoint {
  return { ...readPointTime(bytes, from, to), refusal: 'too-large' };
}

/** A double as Go's `strconv.FormatFloat(value, 'f', -1, 64)` writes it: the shortest digits, without an exponent. */
export function decimal(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  if (Object.is(value, -0)) return '-0';
  const text = String(value);
  const parts = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(text);
  if (parts === null) return text;
  const [, sign = '', first = '', rest = '', exponent = ''] = parts;
  const digits = first + rest;
  const point = 1 + Number(exponent); // Where it stands among the digits.
  return sign + (point > 0 ? digits.padEnd(point, '0') : `0.${'0'.repeat(-point)}${digits}`);
}

/** Whether the flags of a data point say that its series ends here. */
export function isStale(flags: number): boolean {
  return (flags & NO_RECORDED_VALUE) !== 0;
}

/** The sample with a staleness marker for a value. */
function stale(sample: PointSample): PointSample {
  return { ...sample, low: STALE_LOW, high: STALE_HIGH };
}

function ofBits(suffix: PointSample['suffix'], bytes: Uint8Array, at: number): PointSample {
  const words = new DataView(bytes.buffer, bytes.byteOffset + at);
  return { suffix, label: '', labelValue: '', low: words.getUint32(0, true), high: words.getUint32(4, true) };
}

function ofNumber(
  suffix: PointSample['suffix'],
  label: PointSample['label'],
  labelValue: string,
  value: number,
): PointSample {
  scratch[0] = value;
  return { suffix, label, labelValue, low: scratchWords[0] as number, high: scratchWords[1] as number };
}
