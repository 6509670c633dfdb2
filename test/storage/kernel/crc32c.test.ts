import { crc32c as packageCrc32c } from '@node-rs/crc32';
import { expect, test } from 'vitest';
import { ChunkCodec } from '../../../storage/kernel/chunk-codec.ts';
import { Seeded } from '../../support/seeded.ts';

const codec = ChunkCodec.load();

test('the vectors of RFC 3720 and of the Castagnoli check', () => {
  const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
  const command = Buffer.from(
    '01c000000000000000000000000000001400000000000400000000140000001828000000000000000200000000000000',
    'hex',
  );
  expect(codec.crc32c(new Uint8Array(0))).toBe(0);
  expect(codec.crc32c(new TextEncoder().encode('123456789'))).toBe(0xe3069283);
  expect(codec.crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(codec.crc32c(new Uint8Array(32).fill(255))).toBe(0x62a8ab43);
  expect(codec.crc32c(ascending)).toBe(0x46dd794e);
  expect(codec.crc32c(ascending.toReversed())).toBe(0x113fdb5c);
  expect(codec.crc32c(command)).toBe(0xd9963a56);
});

test('random bytes of every length up to 300 and a long one', () => {
  const random = new Seeded(1);
  for (const length of [...Array(300).keys(), 1_000_003]) {
    const bytes = random.bytes(length);
    expect(codec.crc32c(bytes), `${length} bytes`).toBe(packageCrc32c(bytes));
  }
});
