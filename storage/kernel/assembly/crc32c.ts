/** CRC32C (Castagnoli), eight bytes a step. The tables are made at start, not a data segment: see docs/decisions. */
import * as L from '../layout';

const POLYNOMIAL: u32 = 0x82f63b78; // reflected

export function makeCrcTables(): void {
  for (let i: u32 = 0; i < 256; i++) {
    let crc = i;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    store<u32>(L.CRC_TABLES + (i << 2), crc);
  }
  for (let table: u32 = 1; table < 8; table++) {
    for (let i: u32 = 0; i < 256; i++) {
      const before = load<u32>(L.CRC_TABLES + (((table - 1) << 8) + i) * 4);
      const crc = (before >>> 8) ^ load<u32>(L.CRC_TABLES + ((before & 255) << 2));
      store<u32>(L.CRC_TABLES + ((table << 8) + i) * 4, crc);
    }
  }
}

@inline
function entry(table: u32, byte: u32): u32 {
  return load<u32>(L.CRC_TABLES + ((table << 10) + (byte << 2)));
}

/** Continues `crc` (0 at the start) over the bytes. */
export function crc32c(crc: u32, at: usize, length: usize): u32 {
  crc = ~crc;
  const end = at + length;
  for (; at + 8 <= end; at += 8) {
    const low = load<u32>(at) ^ crc,
      high = load<u32>(at + 4);
    crc =
      entry(7, low & 255) ^
      entry(6, (low >>> 8) & 255) ^
      entry(5, (low >>> 16) & 255) ^
      entry(4, low >>> 24) ^
      entry(3, high & 255) ^
      entry(2, (high >>> 8) & 255) ^
      entry(1, (high >>> 16) & 255) ^
      entry(0, high >>> 24);
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ entry(0, (crc ^ load<u8>(at)) & 255);
  return ~crc;
}
