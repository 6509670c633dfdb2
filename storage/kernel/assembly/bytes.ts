/**
 * Bytes: comparing, hashing, varints, UTF-8. Reads may touch up to 16 bytes behind their range, never beyond the memory.
 */
import * as L from '../layout';

/** Where the last `readVarint` ended; 0 = it was damaged. */
export let varintEnd: usize = 0;

/** A varint of at most ten bytes that ends before `end`; sets `varintEnd`. */
export function readVarint(at: usize, end: usize): u64 {
  let value: u64 = 0;
  for (let shift: u64 = 0; shift < 70; shift += 7) {
    if (at >= end) break;
    const byte = load<u8>(at++);
    value |= (<u64>(byte & 127)) << shift;
    if (byte < 128) {
      if (shift === 63 && byte > 1) break;
      varintEnd = at;
      return value;
    }
  }
  varintEnd = 0;
  return 0;
}

/** Writes an unsigned varint; returns the address behind it. */
export function writeVarint(at: usize, value: u64): usize {
  while (value > 127) {
    store<u8>(at++, <u8>(value | 128));
    value >>>= 7;
  }
  store<u8>(at, <u8>value);
  return at + 1;
}

@inline
export function zigzag(value: i64): u64 {
  return <u64>((value << 1) ^ (value >> 63));
}

@inline
export function unzigzag(value: u64): i64 {
  return <i64>(value >>> 1) ^ -(<i64>(value & 1));
}

@inline
export function equal(a: usize, b: usize, length: usize): bool {
  let i: usize = 0;
  // Labels are long and nearly always equal: fewer questions.
  for (; i + 64 <= length; i += 64) {
    const unequal = v128.or(
      v128.or(
        v128.xor(v128.load(a + i), v128.load(b + i)),
        v128.xor(v128.load(a + i, 16), v128.load(b + i, 16)),
      ),
      v128.or(
        v128.xor(v128.load(a + i, 32), v128.load(b + i, 32)),
        v128.xor(v128.load(a + i, 48), v128.load(b + i, 48)),
      ),
    );
    if (v128.any_true(unequal)) return false;
  }
  for (; i + 16 <= length; i += 16) {
    if (!i8x16.all_true(i8x16.eq(v128.load(a + i), v128.load(b + i)))) return false;
  }
  const left = length - i;
  if (left === 0) return true;
  if (length >= 16) {
    const last = length - 16;
    return i8x16.all_true(i8x16.eq(v128.load(a + last), v128.load(b + last)));
  }
  if (left >= 8) {
    return load<u64>(a) === load<u64>(b) && load<u64>(a + left - 8) === load<u64>(b + left - 8);
  }
  return (load<u64>(a) ^ load<u64>(b)) << ((8 - left) << 3) === 0;
}

@inline
export function mix(hash: u64, word: u64): u64 {
  const both = hash ^ word;
  // The product of the halves: steps that can be undone carry a chosen difference through whatever the seed is.
  return rotr<u64>(both * 0xff51afd7ed558ccd, 32) ^ ((both & 0xffffffff) * (both >>> 32));
}

/** The start of a hash: the seed in all its bits. */
export function seeded(): u64 {
  return (<u64>load<u32>(L.HASH_SEED) + 1) * 0x9e3779b97f4a7c15;
}

@inline
export function finish(hash: u64): u32 {
  hash = (hash ^ (hash >>> 29)) * 0xc4ceb9fe1a85ec53;
  return <u32>(hash ^ (hash >>> 32));
}

/** A seeded 32-bit hash of bytes and a salt. */
export function hashBytes(at: usize, length: usize, salt: u32): u32 {
  let hash = mix(seeded(), ((<u64>salt) << 32) | <u64>length);
  const end = at + length;
  for (; at + 8 <= end; at += 8) hash = mix(hash, load<u64>(at));
  if (at < end) hash = mix(hash, load<u64>(at) & (~(<u64>0) >>> ((8 - (end - at)) << 3)));
  return finish(hash);
}

/** Compares bytes as memcmp does, a prefix before its extension. */
export function compareBytes(a: usize, aLength: usize, b: usize, bLength: usize): i32 {
  const length = min(aLength, bLength);
  for (let i: usize = 0; i < length; i++) {
    const x = <i32>load<u8>(a + i),
      y = <i32>load<u8>(b + i);
    if (x !== y) return x - y;
  }
  return <i32>aLength - <i32>bLength;
}

/** Whether the bytes are well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
export function isUtf8(at: usize, length: usize): bool {
  const end = at + length;
  while (at < end) {
    if (at + 8 <= end && (load<u64>(at) & 0x8080808080808080) === 0) {
      at += 8;
      continue;
    }
    const byte = load<u8>(at++);
    if (byte < 0x80) continue;
    let more: usize,
      low: u8 = 0x80,
      high: u8 = 0xbf;
    if (byte >= 0xc2 && byte <= 0xdf) more = 1;
    else if (byte >= 0xe0 && byte <= 0xef) {
      more = 2;
      if (byte === 0xe0) low = 0xa0;
      else if (byte === 0xed) high = 0x9f;
    } else if (byte >= 0xf0 && byte <= 0xf4) {
      more = 3;
      if (byte === 0xf0) low = 0x90;
      else if (byte === 0xf4) high = 0x8f;
    } else return false;
    if (at + more > end) return false;
    const second = load<u8>(at);
    if (second < low || second > high) return false;
    for (let i: usize = 1; i < more; i++) if ((load<u8>(at + i) & 0xc0) !== 0x80) return false;
    at += more;
  }
  return true;
}
