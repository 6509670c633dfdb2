/**
 * A remote write 2.0 request is checked whole, its symbols become ours, the aliases of its series are found, and a plan is
 * left for `apply`. The key of an alias is the addresses of its label symbols, in the order sent.
 *
 *   Request { string symbols = 4; TimeSeries timeseries = 5 }
 *   TimeSeries { uint32 labels_refs = 1; Sample samples = 2; Histogram histograms = 3; Exemplar exemplars = 4;
 *                Metadata metadata = 5 }
 *   Sample { double value = 1; int64 timestamp = 2; int64 start_timestamp = 3 }
 *   Exemplar { uint32 labels_refs = 1; double value = 2; int64 timestamp = 3 }
 *   Metadata { MetricType type = 1; uint32 help_ref = 3; uint32 unit_ref = 4 }
 *
 * Fields may come in any order; senders write the symbols first, and that is the fast way. A series whose refs make no
 * sense is refused alone. Source: prometheus prompb/io/prometheus/write/v2/types.proto.
 */
import * as L from '../layout';
import { equal, finish, mix, readVarint, seeded, varintEnd } from './bytes';
import { fail, fieldEnd, fieldNumber, readField, wireType } from './fields';
import { checkHistogram } from './histogram';
import { beginPlan, FETCH_AHEAD, planEntry, SAMPLE, touch } from './plan';
import { addSymbol, beginSymbols, lookUp, requestSymbol, symbolLength, textHash } from './request-symbols';
import { aliasCandidate, aliasHash, findHashedAlias } from './series';

const REFS: u8 = 0x0a; // field 1, packed
const METADATA: u8 = 0x2a;
const SYMBOL: u8 = 0x22; // of the request
const SERIES: u8 = 0x2a;

/** The end of a field whose tag and length are a byte each, as nearly all are; 0 if it is another or reaches too far. */
@inline
function shortEnd(at: usize, end: usize): usize {
  const size: usize = load<u8>(at, 1);
  const stop = at + 2 + size;
  return size < 128 && stop <= end ? stop : 0;
}

/** In a request that mixes its series nothing is guessed for so many looks: a wrong guess costs cache misses. */
const GUESS_AGAIN_AFTER: i32 = 64;
let wrongGuesses: u32 = 0;
let doubt: i32 = 0;

/** Checks the message of `length` bytes in RAW and plans it. False with ERROR_CODE and ERROR_AT if it is damaged. */
export function validateV2(tenant: usize, length: usize): bool {
  const end = <usize>L.RAW + length;
  beginSymbols();
  if (!walk(tenant, end, true)) return false;
  // Symbols behind series: all of them are known now.
  return !symbolsBehind || walk(tenant, end, false);
}

/** Whether the last walk met a symbol behind a series. */
let symbolsBehind: bool = false;

function walk(tenant: usize, end: usize, collect: bool): bool {
  let count: u32 = 0,
    previous: usize = 0,
    older: usize = 0;
  wrongGuesses = 0;
  doubt = 0;
  pending = 0;
  lastMetadata = 0;
  if (collect) symbolsBehind = false;
  beginPlan(L.PROTOCOL_V2);
  for (let at: usize = L.RAW; at < end; ) {
    const start = at,
      tag = load<u8>(at);
    let body = at + 2;
    const short = tag === SYMBOL || tag === SERIES ? shortEnd(at, end) : 0;
    if (short !== 0) at = short;
    else {
      body = readField(at, end);
      if (body === 0) return false;
      at = fieldEnd;
      if (fieldNumber > 5) continue;
      if (fieldNumber < 4) {
        if (older === 0 && wireType === 2) older = start;
        continue;
      }
      if (wireType !== 2) return fail(L.ERROR_FIELD_TYPE, start);
    }
    if (tag === SYMBOL) {
      symbolsBehind = symbolsBehind || count > 0;
      if (collect && !addSymbol(body, at - body)) return fail(L.ERROR_SYMBOL_COUNT, start);
      continue;
    }
    if (count === L.MAX_SERIES_PER_REQUEST) return fail(L.ERROR_SERIES_COUNT, start);
    const entry = planEntry(count);
    if (!planSeries(tenant, entry, body, at, previous)) return false;
    count++;
    previous = load<u32>(entry, L.PLAN_ALIAS);
  }
  findPending(tenant);
  if (load<u32>(L.SYMBOL_COUNT) === 0 || symbolLength(0) !== 0)
    return fail(older !== 0 ? L.ERROR_OLDER_VERSION : L.ERROR_FIRST_SYMBOL, L.RAW);
  // What remote write 1.0 has there: passed over as unknown it would be acknowledged and lost.
  if (older !== 0) return fail(L.ERROR_VERSION, older);
  store<u32>(L.PLAN_COUNT, count);
  return true;
}

// The series at work.
let key: usize = 0;
let refs: u32 = 0;
let hasUnknown: bool = false;
/** Why it is refused: nothing to store, the first ref that no symbol has, an odd number of them, both kinds of samples. */
let problem: u32 = 0;
let measured: u32 = 0;

function planSeries(tenant: usize, entry: usize, body: usize, end: usize, previous: usize): bool {
  key = <usize>KEYS_FOUND + <usize>pending * KEY_BYTES;
  refs = 0;
  problem = 0;
  hasUnknown = false;
  metadataType = helpRef = unitRef = 0;
  let samples: u32 = 0,
    histograms: u32 = 0,
    exemplars: u32 = 0,
    fields = body,
    metadata: u32 = 0;
  for (let at = body; at < end; ) {
    const start = at;
    // The usual sample: 09 value, 10 time and perhaps 18 start, in one byte's length.
    if (load<u8>(at) === SAMPLE && load<u8>(at, 2) === 0x09 && load<u8>(at, 11) === 0x10) {
      const size: usize = load<u8>(at, 1),
        stop = at + 2 + size;
      if (size < 128 && stop <= end && size > 10) {
        readVarint(at + 12, stop);
        if (varintEnd !== 0 && varintEnd < stop && load<u8>(varintEnd) === 0x18) readVarint(varintEnd + 1, stop);
        if (varintEnd === stop) {
          at = stop;
          samples++;
          continue;
        }
      }
    }
    const tag = load<u8>(at);
    const short = tag === REFS || tag === METADATA ? shortEnd(at, end) : 0;
    if (short !== 0) {
      at = short;
      if (tag === METADATA) {
        metadata = readMetadata(start + 2, at);
        if (metadataDamaged) return false;
      } else {
        if (!readLabelRefs(start + 2, at)) return false;
        if (start === body) fields = at;
      }
      continue;
    }
    const content = readField(at, end);
    if (content === 0) return false;
    at = fieldEnd;
    if (fieldNumber > 5) continue;
    if (fieldNumber === 1) {
      if (wireType !== 2 && wireType !== 0) return fail(L.ERROR_FIELD_TYPE, start);
      if (!readLabelRefs(content, at)) return false;
      if (start === body && wireType === 2) fields = at;
      continue;
    }
    if (wireType !== 2) return fail(L.ERROR_FIELD_TYPE, start);
    if (fieldNumber === 2) {
      if (!checkSample(content, at)) return false;
      samples++;
    } else if (fieldNumber === 3) {
      if (!checkHistogram(content, at)) return false;
      histograms++;
    } else if (fieldNumber === 4) {
      if (!checkExemplar(content, at)) return false;
      exemplars++;
    } else {
      metadata = readMetadata(content, at);
      if (metadataDamaged) return false;
    }
  }
  store<u32>(L.OUT_CARRIED_SAMPLES, load<u32>(L.OUT_CARRIED_SAMPLES) + samples);
  if (histograms !== 0) store<u32>(L.OUT_CARRIED_HISTOGRAMS, load<u32>(L.OUT_CARRIED_HISTOGRAMS) + histograms);
  store<u32>(entry, <u32>body, L.PLAN_LABELS);
  store<u32>(entry, metadata, L.PLAN_METADATA);
  store<u32>(entry, <u32>fields, L.PLAN_FIELDS);
  store<u32>(entry, <u32>end, L.PLAN_END);
  if (exemplars !== 0) store<u32>(L.OUT_EXEMPLARS, load<u32>(L.OUT_EXEMPLARS) + exemplars);
  const hasExemplars = exemplars === 0 ? 0 : L.HAS_EXEMPLARS;
  store<u32>(entry, (samples + histograms) | hasExemplars, L.PLAN_SAMPLES);
  store<u32>(entry, 0, L.PLAN_ALIAS);
  store<u32>(entry, 0, L.PLAN_ROW);
  if (samples === 0 && histograms === 0) problem = L.REJECT_NO_SAMPLES;
  else if (problem === 0 && refs & 1) {
    problem = L.REJECT_ODD_REFS;
    measured = refs;
  } else if (problem === 0 && samples !== 0 && histograms !== 0) problem = L.REJECT_BOTH_KINDS;
  if (problem !== 0) {
    store<u32>(entry, problem, L.PLAN_ROW);
    store<u32>(entry, max<u32>(samples + histograms, 1) | hasExemplars, L.PLAN_SAMPLES);
    store<u32>(entry, measured, L.PLAN_FIELDS);
  } else if (!hasUnknown && refs !== 0 && refs <= L.MAX_KEY_SYMBOLS) plan(tenant, entry, previous);
  return true;
}

/** Finds the alias of a series whose symbols are all known, at once or with others. */
function plan(tenant: usize, entry: usize, previous: usize): void {
  const length = (<usize>refs) << 2;
  if (previous !== 0 && --doubt <= 0) {
    const alias: usize = load<u32>(previous, L.ALIAS_NEXT);
    // An alias that died may live again as one of another tenant.
    if (
      alias !== 0 &&
      load<u32>(alias, L.ALIAS_LENGTH) === <u32>length &&
      load<u32>(alias, L.ALIAS_TENANT) === <u32>tenant &&
      equal(alias + L.ALIAS_WIRE, key, length)
    ) {
      wrongGuesses = 0;
      store<u32>(entry, <u32>alias, L.PLAN_ALIAS);
      return;
    }
    if (++wrongGuesses > 4) doubt = GUESS_AGAIN_AFTER;
  }
  const look = pendingLook(pending++);
  store<u32>(look, <u32>entry, LOOK_ENTRY);
  store<u32>(look, aliasHash(tenant, key, length), LOOK_HASH);
  store<u32>(look, <u32>length, LOOK_LENGTH);
  if (pending === FETCH_AHEAD || doubt <= 0) findPending(tenant);
}

// Series that are looked up together: what they are, then their keys. One key more is room for the series at work.
const LOOK_ENTRY: usize = 0;
const LOOK_HASH: usize = 4;
const LOOK_LENGTH: usize = 8;
const KEYS_FOUND: u32 = L.KEYS + FETCH_AHEAD * 16;
const KEY_BYTES: usize = L.MAX_KEY_SYMBOLS * 4 + 16;
let pending: u32 = 0;

@inline
function pendingLook(index: u32): usize {
  return <usize>L.KEYS + ((<usize>index) << 4);
}

/** All steps of a kind together, so that the cache misses overlap. */
function findPending(tenant: usize): void {
  let touched: u32 = 0;
  for (let i: u32 = 0; i < pending; i++) touched ^= <u32>aliasCandidate(load<u32>(pendingLook(i), LOOK_HASH));
  for (let i: u32 = 0; i < pending; i++) {
    const alias = aliasCandidate(load<u32>(pendingLook(i), LOOK_HASH));
    touched ^= load<u32>(alias, L.ALIAS_LENGTH) ^ load<u32>(alias, 64);
  }
  touch(touched);
  for (let i: u32 = 0; i < pending; i++) {
    const look = pendingLook(i);
    const alias = findHashedAlias(
      tenant,
      <usize>KEYS_FOUND + <usize>i * KEY_BYTES,
      load<u32>(look, LOOK_LENGTH),
      load<u32>(look, LOOK_HASH),
    );
    store<u32>(load<u32>(look, LOOK_ENTRY), <u32>alias, L.PLAN_ALIAS);
  }
  pending = 0;
}

/** Label refs of a field, packed or one: they become the key. */
function readLabelRefs(at: usize, end: usize): bool {
  const count = load<u32>(L.SYMBOL_COUNT);
  while (at < end) {
    let index: u32 = load<u8>(at++);
    if (index > 127) {
      const second: u32 = load<u8>(at);
      if (second < 128 && at < end) {
        index = (index & 127) | (second << 7);
        at++;
      } else {
        index = <u32>readVarint(at - 1, end);
        if (varintEnd === 0) return fail(L.ERROR_LENGTH, at - 1);
        at = varintEnd;
      }
    }
    if (index >= count) refuseRef(index);
    else if (refs < L.MAX_KEY_SYMBOLS) {
      let symbol = load<u32>(requestSymbol(index), L.REQUEST_SYMBOL);
      if (symbol <= L.UNKNOWN_SYMBOL) {
        if (symbol === 0) symbol = lookUp(index);
        hasUnknown = hasUnknown || symbol === L.UNKNOWN_SYMBOL;
      }
      store<u32>(key + ((<usize>refs) << 2), symbol);
    }
    refs++;
  }
  return true;
}

function readExemplarRefs(at: usize, end: usize): bool {
  const count = load<u32>(L.SYMBOL_COUNT);
  for (; at < end; at = varintEnd) {
    const index = <u32>readVarint(at, end);
    if (varintEnd === 0) return fail(L.ERROR_LENGTH, at);
    if (index >= count) refuseRef(index);
    exemplarRefs++;
  }
  return true;
}

function refuseRef(index: u32): void {
  if (problem === L.REJECT_SYMBOL_REF) return;
  problem = L.REJECT_SYMBOL_REF;
  measured = index;
}

function checkSample(at: usize, end: usize): bool {
  for (; at < end; at = fieldEnd) {
    if (readField(at, end) === 0) return false;
    if (fieldNumber === 1 && wireType !== 1) return fail(L.ERROR_FIELD_TYPE, at);
    if ((fieldNumber === 2 || fieldNumber === 3) && wireType !== 0) return fail(L.ERROR_FIELD_TYPE, at);
  }
  return true;
}

let exemplarRefs: u32 = 0;

function checkExemplar(at: usize, end: usize): bool {
  exemplarRefs = 0;
  while (at < end) {
    const start = at;
    const content = readField(at, end);
    if (content === 0) return false;
    at = fieldEnd;
    if (fieldNumber === 1) {
      if (wireType !== 2 && wireType !== 0) return fail(L.ERROR_FIELD_TYPE, start);
      if (!readExemplarRefs(content, at)) return false;
    } else if (fieldNumber === 2 && wireType !== 1) return fail(L.ERROR_FIELD_TYPE, start);
    else if (fieldNumber === 3 && wireType !== 0) return fail(L.ERROR_FIELD_TYPE, start);
  }
  if (exemplarRefs & 1 && problem === 0) {
    problem = L.REJECT_ODD_REFS;
    measured = exemplarRefs;
  }
  return true;
}

// What is said of the metric of the series at work; several fields of it are one message, as protobuf has it.
let metadataType: u32 = 0;
let helpRef: u32 = 0;
let unitRef: u32 = 0;
let metadataDamaged: bool = false;
// The same bytes mean the same in all of a request.
let lastMetadata: usize = 0;
let lastMetadataLength: usize = 0;
let lastIdentity: u32 = 0;
let lastType: u32 = 0;
let lastHelp: u32 = 0;
let lastUnit: u32 = 0;

/** The identity of what a metadata field says, 0 = nothing: of the text, since symbols come and go. */
function readMetadata(at: usize, end: usize): u32 {
  metadataDamaged = false;
  const body = at,
    length = end - at;
  const isFirst = (metadataType | helpRef | unitRef) === 0;
  if (isFirst && lastMetadata !== 0 && length === lastMetadataLength && equal(lastMetadata, at, length)) {
    metadataType = lastType;
    helpRef = lastHelp;
    unitRef = lastUnit;
    return lastIdentity;
  }
  // The usual one: type, then help.
  if (isFirst && length > 3 && load<u8>(at) === 0x08 && load<u8>(at, 1) < 128 && load<u8>(at, 2) === 0x18) {
    const value = <u32>readVarint(at + 3, end);
    if (varintEnd === end) {
      metadataType = load<u8>(at, 1);
      helpRef = value;
      at = end;
    }
  }
  while (at < end) {
    const start = at;
    const content = readField(at, end);
    metadataDamaged = content === 0;
    if (metadataDamaged) return 0;
    at = fieldEnd;
    if (fieldNumber !== 1 && fieldNumber !== 3 && fieldNumber !== 4) continue;
    metadataDamaged = wireType !== 0 && !fail(L.ERROR_FIELD_TYPE, start);
    if (metadataDamaged) return 0;
    const value = <u32>readVarint(content, at);
    if (fieldNumber === 1) metadataType = value;
    else if (fieldNumber === 3) helpRef = value;
    else unitRef = value;
  }
  const count = load<u32>(L.SYMBOL_COUNT);
  if (helpRef >= count) refuseRef(helpRef);
  else if (unitRef >= count) refuseRef(unitRef);
  if (problem !== 0) return 0;
  const identity = identityOf();
  if (isFirst) {
    lastMetadata = body;
    lastMetadataLength = length;
    lastIdentity = identity;
    lastType = metadataType;
    lastHelp = helpRef;
    lastUnit = unitRef;
  }
  return identity;
}

function identityOf(): u32 {
  if ((metadataType | helpRef | unitRef) === 0) return 0;
  const hash = mix(mix(seeded(), metadataType), ((<u64>textHash(helpRef)) << 32) | textHash(unitRef));
  return finish(hash) | 1;
}
