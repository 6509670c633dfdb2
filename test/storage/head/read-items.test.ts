import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeHistograms } from '../../../storage/chunk/histogram-chunk.ts';
import { type HeadItem, ItemKind } from '../../../storage/head/head-item.ts';
import { exemplarsOf, histogramChunks, startTimesOf } from '../../../storage/head/read-items.ts';
import { chunkSampleCount } from '../../../storage/model/series-source.ts';
import { WINDOW_MS } from '../../../storage/model/time-range.ts';
import { encodeWireHistogram } from '../../support/histogram-message.ts';
import { arbitraryRows, essenceOf, plainOf } from '../../support/histograms.ts';
import { type PlainHistogram, stale } from '../../support/oracle/histogram-chunk.ts';

function itemOf(row: PlainHistogram, generation = 7, hint = 0): HeadItem {
  return {
    kind: row.isFloat ? ItemKind.FLOAT_HISTOGRAM : ItemKind.HISTOGRAM,
    timeMs: row.timeMs,
    bytes: encodeWireHistogram(row, hint),
    window: Math.floor(row.timeMs / WINDOW_MS),
    generation,
  };
}

test('any histograms come out of their chunks as they were sent', () => {
  fc.assert(
    fc.property(arbitraryRows, (given) => {
      const rows = given.map(({ startMs: _, ...row }): PlainHistogram => row);
      const chunks = histogramChunks(rows.map((row) => itemOf(row)));
      const read = chunks.flatMap((chunk) => plainOf(decodeHistograms(chunk)));
      expect(read.map(essenceOf)).toEqual(rows.map(essenceOf));
      for (const chunk of chunks) {
        expect([chunk.generation, chunk.window]).toEqual([7, Math.floor(chunk.minTimeMs / WINDOW_MS)]);
        expect(Math.floor(chunk.maxTimeMs / WINDOW_MS)).toBe(chunk.window);
      }
    }),
    { numRuns: 300 },
  );
});

function counter(timeMs: number, count: bigint, startMs = 0): PlainHistogram {
  const nothing = { positiveSpans: [], negativeSpans: [], customValues: [], positive: [], negative: [] };
  return { timeMs, isFloat: false, schema: 0, zeroThreshold: 0, count, zeroCount: count, sum: 0n, startMs, ...nothing };
}

test('a chunk holds one generation only, and the first of two histograms at one time', () => {
  const items = [
    itemOf(counter(1000, 1n), 1),
    itemOf(counter(2000, 2n), 2),
    itemOf(counter(3000, 3n), 1),
    itemOf(counter(3000, 9n), 1),
  ];
  const chunks = histogramChunks(items);
  expect(chunks.map((chunk) => [chunk.generation, chunkSampleCount(chunk)])).toEqual([
    [1, 2],
    [2, 1],
  ]);
  expect(plainOf(decodeHistograms(chunks[0] as (typeof chunks)[0])).map(({ count }) => count)).toEqual([1n, 3n]);
});

test("a sender's word on resets and gauges is kept", () => {
  const header = (hint: number): number => {
    const [chunk] = histogramChunks([itemOf(counter(1000, 1n), 1, hint)]);
    return (chunk?.bytes[2] as number) >> 6;
  };
  expect([0, 1, 2, 3].map(header)).toEqual([0, 2, 0, 3]);
});

test('exemplars are handed on as they came, beside other items', () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const item: HeadItem = { kind: ItemKind.EXEMPLAR, timeMs: 1500, bytes, window: 0, generation: 1 };
  expect(exemplarsOf([itemOf(counter(1000, 1n)), item])).toEqual([{ timeMs: 1500, message: bytes }]);
  expect(histogramChunks([item])).toEqual([]);
});

test('start times are those of floats and of histograms, each change once', () => {
  const start = (timeMs: number, startMs: number): HeadItem => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigInt64(0, BigInt(startMs), true);
    return { kind: ItemKind.START_TIME, timeMs, bytes, window: 0, generation: 1 };
  };
  const items = [
    itemOf(counter(1000, 1n)),
    itemOf(counter(2000, 1n, 500)),
    itemOf(counter(3000, 1n, 500)),
    start(4000, 3500),
    itemOf(counter(5000, 1n, 3500)),
    start(6000, 0),
    itemOf(stale(7000, false)),
  ];
  expect(startTimesOf(items)).toEqual({
    floats: [
      { timeMs: 4000, startMs: 3500 },
      { timeMs: 6000, startMs: 0 },
    ],
    histograms: [
      { timeMs: 2000, startMs: 500 },
      { timeMs: 5000, startMs: 3500 },
      { timeMs: 7000, startMs: 0 },
    ],
  });
  expect(() => startTimesOf([{ ...start(1, 2), bytes: Uint8Array.of(1) }])).toThrow('a start time of 1 bytes');
});
