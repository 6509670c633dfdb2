/**
 * A remote write 1.0 request is checked whole, the aliases of its series are found, and a plan is left for `apply`.
 *
 *   WriteRequest { TimeSeries timeseries = 1; MetricMetadata metadata = 3 }
 *   TimeSeries { Label labels = 1; Sample samples = 2; Exemplar exemplars = 3; Histogram histograms = 4 }
 *   Label { string name = 1; string value = 2 }  Sample { double value = 1; int64 timestamp = 2 }
 *   MetricMetadata { MetricType type = 1; string metric_family_name = 2; string help = 4; string unit = 5 }
 *
 * Fields may come in any order; senders write a series' labels first, and that is the fast way.
 * Source: prometheus prompb/remote.proto, prompb/types.proto.
 */
import * as L from '../layout';
import { equal, readVarint, varintEnd } from './bytes';
import { fail, fieldEnd, fieldNumber, readField, wireType } from './fields';
import { checkExemplar } from './exemplars';
import { checkHistogram } from './histogram';
import { readFamilyMetadata } from './metadata';
import { beginPlan, FETCH_AHEAD, LABEL, planEntry, SAMPLE, touch } from './plan';
import { aliasCandidate, aliasHash, findHashedAlias } from './series';

const SERIES: u8 = 0x0a; // of the request

/** Checks the message of `length` bytes in RAW and plans it. False with ERROR_CODE and ERROR_AT if it is damaged. */
export function validateV1(tenant: usize, length: usize): bool {
  const end = <usize>L.RAW + length;
  let count: u32 = 0,
    previous: usize = 0;
  firstUnknown = 0;
  wrongGuesses = 0;
  doubt = 0;
  beginPlan(L.PROTOCOL_V1);
  let at: usize = L.RAW;
  while (at < end) {
    const start = at;
    let body = openSeries(at, end);
    if (body !== 0) at = seriesEnd;
    else {
      body = readField(at, end);
      if (body === 0) return false;
      at = fieldEnd;
      if (fieldNumber === 3) {
        if (wireType !== 2) return fail(L.ERROR_FIELD_TYPE, start);
        if (!readFamilyMetadata(body, at)) return false;
        continue;
      }
      // What remote write 2.0 has there: passed over as unknown it would be acknowledged and lost.
      if ((fieldNumber === 4 || fieldNumber === 5) && wireType === 2) return fail(L.ERROR_VERSION, start);
      if (fieldNumber !== 1) continue;
      if (wireType !== 2) return fail(L.ERROR_FIELD_TYPE, start);
    }
    if (count === L.MAX_SERIES_PER_REQUEST) return fail(L.ERROR_SERIES_COUNT, start);
    const entry = planEntry(count);
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
  if (firstUnknown !== 0 && !findUnknown(tenant, firstUnknown, planEntry(count)))
    return false;
  store<u32>(L.PLAN_COUNT, count);
  return true;
}

/** Where the content of a series begins whose length takes a byte or two, as nearly all are; 0 if it is another field. */
let seriesEnd: usize = 0;
@inline
function openSeries(at: usize, end: usize): usize {
  if (load<u8>(at) !== SERIES) return 0;
  const low: usize = load<u8>(at, 1),
    high: usize = load<u8>(at, 2);
  if (low > 127 && high > 127) return 0;
  const body = at + (low < 128 ? 2 : 3),
    size = low < 128 ? low : (low & 127) | (high << 7);
  seriesEnd = body + size;
  return seriesEnd <= end ? body : 0;
}

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
    // An alias that died may live again as one of another tenant.
    if (
      length < end - body &&
      load<u8>(ends) !== LABEL &&
      load<u32>(alias, L.ALIAS_TENANT) === <u32>tenant &&
      equal(alias + L.ALIAS_WIRE, body, length)
    ) {
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
  touch(touched);
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
    exemplars: u32 = 0,
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
    } else if (fieldNumber === 4) {
      if (!checkHistogram(body, at)) return -1;
      histograms++;
    } else {
      if (!checkExemplar(body, at)) return -1;
      exemplars++;
    }
  }
  store<u32>(entry, (samples + histograms) | (exemplars === 0 ? 0 : L.HAS_EXEMPLARS), L.PLAN_SAMPLES);
  if (exemplars !== 0) store<u32>(L.OUT_EXEMPLARS, load<u32>(L.OUT_EXEMPLARS) + exemplars);
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
