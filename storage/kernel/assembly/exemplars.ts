/**
 * Exemplars: read, judged, and written out in one form for all protocols, so that equal ones are equal bytes: labels
 * sorted, none empty, then value and time.
 *
 *   Exemplar { Label labels = 1; double value = 2; int64 timestamp = 3 }
 *
 * At most 128 characters of names and values together, as OpenMetrics has it.
 */
import * as L from '../layout';
import { readVarint, varintEnd, writeVarint } from './bytes';
import { fail, fieldEnd, fieldNumber, readField, wireType } from './fields';
import {
  labelCount,
  labelName,
  labelNameLength,
  labelValue,
  labelValueLength,
  readLabels,
  skipField,
} from './labels';

const LABEL: u8 = 0x0a;
const VALUE: u8 = 0x11;
const TIME: u8 = 0x18;

/** An exemplar as it is stored. */
export const EXEMPLAR_BYTES: usize = L.SCRATCH + 262144;
export let exemplarLength: usize = 0;
export let exemplarTime: i64 = 0;
/** Where labels of exemplars are put together; nobody needs the body as received any more. */
export const EXEMPLAR_LABELS: usize = L.IN;

/** Checks the wire format of an exemplar of remote write 1.0 but for what is in its labels; false as `fail` says it. */
export function checkExemplar(at: usize, end: usize): bool {
  for (; at < end; at = fieldEnd) {
    const body = readField(at, end);
    if (body === 0) return false;
    if (fieldNumber === 1) {
      if (wireType !== 2) return fail(L.ERROR_FIELD_TYPE, at);
      const stop = fieldEnd;
      for (let field = body; field < stop; field = fieldEnd) {
        if (readField(field, stop) === 0) return false;
        if (fieldNumber <= 2 && wireType !== 2) return fail(L.ERROR_FIELD_TYPE, field);
      }
      fieldEnd = stop;
    } else if (fieldNumber === 2 && wireType !== 1) return fail(L.ERROR_FIELD_TYPE, at);
    else if (fieldNumber === 3 && wireType !== 0) return fail(L.ERROR_FIELD_TYPE, at);
  }
  return true;
}

/** Gathers the labels of an exemplar of remote write 1.0; returns how many bytes they are, more than fit if too many. */
export function gatherLabels(at: usize, end: usize): usize {
  let to = EXEMPLAR_LABELS;
  while (at < end) {
    const next = skipField(at, end);
    if (load<u8>(at) === LABEL) {
      if (to + (next - at) > EXEMPLAR_LABELS + L.MAX_EXEMPLAR_BYTES) return L.MAX_EXEMPLAR_BYTES + 1;
      memory.copy(to, at, next - at);
      to += next - at;
    }
    at = next;
  }
  return to - EXEMPLAR_LABELS;
}

/**
 * Writes out the exemplar at `at` whose `labels` bytes of labels were put together. One of EXEMPLAR_…, 0 if it is valid.
 */
export function writeExemplar(at: usize, end: usize, labels: usize): u32 {
  let value: u64 = 0;
  exemplarTime = 0;
  while (at < end) {
    const tag = load<u8>(at);
    if (tag === VALUE) value = load<u64>(at + 1);
    else if (tag === TIME) exemplarTime = <i64>readVarint(at + 1, end);
    at = skipField(at, end);
  }
  const problem = judgeLabels(labels);
  if (problem !== 0) return problem;
  let to = EXEMPLAR_BYTES;
  for (let i: u32 = 0; i < labelCount; i++) to = writeLabel(to, i);
  if (value !== 0) {
    store<u8>(to, VALUE);
    store<u64>(to + 1, value);
    to += 9;
  }
  if (exemplarTime !== 0) {
    store<u8>(to, TIME);
    to = writeVarint(to + 1, <u64>exemplarTime);
  }
  exemplarLength = to - EXEMPLAR_BYTES;
  return 0;
}

function judgeLabels(bytes: usize): u32 {
  if (bytes > L.MAX_EXEMPLAR_BYTES) return L.EXEMPLAR_TOO_LONG;
  const problem = readLabels(EXEMPLAR_LABELS, bytes);
  if (problem === L.REJECT_NOT_UTF8) return L.EXEMPLAR_NOT_UTF8;
  if (problem >= L.REJECT_TOO_MANY_LABELS && problem <= L.REJECT_SERIES_TOO_LONG) return L.EXEMPLAR_TOO_LONG;
  // What is an exemplar of has the name.
  if (problem !== 0 && problem !== L.REJECT_NO_NAME) return L.EXEMPLAR_BAD_LABELS;
  let characters: usize = 0;
  for (let i: u32 = 0; i < labelCount; i++)
    characters += countCharacters(labelName(i), labelNameLength(i)) + countCharacters(labelValue(i), labelValueLength(i));
  return characters > L.MAX_EXEMPLAR_CHARACTERS ? L.EXEMPLAR_TOO_LONG : 0;
}

function countCharacters(at: usize, length: usize): usize {
  let count: usize = 0;
  for (const end = at + length; at < end; at++) if ((load<u8>(at) & 0xc0) !== 0x80) count++;
  return count;
}

function writeLabel(to: usize, index: u32): usize {
  const name = labelNameLength(index),
    value = labelValueLength(index);
  store<u8>(to, LABEL);
  to = writeVarint(to + 1, 2 + varintBytes(name) + name + varintBytes(value) + value);
  store<u8>(to, 0x0a);
  to = writeVarint(to + 1, name);
  memory.copy(to, labelName(index), name);
  to += name;
  store<u8>(to, 0x12);
  to = writeVarint(to + 1, value);
  memory.copy(to, labelValue(index), value);
  return to + value;
}

/** Of a text within the limit of characters. */
@inline
function varintBytes(value: usize): usize {
  return value < 128 ? 1 : 2;
}
