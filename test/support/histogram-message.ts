/** Histograms as messages, by protobufjs on the definitions of the tests. */
import { type PlainHistogram, STALE_SUM, stale } from './oracle/histogram-chunk.ts';
import { type Bits64, Histogram, timeOf } from './protocol.ts';

/** The message as an object that protobufjs encodes; also as part of a TimeSeries. */
export function wireHistogram(row: PlainHistogram, resetHint = 0): object {
  const spans = (list: PlainHistogram['positiveSpans']) => list.map(([offset, length]) => ({ offset, length }));
  const buckets = (list: readonly bigint[]) => list.map(row.isFloat ? unsigned : signed);
  const [count, zero, negative, positive] = row.isFloat
    ? ['countFloat', 'zeroCountFloat', 'negativeCounts', 'positiveCounts']
    : ['countInt', 'zeroCountInt', 'negativeDeltas', 'positiveDeltas'];
  return {
    [count as string]: unsigned(row.count),
    [zero as string]: unsigned(row.zeroCount),
    [negative as string]: buckets(row.negative),
    [positive as string]: buckets(row.positive),
    sum: unsigned(row.sum),
    schema: row.schema,
    zeroThreshold: row.zeroThreshold,
    negativeSpans: spans(row.negativeSpans),
    positiveSpans: spans(row.positiveSpans),
    resetHint,
    timestamp: row.timeMs,
    customValues: row.customValues,
    startTimestamp: row.startMs ?? 0,
  };
}

export function encodeWireHistogram(row: PlainHistogram, resetHint = 0): Uint8Array {
  return Histogram.encode(wireHistogram(row, resetHint)).finish();
}

/** A decoded message. */
export interface WireHistogram {
  readonly countInt?: Bits64;
  readonly countFloat?: Bits64;
  readonly sum: Bits64;
  readonly schema: number;
  readonly zeroThreshold: number;
  readonly zeroCountInt?: Bits64;
  readonly zeroCountFloat?: Bits64;
  readonly negativeSpans: readonly { readonly offset: number; readonly length: number }[];
  readonly negativeDeltas: readonly Bits64[];
  readonly negativeCounts: readonly Bits64[];
  readonly positiveSpans: readonly { readonly offset: number; readonly length: number }[];
  readonly positiveDeltas: readonly Bits64[];
  readonly positiveCounts: readonly Bits64[];
  readonly resetHint: number;
  readonly timestamp: Bits64;
  readonly customValues: readonly number[];
}

/** The histogram of a decoded message, without its start timestamp; what is stale has nothing but its time. */
export function plainOfWire(wire: WireHistogram): PlainHistogram {
  const isFloat = Object.hasOwn(wire, 'countFloat');
  const timeMs = timeOf(wire.timestamp);
  const sum = bits(wire.sum);
  if (sum === STALE_SUM) return stale(timeMs, isFloat);
  const spans = (list: WireHistogram['positiveSpans']) =>
    list.map(({ offset, length }): [number, number] => [offset, length]);
  const deltas = (list: readonly Bits64[]) => list.map((word) => BigInt.asIntN(64, bits(word)));
  return {
    timeMs,
    isFloat,
    schema: wire.schema,
    zeroThreshold: wire.zeroThreshold,
    positiveSpans: spans(wire.positiveSpans),
    negativeSpans: spans(wire.negativeSpans),
    customValues: [...wire.customValues],
    count: bits((isFloat ? wire.countFloat : wire.countInt) as Bits64),
    zeroCount: bits((isFloat ? wire.zeroCountFloat : wire.zeroCountInt) as Bits64),
    sum,
    positive: isFloat ? wire.positiveCounts.map(bits) : deltas(wire.positiveDeltas),
    negative: isFloat ? wire.negativeCounts.map(bits) : deltas(wire.negativeDeltas),
  };
}

function bits({ low, high }: Bits64): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

function unsigned(value: bigint): object {
  const word = BigInt.asUintN(64, value);
  return { low: Number(word & 0xffffffffn) | 0, high: Number(word >> 32n) | 0, unsigned: true };
}

function signed(value: bigint): object {
  return { ...unsigned(value), unsigned: false };
}
