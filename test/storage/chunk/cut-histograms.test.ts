import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cutHistograms } from '../../../storage/chunk/cut-histograms.ts';
import { decodeHistograms } from '../../../storage/chunk/histogram-chunk.ts';
import type { ResetHint } from '../../../storage/model/histogram.ts';
import { type Chunk, chunkSampleCount } from '../../../storage/model/series-source.ts';
import { histogramOf } from '../../support/histogram-series.ts';
import { essenceOf, plainOf, runOf } from '../../support/histograms.ts';
import { type PlainHistogram, stale } from '../../support/oracle/histogram-chunk.ts';
import { cutsOf } from '../../support/oracle/histogram-cuts.ts';

function cut(rows: readonly PlainHistogram[]): Chunk[] {
  const chunks: Chunk[] = [];
  cutHistograms(
    rows.map((row) => ({ run: runOf([row], (row.hint ?? 0) as ResetHint), row: 0 })),
    chunks,
  );
  return chunks;
}

/** What happens from one scrape to the next. */
type Event = {
  readonly kind: 'grow' | 'shrink' | 'gone' | 'stale' | 'reset' | 'hint' | 'schema' | 'threshold' | 'bounds';
  readonly bucket: number;
};

const event: fc.Arbitrary<Event> = fc.record({
  kind: fc.oneof(
    { weight: 40, arbitrary: fc.constant('grow' as const) },
    { weight: 5, arbitrary: fc.constantFrom('shrink' as const, 'gone' as const, 'stale' as const, 'reset' as const) },
    {
      weight: 2,
      arbitrary: fc.constantFrom('hint' as const, 'schema' as const, 'threshold' as const, 'bounds' as const),
    },
  ),
  bucket: fc.integer({ min: -6, max: 6 }),
});

/** The scrapes of one histogram that goes through the events. */
function scrapes(events: readonly Event[], isFloat: boolean, isGauge: boolean, step: number): PlainHistogram[] {
  const positive = new Map<number, number>();
  const negative = new Map<number, number>();
  let zero = 0;
  let schema = 3;
  let zeroThreshold = 0.5;
  let bounds = 0;
  return events.map(({ kind, bucket }, i): PlainHistogram => {
    const timeMs = 1_700_000_000_000 + i * step;
    const side = bucket % 3 === 0 ? negative : positive;
    if (kind === 'stale') return { ...stale(timeMs, isFloat), ...(isGauge ? { hint: 3 } : {}) };
    if (kind === 'grow') side.set(bucket, (side.get(bucket) ?? 0) + (bucket + 6));
    if (kind === 'shrink' && side.has(bucket)) side.set(bucket, Math.max(0, (side.get(bucket) as number) - 1));
    if (kind === 'gone') side.delete(bucket);
    if (kind === 'reset') for (const counts of [positive, negative]) counts.clear();
    if (kind === 'reset') zero = 0;
    if (kind === 'schema') schema = schema === 3 ? 2 : 3;
    if (kind === 'threshold') zeroThreshold = zeroThreshold === 0.5 ? 0.25 : 0.5;
    if (kind === 'bounds') bounds++;
    if (bucket === 0) zero++;
    const hint = isGauge ? { hint: 3 } : kind === 'hint' ? { hint: 1 } : {};
    const plain = histogramOf({ timeMs, isFloat, positive, negative, zero, sum: i, schema, ...hint });
    // Bounds are nothing that this schema has; what matters is where they change.
    const isCustom = bounds > 0 && schema === 2;
    return isCustom ? { ...plain, schema: -53, customValues: [bounds], zeroThreshold } : { ...plain, zeroThreshold };
  });
}

test('histograms are cut where the rules say, with their headers, and nothing of them is lost', () => {
  let chunks = 0;
  fc.assert(
    fc.property(
      fc.array(event, { minLength: 1, maxLength: 300, size: 'max' }),
      fc.boolean(),
      fc.boolean(),
      fc.constantFrom(1, 15_000, 600_000),
      (events, isFloat, isGauge, step) => {
        const rows = scrapes(events, isFloat, isGauge, step);
        const made = cut(rows);
        chunks += made.length;
        expect(
          made.map((chunk) => ({ rows: chunkSampleCount(chunk), header: (chunk.bytes[2] as number) >> 6 })),
        ).toEqual(cutsOf(rows));
        expect(made.flatMap((chunk) => plainOf(decodeHistograms(chunk))).map(essenceOf)).toEqual(rows.map(essenceOf));
      },
    ),
    { numRuns: 300 },
  );
  expect(chunks).toBeGreaterThan(1000);
});

test('counts beyond 2^53 are told apart', () => {
  const high = 2n ** 63n;
  const row = (timeMs: number, first: bigint, second: bigint): PlainHistogram => ({
    ...histogramOf({
      timeMs,
      isFloat: false,
      positive: new Map([
        [0, 1],
        [1, 2],
      ]),
      sum: 1,
    }),
    count: high + 10n,
    positive: [first, second],
  });
  const grows = [row(1000, 2n ** 60n, 1n), row(2000, 2n ** 60n, 2n), row(3000, 2n ** 60n + 1n, 1n)];
  expect(cut(grows).map(chunkSampleCount)).toEqual([3]);
  expect(cut([...grows, row(4000, 2n ** 60n, 2n)]).map(chunkSampleCount)).toEqual([3, 1]);
  const counts = [high + 1n, high + 2n, high + 1n].map((count, i) => ({ ...row(1000 * (i + 1), 1n, 1n), count }));
  expect(cut(counts).map(chunkSampleCount)).toEqual([2, 1]);
});

test.each([false, true])('a reset shows in one bucket, though all together count more (floats: %s)', (isFloat) => {
  const row = (timeMs: number, zero: number, counts: readonly (readonly [number, number])[]): PlainHistogram =>
    histogramOf({ timeMs, isFloat, zero, positive: new Map(counts), sum: 1 });
  const gone = [
    row(1000, 0, [
      [0, 5],
      [1, 5],
    ]),
    row(2000, 0, [[1, 20]]),
  ];
  const less = [
    row(1000, 0, [
      [0, 5],
      [1, 5],
    ]),
    row(2000, 0, [
      [0, 4],
      [1, 20],
    ]),
  ];
  const zeroLess = [row(1000, 5, [[0, 5]]), row(2000, 4, [[0, 20]])];
  const goneEmpty = [
    row(1000, 0, [
      [0, 0],
      [1, 5],
    ]),
    row(2000, 0, [[1, 20]]),
  ];
  expect([gone, less, zeroLess].map((rows) => cut(rows).map(chunkSampleCount))).toEqual([
    [1, 1],
    [1, 1],
    [1, 1],
  ]);
  expect(cut(goneEmpty).map(chunkSampleCount)).toEqual([2]);
});

test('integers and floats of one series are never in one chunk', () => {
  const rows = [false, false, true, false].map((isFloat, i) =>
    histogramOf({ timeMs: 1000 * (i + 1), isFloat, positive: new Map([[0, i]]), sum: i }),
  );
  expect(cut(rows).map(({ encoding, bytes }) => [encoding, (bytes[2] as number) >> 6])).toEqual([
    [2, 0],
    [3, 0],
    [2, 0],
  ]);
});
