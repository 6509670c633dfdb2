import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeHistograms, encodeHistograms } from '../../../storage/chunk/histogram-chunk.ts';
import { CorruptionError } from '../../../storage/lib/errors.ts';
import { type Chunk, chunkSampleCount } from '../../../storage/model/series-source.ts';
import { arbitraryRows, plainOf, runOf } from '../../support/histograms.ts';
import {
  bitsOfFloat,
  decodeHistogramChunk,
  encodeHistogramChunk,
  Header,
  type PlainHistogram,
  stale,
} from '../../support/oracle/histogram-chunk.ts';

function chunkOf(encoding: number, bytes: Uint8Array, minTimeMs = 0): Chunk {
  return { minTimeMs, maxTimeMs: minTimeMs, encoding, bytes };
}

function withoutStart({ startMs: _, ...row }: PlainHistogram): PlainHistogram {
  return row;
}

test('any histograms are written as the plain encoder writes them, and read back with every bit', () => {
  fc.assert(
    fc.property(arbitraryRows, fc.constantFrom(0, 1, 2, 3), (given, hint) => {
      const rows = given.map(withoutStart);
      const run = runOf(rows, hint as 0);
      const isFloat = run.isFloat;
      const header = [Header.UNKNOWN, Header.RESET, Header.NOT_RESET, Header.GAUGE][hint] as number;
      const chunk = encodeHistograms(run);
      const wanted = encodeHistogramChunk(rows, header);
      expect(Buffer.from(chunk.bytes).toString('hex')).toBe(Buffer.from(wanted).toString('hex'));
      expect([chunk.minTimeMs, chunk.maxTimeMs, chunk.encoding, chunkSampleCount(chunk)]).toEqual([
        rows[0]?.timeMs,
        rows.at(-1)?.timeMs,
        isFloat ? 3 : 2,
        rows.length,
      ]);
      const decoded = decodeHistograms(chunk);
      expect(decoded.hint).toBe(hint);
      expect(plainOf(decoded)).toEqual(rows);
      expect(decodeHistogramChunk(wanted, isFloat).rows).toEqual(rows);
    }),
    { numRuns: 1000 },
  );
});

test('chunks with start timestamps are read, whatever the starts do', () => {
  fc.assert(
    fc.property(arbitraryRows, fc.constantFrom(0, 3), (given, header) => {
      const rows = given.map((row) => ({ ...row, startMs: row.startMs ?? 0 }));
      const [{ isFloat }] = rows as [PlainHistogram];
      const bytes = encodeHistogramChunk(rows, header, true);
      const chunk = chunkOf(isFloat ? 6 : 5, bytes);
      expect(plainOf(decodeHistograms(chunk))).toEqual(rows);
      expect(decodeHistograms(chunk).hint).toBe(header === Header.GAUGE ? 3 : 0);
      expect(chunkSampleCount(chunk)).toBe(rows.length);
    }),
    { numRuns: 500 },
  );
});

test('a start timestamp that changes late is found by its index, 127 at the latest', () => {
  for (const change of [1, 2, 126, 127, 128, 150]) {
    const rows = Array.from({ length: 200 }, (_, i) => ({
      ...simple(1000 * i + 5000),
      startMs: i < change ? 700 : 4000,
    }));
    expect(plainOf(decodeHistograms(chunkOf(5, encodeHistogramChunk(rows, 0, true))))).toEqual(rows);
  }
});

test('a chunk that begins stale has no layout', () => {
  const rows = [stale(1000, false), stale(2000, false)];
  const chunk = encodeHistograms(runOf(rows));
  expect(plainOf(decodeHistograms(chunk))).toEqual(rows);
  expect(decodeHistograms(chunk).layout.width).toBe(3);
});

test('damaged bytes give a CorruptionError or some histograms, quickly', () => {
  let damaged = 0;
  fc.assert(
    fc.property(
      arbitraryRows,
      fc.boolean(),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
      fc.option(fc.nat()),
      (rows, withStarts, changes, cut) => {
        let bytes = encodeHistogramChunk(rows, 0, withStarts);
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        if (cut !== null) bytes = bytes.subarray(0, cut % bytes.length);
        try {
          const run = decodeHistograms(chunkOf((rows[0]?.isFloat ? 3 : 2) + (withStarts ? 3 : 0), bytes));
          expect(run.words.length).toBe(2 * run.timestamps.length * run.layout.width);
        } catch (error) {
          expect(error).toBeInstanceOf(CorruptionError);
          damaged++;
        }
      },
    ),
    { numRuns: 2000 },
  );
  expect(damaged).toBeGreaterThan(100);
});

test.each([
  ['more spans than there are bits', [0, 1, 0, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
  ['nothing', []],
  ['a header alone', [0, 1, 0]],
])('%s is damage', (_, bytes) => {
  expect(() => decodeHistograms(chunkOf(2, Uint8Array.from(bytes)))).toThrow(CorruptionError);
});

test('many stale rows of a wide layout do not make a chunk ask for all memory', () => {
  // 2^19 buckets in a bit each, then 60 000 rows of four bits.
  const wide: PlainHistogram = {
    ...simple(1000),
    positiveSpans: [[0, 2 ** 19]],
    positive: new Array<bigint>(2 ** 19).fill(0n),
  };
  const first = encodeHistogramChunk([wide, stale(2000, false)]);
  const bytes = new Uint8Array(first.length + 60_000);
  bytes.set(first);
  bytes.set([0xea, 0x60]);
  expect(() => decodeHistograms(chunkOf(2, bytes))).toThrow(CorruptionError);
  expect(() => decodeHistograms(chunkOf(2, bytes))).toThrow(/more than \d+ numbers/);
});

function simple(timeMs: number): PlainHistogram {
  return {
    timeMs,
    isFloat: false,
    schema: 0,
    zeroThreshold: 0.001,
    positiveSpans: [[0, 2]],
    negativeSpans: [],
    customValues: [],
    count: 3n,
    zeroCount: 0n,
    sum: bitsOfFloat(4.5),
    positive: [1n, 1n],
    negative: [],
  };
}
