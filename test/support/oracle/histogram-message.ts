/**
 * Oracle for native histograms on the wire: reads the protobuf message Histogram and says which rule of Prometheus's
 * Validate (model/histogram) it breaks, in the order of that function. Plain lists; no source of the engine.
 */
import { Damage, expectType, fieldsOf, varintsOf, type WireField } from './wire-fields.ts';

export interface WireHistogram {
  /** As it came. */
  readonly bytes: Uint8Array;
  readonly timestampMs: bigint;
  readonly isFloat: boolean;
  /** The rule that it breaks. */
  readonly broken: HistogramRule | undefined;
}

export type HistogramRule =
  | 'too-long'
  | 'mixed'
  | 'reset-hint'
  | 'start'
  | 'schema'
  | 'bound-nan'
  | 'bound-order'
  | 'bound-infinite'
  | 'span-offset'
  | 'spans'
  | 'bounds'
  | 'custom-zero-count'
  | 'custom-zero-threshold'
  | 'custom-negative-spans'
  | 'custom-negative-buckets'
  | 'negative-bucket'
  | 'negative-zero-bucket'
  | 'exponential-bounds'
  | 'count-nan'
  | 'negative-count'
  | 'count-low'
  | 'count';

interface Side {
  readonly spans: { offset: number; length: number }[];
  readonly deltas: bigint[];
  readonly counts: number[];
}

interface Message {
  /** The number of the oneof that was set last, as its kind. */
  count: bigint | number;
  zeroCount: bigint | number | undefined;
  sum: number;
  schema: number;
  zeroThreshold: number;
  hint: bigint;
  timestamp: bigint;
  start: bigint;
  readonly bounds: number[];
  readonly negative: Side;
  readonly positive: Side;
}

const MAX_BYTES = 61_440;

/** Reads a message; throws Damage if it is none. */
export function readHistogram(bytes: Uint8Array): WireHistogram {
  const side = (): Side => ({ spans: [], deltas: [], counts: [] });
  const message: Message = {
    count: 0n,
    zeroCount: undefined,
    sum: 0,
    schema: 0,
    zeroThreshold: 0,
    hint: 0n,
    timestamp: 0n,
    start: 0n,
    bounds: [],
    negative: side(),
    positive: side(),
  };
  for (const field of fieldsOf(bytes)) readField(message, field);
  return {
    bytes,
    timestampMs: message.timestamp,
    isFloat: typeof message.count === 'number',
    broken: bytes.length > MAX_BYTES ? 'too-long' : brokenRule(message),
  };
}

function readField(message: Message, field: WireField): void {
  switch (field.number) {
    case 1:
      message.count = varint(field);
      break;
    case 2:
      message.count = double(field);
      break;
    case 3:
      message.sum = double(field);
      break;
    case 4:
      message.schema = sint32(varint(field));
      break;
    case 5:
      message.zeroThreshold = double(field);
      break;
    case 6:
      message.zeroCount = varint(field);
      break;
    case 7:
      message.zeroCount = double(field);
      break;
    case 8:
      message.negative.spans.push(span(field));
      break;
    case 9:
      message.negative.deltas.push(...varints(field).map(sint64));
      break;
    case 10:
      message.negative.counts.push(...doubles(field));
      break;
    case 11:
      message.positive.spans.push(span(field));
      break;
    case 12:
      message.positive.deltas.push(...varints(field).map(sint64));
      break;
    case 13:
      message.positive.counts.push(...doubles(field));
      break;
    case 14:
      message.hint = varint(field);
      break;
    case 15:
      message.timestamp = BigInt.asIntN(64, varint(field));
      break;
    case 16:
      message.bounds.push(...doubles(field));
      break;
    case 17:
      message.start = BigInt.asIntN(64, varint(field));
      break;
  }
}

function varint({ type, value }: WireField): bigint {
  expectType(type, 0);
  return value;
}

function double({ type, bytes }: WireField): number {
  expectType(type, 1);
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true);
}

/** One, or a packed list. */
function varints(field: WireField): bigint[] {
  return field.type === 2 ? [...varintsOf(field.bytes)] : [varint(field)];
}

function doubles(field: WireField): number[] {
  if (field.type !== 2) return [double(field)];
  if (field.bytes.length % 8 !== 0) throw new Damage('a cut list of doubles');
  const view = new DataView(field.bytes.buffer, field.bytes.byteOffset);
  return Array.from({ length: field.bytes.length / 8 }, (_, i) => view.getFloat64(i * 8, true));
}

function span({ type, bytes }: WireField): { offset: number; length: number } {
  expectType(type, 2);
  const result = { offset: 0, length: 0 };
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) result.offset = sint32(varint(field));
    if (field.number === 2) result.length = Number(BigInt.asUintN(32, varint(field)));
  }
  return result;
}

function sint64(value: bigint): bigint {
  return value % 2n === 0n ? value / 2n : -(value + 1n) / 2n;
}

function sint32(value: bigint): number {
  return Number(sint64(BigInt.asUintN(32, value)));
}

function brokenRule(message: Message): HistogramRule | undefined {
  const { count, zeroCount, positive, negative, hint, start, schema } = message;
  const isFloat = typeof count === 'number';
  const foreign = (side: Side): boolean => (isFloat ? side.deltas : side.counts).length > 0;
  if (zeroCount !== undefined && typeof zeroCount !== typeof count) return 'mixed';
  if (foreign(positive) || foreign(negative)) return 'mixed';
  if (hint > 3n) return 'reset-hint';
  if (start < 0n || start >= 2n ** 53n) return 'start';
  const ofSchema = schema === -53 ? brokenCustom(message, isFloat) : brokenExponential(message, isFloat);
  if (ofSchema !== undefined) return ofSchema;
  return isFloat ? brokenFloatCount(message) : brokenCount(message);
}

function brokenCustom(message: Message, isFloat: boolean): HistogramRule | undefined {
  const { bounds, positive, negative, zeroCount, zeroThreshold } = message;
  for (const [i, bound] of bounds.entries()) {
    if (Number.isNaN(bound)) return 'bound-nan';
    if (i > 0 && bound <= (bounds[i - 1] as number)) return 'bound-order';
  }
  if (bounds.at(-1) === Number.POSITIVE_INFINITY) return 'bound-infinite';
  if (positive.spans.some(({ offset }) => offset < 0)) return 'span-offset';
  const length = sumOf(positive.spans.map((each) => each.length));
  if (length !== bucketsOf(positive, isFloat).length) return 'spans';
  if (bounds.length + 1 < length + sumOf(positive.spans.map(({ offset }) => offset))) return 'bounds';
  if (Number(zeroCount ?? 0) !== 0) return 'custom-zero-count';
  if (zeroThreshold !== 0) return 'custom-zero-threshold';
  if (negative.spans.length > 0) return 'custom-negative-spans';
  return bucketsOf(negative, isFloat).length > 0 ? 'custom-negative-buckets' : undefined;
}

function brokenExponential(message: Message, isFloat: boolean): HistogramRule | undefined {
  const { schema, positive, negative, zeroCount, bounds } = message;
  if (schema < -4 || schema > 8) return 'schema';
  for (const side of [positive, negative]) {
    if (side.spans.slice(1).some(({ offset }) => offset < 0)) return 'span-offset';
    if (sumOf(side.spans.map(({ length }) => length)) !== bucketsOf(side, isFloat).length) return 'spans';
  }
  if (hasNegative(negative, isFloat)) return 'negative-bucket';
  if (isFloat && Number(zeroCount ?? 0) < 0) return 'negative-zero-bucket';
  return bounds.length > 0 ? 'exponential-bounds' : undefined;
}

function brokenFloatCount({ count, positive }: Message): HistogramRule | undefined {
  if (Number.isNaN(count)) return 'count-nan';
  if (Number(count) < 0) return 'negative-count';
  return hasNegative(positive, true) ? 'negative-bucket' : undefined;
}

function brokenCount({ count, zeroCount, sum, positive, negative }: Message): HistogramRule | undefined {
  if (hasNegative(positive, false)) return 'negative-bucket';
  const all = [...absolute(positive.deltas), ...absolute(negative.deltas), BigInt(zeroCount ?? 0)];
  const total = BigInt.asUintN(
    64,
    all.reduce((a, b) => a + b, 0n),
  );
  if (Number.isNaN(sum)) return total > BigInt(count) ? 'count-low' : undefined;
  return total === count ? undefined : 'count';
}

function bucketsOf({ deltas, counts }: Side, isFloat: boolean): readonly (bigint | number)[] {
  return isFloat ? counts : deltas;
}

function hasNegative({ deltas, counts }: Side, isFloat: boolean): boolean {
  return isFloat ? counts.some((bucket) => bucket < 0) : absolute(deltas).some((bucket) => bucket < 0n);
}

/** The counts of buckets that are written as differences, in 64 bits as Go has them. */
function absolute(deltas: readonly bigint[]): bigint[] {
  let last = 0n;
  return deltas.map((delta) => {
    last = BigInt.asIntN(64, last + delta);
    return last;
  });
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
