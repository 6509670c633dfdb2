/**
 * The second walk over a request: follows the plan, makes what is new, places the samples and writes the WAL records.
 * It stops where the records are full and goes on when called again.
 */
import * as L from '../layout';
import { readVarint, varintEnd } from './bytes';
import { EXEMPLAR_BYTES, exemplarLength, exemplarTime, gatherLabels, writeExemplar } from './exemplars';
import { newestHistogram } from './item-list';
import { histogramKind, histogramTime, judgeHistogram } from './histogram';
import { noteStart, placeBesideItems, placeItem, ROOM_FOR_STARTS } from './items';
import {
  hasReservedName,
  labelActual,
  refuseForSeries,
  setLabelLimits,
  setWidestLimits,
  skipField,
} from './labels';
import { ROOM_FOR_SERIES, roomLeft } from './memory';
import { ROOM_FOR_SAMPLE } from './pieces';
import { tellMetadata } from './metadata';
import {
  EXEMPLAR,
  EXEMPLAR_V2,
  HISTOGRAM,
  HISTOGRAM_V2,
  METADATA_V2,
  planEntry,
  SAMPLE,
  touch,
} from './plan';
import { nextRef, openRefs, recall, ref, symbolLength, symbolText } from './request-symbols';
import {
  beginRecords,
  definitionsFull,
  endRecords,
  itemsFull,
  recordDefinition,
  recordItem,
  recordSample,
  samplesFull,
} from './record';
import { CONFLICT, DUPLICATE, FIRST_REJECT, NO_ROOM, place, STORED } from './rows';
import { admit, isDropped, isElected, meet, noteNewest, sender } from './policy';
import { addAlias, changeRow, findAlias, findKnownRow, findOrMakeRow, isFullOfSeries, rowIsNew } from './series';
import { intern, leaveSymbol, useSymbol } from './symbols';
import { fillFrom, isPlain, judgeTime, setLatest } from './time';
import { readWireLabels, wireLabels, wireLength, wireTotal, writeWireLabels } from './wire-labels';

const OFFENDER_LABELS: usize = L.SCRATCH + 1310720;

// The outcome of the series at work.
let stored: u32 = 0;
let duplicates: u32 = 0;
let conflicts: u32 = 0;
let newest: i64 = 0;
let histograms: u32 = 0;
let exemplars: u32 = 0;
let isV2: bool = false;
/** POLICY_GENERATION, and whose samples a gap is filled with; 0 = none. */
let policy: u32 = 0;
let filling: usize = 0;
/** Of the series at work under a policy: the replica that sends it, or 0. */
let replica: usize = 0;
/** So many series are looked ahead at: as many misses as a core can have under way, and more. */
const TOUCHED_AHEAD: u32 = 64;
/** Tags of the request at work. */
let histogramTag: u8 = 0;
let exemplarTag: u8 = 0;

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
  stored = duplicates = conflicts = histograms = exemplars = 0;
  newest = load<i64>(L.OUT_NEWEST);
  isV2 = load<u32>(L.PLAN_PROTOCOL) === L.PROTOCOL_V2;
  histogramTag = isV2 ? HISTOGRAM_V2 : HISTOGRAM;
  exemplarTag = isV2 ? EXEMPLAR_V2 : EXEMPLAR;
  setLatest(latest);
  setLabelLimits(tenant);
  policy = load<u32>(L.POLICY_GENERATION);
  filling = load<u32>(L.FILL_REPLICA);
  replica = 0;
  beginRecords();
  for (; next < count; next++) {
    const entry = planEntry(next);
    if (!roomLeft(ROOM_FOR_SERIES)) {
      result = L.OUT_OF_MEMORY;
      break;
    }
    if (definitionsFull(0)) {
      result = L.APPLIED_PART;
      break;
    }
    if ((next & (TOUCHED_AHEAD - 1)) === 0) fetchAhead(entry);
    if (load<u32>(entry, L.PLAN_SAMPLES) === 0) continue;
    let alias: usize = load<u32>(entry, L.PLAN_ALIAS);
    let row: usize = load<u32>(entry, L.PLAN_ROW);
    if (policy !== 0) {
      row = judge(tenant, entry, alias, row);
      alias = load<u32>(entry, L.PLAN_ALIAS);
    } else if (alias !== 0) row = load<u32>(alias, L.ALIAS_ROW);
    else if (row < L.REASONS) {
      row = row === 0 ? resolve(tenant, entry) : refuse(entry, <u32>row);
      if (row === 0) continue;
      store<u32>(entry, <u32>row, L.PLAN_ROW);
      alias = load<u32>(entry, L.PLAN_ALIAS);
    }
    if (previous !== 0 && alias !== 0 && load<u32>(previous, L.ALIAS_NEXT) !== <u32>alias)
      store<u32>(previous, <u32>alias, L.ALIAS_NEXT);
    previous = alias;
    // Dropped by the policy: what follows it is known all the same.
    if (row === 0) continue;
    if (isV2) applyMetadata(tenant, row, entry);
    result = applySamples(tenant, row, entry, sealedUntil);
    if (replica !== 0) noteNewest(replica, max<i64>(load<i64>(row + L.ROW_OPEN, L.OPEN_LAST_TIME), newestHistogram(row)));
    if (result !== L.APPLIED) break;
  }
  store<u32>(L.PLAN_NEXT, next);
  report(tenant);
  endRecords();
  return result;
}

/**
 * Touches what the next series will need, all of a kind in one short loop, so that the cache misses overlap: rows, then
 * the ends of their open chunks. The shorter the loop, the more of them are under way together, so what one leads to is
 * left for the next. Entries behind the plan hold old pointers or none, which may be read.
 */
function fetchAhead(entry: usize): void {
  let touched: u32 = 0;
  for (let i: usize = 0; i < TOUCHED_AHEAD; i++)
    store<u32>(L.AHEAD + (i << 2), load<u32>(load<u32>(entry + i * L.PLAN_ENTRY_BYTES, L.PLAN_ALIAS), L.ALIAS_ROW));
  for (let i: usize = 0; i < TOUCHED_AHEAD; i++) {
    const row: usize = load<u32>(L.AHEAD + (i << 2));
    // A row begins in one cache line and ends in another.
    touched ^= load<u32>(row, L.ROW_REF) ^ load<u32>(row, L.ROW_CLASSES);
    const published = load<u32>(row + L.ROW_OPEN, L.OPEN_PUBLISHED);
    store<u32>(L.AHEAD + (i << 2), load<u32>(row + L.ROW_OPEN, L.OPEN_BUFFER) + (published >>> 3));
  }
  for (let i: usize = 0; i < TOUCHED_AHEAD; i++) touched ^= load<u8>(load<u32>(L.AHEAD + (i << 2)));
  touch(touched);
}

function report(tenant: usize): void {
  store<i64>(L.OUT_NEWEST, newest);
  store<i64>(tenant, max<i64>(newest, load<i64>(tenant, L.TENANT_NEWEST)), L.TENANT_NEWEST);
  store<u64>(tenant, load<u64>(tenant, L.TENANT_SAMPLES) + stored, L.TENANT_SAMPLES);
  store<u32>(L.OUT_STORED, load<u32>(L.OUT_STORED) + stored);
  store<u32>(L.OUT_DUPLICATES, load<u32>(L.OUT_DUPLICATES) + duplicates);
  store<u32>(L.OUT_CONFLICTS, load<u32>(L.OUT_CONFLICTS) + conflicts);
  store<u32>(L.OUT_HISTOGRAMS, load<u32>(L.OUT_HISTOGRAMS) + histograms);
  store<u32>(L.OUT_EXEMPLARS_STORED, load<u32>(L.OUT_EXEMPLARS_STORED) + exemplars);
}

@inline
function applyMetadata(tenant: usize, row: usize, entry: usize): void {
  const identity = load<u32>(entry, L.PLAN_METADATA);
  if (identity !== 0 && identity !== load<u32>(row, L.ROW_METADATA))
    tellMetadata(tenant, row, identity, load<u32>(entry, L.PLAN_LABELS), load<u32>(entry, L.PLAN_END));
}

/** Refuses a series that the first walk found wrong; 0. */
function refuse(entry: usize, reason: u32): usize {
  const isEmpty = reason === L.REJECT_NO_SAMPLES;
  if (isEmpty) store<u32>(L.OUT_EMPTY_SERIES, load<u32>(L.OUT_EMPTY_SERIES) + 1);
  rejectWith(reason, isEmpty ? 0 : samplesOf(entry), entry, 0, load<u32>(entry, L.PLAN_FIELDS));
  dropExemplars(entry);
  return 0;
}

function samplesOf(entry: usize): u32 {
  return load<u32>(entry, L.PLAN_SAMPLES) & ~L.HAS_EXEMPLARS;
}

/** Counts the exemplars of a series that is refused. */
function dropExemplars(entry: usize): void {
  if (!(load<u32>(entry, L.PLAN_SAMPLES) & L.HAS_EXEMPLARS)) return;
  const end: usize = load<u32>(entry, L.PLAN_END);
  for (let at: usize = load<u32>(entry + (isV2 ? L.PLAN_LABELS : L.PLAN_FIELDS)); at < end; at = skipField(at, end))
    if (load<u8>(at) === exemplarTag) countDropped(L.EXEMPLAR_SERIES);
}

/** The row of a series whose wire labels are not known yet; 0 if it is refused. Leaves its alias in the plan. */
function resolve(tenant: usize, entry: usize): usize {
  let alias = isV2 ? knownByKey(tenant, entry) : 0;
  if (alias === 0) {
    const wire = wireLabels(entry),
      length = wireLength;
    const fits = wireTotal <= L.MAX_SERIES_BYTES;
    if (!isV2 && fits) alias = findAlias(tenant, wire, length);
    if (alias === 0) {
      let problem = readWireLabels(wire, length);
      if (problem === 0) problem = refuseBeyondLimit(tenant);
      if (problem !== 0) {
        reject(problem, samplesOf(entry), entry, 0);
        dropExemplars(entry);
        return 0;
      }
      const row = rowOfLabels(tenant);
      if (!isV2) alias = addAlias(tenant, wire, length, row);
      else if (makeKey(entry)) alias = addKeyAlias(tenant, row);
      if (alias === 0) return row;
    }
  }
  store<u32>(entry, <u32>alias, L.PLAN_ALIAS);
  return load<u32>(alias, L.ALIAS_ROW);
}

/** Why the labels that were read are refused: they are of a new series, and the tenant has as many as it may. Else 0. */
function refuseBeyondLimit(tenant: usize): u32 {
  if (!isFullOfSeries(tenant) || findKnownRow(tenant) !== 0) return 0;
  return refuseForSeries(load<u32>(tenant + L.TENANT_ROWS, L.LIST_COUNT));
}

/** The row of the labels that were read, made and defined in the log if it is new. */
function rowOfLabels(tenant: usize): usize {
  const row = findOrMakeRow(tenant);
  if (rowIsNew) {
    recordDefinition(row);
    store<u32>(L.OUT_NEW_SERIES, load<u32>(L.OUT_NEW_SERIES) + 1);
    if (hasReservedName()) store<u32>(tenant, load<u32>(tenant, L.TENANT_HIDDEN) + 1, L.TENANT_HIDDEN);
  }
  return row;
}

/**
 * The row of a series under a policy; 0 if none takes its samples, which are counted then. `known` is the row of a series
 * without an alias that was begun in an earlier part. Leaves the alias in the plan.
 */
function judge(tenant: usize, entry: usize, planned: usize, known: usize): usize {
  if (known >= L.REASONS) return known;
  if (known !== 0) return filling !== 0 ? 0 : refuse(entry, <u32>known);
  let alias = planned;
  if (alias === 0) {
    // Of 2.0, too: symbols that only the policy sees are nobody's, and may go any time.
    const wire = wireLabels(entry);
    if (wireTotal <= L.MAX_SERIES_BYTES) alias = findAlias(tenant, wire, wireLength);
  }
  if (alias === 0 || load<u32>(alias, L.ALIAS_CONFIG) !== policy) {
    if (!settle(tenant, entry, alias)) return 0;
    alias = settled;
  } else {
    settledRow = load<u32>(alias, L.ALIAS_ROW);
    replica = load<u32>(alias, L.ALIAS_REPLICA);
  }
  store<u32>(entry, <u32>alias, L.PLAN_ALIAS);
  if (replica !== 0) meet(replica);
  if (filling !== 0 && replica !== filling) return 0;
  if (settledRow === L.DROPPED_ROW) return drop(L.OUT_DROPPED_RELABEL, entry);
  if (isLosers(replica)) {
    if (settledRow === L.NO_ROW && alias !== 0) lookAgain(tenant, entry, alias);
    return drop(L.OUT_DROPPED_HA, entry);
  }
  // Its replica was not elected when the alias was made.
  if (settledRow === L.NO_ROW && !settle(tenant, entry, alias)) return 0;
  if (alias === 0) store<u32>(entry, <u32>settledRow, L.PLAN_ROW);
  if (filling !== 0) fillFrom(settledRow);
  return settledRow;
}

@inline
function isLosers(sender: usize): bool {
  return sender !== 0 && !isElected(sender);
}

function drop(counter: usize, entry: usize): usize {
  store<u32>(counter, load<u32>(counter) + samplesOf(entry));
  return 0;
}

/** What `settle` leaves: the alias, or 0, and what it stands for. */
let settled: usize = 0;
let settledRow: usize = 0;

/** Asks the policy what a series is stored as, and lets its alias stand for that. False if the series is refused. */
function settle(tenant: usize, entry: usize, alias: usize): bool {
  const wire = wireLabels(entry),
    length = wireLength;
  let problem = readWireLabels(wire, length);
  if (problem === 0) problem = admit(tenant);
  if (problem === 0 && !isDropped && !isLosers(sender)) problem = refuseBeyondLimit(tenant);
  if (problem !== 0) {
    reject(problem, samplesOf(entry), entry, 0);
    dropExemplars(entry);
    return false;
  }
  replica = sender;
  if (isDropped) settledRow = L.DROPPED_ROW;
  else settledRow = isLosers(replica) ? findKnownRow(tenant) : rowOfLabels(tenant);
  if (alias === 0) alias = addAlias(tenant, wire, length, settledRow);
  else changeRow(alias, settledRow);
  settled = alias;
  if (alias === 0) return true;
  store<u32>(alias, policy, L.ALIAS_CONFIG);
  store<u32>(alias, <u32>replica, L.ALIAS_REPLICA);
  store<u32>(alias, load<u32>(L.HA_ROUND), L.ALIAS_LOOKED);
  return true;
}

/** Once in a round: whether a loser's series that was not there has come since. Counts it if not. */
function lookAgain(tenant: usize, entry: usize, alias: usize): void {
  if (load<u32>(alias, L.ALIAS_LOOKED) === load<u32>(L.HA_ROUND)) return;
  if (settle(tenant, entry, alias) && settledRow === L.NO_ROW)
    store<u32>(replica, load<u32>(replica, L.REPLICA_MISSING) + 1, L.REPLICA_MISSING);
}

/**
 * Makes the key of a series of 2.0 whose labels were read. Not all of its symbols have come to be ours by that: those of
 * labels without value, or that were replaced or dropped with their series.
 */
function makeKey(entry: usize): bool {
  openRefs(load<u32>(entry, L.PLAN_LABELS), load<u32>(entry, L.PLAN_END));
  for (let count: u32 = 0; nextRef(); count++) if (count === L.MAX_KEY_SYMBOLS) return false;
  openRefs(load<u32>(entry, L.PLAN_LABELS), load<u32>(entry, L.PLAN_END));
  while (nextRef()) {
    if (symbolLength(ref) > L.MAX_VALUE_BYTES) return false;
    if (recall(ref) === L.UNKNOWN_SYMBOL) intern(symbolText(ref), symbolLength(ref));
  }
  return symbolKey(entry);
}

/** Adds an alias by the key; if there are too many already, symbols that were made for it leave again. */
function addKeyAlias(tenant: usize, row: usize): usize {
  const alias = addAlias(tenant, KEY, keyLength, row);
  if (alias !== 0) return alias;
  for (let at: usize = KEY; at < KEY + keyLength; at += 4) useSymbol(load<u32>(at));
  for (let at: usize = KEY; at < KEY + keyLength; at += 4) leaveSymbol(load<u32>(at));
  return 0;
}

/** The alias of a series of 2.0, which may have come into being since the first walk. */
function knownByKey(tenant: usize, entry: usize): usize {
  return symbolKey(entry) ? findAlias(tenant, KEY, keyLength) : 0;
}

const KEY: usize = L.KEYS;
let keyLength: usize = 0;

/** Makes the key of a series of 2.0, `keyLength` bytes; false if a symbol is not known, or there are too many. */
function symbolKey(entry: usize): bool {
  keyLength = 0;
  openRefs(load<u32>(entry, L.PLAN_LABELS), load<u32>(entry, L.PLAN_END));
  while (nextRef()) {
    if (keyLength === L.MAX_KEY_SYMBOLS * 4) return false;
    const symbol = recall(ref);
    if (symbol === L.UNKNOWN_SYMBOL) return false;
    store<u32>(KEY + keyLength, symbol);
    keyLength += 4;
  }
  return keyLength !== 0;
}

/** Places the samples of a series: APPLIED, or APPLIED_PART or OUT_OF_MEMORY with the place to go on in the plan. */
function applySamples(tenant: usize, row: usize, entry: usize, sealedUntil: i64): u32 {
  const end: usize = load<u32>(entry, L.PLAN_END),
    seriesRef = load<u64>(row, L.ROW_REF);
  let at: usize = load<u32>(entry, L.PLAN_FIELDS),
    items = load<u32>(row, L.ROW_CLASSES);
  while (at < end) {
    const tag = load<u8>(at);
    if (tag !== SAMPLE) {
      const length: usize = load<u8>(at, 1);
      if (tag === METADATA_V2 && length < 128) {
        at += 2 + length;
        continue;
      }
      const result = applyItem(tenant, row, entry, at, tag);
      if (result !== L.APPLIED) {
        store<u32>(entry, <u32>at, L.PLAN_FIELDS);
        return result;
      }
      items = load<u32>(row, L.ROW_CLASSES);
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
      time: i64 = 0,
      startTime: i64 = 0;
    for (let field = body; field < at; ) {
      const fieldTag = load<u8>(field);
      if (fieldTag === 0x09) {
        value = load<u64>(field + 1);
        field += 9;
      } else if (fieldTag === 0x10) {
        time = <i64>readVarint(field + 1, at);
        field = varintEnd;
      } else {
        if (fieldTag === START && isV2) startTime = knownStart(<i64>readVarint(field + 1, at));
        field = skipField(field, at);
      }
    }
    const problem = isPlain(time) ? 0 : judgeTime(time);
    let verdict = FIRST_REJECT + problem;
    const hasItems = (<u64>items | <u64>startTime) !== 0;
    if (problem === 0) {
      if (!hasItems) verdict = place(tenant, row, time, value, sealedUntil);
      else if (itemsFull(ROOM_FOR_STARTS)) {
        store<u32>(entry, <u32>start, L.PLAN_FIELDS);
        return L.APPLIED_PART;
      } else if (!roomLeft(2 * ROOM_FOR_SAMPLE)) verdict = NO_ROOM;
      else verdict = placeBesideItems(tenant, row, time, value, sealedUntil);
    }
    if (verdict === STORED) {
      stored++;
      if (time > newest) newest = time;
      recordSample(seriesRef, time, value);
      if (hasItems) {
        noteStart(tenant, row, time, startTime);
        items = load<u32>(row, L.ROW_CLASSES);
      }
    } else if (verdict === DUPLICATE) duplicates++;
    else if (verdict === CONFLICT) conflicts++;
    else if (verdict === NO_ROOM) {
      store<u32>(entry, <u32>start, L.PLAN_FIELDS);
      return L.OUT_OF_MEMORY;
    } else reject(verdict - FIRST_REJECT, 1, entry, time);
  }
  return L.APPLIED;
}

/** Field 3 of a sample of 2.0. */
const START: u8 = 0x18;
const LATEST_START: i64 = 9007199254740991;

/** A start timestamp as it is stored: 0 where it makes no sense. */
function knownStart(start: i64): i64 {
  return start < 0 || start > LATEST_START ? 0 : start;
}

/** Stores the histogram or exemplar that the field at `at` is. APPLIED, or what keeps it from that. */
function applyItem(tenant: usize, row: usize, entry: usize, at: usize, tag: u8): u32 {
  if (tag !== histogramTag && tag !== exemplarTag) return L.APPLIED;
  const end: usize = load<u32>(entry, L.PLAN_END);
  const size = <usize>readVarint(at + 1, end),
    body = varintEnd;
  if (tag === histogramTag) return applyHistogram(tenant, row, entry, body, body + size);
  return applyExemplar(tenant, row, entry, body, body + size);
}

function applyHistogram(tenant: usize, row: usize, entry: usize, at: usize, end: usize): u32 {
  const length = end - at;
  if (itemsFull(min<usize>(length, L.MAX_HISTOGRAM_BYTES))) return L.APPLIED_PART;
  const rule = judgeHistogram(at, end),
    time = histogramTime;
  if (rule !== 0) {
    rejectWith(L.REJECT_HISTOGRAM, 1, entry, time, rule);
    return L.APPLIED;
  }
  const problem = isPlain(time) ? 0 : judgeTime(time);
  const verdict = problem === 0 ? placeItem(tenant, row, histogramKind, time, at, length) : FIRST_REJECT + problem;
  if (verdict === NO_ROOM) return L.OUT_OF_MEMORY;
  if (verdict === STORED || verdict === DUPLICATE) histograms++;
  if (verdict === STORED) {
    stored++;
    if (time > newest) newest = time;
    recordItem(load<u64>(row, L.ROW_REF), histogramKind, time, at, length);
  } else if (verdict === DUPLICATE) duplicates++;
  else if (verdict === CONFLICT) conflicts++;
  else reject(verdict - FIRST_REJECT, 1, entry, time);
  return L.APPLIED;
}

function applyExemplar(tenant: usize, row: usize, entry: usize, at: usize, end: usize): u32 {
  if (itemsFull(L.MAX_EXEMPLAR_BYTES)) return L.APPLIED_PART;
  setWidestLimits();
  let problem = writeExemplar(at, end, isV2 ? writeExemplarLabels(at, end) : gatherLabels(at, end));
  setLabelLimits(tenant);
  const time = exemplarTime;
  if (problem === 0 && !isPlain(time) && judgeTime(time) !== 0) problem = L.EXEMPLAR_TIME;
  if (problem === 0) {
    const verdict = placeItem(tenant, row, L.KIND_EXEMPLAR, time, EXEMPLAR_BYTES, exemplarLength);
    if (verdict === NO_ROOM) return L.OUT_OF_MEMORY;
    if (verdict === STORED) {
      exemplars++;
      recordItem(load<u64>(row, L.ROW_REF), L.KIND_EXEMPLAR, time, EXEMPLAR_BYTES, exemplarLength);
    }
    if (verdict < FIRST_REJECT) return L.APPLIED;
    problem = L.EXEMPLAR_WINDOWS;
  }
  countDropped(problem);
  rejectWith(L.REJECT_EXEMPLAR, 0, entry, time, problem);
  return L.APPLIED;
}

/** As `gatherLabels`, from the refs of an exemplar of 2.0: writes labels as 1.0 does. */
function writeExemplarLabels(at: usize, end: usize): usize {
  writeWireLabels(at, end);
  return <usize>min<u64>(wireTotal, L.MAX_EXEMPLAR_BYTES + 1);
}

function countDropped(problem: u32): void {
  const counter = <usize>L.OUT_EXEMPLARS_DROPPED + (<usize>(problem - 1) << 2);
  store<u32>(counter, load<u32>(counter) + 1);
}

function reject(reason: u32, samples: u32, entry: usize, time: i64): void {
  rejectWith(reason, samples, entry, time, labelActual);
}

/** Counts rejected samples and remembers the first offenders; `actual` is what was counted or measured. */
function rejectWith(reason: u32, samples: u32, entry: usize, time: i64, actual: u32): void {
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
  store<u32>(at, actual, L.OFFENDER_ACTUAL);
  store<i64>(at, time, L.OFFENDER_TIME);
  store<u32>(L.OUT_OFFENDERS, offenders + 1);
}
