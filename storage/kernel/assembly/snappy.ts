/**
 * Snappy block format: a varint with the decoded length, then literals and copies. Every length and offset is checked
 * before it is used; copies may write up to 16 bytes behind the decoded end, which the regions leave room for.
 * Source: google/snappy format_description.txt.
 */
import * as L from '../layout';
import { readVarint, varintEnd } from './bytes';

/** Longest element of the fast way: 5 bytes of header, 64 of output, 15 more that wide copies touch. */
const FAST_ROOM: usize = 96;

function fail(code: u32, at: usize): u32 {
  store<u32>(L.ERROR_CODE, code);
  store<u32>(L.ERROR_AT, <u32>at);
  return 0xffffffff;
}

/**
 * Decodes `length` bytes at `from` to `to`, at most `limit`. Returns how many, or 0xffffffff with ERROR_CODE and the
 * byte in ERROR_AT (for ERROR_TOO_LONG: the length declared, capped at 2^32 - 1).
 */
export function decodeSnappy(from: usize, length: usize, to: usize, limit: usize): u32 {
  const end = from + length;
  const declared = readVarint(from, end);
  let at = varintEnd;
  if (at === 0 || at - from > 5) return fail(L.ERROR_SNAPPY, 0);
  if (declared > <u64>limit) return fail(L.ERROR_TOO_LONG, <usize>min<u64>(declared, 0xffffffff));
  let out = to;
  const outEnd = to + <usize>declared;
  // Far from both ends an element needs no bounds of its own: at most 5 bytes are read as its header, 64 written.
  const safeEnd = end - min<usize>(end - from, FAST_ROOM),
    safeOutEnd = outEnd - min<usize>(<usize>declared, FAST_ROOM);
  while (at < end) {
    const tag: u32 = load<u8>(at);
    if (at < safeEnd && out < safeOutEnd) {
      if ((tag & 3) === 0) {
        const bytes = <usize>(tag >>> 2) + 1;
        if (bytes <= 60) {
          copyWide(out, at + 1, bytes);
          out += bytes;
          at += bytes + 1;
          continue;
        }
      } else {
        const word = load<u32>(at + 1);
        const kind = tag & 3;
        const offset: usize = kind === 1 ? ((tag >>> 5) << 8) | (word & 255) : kind === 2 ? word & 65535 : word;
        const bytes: usize = kind === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1;
        if (offset === 0 || offset > out - to) return fail(L.ERROR_SNAPPY, at - from);
        if (offset >= 16) copyWide(out, out - offset, bytes);
        else copyOverlapping(out, offset, bytes);
        out += bytes;
        at += kind === 1 ? 2 : kind === 2 ? 3 : 5;
        continue;
      }
    }
    at = decodeElement(at, end, from, out, to, outEnd);
    if (at === 0) return 0xffffffff;
    out = elementEnd;
  }
  if (out !== outEnd) return fail(L.ERROR_SNAPPY, length);
  return <u32>declared;
}

/** One element with all its bounds; returns the address behind it and leaves the end of its output, or 0 if damaged. */
function decodeElement(at: usize, end: usize, from: usize, out: usize, to: usize, outEnd: usize): usize {
  const tag: u32 = load<u8>(at);
  const kind = tag & 3;
  let bytes = <usize>(tag >>> 2) + 1,
    header: usize = kind === 0 ? 1 : kind === 1 ? 2 : kind === 2 ? 3 : 5;
  if (kind === 0 && bytes > 60) header = bytes - 59;
  if (header > end - at) return damaged(at - from);
  if (kind === 0) {
    if (header > 1) {
      bytes = 0;
      for (let i: usize = 1; i < header; i++) bytes |= (<usize>load<u8>(at + i)) << ((i - 1) << 3);
      if (bytes === 0xffffffff) return damaged(at - from);
      bytes += 1;
    }
    if (bytes > end - at - header || bytes > outEnd - out) return damaged(at - from);
    memory.copy(out, at + header, bytes);
    elementEnd = out + bytes;
    return at + header + bytes;
  }
  if (kind === 1) bytes = ((tag >>> 2) & 7) + 4;
  const offset: usize =
    kind === 1 ? ((tag >>> 5) << 8) | load<u8>(at + 1) : kind === 2 ? load<u16>(at + 1) : load<u32>(at + 1);
  if (offset === 0 || offset > out - to || bytes > outEnd - out) return damaged(at - from);
  copyOverlapping(out, offset, bytes);
  elementEnd = out + bytes;
  return at + header;
}

let elementEnd: usize = 0;

function damaged(at: usize): usize {
  fail(L.ERROR_SNAPPY, at);
  return 0;
}

/** Copies at most 64 bytes in steps of 16, up to 15 bytes too many; the source does not reach into what is written. */
@inline
function copyWide(to: usize, from: usize, bytes: usize): void {
  v128.store(to, v128.load(from));
  if (bytes <= 16) return;
  v128.store(to, v128.load(from, 16), 16);
  if (bytes <= 32) return;
  v128.store(to, v128.load(from, 32), 32);
  v128.store(to, v128.load(from, 48), 48);
}

/** Repeats what lies `offset` bytes before `out`; the pieces may overlap. */
function copyOverlapping(out: usize, offset: usize, bytes: usize): void {
  let from = out - offset;
  const end = out + bytes;
  if (offset >= 8) {
    for (; out < end; out += 8, from += 8) store<u64>(out, load<u64>(from));
  } else {
    while (out < end) store<u8>(out++, load<u8>(from++));
  }
}
