/**
 * Snappy block format: a varint with the decoded length, then literals and copies. Every length and offset is checked
 * before it is used; copies may write up to 16 bytes behind the decoded end, which the regions leave room for.
 * Source: google/snappy format_description.txt.
 */
import * as L from '../layout';
import { readVarint, varintEnd } from './bytes';

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
  while (at < end) {
    const tag = load<u8>(at);
    if ((tag & 3) === 0) {
      let bytes = (<usize>tag >>> 2) + 1;
      if (bytes <= 16 && at + 17 <= end && out + bytes <= outEnd) {
        v128.store(out, v128.load(at + 1));
        out += bytes;
        at += bytes + 1;
        continue;
      }
      let header: usize = 1;
      if (bytes > 60) {
        const width = bytes - 60;
        if (at + 1 + width > end) return fail(L.ERROR_SNAPPY, at - from);
        bytes = 0;
        for (let i: usize = 0; i < width; i++) bytes |= <usize>load<u8>(at + 1 + i) << (i << 3);
        if (bytes === 0xffffffff) return fail(L.ERROR_SNAPPY, at - from);
        bytes += 1;
        header += width;
      }
      if (bytes > end - at - header || bytes > outEnd - out) return fail(L.ERROR_SNAPPY, at - from);
      memory.copy(out, at + header, bytes);
      out += bytes;
      at += header + bytes;
      continue;
    }
    let bytes: usize, offset: usize, header: usize;
    if ((tag & 3) === 1) {
      header = 2;
      if (at + 2 > end) return fail(L.ERROR_SNAPPY, at - from);
      bytes = ((<usize>tag >>> 2) & 7) + 4;
      offset = ((<usize>tag >>> 5) << 8) | load<u8>(at + 1);
    } else if ((tag & 3) === 2) {
      header = 3;
      if (at + 3 > end) return fail(L.ERROR_SNAPPY, at - from);
      bytes = (<usize>tag >>> 2) + 1;
      offset = load<u16>(at + 1);
    } else {
      header = 5;
      if (at + 5 > end) return fail(L.ERROR_SNAPPY, at - from);
      bytes = (<usize>tag >>> 2) + 1;
      offset = load<u32>(at + 1);
    }
    if (offset === 0 || offset > out - to || bytes > outEnd - out) return fail(L.ERROR_SNAPPY, at - from);
    copyBack(out, offset, bytes);
    out += bytes;
    at += header;
  }
  if (out !== outEnd) return fail(L.ERROR_SNAPPY, length);
  return <u32>declared;
}

/** Repeats what lies `offset` bytes before `out`; the pieces may overlap. */
// @ts-ignore: decorator
@inline
function copyBack(out: usize, offset: usize, bytes: usize): void {
  let from = out - offset;
  const end = out + bytes;
  if (offset >= 16) {
    do {
      v128.store(out, v128.load(from));
      out += 16;
      from += 16;
    } while (out < end);
  } else if (offset >= 8) {
    do {
      store<u64>(out, load<u64>(from));
      out += 8;
      from += 8;
    } while (out < end);
  } else {
    while (out < end) store<u8>(out++, load<u8>(from++));
  }
}
