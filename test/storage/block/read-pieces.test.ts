import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { BlockFiles } from '../../../storage/block/block-files.ts';
import { planRanges, readPieces } from '../../../storage/block/read-pieces.ts';

const MIB = 1024 * 1024;

/** A file of pieces, each its own length in one byte and then so many of a number. */
function fileOf(lengths: readonly number[]): { bytes: Uint8Array; offsets: number[] } {
  const offsets: number[] = [];
  const parts = lengths.map((length, i) => Uint8Array.of(length, ...new Array<number>(length).fill(i % 256)));
  let offset = 0;
  for (const part of parts) {
    offsets.push(offset);
    offset += part.length;
  }
  return { bytes: new Uint8Array(Buffer.concat(parts)), offsets };
}

test('whatever is wanted and guessed, each piece comes whole, in as few reads as the gap allows', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 40 }),
      fc.array(fc.nat(39), { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 1, max: 80 }),
      fc.nat(200),
      fc.integer({ min: 1, max: 5 }),
      async (lengths, picks, guess, gapBytes, readsAtOnce) => {
        const { bytes, offsets } = fileOf(lengths);
        const wanted = picks.map((pick) => pick % lengths.length).sort((a, b) => a - b);
        const reads: { offset: number; length: number }[] = [];
        const files: BlockFiles = {
          gapBytes,
          readsAtOnce,
          aheadBytes: 0,
          async read(_, offset, length) {
            reads.push({ offset, length });
            return bytes.slice(offset, offset + length);
          },
          size: async () => bytes.length,
        };
        const got = new Array<string>(wanted.length);
        await readPieces(files, [
          {
            path: 'file',
            offsets: Float64Array.from(wanted, (i) => offsets[i] as number),
            guessBytes: () => guess,
            extent: (piece, at) => 1 + (piece[at] as number),
            take(index, piece, at) {
              got[index] = Buffer.from(piece.subarray(at, at + 1 + (piece[at] as number))).toString('hex');
            },
          },
        ]);
        const expected = wanted.map((i) => {
          const offset = offsets[i] as number;
          return Buffer.from(bytes.subarray(offset, offset + 1 + (lengths[i] as number))).toString('hex');
        });
        expect(got).toEqual(expected);
        // One read for each stretch without a wider gap, and one for each piece that is longer than the guess.
        const longer = new Set(wanted.filter((i) => 1 + (lengths[i] as number) > guess)).size;
        if (longer === 0 && gapBytes >= bytes.length) expect(reads).toHaveLength(1);
        for (const { length } of reads) expect(length).toBeLessThanOrEqual(8 * MIB);
      },
    ),
    { numRuns: 300 },
  );
});

test('ranges hold every piece once, never overlap, and end before 8 MiB unless a piece is longer', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(40 * MIB), { maxLength: 60 }),
      fc.integer({ min: 1, max: MIB }),
      fc.nat(2 * MIB),
      (places, guess, gapBytes) => {
        const offsets = Float64Array.from(places).sort();
        const ranges = planRanges({ offsets, guessBytes: () => guess }, { gapBytes, maxBytes: 8 * MIB });
        let next = 0;
        for (const [i, { start, end, from, to }] of ranges.entries()) {
          expect([from, start]).toEqual([next, offsets[from]]);
          expect(end - start).toBeLessThanOrEqual(8 * MIB);
          for (let k = from; k < to; k++) {
            expect(offsets[k]).toBeLessThan(end);
            const before = k === from ? start : (offsets[k - 1] as number);
            expect((offsets[k] as number) - before).toBeLessThanOrEqual(guess + gapBytes);
          }
          const following = ranges[i + 1];
          if (following !== undefined) {
            expect(following.start - end > gapBytes || following.start + guess - start > 8 * MIB).toBe(true);
          }
          next = to;
        }
        expect(next).toBe(offsets.length);
      },
    ),
  );
});

test('a piece of a range that is mostly gaps does not keep the range', async () => {
  const { bytes, offsets } = fileOf(new Array<number>(200).fill(50));
  const keptBytes = async (every: number): Promise<number[]> => {
    const kept: number[] = [];
    const files: BlockFiles = {
      gapBytes: bytes.length,
      readsAtOnce: 1,
      aheadBytes: 0,
      read: async (_, offset, length) => bytes.slice(offset, offset + length),
      size: async () => bytes.length,
    };
    const pieces = {
      path: 'a',
      offsets: Float64Array.from(offsets.filter((_, i) => i % every === 0)),
      guessBytes: () => 51,
      extent: (range: Uint8Array, at: number) => 1 + (range[at] as number),
      take: (_: number, range: Uint8Array) => void kept.push(range.buffer.byteLength),
    };
    await readPieces(files, [pieces]);
    return kept;
  };
  expect(await keptBytes(20)).toEqual(new Array<number>(10).fill(51));
  // Close together they are views: a copy of each would cost as much as all the rest.
  expect(Math.min(...(await keptBytes(2)))).toBeGreaterThan(5000);
});

/** A file of a bucket: pieces of 50 bytes each so many bytes apart, and what is asked of it. */
function sparseFile(gaps: readonly number[], gapBytes: number) {
  const offsets = [0];
  for (const gap of gaps) offsets.push((offsets.at(-1) as number) + 50 + gap);
  const bytes = new Uint8Array((offsets.at(-1) as number) + 50);
  for (const [i, offset] of offsets.entries()) bytes.fill(i + 1, offset, offset + 50);
  const reads: { offset: number; length: number }[] = [];
  const kept = new Map<string, Uint8Array>();
  const files: BlockFiles = {
    gapBytes,
    readsAtOnce: 2,
    aheadBytes: 0,
    read: async (_, offset, length) => bytes.slice(offset, offset + length),
    size: async () => bytes.length,
    sparse: {
      async read(_, offset, length) {
        reads.push({ offset, length });
        return bytes.slice(offset, offset + length);
      },
      recall: (name, key) => kept.get(`${name} ${key}`),
      keep: (name, key, packed) => void kept.set(`${name} ${key}`, packed),
    },
  };
  const readAll = async (wanted: readonly number[] = offsets, guess = 60): Promise<number[][]> => {
    const got: number[][] = [];
    await readPieces(files, [
      {
        path: 'a',
        offsets: Float64Array.from(wanted),
        guessBytes: () => guess,
        extent: () => 50,
        take: (index, range, at) => {
          got[index] = [...new Set(range.subarray(at, at + 50))];
        },
      },
    ]);
    return got;
  };
  return { offsets, reads, kept, readAll };
}

test('of a long range that is nearly all gaps the pieces are kept, and found when they are wanted again', async () => {
  const { offsets, reads, kept, readAll } = sparseFile(new Array<number>(40).fill(30_000), 100_000);
  const expected = offsets.map((_, i) => [i + 1]);
  expect(await readAll()).toEqual(expected);
  expect(reads.splice(0)).toHaveLength(1);
  expect([...kept.values()].map(({ length }) => length)).toEqual([4 + 41 * 58]);
  expect(await readAll()).toEqual(expected);
  expect(reads.splice(0)).toEqual([]);
  // Other pieces are others, also under the same key.
  const [key] = kept.keys();
  const fewer = offsets.slice(1);
  expect(await readAll(fewer)).toEqual(expected.slice(1));
  expect(reads.splice(0)).toHaveLength(1);
  kept.set(key as string, [...kept.values()][1] as Uint8Array);
  expect(await readAll()).toEqual(expected);
  expect(reads.splice(0)).toHaveLength(1);
});

test('pieces that are longer than the guess are kept whole', async () => {
  const { offsets, kept, readAll } = sparseFile(new Array<number>(40).fill(30_000), 100_000);
  const expected = offsets.map((_, i) => [i + 1]);
  expect(await readAll(offsets, 20)).toEqual(expected);
  expect([...kept.values()].map(({ length }) => length)).toEqual([4 + 41 * 58]);
  expect(await readAll(offsets, 20)).toEqual(expected);
});

test('a few gaps wider than the others are read over too, and of gaps of one width all or none', async () => {
  const near = new Array<number>(20).fill(90_000);
  const few = sparseFile([...near, 150_000, ...near], 100_000);
  await few.readAll();
  expect(few.reads).toHaveLength(1);
  const equal = sparseFile([...near, 700_000, 700_000, 700_000, ...near], 100_000);
  await equal.readAll();
  expect(equal.reads).toHaveLength(4);
  const one = sparseFile([...near, 700_000, 900_000, 900_000, ...near], 100_000);
  await one.readAll();
  expect(one.reads).toHaveLength(3);
});
