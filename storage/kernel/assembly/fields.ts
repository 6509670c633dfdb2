/** Fields of protobuf messages that come from outside: read with every bound checked. */
import * as L from '../layout';
import { readVarint, varintEnd } from './bytes';

/** Says what is wrong with a whole request, and where; false. */
export function fail(code: u32, at: usize): bool {
  store<u32>(L.ERROR_CODE, code);
  store<u32>(L.ERROR_AT, <u32>(at - L.RAW));
  return false;
}

/** Reads the tag at `at` and checks the bounds of its field. Returns where the field's content begins, 0 if damaged. */
export let fieldNumber: u32 = 0;
export let wireType: u32 = 0;
export let fieldEnd: usize = 0;
export function readField(at: usize, end: usize): usize {
  const tag = readVarint(at, end);
  let body = varintEnd;
  if (body === 0 || tag > 0xffffffff || tag < 8 || body - at > 5 || (tag < 128 && body !== at + 1)) {
    fail(L.ERROR_VARINT, at);
    return 0;
  }
  fieldNumber = <u32>tag >>> 3;
  wireType = <u32>tag & 7;
  let size: u64 = 0;
  if (wireType === 0) {
    readVarint(body, end);
    size = varintEnd === 0 ? ~(<u64>0) : <u64>(varintEnd - body);
  } else if (wireType === 1) size = 8;
  else if (wireType === 5) size = 4;
  else if (wireType === 2) {
    size = readVarint(body, end);
    if (varintEnd === 0) size = ~(<u64>0);
    else body = varintEnd;
  } else {
    fail(L.ERROR_WIRE_TYPE, at);
    return 0;
  }
  if (size > <u64>(end - body)) {
    fail(L.ERROR_LENGTH, at);
    return 0;
  }
  fieldEnd = body + <usize>size;
  return body;
}
