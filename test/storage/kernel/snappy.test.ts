import { compressSync, uncompressSync } from 'snappy';
import { expect, test } from 'vitest';
import { ChunkCodec } from '../../../storage/kernel/chunk-codec.ts';
import { StorageError } from '../../../storage/lib/errors.ts';
import { decodeSnappyBlock, type SnappyVerdict } from '../../support/oracle/snappy-block.ts';
import { Seeded } from '../../support/seeded.ts';

const LIMIT = 100_000;
const codec = ChunkCodec.load();

/** What the kernel says, in the oracle's form. */
function verdictOf(block: Uint8Array, limit = LIMIT): SnappyVerdict {
  try {
    return { kind: 'decoded', bytes: codec.snappyDecode(block, limit) };
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    const declared = /^snappy: declared length (\d+) exceeds limit (\d+)$/.exec(error.message);
    if (declared !== null) return { kind: 'too-long', declared: Number(declared[1]) };
    const at = /^snappy: corrupt input at byte (\d+)$/.exec(error.message);
    if (at === null) throw error;
    return { kind: 'corrupt', at: Number(at[1]) };
  }
}

/** Bytes that compress well, a little, or not at all. */
function content(random: Seeded, length: number): Uint8Array {
  const letters = random.pick([1, 2, 4, 30, 256]);
  const bytes = Uint8Array.from({ length }, () => random.below(letters));
  for (let copies = random.below(20); copies > 0 && length > 40; copies--) {
    const size = random.between(1, Math.min(300, length >> 1));
    bytes.copyWithin(random.below(length - size), random.below(length - size), random.below(length - size) + size);
  }
  return bytes;
}

test('what the snappy package compresses comes back', () => {
  const random = new Seeded(1);
  for (let round = 0; round < 400; round++) {
    const bytes = content(random, round < 150 ? round : random.below(70_000));
    expect(Buffer.from(codec.snappyDecode(compressSync(bytes), LIMIT)).equals(bytes), `round ${round}`).toBe(true);
  }
});

test('a block with changed bytes is decoded or refused as by the oracle', () => {
  const random = new Seeded(2);
  const seen = { decoded: 0, corrupt: 0, 'too-long': 0 };
  for (let round = 0; round < 4000; round++) {
    const block = Uint8Array.from(compressSync(content(random, random.below(400))));
    for (let changes = random.between(1, 3); changes > 0; changes--)
      block[random.below(block.length)] = random.below(256);
    const expected = decodeSnappyBlock(block, LIMIT);
    expect(verdictOf(block), `round ${round}`).toEqual(expected);
    seen[expected.kind]++;
  }
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(20);
});

test('a block that is cut anywhere is corrupt', () => {
  const block = compressSync(content(new Seeded(3), 3000));
  for (let length = 0; length < block.length; length++) {
    const verdict = verdictOf(block.subarray(0, length));
    expect(verdict, `${length} bytes`).toEqual(decodeSnappyBlock(block.subarray(0, length), LIMIT));
    expect(verdict.kind).toBe('corrupt');
  }
});

test('random elements are decoded or refused as by the oracle, and as by the snappy package', () => {
  const random = new Seeded(4);
  let decoded = 0;
  for (let round = 0; round < 5000; round++) {
    const elements = Array.from({ length: random.below(12) }, () => element(random));
    const length = elements.reduce((sum, { length: bytes }) => sum + bytes, 0) + (random.chance(0.1) ? 1 : 0);
    const block = Uint8Array.from([...varint(length), ...elements.flatMap(({ bytes }) => bytes)]);
    const verdict = verdictOf(block);
    expect(verdict, `round ${round}`).toEqual(decodeSnappyBlock(block, LIMIT));
    if (verdict.kind !== 'decoded') continue;
    decoded++;
    expect(Buffer.from(verdict.bytes).equals(uncompressSync(Buffer.from(block)) as Buffer)).toBe(true);
  }
  expect(decoded).toBeGreaterThan(500);
});

test('every form of a literal length', () => {
  for (const [width, length] of [
    [0, 1],
    [0, 60],
    [1, 61],
    [1, 1],
    [1, 256],
    [2, 1000],
    [3, 70_000],
    [4, 16],
    [4, 99_999],
  ] as const) {
    const text = new Seeded(length).bytes(length);
    const tag = width === 0 ? [(length - 1) << 2] : [(59 + width) << 2, ...little(length - 1, width)];
    const block = Uint8Array.from([...varint(length), ...tag, ...text]);
    expect(verdictOf(block), `${length} bytes, length in ${width}`).toEqual({ kind: 'decoded', bytes: text });
  }
  const huge = Uint8Array.from([4, 63 << 2, 255, 255, 255, 255, 1, 2, 3, 4]);
  expect(verdictOf(huge)).toEqual({ kind: 'corrupt', at: 1 });
});

test('copies that overlap themselves, with every short offset and length', () => {
  for (let offset = 1; offset <= 40; offset++) {
    const text = new Seeded(offset).bytes(offset);
    for (let length = 1; length <= 64; length++) {
      const block = Uint8Array.from([
        ...varint(offset + length),
        (offset - 1) << 2,
        ...text,
        2 | ((length - 1) << 2),
        ...little(offset, 2),
      ]);
      expect(verdictOf(block)).toEqual(decodeSnappyBlock(block, LIMIT));
    }
  }
});

test('copies from near, far from both ends of the block', () => {
  const text = new Seeded(5).bytes(100);
  const behind = new Seeded(6).bytes(150);
  for (let offset = 0; offset <= 102; offset++) {
    for (let length = 1; length <= 64; length++) {
      const block = Uint8Array.from([
        ...varint(100 + 2 * length + 150),
        ...[60 << 2, 99, ...text],
        ...[2 | ((length - 1) << 2), ...little(offset, 2)],
        ...[2 | ((length - 1) << 2), ...little(offset, 2)],
        ...[60 << 2, 149, ...behind],
      ]);
      expect(verdictOf(block), `${length} bytes from ${offset} before`).toEqual(decodeSnappyBlock(block, LIMIT));
    }
  }
});

test('offsets of zero and before the start are refused', () => {
  for (const copy of [
    [1, 0],
    [1, 5],
    [2, 0, 0],
    [2, 5, 0],
    [3, 0, 0, 0, 0],
    [3, 5, 0, 0, 0],
    [3, 255, 255, 255, 255],
  ]) {
    expect(verdictOf(Uint8Array.from([20, 3 << 2, 1, 2, 3, 4, ...copy]))).toEqual({ kind: 'corrupt', at: 6 });
  }
});

test('the declared length is checked before anything is made', () => {
  const claims = [...varint(2 ** 32 - 1), 0, 1];
  expect(verdictOf(Uint8Array.from(claims), 33_554_432)).toEqual({ kind: 'too-long', declared: 2 ** 32 - 1 });
  expect(() => codec.snappyDecode(Uint8Array.from(claims), 33_554_432)).toThrow(
    'snappy: declared length 4294967295 exceeds limit 33554432',
  );
  expect(verdictOf(Uint8Array.from([255, 255, 255, 255, 127]), 10)).toEqual({
    kind: 'too-long',
    declared: 2 ** 32 - 1,
  });
  for (const damaged of [[], [128], [128, 128, 128, 128, 128, 0], [255, 255, 255, 255, 255, 1]])
    expect(verdictOf(Uint8Array.from(damaged))).toEqual({ kind: 'corrupt', at: 0 });
});

/** A literal or a copy that may or may not make sense, and the bytes it stands for. */
function element(random: Seeded): { bytes: number[]; length: number } {
  const kind = random.below(5);
  if (kind < 2) {
    const length = random.between(1, random.pick([4, 20, 70, 300]));
    const width = length > 60 || random.chance(0.2) ? random.between(length > 256 ? 2 : 1, 4) : 0;
    const tag = width === 0 ? [(length - 1) << 2] : [(59 + width) << 2, ...little(length - 1, width)];
    return { bytes: [...tag, ...random.bytes(length)], length };
  }
  const offset = random.chance(0.03) ? random.below(2000) : random.between(1, 3);
  if (kind === 2) {
    const length = random.between(4, 11);
    return { bytes: [1 | ((length - 4) << 2) | ((offset >> 8) << 5), offset & 255], length };
  }
  const length = random.between(1, 64);
  return { bytes: [(kind - 1) | ((length - 1) << 2), ...little(offset, kind === 3 ? 2 : 4)], length };
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) + 128);
  }
}

function little(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) % 256);
}
