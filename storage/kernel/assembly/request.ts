/**
 * A remote write 1.0 request, in two walks. `validate` checks the whole message, finds the aliases of its series and
 * leaves a plan, so that a damaged body stores nothing. `apply` follows the plan: makes what is new, places the samples
 * and writes the WAL records; it stops where the records are full and goes on when called again.
 *
 *   WriteRequest { TimeSeries timeseries = 1; MetricMetadata metadata = 3 }
 *   TimeSeries { Label labels = 1; Sample samples = 2; Exemplar exemplars = 3; Histogram histograms = 4 }
 *   Label { string name = 1; string value = 2 }  Sample { double value = 1; int64 timestamp = 2 }
 *
 * Fields may come in any order; senders write a series' labels first, and that is the fast way.
 * Source: prometheus prompb/remote.proto, prompb/types.proto.
 */
import * as L from '../layout';
import { equal, readVarint, varintEnd } from './bytes';
import { labelActual, readLabels, skipField } from './labels';
import { ROOM_FOR_SERIES, roomLeft } from './memory';
import { beginRecords, definitionsFull, endRecords, recordDefinition, recordSample, samplesFull } from './record';
import { CONFLICT, DUPLICATE, FIRST_REJECT, NO_ROOM, place, STORED } from './rows';
import { addAlias, aliasCandidate, aliasHash, findAlias, findHashedAlias, findOrMakeRow, rowIsNew } from './series';

const LABEL: u8 = 0x0a; // field 1, length-delimited
const SAMPLE: u8 = 0x12;
const EXEMPLAR: u8 = 0x1a;
const HISTOGRAM: u8 = 0x22;
/** Where scattered labels are gathered: the body as received is not needed any more, and they are not longer. */
const GATHERED: usize = L.IN;
const OFFENDER_LABELS: usize = L.SCRATCH + 1310720;

function fail(code: u32, at: usize): bool {
  store<u32>(L.ERROR_CODE, code);
  store<u32>(L.ERROR_AT, <u32>(at - L.RAW));
  return false;
}

/** Reads the tag at `at` and checks the bounds of its field. Returns where the field's content begins, 0 if damaged. */
let fieldNumber: u32 = 0;
let wireType: u32 = 0;
let fieldEnd: usize = 0;
function readField(at: usize, end: usize): usize {
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

/** Checks the message of `length` bytes in RAW and plans it. False with ERROR_CODE and ERROR_AT if it is damaged. */
export function validate(tenant: usize, length: usize): bool {
  const end = <usize>L.RAW + length;
  let count: u32 = 0,
    previous: usize = 0;
  firstUnknown = 0;
  wrongGuesses = 0;
  doubt = 0;
  store<u32>(L.PLAN_NEXT, 0);
  store<u32>(L.PLAN_COUNT, 0);
  memory.fill(L.OUT_RECEIVED, 0, L.OFFENDERS - L.OUT_RECEIVED);
  let at: usize = L.RAW;
  while (at < end) {
    const start = at;
    const body = readField(at, end);
    if (body === 0) return false;
    at = fieldEnd;
    if (fieldNumber === 3 && wireType !== 2) return fail(L.ERROR_FIELD_TYPE, start);
    // What remote write 2.0 has there: passed over as unknown it would be acknowledged and lost.
    if ((fieldNumber === 4 || fieldNumber === 5) && wireType === 2) return fail(L.ERROR_VERSION, start);
    if (fieldNumber !== 1) continue;
    if (wireType !== 2) return fail(L.ERROR_FIELD_TYPE, start);
    if (count === L.MAX_SERIES_PER_REQUEST) return fail(L.ERROR_SERIES_COUNT, start);
    const entry = <usize>L.PLAN + <usize>count * L.PLAN_ENTRY_BYTES;
    if (!planSeries(tenant, entry, body, at, previous)) return false;
    count++;
    const planned = entry + L.PLAN_ENTRY_BYTES;
    if (
      firstUnknown !== 0 &&
      planned - firstUnknown >= FETCH_AHEAD * L.PLAN_ENTRY_BYTES &&
      !findUnknown(tenant, firstUnknown, planned)
    )
      return false;
    previous = load<u32>(entry, L.PLAN_ALIAS);
  }
  if (firstUnknown !== 0 && !findUnknown(tenant, firstUnknown, <usize>L.PLAN + <usize>count * L.PLAN_ENTRY_BYTES))
    return false;
  store<u32>(L.PLAN_COUNT, count);
  return true;
}

/** So many series are looked ahead at. */
const FETCH_AHEAD: u32 = 16;
/** What was only touched ends up here, so that the reads are not optimized away. */
let fetched: u32 = 0;

/** In a request that mixes its series nothing is guessed for so many looks: a wrong guess costs cache misses. */
const GUESS_AGAIN_AFTER: i32 = 64;
let wrongGuesses: u32 = 0;
let doubt: i32 = 0;

function planSeries(tenant: usize, entry: usize, body: usize, end: usize, previous: usize): bool {
  let alias: usize = previous === 0 || --doubt > 0 ? 0 : <usize>load<u32>(previous, L.ALIAS_NEXT);
  let fields = body;
  if (alias !== 0) {
    const length: usize = load<u32>(alias, L.ALIAS_LENGTH);
    const ends = body + length;
    if (length < end - body && load<u8>(ends) !== LABEL && equal(alias + L.ALIAS_WIRE, body, length)) {
      fields = ends;
      wrongGuesses = 0;
    } else {
      alias = 0;
      if (++wrongGuesses > 4) doubt = GUESS_AGAIN_AFTER;
    }
  }
  if (alias === 0) {
    while (fields < end && load<u8>(fields) === LABEL) {
      if (readField(fields, end) === 0) return false;
      fields = fieldEnd;
    }
  }
  const labelsLength = fields - body;
  const inOnePiece = checkFields(entry, fields, end);
  if (inOnePiece < 0) return false;
  if (inOnePiece === 0 && !checkLabels(body, fields)) return false;
  store<u32>(entry, <u32>body, L.PLAN_LABELS);
  store<u32>(entry, inOnePiece !== 0 ? <u32>labelsLength : L.SCATTERED, L.PLAN_LABELS_BYTES);
  store<u32>(entry, <u32>(inOnePiece !== 0 ? fields : body), L.PLAN_FIELDS);
  store<u32>(entry, <u32>end, L.PLAN_END);
  store<u32>(entry, 0, L.PLAN_ROW);
  store<u32>(entry, <u32>(inOnePiece !== 0 ? alias : 0), L.PLAN_ALIAS);
  if (alias !== 0 || inOnePiece === 0) return true;
  store<u32>(entry, aliasHash(tenant, body, labelsLength), L.PLAN_ROW);
  if (doubt <= 0) return findUnknown(tenant, entry, entry + L.PLAN_ENTRY_BYTES);
  if (firstUnknown === 0) firstUnknown = entry;
  return true;
}

/** The first entry of the plan whose alias is still to be found, its hash in PLAN_ROW; 0 = none. */
let firstUnknown: usize = 0;

/**
 * Finds the aliases of the entries from `at` to `end` that have none, all steps of a kind together, so that the cache
 * misses overlap. Bytes that an alias has are well-formed; only the labels of others are looked into.
 */
function findUnknown(tenant: usize, at: usize, end: usize): bool {
  let touched: u32 = 0;
  for (let entry = at; entry < end; entry += L.PLAN_ENTRY_BYTES)
    touched ^= <u32>aliasCandidate(load<u32>(entry, L.PLAN_ROW));
  for (let entry = at; entry < end; entry += L.PLAN_ENTRY_BYTES) {
    const alias = aliasCandidate(load<u32>(entry, L.PLAN_ROW));
    touched ^= load<u32>(alias, L.ALIAS_LENGTH) ^ load<u32>(alias, 64) ^ load<u32>(alias, 128);
  }
  fetched = touched;
  for (let entry = at; entry < end; entry += L.PLAN_ENTRY_BYTES) {
    const hash = load<u32>(entry, L.PLAN_ROW);
    const labels: usize = load<u32>(entry, L.PLAN_LABELS),
      length: usize = load<u32>(entry, L.PLAN_LABELS_BYTES);
    store<u32>(entry, 0, L.PLAN_ROW);
    if (load<u32>(entry, L.PLAN_ALIAS) !== 0 || length === L.SCATTERED) continue;
    const alias = findHashedAlias(tenant, labels, length, hash);
    if (alias === 0 && !checkLabels(labels, labels + length)) return false;
    store<u32>(entry, <u32>alias, L.PLAN_ALIAS);
  }
  firstUnknown = 0;
  return true;
}

/** The label fields of a series from `at` on, whose own bounds were checked. */
function checkLabels(at: usize, end: usize): bool {
  for (; at < end; at = fieldEnd) if (!checkLabel(at, end)) return false;
  return true;
}

/** A label field and what is in it; leaves its end in `fieldEnd`. */
function checkLabel(at: usize, end: usize): bool {
  const body = readField(at, end);
  if (body === 0) return false;
  if (wireType !== 2) return fail(L.ERROR_FIELD_TYPE, at);
  const stop = fieldEnd;
  for (let field = body; field < stop; field = fieldEnd) {
    if (readField(field, stop) === 0) return false;
    if (fieldNumber <= 2 && wireType !== 2) return fail(L.ERROR_FIELD_TYPE, field);
  }
  fieldEnd = stop;
  return true;
}

/** Checks the fields of a series behind its first labels and counts its samples: -1 damaged, 0 more labels, 1 none. */
function checkFields(entry: usize, at: usize, end: usize): i32 {
  let samples: u32 = 0,
    histograms: u32 = 0,
    inOnePiece = 1;
  while (at < end) {
    const start = at;
    // The usual sample: 09 value, 10 time, in one byte's length.
    if (load<u8>(at) === SAMPLE && load<u8>(at, 2) === 0x09 && load<u8>(at, 11) === 0x10) {
      const size: usize = load<u8>(at, 1);
      if (size < 128 && at + 2 + size <= end && size > 10) {
        readVarint(at + 12, at + 2 + size);
        if (varintEnd === at + 2 + size) {
          at = varintEnd;
          samples++;
          continue;
        }
      }
    }
    const body = readField(at, end);
    if (body === 0) return -1;
    at = fieldEnd;
    if (fieldNumber > 4) continue;
    if (wireType !== 2) {
      fail(L.ERROR_FIELD_TYPE, start);
      return -1;
    }
    if (fieldNumber === 1) {
      if (!checkLabel(start, end)) return -1;
      inOnePiece = 0;
    } else if (fieldNumber === 2) {
      if (!checkSample(body, at)) return -1;
      samples++;
    } else if (fieldNumber === 4) histograms++;
    else store<u32>(L.OUT_EXEMPLARS, load<u32>(L.OUT_EXEMPLARS) + 1);
  }
  store<u32>(entry, samples + histograms, L.PLAN_SAMPLES);
  return inOnePiece;
}

function checkSample(at: usize, end: usize): bool {
  for (; at < end; at = fieldEnd) {
    if (readField(at, end) === 0) return false;
    if (fieldNumber === 1 && wireType !== 1) return fail(L.ERROR_FIELD_TYPE, at);
    if (fieldNumber === 2 && wireType !== 0) return fail(L.ERROR_FIELD_TYPE, at);
  }
  return true;
}

// The outcome of the series at work.
let stored: u32 = 0;
let duplicates: u32 = 0;
let conflicts: u32 = 0;
let newest: i64 = 0;

/**
 * Applies the plan from where it stopped. `latest` is the newest time that is accepted. Answers APPLIED, APPLIED_PART
 * (the records are full: call again when the ring has room) or OUT_OF_MEMORY (what was applied stays applied); in each
 * case the records are in the ring.
 */
export function apply(tenant: usize, latest: i64): u32 {
  const count = load<u32>(L.PLAN_COUNT);
  const sealedUntil = load<i64>(tenant, L.TENANT_SEALED_UNTIL);
  let next = load<u32>(L.PLAN_NEXT),
    previous: usize = 0,
    result: u32 = L.APPLIED;
  stored = duplicates = conflicts = 0;
  newest = load<i64>(tenant, L.TENANT_NEWEST);
  beginRecords();
  for (; next < count; next++) {
    const entry = <usize>L.PLAN + <usize>next * L.PLAN_ENTRY_BYTES;
    if (!roomLeft(ROOM_FOR_SERIES)) {
      result = L.OUT_OF_MEMORY;
      break;
    }
    if (definitionsFull(0)) {
      result = L.APPLIED_PART;
      break;
    }
    if ((next & (FETCH_AHEAD - 1)) === 0) fetchAhead(entry);
    if (load<u32>(entry, L.PLAN_SAMPLES) === 0) continue;
    let alias: usize = load<u32>(entry, L.PLAN_ALIAS);
    let row: usize = load<u32>(entry, L.PLAN_ROW);
    if (alias !== 0) row = load<u32>(alias, L.ALIAS_ROW);
    else if (row === 0) {
      row = resolve(tenant, entry);
      if (row === 0) continue;
      store<u32>(entry, <u32>row, L.PLAN_ROW);
      alias = load<u32>(entry, L.PLAN_ALIAS);
    }
    if (previous !== 0 && alias !== 0 && load<u32>(previous, L.ALIAS_NEXT) !== <u32>alias)
      store<u32>(previous, <u32>alias, L.ALIAS_NEXT);
    previous = alias;
    result = applySamples(tenant, row, entry, latest, sealedUntil);
    if (result !== L.APPLIED) break;
  }
  store<u32>(L.PLAN_NEXT, next);
  report(tenant);
  endRecords();
  return result;
}

/**
 * Touches what the next series will need, all of a kind in one short loop, so that the cache misses overlap: rows, then
 * the ends of their open chunks. Entries behind the plan hold old pointers or none, which may be read.
 */
function fetchAhead(entry: usize): void {
  const end = entry + FETCH_AHEAD * L.PLAN_ENTRY_BYTES;
  let touched: u32 = 0;
  for (let at = entry; at < end; at += L.PLAN_ENTRY_BYTES)
    touched ^= load<u32>(load<u32>(at, L.PLAN_ALIAS), L.ALIAS_ROW);
  for (let at = entry; at < end; at += L.PLAN_ENTRY_BYTES)
    touched ^= load<u8>(load<u32>(load<u32>(at, L.PLAN_ALIAS), L.ALIAS_ROW) + L.ROW_OPEN, L.OPEN_PUBLISHED);
  for (let at = entry; at < end; at += L.PLAN_ENTRY_BYTES) {
    const row: usize = load<u32>(load<u32>(at, L.PLAN_ALIAS), L.ALIAS_ROW);
    touched ^= load<u8>(
      load<u32>(row + L.ROW_OPEN, L.OPEN_BUFFER) + (load<u32>(row + L.ROW_OPEN, L.OPEN_PUBLISHED) >>> 3),
    );
  }
  fetched = touched;
}

function report(tenant: usize): void {
  store<i64>(tenant, newest, L.TENANT_NEWEST);
  store<u64>(tenant, load<u64>(tenant, L.TENANT_SAMPLES) + stored, L.TENANT_SAMPLES);
  store<u32>(L.OUT_STORED, load<u32>(L.OUT_STORED) + stored);
  store<u32>(L.OUT_DUPLICATES, load<u32>(L.OUT_DUPLICATES) + duplicates);
  store<u32>(L.OUT_CONFLICTS, load<u32>(L.OUT_CONFLICTS) + conflicts);
}

/** The row of a series whose wire labels are not known yet; 0 if it is refused. Leaves its alias in the plan. */
function resolve(tenant: usize, entry: usize): usize {
  const wire = wireLabels(entry),
    length = wireLength;
  let alias: usize = length > L.MAX_SERIES_BYTES ? 0 : findAlias(tenant, wire, length);
  if (alias === 0) {
    const problem = readLabels(wire, length);
    if (problem !== 0) {
      reject(problem, load<u32>(entry, L.PLAN_SAMPLES), entry, 0);
      return 0;
    }
    const row = findOrMakeRow(tenant);
    if (rowIsNew) {
      recordDefinition(row);
      store<u32>(L.OUT_NEW_SERIES, load<u32>(L.OUT_NEW_SERIES) + 1);
    }
    alias = addAlias(tenant, wire, length, row);
    if (alias === 0) return row;
  }
  store<u32>(entry, <u32>alias, L.PLAN_ALIAS);
  return load<u32>(alias, L.ALIAS_ROW);
}

let wireLength: usize = 0;

/** The label fields of a series in one piece, `wireLength` bytes; valid until those of another one are asked for. */
function wireLabels(entry: usize): usize {
  const labels: usize = load<u32>(entry, L.PLAN_LABELS);
  wireLength = load<u32>(entry, L.PLAN_LABELS_BYTES);
  if (wireLength !== L.SCATTERED) return labels;
  const end: usize = load<u32>(entry, L.PLAN_END);
  let to = GATHERED;
  for (let at = labels; at < end; ) {
    const next = skipField(at, end);
    if (load<u8>(at) === LABEL) {
      memory.copy(to, at, next - at);
      to += next - at;
    }
    at = next;
  }
  wireLength = to - GATHERED;
  return GATHERED;
}

/** Places the samples of a series: APPLIED, or APPLIED_PART or OUT_OF_MEMORY with the place to go on in the plan. */
function applySamples(tenant: usize, row: usize, entry: usize, latest: i64, sealedUntil: i64): u32 {
  const end: usize = load<u32>(entry, L.PLAN_END),
    ref = load<u64>(row, L.ROW_REF);
  let at: usize = load<u32>(entry, L.PLAN_FIELDS);
  while (at < end) {
    const tag = load<u8>(at);
    if (tag !== SAMPLE) {
      if (tag === HISTOGRAM) reject(L.REJECT_HISTOGRAM, 1, entry, 0);
      at = skipField(at, end);
      continue;
    }
    if (samplesFull()) {
      store<u32>(entry, <u32>at, L.PLAN_FIELDS);
      return L.APPLIED_PART;
    }
    const start = at,
      size = <usize>readVarint(at + 1, end);
    const body = varintEnd;
    at = body + size;
    let value: u64 = 0,
      time: i64 = 0;
    for (let field = body; field < at; ) {
      const fieldTag = load<u8>(field);
      if (fieldTag === 0x09) {
        value = load<u64>(field + 1);
        field += 9;
      } else if (fieldTag === 0x10) {
        time = <i64>readVarint(field + 1, at);
        field = varintEnd;
      } else field = skipField(field, at);
    }
    const verdict =
      time < 0
        ? FIRST_REJECT + L.REJECT_NEGATIVE_TIME
        : time > latest
          ? FIRST_REJECT + L.REJECT_FUTURE
          : place(tenant, row, time, value, sealedUntil);
    if (verdict === STORED) {
      stored++;
      if (time > newest) newest = time;
      recordSample(ref, time, value);
    } else if (verdict === DUPLICATE) duplicates++;
    else if (verdict === CONFLICT) conflicts++;
    else if (verdict === NO_ROOM) {
      store<u32>(entry, <u32>start, L.PLAN_FIELDS);
      return L.OUT_OF_MEMORY;
    } else reject(verdict - FIRST_REJECT, 1, entry, time);
  }
  return L.APPLIED;
}

/** Counts rejected samples and remembers the first offenders. */
function reject(reason: u32, samples: u32, entry: usize, time: i64): void {
  const counter = <usize>L.OUT_REJECTED + ((<usize>reason) << 2);
  store<u32>(counter, load<u32>(counter) + samples);
  const offenders = load<u32>(L.OUT_OFFENDERS);
  if (offenders === 3) return;
  const at = <usize>L.OFFENDERS + <usize>offenders * L.OFFENDER_BYTES;
  const copy = OFFENDER_LABELS + <usize>offenders * L.MAX_SERIES_BYTES;
  const labels = wireLabels(entry),
    length = min<usize>(wireLength, L.MAX_SERIES_BYTES);
  memory.copy(copy, labels, length);
  store<u32>(at, reason, L.OFFENDER_REASON);
  store<u32>(at, <u32>copy, L.OFFENDER_LABELS);
  store<u32>(at, <u32>length, L.OFFENDER_LABELS_BYTES);
  store<u32>(at, labelActual, L.OFFENDER_ACTUAL);
  store<i64>(at, time, L.OFFENDER_TIME);
  store<u32>(L.OUT_OFFENDERS, offenders + 1);
}
