import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mergeChunks, mergeSamples } from '../../../storage/chunk/merge-chunks.ts';
import { ChunkCodec } from '../../../storage/kernel/chunk-codec.ts';
import { StorageError } from '../../../storage/lib/errors.ts';
import { SampleBuffer } from '../../../storage/model/sample-buffer.ts';
import { type Chunk, chunkSampleCount } from '../../../storage/model/series-source.ts';
import { type TimeRange, WINDOW_MS, windowOf } from '../../../storage/model/time-range.ts';
import { type BitSample, bitsOf, decodeChunk, EVER, rowsOf, xorChunk } from '../../support/memory-source.ts';

const STALE = 0x7ff0000000000002n;
const codec = ChunkCodec.load();
const buffer = new SampleBuffer();

/** `samples('1:5 2:stale')`. */
function samples(text: string): BitSample[] {
  return text.split(' ').map((one) => {
    const [time, value] = one.split(':') as [string, string];
    return [Number(time), value === 'stale' ? STALE : bitsOf(Number(value))];
  });
}

function chunks(...texts: string[]): Chunk[] {
  return texts.map((text) => xorChunk(samples(text)));
}

function merged(parts: readonly (readonly Chunk[])[], range: TimeRange = EVER): BitSample[] {
  return mergeChunks(parts, range, codec).flatMap(decodeChunk);
}

/** The samples by the other road, in a buffer that was used before. */
function mergedRows(parts: readonly (readonly Chunk[])[], range: TimeRange): BitSample[] {
  mergeSamples(parts, range, codec, { floats: buffer, histograms: [] });
  return rowsOf(buffer);
}

test('chunks that do not overlap leave with their own bytes, in time order', () => {
  const [a, b, c] = chunks('1:1 2:2', '3:3 4:4', '5:5') as [Chunk, Chunk, Chunk];
  expect(mergeChunks([[a, c], [b]], EVER, codec)).toEqual([a, b, c]);
  expect(mergeChunks([[a, c], [b]], EVER, codec)[1]?.bytes).toBe(b.bytes);
});

test('a copy of a chunk in another source is left out', () => {
  const [a] = chunks('1:1 2:stale') as [Chunk];
  const [copy] = chunks('1:1 2:stale') as [Chunk];
  expect(mergeChunks([[a], [copy]], EVER, codec)).toEqual([a]);
  expect(mergeChunks([[a], [copy]], EVER, codec)[0]?.bytes).toBe(a.bytes);
});

test('at one timestamp the earlier source wins, within a source the earlier chunk', () => {
  const parts = [chunks('10:1 20:1', '15:2 20:2 30:2'), chunks('5:3 10:3 30:3 40:3')];
  const expected = samples('5:3 10:1 15:2 20:1 30:2 40:3');
  expect(merged(parts)).toEqual(expected);
  expect(mergedRows(parts, EVER)).toEqual(expected);
});

test('within a source the place in the list decides, not the time', () => {
  const parts = [chunks('10:1 20:1 30:1', '5:2 20:2 40:2', '1:3 2:3')];
  const expected = samples('1:3 2:3 5:2 10:1 20:1 30:1 40:2');
  expect(merged(parts)).toEqual(expected);
  expect(mergedRows(parts, EVER)).toEqual(expected);
});

test('the bits of staleness markers, NaN payloads and -0 survive a merge', () => {
  const odd = [
    STALE,
    0x7ff0000000000001n,
    0xfff8000000000123n,
    0xfff0000000000001n,
    bitsOf(-0),
    0x7ff8dead00000000n,
    1n,
  ];
  const first: BitSample[] = odd.map((bits, i) => [i * 20, bits]);
  const second: BitSample[] = odd.map((bits, i) => [i * 20 + 10, bits ^ (1n << 63n)]);
  const expected = [...first, ...second].sort(([a], [b]) => a - b);
  // Often enough for the compiler of the JavaScript engine to take part.
  for (let i = 0; i < 2000; i++) expect(merged([[xorChunk(first)], [xorChunk(second)]])).toEqual(expected);
});

test('what is encoded again has at most 120 samples a chunk and stays inside its 2 h window', () => {
  const even: BitSample[] = Array.from({ length: 400 }, (_, i) => [WINDOW_MS - 300_000 + i * 2000, bitsOf(i)]);
  const odd: BitSample[] = even.map(([time, bits]) => [time + 1000, bits]);
  const answer = mergeChunks([[xorChunk(even)], [xorChunk(odd)]], EVER, codec);
  expect(answer.flatMap(decodeChunk)).toEqual([...even, ...odd].sort(([a], [b]) => a - b));
  expect(answer.map(chunkSampleCount)).toEqual([120, 120, 60, 120, 120, 120, 120, 20]);
  for (const { minTimeMs, maxTimeMs } of answer) expect(windowOf(minTimeMs)).toBe(windowOf(maxTimeMs));
});

test('a range is half-open and cuts through chunks; those outside it are not read', () => {
  const damaged: Chunk = { minTimeMs: 100, maxTimeMs: 110, encoding: 1, bytes: new Uint8Array([0, 9]) };
  const parts = [[...chunks('1:1 2:2 3:3', '4:4 5:5', '6:6 7:7 8:8'), damaged]];
  const range: TimeRange = { minTimeMs: 2, maxTimeMs: 7 };
  expect(merged(parts, range)).toEqual(samples('2:2 3:3 4:4 5:5 6:6'));
  expect(mergedRows(parts, range)).toEqual(samples('2:2 3:3 4:4 5:5 6:6'));
  expect(mergeChunks(parts, range, codec)[1]).toBe(parts[0]?.[1]);
});

test('a chunk with no sample in the range gives nothing', () => {
  expect(mergeChunks([chunks('1:1 9:9')], { minTimeMs: 3, maxTimeMs: 7 }, codec)).toEqual([]);
  expect(mergedRows([chunks('1:1 9:9')], { minTimeMs: 3, maxTimeMs: 7 })).toEqual([]);
});

test('a chunk of aggregates passes through alone; merging or decoding it is refused by name', () => {
  const aggregates: Chunk = { minTimeMs: 1, maxTimeMs: 5, encoding: 255, bytes: new Uint8Array([0, 3, 1]) };
  expect(mergeChunks([[aggregates]], { minTimeMs: 0, maxTimeMs: 3 }, codec)).toEqual([aggregates]);
  expect(() => mergeChunks([[aggregates], chunks('2:2')], EVER, codec)).toThrow(StorageError);
  expect(() => mergedRows([[aggregates]], EVER)).toThrow('encoding 255');
});

const value = fc.oneof(
  fc.constantFrom(STALE, 0x7ff0000000000001n, bitsOf(-0), bitsOf(1)),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);
const arbitraryChunk = fc
  .record({
    start: fc.integer({ min: -50, max: 150 }).map((steps) => steps * 60_000 + WINDOW_MS),
    steps: fc.array(fc.tuple(fc.constantFrom(1, 15_000, 60_000, 600_000), value), { minLength: 1, maxLength: 12 }),
  })
  .map(({ start, steps }) => {
    let time = start;
    return steps.map(([step, bits]): BitSample => {
      time += step;
      return [time, bits];
    });
  });
const arbitraryParts = fc.array(fc.array(arbitraryChunk, { maxLength: 5 }), { maxLength: 5 });

test('any overlapping chunks of any sources merge to what a map of timestamps says, bits included', () => {
  fc.assert(
    fc.property(
      arbitraryParts,
      fc.integer({ min: 0, max: 200 }),
      fc.integer({ min: 0, max: 200 }),
      (raw, from, width) => {
        const minTimeMs = from * 60_000 + WINDOW_MS / 2;
        const range: TimeRange = { minTimeMs, maxTimeMs: minTimeMs + width * 60_000 };
        const model = new Map<number, bigint>();
        for (const [time, bits] of raw.flat(2)) {
          if (time >= range.minTimeMs && time < range.maxTimeMs && !model.has(time)) model.set(time, bits);
        }
        const expected = [...model].sort(([a], [b]) => a - b);
        const parts = raw.map((part) => part.map(xorChunk));
        const answer = mergeChunks(parts, range, codec);
        expect(answer.flatMap(decodeChunk)).toEqual(expected);
        expect(mergedRows(parts, range)).toEqual(expected);
        for (const chunk of answer) {
          const decoded = decodeChunk(chunk);
          expect([decoded[0]?.[0], decoded.at(-1)?.[0]]).toEqual([chunk.minTimeMs, chunk.maxTimeMs]);
          expect(chunkSampleCount(chunk)).toBe(decoded.length);
        }
      },
    ),
    { numRuns: 500 },
  );
});
