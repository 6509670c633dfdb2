/** Histograms for tests: the plain form of the oracle as runs and back, and arbitrary ones. */
import fc from 'fast-check';
import { BucketLayout, type HistogramRun, isStaleHistogram, type ResetHint } from '../../storage/model/histogram.ts';
import { bitsOfFloat, type PlainHistogram, STALE_SUM, stale } from './oracle/histogram-chunk.ts';

export type Spans = PlainHistogram['positiveSpans'];

/** The rows, of one layout (that of the first which is not stale), as a run. */
export function runOf(rows: readonly PlainHistogram[], hint: ResetHint = 0): HistogramRun {
  const first = rows.find(({ sum }) => sum !== STALE_SUM) ?? (rows[0] as PlainHistogram);
  const layout = new BucketLayout({
    schema: first.schema,
    zeroThreshold: first.zeroThreshold,
    positiveSpans: Int32Array.from(first.positiveSpans.flat()),
    negativeSpans: Int32Array.from(first.negativeSpans.flat()),
    customValues: Float64Array.from(first.customValues),
  });
  const words = new BigUint64Array(rows.length * layout.width);
  rows.forEach((row, i) => {
    const numbers = [row.count, row.zeroCount, row.sum, ...row.positive, ...row.negative];
    words.set(
      numbers.map((number) => BigInt.asUintN(64, number)),
      i * layout.width,
    );
  });
  const starts = Float64Array.from(rows, ({ startMs }) => startMs ?? 0);
  return {
    isFloat: first.isFloat,
    layout,
    hint,
    timestamps: Float64Array.from(rows, ({ timeMs }) => timeMs),
    words: new Uint32Array(words.buffer),
    ...(rows.some(({ startMs }) => startMs !== undefined) ? { startTimes: starts } : {}),
  };
}

/** The rows of a run; what is stale has nothing but its time. */
export function plainOf(run: HistogramRun): PlainHistogram[] {
  const { layout, isFloat } = run;
  const words = new BigUint64Array(run.words.slice().buffer);
  const signed = (values: BigUint64Array): bigint[] =>
    Array.from(values, (value) => (isFloat ? value : BigInt.asIntN(64, value)));
  return Array.from(run.timestamps, (timeMs, row) => {
    const startMs = run.startTimes?.[row];
    const start = startMs === undefined ? {} : { startMs };
    if (isStaleHistogram({ run, row })) return { ...stale(timeMs, isFloat), ...start };
    const numbers = words.subarray(row * layout.width, (row + 1) * layout.width);
    return {
      timeMs,
      isFloat,
      schema: layout.schema,
      zeroThreshold: layout.zeroThreshold,
      positiveSpans: pairs(layout.positiveSpans),
      negativeSpans: pairs(layout.negativeSpans),
      customValues: Array.from(layout.customValues),
      count: numbers[0] as bigint,
      zeroCount: numbers[1] as bigint,
      sum: numbers[2] as bigint,
      positive: signed(numbers.subarray(3, 3 + layout.positiveCount)),
      negative: signed(numbers.subarray(3 + layout.positiveCount)),
      ...start,
    };
  });
}

function pairs(flat: Int32Array): [number, number][] {
  return Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i] as number, flat[2 * i + 1] as number]);
}

const U64 = 2n ** 64n - 1n;
const arbitraryBits = fc.oneof(
  fc.constantFrom(bitsOfFloat(0), bitsOfFloat(-0), bitsOfFloat(1.5), 0x7ff8000000000abcn, 0x7ff0000000000001n),
  fc.integer({ min: 0, max: 5000 }).map(bitsOfFloat),
  fc.bigInt({ min: 0n, max: U64 }).filter((bits) => bits !== STALE_SUM),
);
const arbitraryCount = fc.oneof(fc.bigInt({ min: 0n, max: 20_000n }), fc.bigInt({ min: 0n, max: U64 }));
const arbitraryDelta = fc.oneof(
  fc.bigInt({ min: -40n, max: 40n }),
  fc.bigInt({ min: -300_000n, max: 300_000n }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(
    2n ** 55n,
    2n ** 55n + 1n,
    -(2n ** 55n),
    -(2n ** 55n) + 1n,
    4n,
    -3n,
    -4n,
    5n,
    2n ** 24n,
    2n ** 24n + 1n,
  ),
);
const arbitrarySpans = fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 4 })), {
  maxLength: 4,
});
const arbitraryLayout = fc.record({
  schema: fc.constantFrom(-4, 0, 3, 8, -53),
  zeroThreshold: fc.constantFrom(0, 2 ** -128, 2 ** -243, 2 ** 10, 2 ** 11, 0.001, 1e300),
  positiveSpans: arbitrarySpans.map(
    (spans): Spans => spans.map(([offset, length], i) => [i === 0 ? offset - 20 : offset, length]),
  ),
  negativeSpans: arbitrarySpans,
  customValues: fc.array(
    fc.oneof(
      fc.constantFrom(0.005, 0.1, 1, 33554.43, 33554.431, -1),
      fc.double({ noNaN: true, min: -10, max: 10 }).filter((bound) => bound !== 0),
    ),
    { maxLength: 4 },
  ),
});

/** Rows of one layout, some stale, whatever their numbers; with start timestamps if wanted. */
export const arbitraryRows: fc.Arbitrary<PlainHistogram[]> = fc
  .tuple(arbitraryLayout, fc.boolean(), fc.integer({ min: 1, max: 30 }), fc.boolean())
  .chain(([layout, isFloat, count, withStarts]) => {
    const widths = [layout.positiveSpans, layout.negativeSpans].map((spans) =>
      spans.reduce((sum, [, n]) => sum + n, 0),
    );
    const number = isFloat ? arbitraryBits : arbitraryCount;
    const bucket = isFloat ? arbitraryBits : arbitraryDelta;
    const [positives = 0, negatives = 0] = widths;
    const numbers = fc.record({
      step: fc.constantFrom(1, 15_000, 15_001, 60_000, 7_200_000),
      count: number,
      zeroCount: number,
      sum: arbitraryBits,
      positive: fc.array(bucket, { minLength: positives, maxLength: positives }),
      negative: fc.array(bucket, { minLength: negatives, maxLength: negatives }),
      start: fc.constantFrom(0, 0, 900, 1_000_000),
    });
    const staleFrom = fc.integer({ min: 1, max: 40 });
    return fc.tuple(fc.array(numbers, { minLength: count, maxLength: count }), staleFrom).map(([rows, from]) => {
      let timeMs = 1_700_000_000_000;
      const customValues = layout.schema === -53 ? layout.customValues : [];
      return rows.map(({ step, start, ...row }, i): PlainHistogram => {
        timeMs += step;
        const startMs = withStarts ? { startMs: start } : {};
        if (i >= from) return { ...stale(timeMs, isFloat), ...startMs };
        return { ...layout, ...row, customValues, timeMs, isFloat, ...startMs };
      });
    });
  });

/** What a histogram says, whatever the layout: its counts by bucket, without empty ones. */
export function essenceOf(row: PlainHistogram): object {
  if (row.sum === STALE_SUM) return { timeMs: row.timeMs, isFloat: row.isFloat, stale: true };
  const { timeMs, isFloat, schema, zeroThreshold, customValues, count, zeroCount, sum } = row;
  const counts = { positive: countsOf(row, 'positive'), negative: countsOf(row, 'negative') };
  return { timeMs, isFloat, schema, zeroThreshold, customValues, count, zeroCount, sum, ...counts };
}

function countsOf(row: PlainHistogram, side: 'positive' | 'negative'): (readonly [bucket: number, count: bigint])[] {
  const counts: [number, bigint][] = [];
  let next = 0;
  let sum = 0n;
  let i = 0;
  for (const [offset, length] of side === 'positive' ? row.positiveSpans : row.negativeSpans) {
    next += offset;
    for (let j = 0; j < length; j++, i++, next++) {
      const bucket = row[side][i] as bigint;
      sum = row.isFloat ? bucket : BigInt.asUintN(64, sum + bucket);
      if (sum !== 0n) counts.push([next, sum]);
    }
  }
  return counts;
}
