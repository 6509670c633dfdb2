import { expect, test } from 'vitest';
import { ChunkCodec } from '../../../storage/kernel/chunk-codec.ts';
import { CorruptionError } from '../../../storage/lib/errors.ts';
import { SampleBuffer } from '../../../storage/model/sample-buffer.ts';
import { decodeXorChunk, encodeXorChunk } from '../../support/oracle/xor-chunk.ts';
import { Seeded } from '../../support/seeded.ts';
import { randomValue } from './random-request.ts';

const codec = ChunkCodec.load();

function buffer(times: readonly number[], bits: readonly bigint[]): SampleBuffer {
  const samples = new SampleBuffer();
  samples.reserve(times.length);
  samples.timestamps.set(times);
  new BigUint64Array(samples.values.buffer).set(bits);
  samples.length = times.length;
  return samples;
}

/** The valid rows, values as bits. */
function rows({
  timestamps,
  values,
  length,
}: {
  timestamps: Float64Array;
  values: Float64Array;
  length: number;
}): object {
  return {
    times: [...timestamps.subarray(0, length)],
    bits: [...new BigUint64Array(values.buffer, values.byteOffset, length)],
  };
}

/** Encodes by kernel and oracle, compares, decodes both ways. */
function expectOracle(samples: SampleBuffer): void {
  const { timestamps, values, length } = samples;
  const expected = encodeXorChunk({ timestamps: timestamps.subarray(0, length), values: values.subarray(0, length) });
  const encoded = codec.encodeXor(samples, 0, length);
  expect(Buffer.from(encoded).equals(expected)).toBe(true);
  const decoded = new SampleBuffer();
  codec.decodeXor(expected, decoded);
  expect(rows(decoded)).toEqual(rows(samples));
  expect(rows({ ...decodeXorChunk(encoded), length })).toEqual(rows(samples));
}

test('random chunks have the bytes of the oracle and come back, both ways', () => {
  const random = new Seeded(1);
  for (let round = 0; round < 500; round++) {
    const step = random.pick([1, 15_000, 60_000, 10 ** 6, 10 ** 9]);
    const jitter = random.pick([0, 1, 50, 9000, 70_000, 600_000, 10 ** 10]);
    let time = random.below(2 ** 41);
    const times = Array.from({ length: random.pick([1, 2, 3, 60, 120]) }, () => {
      time += step + random.below(jitter + 1);
      return time;
    });
    let value = randomValue(random);
    const bits = times.map(() => {
      if (random.chance(0.7)) value = randomValue(random);
      return value;
    });
    expectOracle(buffer(times, bits));
  }
});

test('changes of the step at the border of each size that is written', () => {
  for (const border of [0, 1, 8191, 8192, 8193, 65_535, 65_536, 65_537, 524_287, 524_288, 524_289, 2 ** 31, 2 ** 40]) {
    for (const change of [border, -border]) {
      const step = 2 ** 41;
      const times = [5, 5 + step, 5 + step * 2 + change, 5 + step * 3 + change * 2, 6 + step * 3 + change * 2];
      expectOracle(buffer(times, [1n, 1n, 2n, 2n, 3n]));
    }
  }
});

test('values whose bits differ in every possible stretch', () => {
  const random = new Seeded(2);
  for (let leading = 0; leading < 64; leading++) {
    for (let trailing = 0; leading + trailing < 64; trailing += 3) {
      const first = random.bits64();
      const middle = ((1n << BigInt(64 - leading - trailing)) - 1n) << BigInt(trailing);
      const bits = [first, first ^ middle, first, first ^ (1n << BigInt(trailing)), random.bits64(), first];
      expectOracle(
        buffer(
          bits.map((_, i) => 1000 + i * 15_000),
          bits,
        ),
      );
    }
  }
});

test('the longest chunk there is', () => {
  const random = new Seeded(3);
  const times = Array.from({ length: 65_535 }, (_, i) => i * 977 + random.below(900));
  expectOracle(
    buffer(
      times,
      times.map(() => random.bits64()),
    ),
  );
  expect(() => codec.encodeXor(buffer([], []), 0, 0)).toThrow(RangeError);
  expect(() => codec.encodeXor(new SampleBuffer(), 0, 65_536)).toThrow(RangeError);
});

test('rows in the middle of a buffer, appended to what another buffer has', () => {
  const samples = buffer([10, 20, 30, 40], [1n, 2n, 3n, 4n]);
  const out = buffer([1], [9n]);
  codec.decodeXor(codec.encodeXor(samples, 1, 3), out);
  expect(rows(out)).toEqual({ times: [1, 20, 30], bits: [9n, 2n, 3n] });
});

test('a chunk that ends within a sample is damaged, one with bytes behind it is not', () => {
  const random = new Seeded(4);
  const times = Array.from({ length: 40 }, (_, i) => i * 15_000 + random.below(100));
  const bytes = codec.encodeXor(
    buffer(
      times,
      times.map(() => randomValue(random)),
    ),
    0,
    40,
  );
  for (let length = 0; length < bytes.length; length++)
    expect(() => codec.decodeXor(bytes.subarray(0, length), new SampleBuffer()), `${length} bytes`).toThrow(
      CorruptionError,
    );
  const longer = new SampleBuffer();
  codec.decodeXor(Uint8Array.from([...bytes, ...random.bytes(20)]), longer);
  expect([...longer.timestamps.subarray(0, longer.length)]).toEqual(times);
});

test('changed bytes are damage or other samples, never a trap', () => {
  const random = new Seeded(5);
  const times = Array.from({ length: 60 }, (_, i) => i * 15_000);
  const whole = codec.encodeXor(
    buffer(
      times,
      times.map(() => randomValue(random)),
    ),
    0,
    60,
  );
  let decoded = 0;
  for (let round = 0; round < 3000; round++) {
    const bytes = whole.slice();
    for (let changes = random.between(1, 4); changes > 0; changes--)
      bytes[random.below(bytes.length)] = random.below(256);
    const out = new SampleBuffer();
    try {
      codec.decodeXor(bytes, out);
      decoded++;
    } catch (error) {
      expect(error).toBeInstanceOf(CorruptionError);
      continue;
    }
    // Where the kernel sees no damage, the oracle reads the same; it also takes what no writer makes.
    expect(rows(out)).toEqual(rows({ ...decodeXorChunk(bytes), length: out.length }));
  }
  expect(decoded).toBeGreaterThan(100);
  const out = buffer([1], [2n]);
  expect(() => codec.decodeXor(Uint8Array.of(0), out)).toThrow(CorruptionError);
  expect(rows(out)).toEqual({ times: [1], bits: [2n] });
});
