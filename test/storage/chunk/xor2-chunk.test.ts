import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeXor2 } from '../../../storage/chunk/xor2-chunk.ts';
import { CorruptionError } from '../../../storage/lib/errors.ts';
import { SampleBuffer } from '../../../storage/model/sample-buffer.ts';
import type { Chunk } from '../../../storage/model/series-source.ts';
import { rowsOf } from '../../support/memory-source.ts';
import { bitsOfFloat, encodeXor2Chunk, type PlainSample, STALE_SUM } from '../../support/oracle/histogram-chunk.ts';

function chunkOf(bytes: Uint8Array): Chunk {
  return { minTimeMs: 0, maxTimeMs: 0, encoding: 4, bytes };
}

const step = fc.oneof(
  fc.constant(15_000),
  fc.integer({ min: 1, max: 20_000 }),
  fc.constantFrom(1, 15_000 + 4095, 15_000 + 4096, 600_000, 15_000 + 524_288, 2 ** 40),
);
const bits = fc.oneof(
  fc.constantFrom(STALE_SUM, bitsOfFloat(1), bitsOfFloat(1), bitsOfFloat(-0), 0x7ff0000000000001n),
  fc.integer({ min: 0, max: 1000 }).map(bitsOfFloat),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);
const arbitrarySamples: fc.Arbitrary<PlainSample[]> = fc
  .tuple(
    fc.integer({ min: -(2 ** 45), max: 2 ** 45 }),
    fc.array(fc.tuple(step, bits, fc.constantFrom(0, 0, 500, 70_000)), { minLength: 1, maxLength: 200 }),
    fc.boolean(),
  )
  .map(([from, rows, haveStarts]) => {
    let timeMs = from;
    return rows.map(([by, value, startMs]) => {
      timeMs += by;
      return { timeMs, bits: value, startMs: haveStarts ? startMs : 0 };
    });
  });

test('any floats of encoding 4 are read with every bit and their start timestamps, behind what was there', () => {
  fc.assert(
    fc.property(arbitrarySamples, (samples) => {
      const out = new SampleBuffer();
      out.timestamps[0] = 1;
      out.length = 1;
      const starts = decodeXor2(chunkOf(encodeXor2Chunk(samples)), out);
      expect(rowsOf(out).slice(1)).toEqual(samples.map(({ timeMs, bits }) => [timeMs, bits]));
      expect(Array.from(starts)).toEqual(samples.map(({ startMs }) => startMs));
    }),
    { numRuns: 500 },
  );
});

test('damaged bytes give a CorruptionError or some samples', () => {
  let damaged = 0;
  fc.assert(
    fc.property(arbitrarySamples, fc.nat(), fc.nat({ max: 255 }), fc.boolean(), (samples, at, byte, isCut) => {
      let bytes = encodeXor2Chunk(samples);
      bytes[at % bytes.length] = byte;
      if (isCut) bytes = bytes.subarray(0, at % bytes.length);
      const out = new SampleBuffer();
      try {
        expect(decodeXor2(chunkOf(bytes), out).length).toBe(out.length);
      } catch (error) {
        expect(error).toBeInstanceOf(CorruptionError);
        expect(out.length).toBe(0);
        damaged++;
      }
    }),
    { numRuns: 1000 },
  );
  expect(damaged).toBeGreaterThan(100);
});
