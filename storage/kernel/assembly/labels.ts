/**
 * The wire bytes of a label set, put in canonical order: empty values removed, sorted by name; refused if a name is
 * missing, empty or doubled, if something is not UTF-8, or too long. The labels stand in SCRATCH as entries
 * (name, name length, value, value length), u32 each, pointing into the wire bytes.
 */
import * as L from '../layout';
import { compareBytes, equal, isUtf8, readVarint, varintEnd } from './bytes';

const ENTRY: usize = 16;

export let labelCount: u32 = 0;
/** For a refused series: what was counted or measured. */
export let labelActual: u32 = 0;
export function measure(actual: u32): void {
  labelActual = actual;
}

let maxLabels: u32 = 0;
let maxNameBytes: u32 = 0;
let maxValueBytes: u32 = 0;
let maxSeriesBytes: u32 = 0;

/** Whose limits hold for the label sets that are read next. */
export function setLabelLimits(tenant: usize): void {
  maxLabels = load<u32>(tenant, L.TENANT_MAX_LABELS);
  maxNameBytes = load<u32>(tenant, L.TENANT_MAX_NAME_BYTES);
  maxValueBytes = load<u32>(tenant, L.TENANT_MAX_VALUE_BYTES);
  maxSeriesBytes = load<u32>(tenant, L.TENANT_MAX_SERIES_BYTES);
}

/** The same for labels that are no tenant's series. */
export function setWidestLimits(): void {
  maxLabels = L.MAX_LABELS;
  maxNameBytes = L.MAX_NAME_BYTES;
  maxValueBytes = L.MAX_VALUE_BYTES;
  maxSeriesBytes = L.MAX_SERIES_BYTES;
}

/** Why a series of a tenant that holds as many as it may is refused. */
export function refuseForSeries(active: u32): u32 {
  labelActual = active;
  return L.REJECT_SERIES_LIMIT;
}

@inline
function entry(index: u32): usize {
  return <usize>L.SCRATCH + <usize>index * ENTRY;
}

export function labelName(index: u32): usize {
  return load<u32>(entry(index));
}
export function labelNameLength(index: u32): usize {
  return load<u32>(entry(index), 4);
}
export function labelValue(index: u32): usize {
  return load<u32>(entry(index), 8);
}
export function labelValueLength(index: u32): usize {
  return load<u32>(entry(index), 12);
}

/**
 * Reads, checks by the limits that were set, and sorts; the bytes were found well-formed before. Returns 0 or the reason
 * to refuse.
 */
export function readLabels(at: usize, length: usize): u32 {
  labelCount = labelActual = 0;
  let seen: u32 = 0,
    sorted = true,
    problem: u32 = 0;
  const end = at + length;
  while (at < end) {
    const bytes = <usize>readVarint(at + 1, end);
    const fields = varintEnd,
      stop = fields + bytes;
    at = stop;
    let name: usize = 0,
      nameLength: usize = 0,
      value: usize = 0,
      valueLength: usize = 0;
    for (let field = fields; field < stop; ) {
      const tag = load<u8>(field);
      if (tag !== 0x0a && tag !== 0x12) {
        field = skipField(field, stop);
        continue;
      }
      const size = <usize>readVarint(field + 1, stop);
      if (tag === 0x0a) {
        name = varintEnd;
        nameLength = size;
      } else {
        value = varintEnd;
        valueLength = size;
      }
      field = varintEnd + size;
    }
    if (nameLength === 0) return L.REJECT_EMPTY_NAME;
    if (valueLength === 0) continue; // an empty label is an absent one
    if (++seen > maxLabels) continue;
    if (problem === 0) problem = checkLabel(name, nameLength, value, valueLength);
    const last = seen - 1;
    if (last > 0 && sorted) sorted = compareBytes(labelName(last - 1), labelNameLength(last - 1), name, nameLength) < 0;
    const to = entry(last);
    store<u32>(to, <u32>name);
    store<u32>(to, <u32>nameLength, 4);
    store<u32>(to, <u32>value, 8);
    store<u32>(to, <u32>valueLength, 12);
  }
  if (seen > maxLabels) {
    labelActual = seen;
    return L.REJECT_TOO_MANY_LABELS;
  }
  if (problem !== 0) return problem;
  labelCount = seen;
  if (length > maxSeriesBytes) {
    labelActual = <u32>length;
    return L.REJECT_SERIES_TOO_LONG;
  }
  if (!sorted && !sortLabels()) return L.REJECT_DUPLICATE_LABEL;
  return hasMetricName() ? 0 : L.REJECT_NO_NAME;
}

function checkLabel(name: usize, nameLength: usize, value: usize, valueLength: usize): u32 {
  if (nameLength > maxNameBytes) {
    labelActual = <u32>nameLength;
    return L.REJECT_NAME_TOO_LONG;
  }
  if (valueLength > maxValueBytes) {
    labelActual = <u32>valueLength;
    return L.REJECT_VALUE_TOO_LONG;
  }
  return isUtf8(name, nameLength) && isUtf8(value, valueLength) ? 0 : L.REJECT_NOT_UTF8;
}

/** Insertion sort: at most MAX_LABELS entries, nearly always in order. False if a name is doubled. */
function sortLabels(): bool {
  for (let i: u32 = 1; i < labelCount; i++) {
    const moved = v128.load(entry(i));
    const name = labelName(i),
      length = labelNameLength(i);
    let j = i;
    for (; j > 0; j--) {
      const order = compareBytes(labelName(j - 1), labelNameLength(j - 1), name, length);
      if (order === 0) return false;
      if (order < 0) break;
      v128.store(entry(j), v128.load(entry(j - 1)));
    }
    v128.store(entry(j), moved);
  }
  return true;
}

function hasMetricName(): bool {
  for (let i: u32 = 0; i < labelCount; i++) {
    const at = labelName(i);
    // '__name__' read as one word
    if (labelNameLength(i) === 8 && load<u64>(at) === 0x5f5f656d616e5f5f) return true;
  }
  return false;
}

/** Whether one of the labels has a name of RESERVED_NAMES. */
export function hasReservedName(): bool {
  const names: usize = load<u32>(L.RESERVED_NAMES);
  if (names === 0) return false;
  const end = names + 4 + load<u32>(names);
  for (let at = names + 4; at < end; at += 1 + load<u8>(at))
    for (let i: u32 = 0; i < labelCount; i++)
      if (labelNameLength(i) === load<u8>(at) && equal(labelName(i), at + 1, load<u8>(at))) return true;
  return false;
}

/** The address behind a well-formed field; only for messages that were checked before. */
export function skipField(at: usize, end: usize): usize {
  const tag = readVarint(at, end);
  const body = varintEnd;
  switch (<u32>tag & 7) {
    case 0: {
      readVarint(body, end);
      return varintEnd;
    }
    case 1:
      return body + 8;
    case 5:
      return body + 4;
    default: {
      const size = <usize>readVarint(body, end);
      return varintEnd + size;
    }
  }
}

/** Reads the labels of a WAL definition (name length, name, value length, value)*, which are in canonical order. */
export function readDefinition(at: usize, end: usize): bool {
  labelCount = 0;
  while (at < end) {
    const to = entry(labelCount++);
    for (let half: usize = 0; half < 16; half += 8) {
      const size = <usize>readVarint(at, end);
      if (varintEnd === 0 || size > end - varintEnd || labelCount > L.MAX_LABELS) return false;
      store<u32>(to + half, <u32>varintEnd);
      store<u32>(to + half, <u32>size, 4);
      at = varintEnd + size;
    }
  }
  return true;
}
