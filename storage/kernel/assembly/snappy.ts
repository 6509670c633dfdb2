/**
 * Snappy block format: a varint with the decoded length, then literals and copies. Every length and offset is checked
 * before it is used; copies may write up to 16 bytes behind the decoded end, which the regions leave room for.
 * Source: google/snappy format_description.txt.
 */
import * as L from '../layout';
import { readVarint, varintEnd } from './bytes';

/** What the fast way may touch behind an element's start: 5 bytes of header, then 64 that are read or written at once. */
const FAST_ROOM: usize = 96;
/** The longest element of the fast way. */
const LONGEST: usize = 64;

/**
 * What a tag says, as u64 each: 0 u8 | bytes of output u8 | offset u16 | mask of the offset's bytes behind the tag u16 | all
 * bits for a literal u16. LONGEST bytes at offset 0: not for the fast way (lengths behind the tag, offsets
 * of four bytes).
 */
export function makeSnappyTable(): void {
  for (let tag: u32 = 0; tag < 256; tag++) {
    const kind = tag & 3,
      long = (tag >>> 2) + 1;
    let element: u64 = <u64>LONGEST << 8;
    if (kind === 0 && long <= 60) element = (<u64>0xffff << 48) | ((<u64>long) << 16) | (long << 8);
    else if (kind === 1)
      element = (<u64>0xff << 32) | (<u64>((tag >>> 5) << 8) << 16) | ((((tag >>> 2) & 7) + 4) << 8);
    else if (kind === 2) element = (<u64>0xffff << 32) | (long << 8);
    store<u64>(L.SNAPPY_TAGS + (tag << 3), element);
  }
}

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
  // Far from both ends an element needs no bounds of its own, and no branch to tell literals from copies by, which would
  // be guessed wrong at every other one.
  const safeEnd = end - min<usize>(end - from, FAST_ROOM),
    safeOutEnd = outEnd - min<usize>(<usize>declared, FAST_ROOM),
    farFrom = to + LONGEST;
  while (at < end) {
    if (out >= farFrom && at < safeEnd) {
      let tag: usize = load<u8>(at);
      while (at < safeEnd && out < safeOutEnd) {
        const element = load<u64>(L.SNAPPY_TAGS + (tag << 3));
        const offset = <usize>((load<u32>(at + 1) & <u32>(element >>> 32) & 0xffff) + (<u32>element >>> 16));
        const bytes = (<usize>element >>> 8) & 255;
        // A copy that repeats itself, damaged, or not for the fast way. All is read before anything is written, and what
        // is written behind the element counts for nothing: a copy may begin as near as it is long.
        if (offset - bytes > out - to - bytes) break;
        const isLiteral = <usize>(<i64>element >> 63), // all bits or none
          back = out - offset;
        copy64(out, back ^ ((back ^ (at + 1)) & isLiteral));
        out += bytes;
        // Elements wait for nothing but the tag before. So the table is not asked how long this one is, and the next tag
        // is read in both places where it can be.
        const kind = tag & 3,
          long = tag >>> 2;
        const behindLiteral = <usize>load<u8>(at + long, 2),
          behindCopy = <usize>load<u8>(at + kind, 1);
        at += select<usize>(long + 2, kind + 1, kind === 0);
        tag = select<usize>(behindLiteral, behindCopy, kind === 0);
      }
      if (at >= end) break;
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

/** The 64 bytes are read before the first one is written. */
@inline
function copy64(to: usize, from: usize): void {
  const a = v128.load(from),
    b = v128.load(from, 16),
    c = v128.load(from, 32),
    d = v128.load(from, 48);
  v128.store(to, a);
  v128.store(to, b, 16);
  v128.store(to, c, 32);
  v128.store(to, d, 48);
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
