import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeHistograms, encodeHistograms } from '../../../storage/chunk/histogram-chunk.ts';
import { mergeChunks, mergeSamples } from '../../../storage/chunk/merge-chunks.ts';
import { ChunkCodec } from '../../../storage/kernel/chunk-codec.ts';
import { CorruptionError } from '../../../storage/lib/errors.ts';
import type { HistogramRow, ResetHint } from '../../../storage/model/histogram.ts';
import { SampleBuffer } from '../../../storage/model/sample-buffer.ts';
import { type Chunk, chunkSampleCount } from '../../../storage/model/series-source.ts';
import { type TimeRange, windowOf } from '../../../storage/model/time-range.ts';
import { arbitraryRows, essenceOf, plainOf, runOf } from '../../support/histograms.ts';
import { decodeChunk, EVER, rowsOf, xorChunk } from '../../support/memory-source.ts';
import {
  bitsOfFloat,
  encodeHistogramChunk,
  encodeXor2Chunk,
  type PlainHistogram,
  STALE_SUM,
  stale,
} from '../../support/oracle/histogram-chunk.ts';

const codec = ChunkCodec.load();

/** A chunk with what it holds. */
interface Known {
  readonly chunk: Chunk;
  readonly samples: readonly { readonly timeMs: number; readonly essence: object }[];
}

function floatEssence(timeMs: number, bits: bigint): { timeMs: number; essence: object } {
  return { timeMs, essence: { timeMs, bits } };
}

/** The sums of histograms as a chunk of floats, or the histograms, in any encoding. */
function known(rows: readonly PlainHistogram[], form: 'xor' | 'xor2' | 'histogram' | 'with starts'): Known {
  const [minTimeMs, maxTimeMs] = [rows[0]?.timeMs as number, rows.at(-1)?.timeMs as number];
  const starts = rows.map((row) => ({ ...row, startMs: row.startMs ?? 0 }));
  const samples = rows.map((row) => ({ timeMs: row.timeMs, essence: essenceOf(row) }));
  const floats = rows.map(({ timeMs, sum }) => floatEssence(timeMs, sum));
  switch (form) {
    case 'xor':
      return { chunk: xorChunk(rows.map(({ timeMs, sum }) => [timeMs, sum] as const)), samples: floats };
    case 'xor2': {
      const bytes = encodeXor2Chunk(starts.map(({ timeMs, sum, startMs }) => ({ timeMs, bits: sum, startMs })));
      return { chunk: { minTimeMs, maxTimeMs, encoding: 4, bytes }, samples: floats };
    }
    case 'histogram':
      return { chunk: encodeHistograms(runOf(rows)), samples };
    case 'with starts': {
      const encoding = rows[0]?.isFloat ? 6 : 5;
      return { chunk: { minTimeMs, maxTimeMs, encoding, bytes: encodeHistogramChunk(starts, 0, true) }, samples };
    }
  }
}

/** What chunks hold, by decoding each. */
function contentOf(chunks: readonly Chunk[]): object[] {
  return chunks.flatMap((chunk) => {
    if (chunk.encoding === 1) return decodeChunk(chunk).map(([timeMs, bits]) => floatEssence(timeMs, bits).essence);
    return plainOf(decodeHistograms(chunk)).map(essenceOf);
  });
}

const arbitraryKnown = fc
  .tuple(
    arbitraryRows,
    fc.constantFrom('xor' as const, 'xor2' as const, 'histogram' as const, 'with starts' as const),
    fc.integer({ min: -30, max: 30 }),
  )
  .map(([rows, form, shift]) =>
    known(
      rows.map((row) => ({ ...row, timeMs: row.timeMs + shift * 15_000 })),
      form,
    ),
  );

test('any overlapping chunks of any encodings merge to what a map of timestamps says', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(arbitraryKnown, { maxLength: 3 }), { maxLength: 3 }),
      fc.option(fc.tuple(fc.integer({ min: -40, max: 40 }), fc.integer({ min: 0, max: 60 }))),
      (parts, cut) => {
        const minTimeMs = 1_700_000_000_000 + (cut?.[0] ?? 0) * 15_000;
        const range: TimeRange = cut === null ? EVER : { minTimeMs, maxTimeMs: minTimeMs + cut[1] * 15_000 };
        const model = new Map<number, object>();
        for (const { timeMs, essence } of parts.flat().flatMap(({ samples }) => samples)) {
          if (timeMs >= range.minTimeMs && timeMs < range.maxTimeMs && !model.has(timeMs)) model.set(timeMs, essence);
        }
        const expected = [...model].sort(([a], [b]) => a - b).map(([, essence]) => essence);
        const given = parts.map((part) => part.map(({ chunk }) => chunk));
        const answer = mergeChunks(given, range, codec);
        expect(contentOf(answer)).toEqual(expected);
        expect(answer.every(({ encoding }) => encoding <= 3)).toBe(true);
        answer.forEach((chunk, i) => {
          expect(chunk.minTimeMs).toBeGreaterThan(answer[i - 1]?.maxTimeMs ?? Number.NEGATIVE_INFINITY);
          if (!given.flat().includes(chunk)) {
            expect(chunkSampleCount(chunk)).toBeLessThanOrEqual(120);
            expect(windowOf(chunk.minTimeMs)).toBe(windowOf(chunk.maxTimeMs));
          }
        });
        expect(merged(given, range)).toEqual(expected);
      },
    ),
    { numRuns: 400 },
  );
});

/** The samples by the other road: floats and histograms in lists of their own. */
function merged(parts: readonly (readonly Chunk[])[], range: TimeRange): object[] {
  const out = { floats: new SampleBuffer(), histograms: [] as HistogramRow[] };
  mergeSamples(parts, range, codec, out);
  const floats = rowsOf(out.floats).map(([timeMs, bits]) => floatEssence(timeMs, bits));
  const histograms = out.histograms.map(({ run, row }) => {
    const plain = plainOf(run)[row] as PlainHistogram;
    return { timeMs: plain.timeMs, essence: essenceOf(plain) };
  });
  return [...floats, ...histograms].sort((a, b) => a.timeMs - b.timeMs).map(({ essence }) => essence);
}

function scrape(timeMs: number, counts: readonly bigint[]): PlainHistogram {
  return {
    timeMs,
    isFloat: false,
    schema: 0,
    zeroThreshold: 0.001,
    positiveSpans: [[0, counts.length]],
    negativeSpans: [],
    customValues: [],
    count: counts.reduce((sum, count) => sum + count, 0n),
    zeroCount: 0n,
    sum: bitsOfFloat(4.5),
    positive: counts.map((count, i) => count - (counts[i - 1] ?? 0n)),
    negative: [],
  };
}

function chunkOf(rows: readonly PlainHistogram[], hint: ResetHint = 0): Chunk {
  return encodeHistograms(runOf(rows, hint));
}

function headers(chunks: readonly Chunk[]): (number | undefined)[] {
  return chunks.map(({ bytes, encoding }) => (encoding === 1 ? undefined : (bytes[2] as number) >> 6));
}

// B44 of the catalogue of bad input.
test('floats and histograms that alternate are both kept, in chunks that never overlap', () => {
  const floats = xorChunk([
    [1000, 1n],
    [3000, STALE_SUM],
    [5000, 3n],
  ]);
  const answer = mergeChunks(
    [[floats, chunkOf([scrape(2000, [1n]), scrape(4000, [2n]), scrape(6000, [3n])])]],
    EVER,
    codec,
  );
  expect(answer.map(({ encoding, minTimeMs }) => [encoding, minTimeMs])).toEqual([
    [1, 1000],
    [2, 2000],
    [1, 3000],
    [2, 4000],
    [1, 5000],
    [2, 6000],
  ]);
});

test('where a float and a histogram have one time, the earlier source wins', () => {
  const float = xorChunk([[2000, 1n]]);
  const histogram = chunkOf([scrape(2000, [1n])]);
  expect(mergeChunks([[float], [histogram]], EVER, codec).map(({ encoding }) => encoding)).toEqual([1]);
  expect(mergeChunks([[histogram], [float]], EVER, codec).map(({ encoding }) => encoding)).toEqual([2]);
});

test('a merged counter is cut where it was reset, and the chunk says so', () => {
  const first = chunkOf([scrape(1000, [1n, 1n]), scrape(3000, [2n, 5n]), scrape(5000, [0n, 1n])]);
  const second = chunkOf([scrape(2000, [1n, 3n]), scrape(4000, [2n, 6n]), scrape(6000, [0n, 2n])]);
  const answer = mergeChunks([[first], [second]], EVER, codec);
  expect(answer.map(({ minTimeMs }) => minTimeMs)).toEqual([1000, 5000]);
  expect(headers(answer)).toEqual([0, 2]);
});

test('what a chunk said of its first row is forgotten once another source has something before it', () => {
  const reset = chunkOf([scrape(2000, [5n]), scrape(4000, [6n])], 1);
  const other = chunkOf([scrape(1000, [4n]), scrape(3000, [5n])]);
  expect(headers(mergeChunks([[reset]], { minTimeMs: 0, maxTimeMs: 3000 }, codec))).toEqual([2]);
  const answer = mergeChunks([[reset], [other]], EVER, codec);
  expect(answer.map(chunkSampleCount)).toEqual([4]);
  expect(headers(answer)).toEqual([0]);
});

test('gauges are not cut where they fall, and stay gauges', () => {
  const first = chunkOf([scrape(1000, [9n]), scrape(3000, [1n])], 3);
  const second = chunkOf([scrape(2000, [5n, 2n]), scrape(4000, [0n])], 3);
  const answer = mergeChunks([[first], [second]], EVER, codec);
  expect(answer.map(chunkSampleCount)).toEqual([4]);
  expect(headers(answer)).toEqual([3]);
});

test('after a stale histogram a new chunk begins', () => {
  const first = chunkOf([scrape(1000, [1n]), stale(3000, false)]);
  const answer = mergeChunks([[first], [chunkOf([scrape(2000, [1n]), scrape(4000, [1n])])]], EVER, codec);
  expect(answer.map(({ minTimeMs, maxTimeMs }) => [minTimeMs, maxTimeMs])).toEqual([
    [1000, 3000],
    [4000, 4000],
  ]);
});

test('a long run of histograms is cut after 120, and the next chunk is known to go on', () => {
  const even = Array.from({ length: 100 }, (_, i) => scrape(2000 * i, [BigInt(2 * i)]));
  const odd = Array.from({ length: 100 }, (_, i) => scrape(2000 * i + 1000, [BigInt(2 * i + 1)]));
  const answer = mergeChunks([[chunkOf(even)], [chunkOf(odd)]], EVER, codec);
  expect(answer.map(chunkSampleCount)).toEqual([120, 80]);
  expect(headers(answer)).toEqual([0, 1]);
});

test('a damaged chunk that has to be decoded is a CorruptionError', () => {
  const whole = chunkOf([scrape(1000, [1n]), scrape(3000, [2n])]);
  const damaged: Chunk = { ...whole, bytes: whole.bytes.subarray(0, 6) };
  expect(() => mergeChunks([[damaged]], { minTimeMs: 0, maxTimeMs: 2000 }, codec)).toThrow(CorruptionError);
  const xor2: Chunk = { minTimeMs: 1, maxTimeMs: 9, encoding: 4, bytes: Uint8Array.of(255, 255, 0, 1, 2) };
  expect(() => mergeChunks([[xor2]], EVER, codec)).toThrow(CorruptionError);
});
