/**
 * XOR chunks, byte-compatible with Prometheus: count u16 BE | t0 varint | v0 64 | Δt1 uvarint | xor1 | (ΔΔt xor)*.
 * ΔΔt: 0 | 10 +14 bits | 110 +17 | 1110 +20 | 1111 +64.
 * xor: 0 | 10 +bits of the last window | 11 leading(5) length(6) +bits.
 * Source: Facebook Gorilla (VLDB 2015) §4.1; prometheus tsdb/chunkenc/xor.go.
 */
import * as L from '../layout';
import { unzigzag, writeVarint, zigzag } from './bytes';

const COUNT_BITS: u32 = 16;
const NO_WINDOW: u32 = 255;

/** `bits` ≤ 57 low bits of `value` at bit `at` of a zeroed buffer; returns the bit behind them. */
@inline
function writeBits(buffer: usize, at: u32, value: u64, bits: u32): u32 {
  const word = buffer + (at >>> 3);
  const shift = 64 - (at & 7) - bits;
  store<u64>(word, bswap<u64>(bswap<u64>(load<u64>(word)) | ((value & (((<u64>1) << bits) - 1)) << shift)));
  return at + bits;
}

function writeLong(buffer: usize, at: u32, value: u64, bits: u32): u32 {
  if (bits <= 57) return writeBits(buffer, at, value, bits);
  return writeBits(buffer, writeBits(buffer, at, value >>> 32, bits - 32), value, 32);
}

/** The first sample of a chunk, into a zeroed buffer. */
export function startXor(open: usize, time: i64, value: u64): void {
  const buffer: usize = load<u32>(open, L.OPEN_BUFFER);
  const behind = writeVarint(buffer + 2, zigzag(time));
  store<u64>(behind, bswap<u64>(value));
  store<i64>(open, time, L.OPEN_LAST_TIME);
  store<u64>(open, value, L.OPEN_LAST_VALUE);
  store<u8>(open, <u8>NO_WINDOW, L.OPEN_LEADING);
  atomic.store<u64>(open, ((<u64>1) << 32) | ((<u64>(behind + 8 - buffer)) << 3), L.OPEN_PUBLISHED);
}

/** Whether a further sample fits into the buffer: exactly, by what `appendXor` would write; to be asked near its end only. */
export function fitsXor(open: usize, time: i64, value: u64): bool {
  const published = load<u64>(open, L.OPEN_PUBLISHED);
  const room = (<u32>load<u8>(open, L.OPEN_GRAINS) * L.GRAIN) << 3;
  const change = time - load<i64>(open, L.OPEN_LAST_TIME) - load<i64>(open, L.OPEN_DELTA);
  const xor = value ^ load<u64>(open, L.OPEN_LAST_VALUE);
  const isSecond = published >>> 32 === 1;
  if (!isSecond && change === 0 && xor === 0) return <u32>published + 2 <= room;
  const timeBits: u32 = isSecond ? 80 : changeBits(change);
  const end = <u32>published + timeBits + xorBits(open, xor);
  // The last write touches eight bytes.
  return (end & ~7) + 64 <= room;
}

@inline
function changeBits(change: i64): u32 {
  if (change === 0) return 1;
  if (change >= -8191 && change <= 8192) return 16;
  if (change >= -65535 && change <= 65536) return 20;
  return change >= -524287 && change <= 524288 ? 24 : 68;
}

@inline
function fitsWindow(xor: u64, leading: u32, trailing: u32): bool {
  return leading !== NO_WINDOW && <u32>clz(xor) >= leading && <u32>ctz(xor) >= trailing;
}

@inline
function xorBits(open: usize, xor: u64): u32 {
  if (xor === 0) return 1;
  const leading = <u32>load<u8>(open, L.OPEN_LEADING),
    trailing = <u32>load<u8>(open, L.OPEN_TRAILING);
  return fitsWindow(xor, leading, trailing)
    ? 2 + 64 - leading - trailing
    : 13 + 64 - min<u32>(<u32>clz(xor), 31) - <u32>ctz(xor);
}

/** A further sample, later than the last one, for which the buffer has room. */
export function appendXor(open: usize, time: i64, value: u64): void {
  const buffer: usize = load<u32>(open, L.OPEN_BUFFER);
  const published = load<u64>(open, L.OPEN_PUBLISHED);
  let at = <u32>published;
  const delta = time - load<i64>(open, L.OPEN_LAST_TIME);
  // What the time becomes is written together with what the value begins with: a sample is one write nearly always.
  let head: u64 = 0,
    headBits: u32 = 0;
  if (published >>> 32 === 1) {
    at = (<u32>(writeVarint(buffer + (at >>> 3), <u64>delta) - buffer)) << 3;
  } else {
    const change = delta - load<i64>(open, L.OPEN_DELTA);
    if (change === 0) headBits = 1;
    else if (change >= -8191 && change <= 8192) {
      head = ((<u64>2) << 14) | (<u64>change & 0x3fff);
      headBits = 16;
    } else at = writeChange(buffer, at, change);
  }
  const xor = value ^ load<u64>(open, L.OPEN_LAST_VALUE);
  if (xor !== 0) at = writeXor(open, buffer, at, xor, head, headBits);
  else {
    // The buffer is zeroed: bits that are not set are there.
    if (head !== 0) writeBits(buffer, at, head, headBits);
    at += headBits + 1;
  }
  store<i64>(open, time, L.OPEN_LAST_TIME);
  store<i64>(open, delta, L.OPEN_DELTA);
  store<u64>(open, value, L.OPEN_LAST_VALUE);
  atomic.store<u64>(open, (((published >>> 32) + 1) << 32) | <u64>at, L.OPEN_PUBLISHED);
}

/** A change of the step between samples that takes more than 14 bits. */
function writeChange(buffer: usize, at: u32, change: i64): u32 {
  if (change >= -65535 && change <= 65536)
    return writeBits(buffer, at, ((<u64>6) << 17) | (<u64>change & 0x1ffff), 20);
  if (change >= -524287 && change <= 524288)
    return writeBits(buffer, at, ((<u64>14) << 20) | (<u64>change & 0xfffff), 24);
  return writeLong(buffer, writeBits(buffer, at, 15, 4), <u64>change, 64);
}

/** A value that changed, behind `headBits` ≤ 16 bits that are still to be written. */
@inline
function writeXor(open: usize, buffer: usize, at: u32, xor: u64, head: u64, headBits: u32): u32 {
  let leading = <u32>load<u8>(open, L.OPEN_LEADING),
    trailing = <u32>load<u8>(open, L.OPEN_TRAILING);
  if (fitsWindow(xor, leading, trailing)) {
    head = (head << 2) | 2;
    headBits += 2;
  } else {
    leading = min<u32>(<u32>clz(xor), 31);
    trailing = <u32>ctz(xor);
    store<u8>(open, <u8>leading, L.OPEN_LEADING);
    store<u8>(open, <u8>trailing, L.OPEN_TRAILING);
    head = (head << 13) | ((<u64>3) << 11) | ((<u64>leading) << 6) | <u64>((64 - leading - trailing) & 63);
    headBits += 13;
  }
  const bits = 64 - leading - trailing;
  if (headBits + bits <= 57) return writeBits(buffer, at, (head << bits) | (xor >>> trailing), headBits + bits);
  return writeLong(buffer, writeBits(buffer, at, head, headBits), xor >>> trailing, bits);
}

// The reader: a cursor over one chunk at a time.
let source: usize = 0;
let sourceBits: u32 = 0; // bits there are
let position: u32 = 0;
let remaining: u32 = 0;
let index: u32 = 0;
let previousDelta: i64 = 0;
let leadingBits: u32 = 0;
let trailingBits: u32 = 0;
let sized: bool = false;
export let xorTime: i64 = 0;
export let xorValue: u64 = 0;
export let xorDamaged: bool = false;

/** Begins to read a chunk (count in front) of `length` bytes. */
export function openXor(at: usize, length: usize): void {
  const count = length < 2 ? 0 : <u32>bswap<u16>(load<u16>(at));
  openXorStream(at, (<u32>length) << 3, count);
  xorDamaged = length < 2;
}

/** Begins to read an open chunk's buffer, whose count is not in its bytes. */
export function openXorStream(at: usize, bits: u32, count: u32): void {
  source = at;
  sourceBits = bits;
  position = COUNT_BITS;
  remaining = count;
  index = 0;
  previousDelta = 0;
  sized = false;
  xorDamaged = false;
}

/** The next `bits` ≤ 32; sets `xorDamaged` instead of reading past the end. */
@inline
function readBits(bits: u32): u64 {
  if (position + bits > sourceBits) {
    xorDamaged = true;
    return 0;
  }
  const word = bswap<u64>(load<u64>(source + (position >>> 3))) << (position & 7);
  position += bits;
  return bits === 0 ? 0 : word >>> (64 - bits);
}

function readLong(bits: u32): u64 {
  return bits > 32 ? (readBits(bits - 32) << 32) | readBits(32) : readBits(bits);
}

function readByteVarint(): u64 {
  let value: u64 = 0;
  for (let shift: u64 = 0; shift < 70; shift += 7) {
    const byte = readBits(8);
    if (xorDamaged) return 0;
    value |= (byte & 127) << shift;
    if (byte < 128) return value;
  }
  xorDamaged = true;
  return 0;
}

function readChange(): i64 {
  if (readBits(1) === 0) return 0;
  let bits: u32 = 14;
  if (readBits(1) !== 0) {
    bits = 17;
    if (readBits(1) !== 0) {
      bits = 20;
      if (readBits(1) !== 0) return <i64>readLong(64);
    }
  }
  const raw = <i64>readBits(bits);
  return raw > (<i64>1) << (bits - 1) ? raw - ((<i64>1) << bits) : raw;
}

/** Moves to the next sample: `xorTime`, `xorValue`. False at the end, or with `xorDamaged` where bytes make no sense. */
export function nextXor(): bool {
  if (remaining === 0 || xorDamaged) return false;
  remaining--;
  if (index === 0) {
    xorTime = unzigzag(readByteVarint());
    xorValue = readLong(64);
  } else {
    previousDelta = index === 1 ? <i64>readByteVarint() : previousDelta + readChange();
    xorTime += previousDelta;
    if (readBits(1) !== 0) {
      if (readBits(1) !== 0) {
        leadingBits = <u32>readBits(5);
        const length = <u32>readBits(6);
        trailingBits = 64 - leadingBits - (length === 0 ? 64 : length);
        if (trailingBits > 63) xorDamaged = true;
        sized = true;
      } else if (!sized) xorDamaged = true;
      if (!xorDamaged) xorValue ^= readLong(64 - leadingBits - trailingBits) << trailingBits;
    }
  }
  index++;
  return !xorDamaged;
}
