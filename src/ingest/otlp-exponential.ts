/**
 * Data points of exponential histograms as native histograms, in the message Histogram of remote write.
 *
 *   OTLP: bucket i of scale s holds (2^(i / 2^s), 2^((i + 1) / 2^s)]      Prometheus: (…, 2^(i / 2^s)], one index more
 *
 * Scales from −4 to 8 are schemas. Of a larger scale 2^(scale − 8) neighbours make one bucket; a smaller one has no schema.
 * Source: prometheus storage/remote/otlptranslator/prometheusremotewrite/histograms.go, prompb/types.proto. Unlike there
 * the spans begin and end with buckets that are not empty.
 */
import { ByteWriter } from '../../storage/index.ts';
import { type Attribute, readAttribute } from './otlp-attributes.ts';
import type { PointExemplar } from './otlp-exemplars.ts';
import { timeAt } from './otlp-numbers.ts';
import { addExemplar, type DataPoint, isStale, MAX_BUCKETS, type PointReader, tooLarge } from './otlp-points.ts';
import { FieldCursor } from './otlp-protobuf.ts';
import { WireType } from './otlp-schema.ts';

const POINT = {
  attributes: 1,
  time: 3,
  count: 4,
  sum: 5,
  scale: 6,
  zeroCount: 7,
  positive: 8,
  negative: 9,
  flags: 10,
  exemplars: 11,
} as const;
const BUCKETS = { offset: 1, counts: 2 } as const;
const HISTOGRAM = {
  count: 1,
  sum: 3,
  schema: 4,
  zeroThreshold: 5,
  zeroCount: 6,
  negativeSpans: 8,
  negativeDeltas: 9,
  positiveSpans: 11,
  positiveDeltas: 12,
  timestamp: 15,
} as const;
const SPAN = { offset: 1, length: 2 } as const;

const MIN_SCHEMA = -4;
const MAX_SCHEMA = 8;
/** Prometheus' own, whatever the data point says. */
const ZERO_THRESHOLD = 1e-128;
/** So many empty buckets are cheaper than a span. */
const MAX_GAP = 2;
const STALE = 0x7ff0000000000002n;
const MAX_VARINT_BYTES = 10;
const MAX_INT32 = 0x7fff_ffff;

interface Buckets {
  readonly offset: number;
  readonly counts: readonly bigint[];
}

interface Span {
  /** From the end of the span before, or from 0. */
  readonly offset: number;
  length: number;
}

interface Layout {
  readonly spans: readonly Span[];
  /** Each count less the one before. */
  readonly deltas: readonly bigint[];
}

const NO_BUCKETS: Buckets = { offset: 0, counts: [] };

export const readExponentialPoint: PointReader = (bytes, from, to) => {
  const words = new DataView(bytes.buffer, bytes.byteOffset);
  const cursor = new FieldCursor(bytes, from, to);
  const attributes: Attribute[] = [];
  const exemplars: PointExemplar[] = [];
  let [timeMs, flags, scale] = [0, 0, 0];
  let [count, zeroCount, sum] = [0n, 0n, 0n];
  let [positive, negative]: (Buckets | undefined)[] = [NO_BUCKETS, NO_BUCKETS];
  while (cursor.next()) {
    const { number } = cursor;
    if (number === POINT.attributes) attributes.push(readAttribute(bytes, cursor.from, cursor.to));
    else if (number === POINT.time) timeMs = timeAt(bytes, cursor.from);
    else if (number === POINT.count) count = words.getBigUint64(cursor.from, true);
    else if (number === POINT.sum) sum = words.getBigUint64(cursor.from, true);
    else if (number === POINT.scale) scale = cursor.sint32();
    else if (number === POINT.zeroCount) zeroCount = words.getBigUint64(cursor.from, true);
    else if (number === POINT.positive) positive = readBuckets(bytes, cursor.from, cursor.to);
    else if (number === POINT.negative) negative = readBuckets(bytes, cursor.from, cursor.to);
    else if (number === POINT.exemplars) addExemplar(exemplars, bytes, cursor);
    else if (number === POINT.flags) flags = cursor.uint32();
  }
  if (positive === undefined || negative === undefined) return tooLarge(bytes, from, to);
  const facts = isStale(flags)
    ? { count: 0n, zeroCount: 0n, sum: STALE, scale: 0, positive: NO_BUCKETS, negative: NO_BUCKETS }
    : { count, zeroCount, sum, scale, positive, negative };
  const histogram = encode({ timeMs, ...facts });
  const point: DataPoint = {
    timeMs,
    attributes,
    samples: [],
    histogram,
    exemplars: exemplars.map(({ message }) => message),
    refusal: undefined,
  };
  return histogram === undefined ? { ...point, refusal: 'exponential-range' } : point;
};

/** Undefined if there are too many. */
function readBuckets(bytes: Uint8Array, from: number, to: number): Buckets | undefined {
  const cursor = new FieldCursor(bytes, from, to);
  let offset = 0;
  const counts: bigint[] = [];
  while (cursor.next()) {
    if (cursor.number === BUCKETS.offset) offset = cursor.sint32();
    else if (cursor.number === BUCKETS.counts) {
      if (cursor.to - cursor.from > MAX_BUCKETS * MAX_VARINT_BYTES) return undefined;
      if (cursor.wireType === WireType.BYTES) cursor.packed64(counts);
      else counts.push(BigInt.asUintN(64, cursor.int64()));
      if (counts.length > MAX_BUCKETS) return undefined;
    }
  }
  return { offset, counts };
}

interface HistogramFacts {
  readonly timeMs: number;
  readonly count: bigint;
  readonly zeroCount: bigint;
  /** Its bits. */
  readonly sum: bigint;
  readonly scale: number;
  readonly positive: Buckets;
  readonly negative: Buckets;
}

/** The message, or undefined if no schema can hold it. */
function encode({ timeMs, count, zeroCount, sum, scale, positive, negative }: HistogramFacts): Uint8Array | undefined {
  const scaleDown = Math.max(0, scale - MAX_SCHEMA);
  const upper = layoutOf(positive, scaleDown);
  const lower = layoutOf(negative, scaleDown);
  if (scale < MIN_SCHEMA || upper === undefined || lower === undefined) return undefined;
  const writer = new ByteWriter();
  const tag = (field: number, wireType: number): void => writer.uvarint(field * 8 + wireType);
  tag(HISTOGRAM.count, WireType.VARINT);
  bigUvarint(writer, count);
  tag(HISTOGRAM.sum, WireType.FIXED64);
  fixed64(writer, sum);
  tag(HISTOGRAM.schema, WireType.VARINT);
  bigUvarint(writer, zigzag(BigInt(scale - scaleDown)));
  tag(HISTOGRAM.zeroThreshold, WireType.FIXED64);
  fixed64(writer, bitsOf(ZERO_THRESHOLD));
  tag(HISTOGRAM.zeroCount, WireType.VARINT);
  bigUvarint(writer, zeroCount);
  writeLayout(writer, HISTOGRAM.negativeSpans, HISTOGRAM.negativeDeltas, lower);
  writeLayout(writer, HISTOGRAM.positiveSpans, HISTOGRAM.positiveDeltas, upper);
  tag(HISTOGRAM.timestamp, WireType.VARINT);
  writer.uvarint(timeMs);
  return writer.bytes.slice();
}

/** The buckets that are not empty, and small gaps between them; undefined if an index is out of range. */
function layoutOf({ offset, counts }: Buckets, scaleDown: number): Layout | undefined {
  const spans: Span[] = [];
  const deltas: bigint[] = [];
  let span: Span | undefined;
  /** Behind the last bucket of the spans. */
  let end = 0;
  let before = 0n;
  const append = (count: bigint): void => {
    deltas.push(count - before);
    before = count;
    (span as Span).length++;
    end++;
  };
  for (let i = 0; i < counts.length; ) {
    const index = indexOf(offset + i, scaleDown);
    let count = 0n;
    for (; i < counts.length && indexOf(offset + i, scaleDown) === index; i++) count += counts[i] as bigint;
    if (count === 0n) continue;
    if (Math.abs(index) > MAX_INT32) return undefined;
    const gap = index - end;
    if (span === undefined || gap > MAX_GAP) {
      span = { offset: gap, length: 0 };
      spans.push(span);
      end = index;
    } else for (let empty = 0; empty < gap; empty++) append(0n);
    append(count);
  }
  return { spans, deltas };
}

/** Of the bucket in Prometheus that holds one of OTLP. */
function indexOf(bucket: number, scaleDown: number): number {
  return Math.floor(bucket / 2 ** scaleDown) + 1;
}

function writeLayout(writer: ByteWriter, spansField: number, deltasField: number, { spans, deltas }: Layout): void {
  const inner = new ByteWriter(64);
  const content = (field: number): void => {
    writer.uvarint(field * 8 + WireType.BYTES);
    writer.uvarint(inner.length);
    writer.raw(inner.bytes);
    inner.reset();
  };
  for (const { offset, length } of spans) {
    inner.u8(SPAN.offset * 8 + WireType.VARINT);
    bigUvarint(inner, zigzag(BigInt(offset)));
    inner.u8(SPAN.length * 8 + WireType.VARINT);
    inner.uvarint(length);
    content(spansField);
  }
  if (deltas.length === 0) return;
  for (const delta of deltas) bigUvarint(inner, zigzag(delta));
  content(deltasField);
}

function zigzag(value: bigint): bigint {
  return BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
}

function fixed64(writer: ByteWriter, bits: bigint): void {
  writer.u32le(Number(bits & 0xffff_ffffn));
  writer.u32le(Number(bits >> 32n));
}

function bigUvarint(writer: ByteWriter, value: bigint): void {
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) writer.u8(Number(rest & 0x7fn) | 0x80);
  writer.u8(Number(rest));
}

function bitsOf(value: number): bigint {
  return new BigUint64Array(new Float64Array([value]).buffer)[0] as bigint;
}
