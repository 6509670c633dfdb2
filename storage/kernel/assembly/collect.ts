/**
 * Dead series leave. A row is marked when it holds nothing, and its series is forgotten when it still holds nothing and
 * the log needs it no more, which the host knows. Readers are never stopped: a list without the dead is made beside the
 * old one and takes its place by one store, and what nothing leads to any more is retired.
 *
 *   rows    dead ones leave series and aliases; the tenant's list of rows is made anew
 *   pairs   the postings of what they had are made anew; pairs without rows leave
 *   names   their lists of pairs are made anew; names without pairs leave
 *   bury    what the dead rows consist of is retired
 *
 * All of it goes in steps, with writes between them. A row that a step took for dead is out of the reach of writes.
 */
import * as L from '../layout';
import { listPush, free, freeSegments, segmentBytes } from './memory';
import { retire, retireRow, retireSegments } from './retired';
import { isEmpty } from './rows';
import { forgetRow } from './series';
import { findName, findPair, removeName, removePair } from './symbols';

const ROWS: u32 = 0;
const PAIRS: u32 = 1;
const NAMES: u32 = 2;
const BURY: u32 = 3;
/** What a row, a pair or a name costs, in items of a list that are copied. */
const ROW_WORK: i32 = 100;
const PAIR_WORK: i32 = 20;

/** Rows from this ref on have one copy of their definition in the log, and stay. */
function firstToDefine(): u64 {
  if (load<u32>(L.ROWS_TO_DEFINE, L.LIST_COUNT) === 0) return ~(<u64>0);
  let segment: usize = load<u32>(L.ROWS_TO_DEFINE, L.LIST_FIRST),
    at: usize = load<u32>(L.ROWS_TO_DEFINE_AT);
  if (at === load<u32>(segment, L.SEGMENT_CAPACITY)) {
    segment = load<u32>(segment, L.SEGMENT_NEXT);
    at = 0;
  }
  const row: usize = load<u32>(segment + (at << 2), L.SEGMENT_ITEMS);
  return load<u64>(row, L.ROW_REF);
}

/** Marks those of `count` rows of a segment of a tenant's list, from `index` on, that hold nothing; returns how many. */
export function markEmpty(segment: usize, index: u32, count: u32): u32 {
  const refs = firstToDefine();
  let marked: u32 = 0;
  for (let i = index; i < index + count; i++) {
    const row: usize = load<u32>(segment + ((<usize>i) << 2), L.SEGMENT_ITEMS);
    if (load<u64>(row, L.ROW_REF) >= refs || !isEmpty(row)) continue;
    store<u8>(row, <u8>L.MARKED, L.ROW_MARK);
    marked++;
  }
  return marked;
}

/** Work that is left of this call. */
let left: i32 = 0;

/**
 * Lets the marked rows of a tenant go that still hold nothing, or goes on with it, for about as long as it takes to copy
 * `work` items. True when it is done; only then another tenant may be at work.
 */
export function collect(tenant: usize, work: u32): bool {
  left = <i32>work;
  while (left > 0) {
    const stage = load<u32>(L.COLLECT_STAGE);
    const isDone =
      stage === ROWS
        ? collectRows(tenant)
        : stage === PAIRS
          ? collectPairs()
          : stage === NAMES
            ? collectNames()
            : bury();
    if (!isDone) continue;
    store<u32>(L.COLLECT_AT, 0);
    store<u32>(L.COLLECT_STAGE, stage === BURY ? ROWS : stage + 1);
    if (stage === BURY) return true;
  }
  return false;
}

function collectRows(tenant: usize): bool {
  return copyList(tenant + L.TENANT_ROWS, COPY_ROWS_AND_FORGET);
}

function forget(row: usize): void {
  const tenant: usize = load<u32>(row, L.ROW_TENANT),
    labels: usize = load<u32>(row, L.ROW_LABELS);
  store<u8>(row, <u8>L.DEAD, L.ROW_MARK);
  forgetRow(row);
  listPush(L.DEAD_ROWS, <u32>row);
  for (let i: u32 = 0; i < load<u32>(labels); i++) {
    const label = labels + 4 + ((<usize>i) << 3);
    const pair = findPair(findName(tenant, load<u32>(label)), load<u32>(label, 4));
    if (load<u16>(pair + L.PAIR_ROWS, L.LIST_STATE) !== 0) continue;
    store<u16>(pair + L.PAIR_ROWS, <u16>L.LIST_CHANGES, L.LIST_STATE);
    listPush(L.CHANGED_PAIRS, <u32>pair);
  }
}

/** The item of a list of ours that the stage is at, or 0 behind its end: then the list is emptied. */
function current(list: usize): usize {
  const segment: usize = load<u32>(list, L.LIST_FIRST),
    at = load<u32>(L.COLLECT_AT);
  if (load<u32>(list, L.LIST_COUNT) !== 0) return load<u32>(segment + ((<usize>at) << 2), L.SEGMENT_ITEMS);
  freeSegments(segment);
  memory.fill(list, 0, 16);
  return 0;
}

/** Goes on to the next item. */
function advance(list: usize): void {
  const segment: usize = load<u32>(list, L.LIST_FIRST),
    at = load<u32>(L.COLLECT_AT) + 1;
  store<u32>(list, load<u32>(list, L.LIST_COUNT) - 1, L.LIST_COUNT);
  const isThrough = at === load<u32>(segment, L.SEGMENT_CAPACITY) && load<u32>(segment, L.SEGMENT_NEXT) !== 0;
  store<u32>(L.COLLECT_AT, isThrough ? 0 : at);
  if (!isThrough) return;
  store<u32>(list, load<u32>(segment, L.SEGMENT_NEXT), L.LIST_FIRST);
  free(segment, segmentBytes(segment));
}

function collectPairs(): bool {
  for (let pair = current(L.CHANGED_PAIRS); pair !== 0; pair = current(L.CHANGED_PAIRS)) {
    const rows = pair + L.PAIR_ROWS;
    if (!copyList(rows, COPY_ROWS)) return false;
    left -= PAIR_WORK;
    const isGone = load<u32>(rows, L.LIST_COUNT) === 0;
    store<u16>(rows, isGone ? <u16>L.LIST_GONE : 0, L.LIST_STATE);
    if (isGone) {
      const pairs = <usize>load<u32>(pair, L.PAIR_NAME) + L.NAME_PAIRS;
      if (load<u16>(pairs, L.LIST_STATE) === 0) listPush(L.CHANGED_NAMES, load<u32>(pair, L.PAIR_NAME));
      store<u16>(pairs, <u16>L.LIST_CHANGES, L.LIST_STATE);
      removePair(pair);
    }
    advance(L.CHANGED_PAIRS);
    if (left <= 0) return false;
  }
  return true;
}

function collectNames(): bool {
  for (let name = current(L.CHANGED_NAMES); name !== 0; name = current(L.CHANGED_NAMES)) {
    const pairs = name + L.NAME_PAIRS;
    if (!copyList(pairs, COPY_PAIRS)) return false;
    left -= PAIR_WORK;
    store<u16>(pairs, 0, L.LIST_STATE);
    if (load<u32>(pairs, L.LIST_COUNT) === 0) removeName(name);
    advance(L.CHANGED_NAMES);
    if (left <= 0) return false;
  }
  return true;
}

function bury(): bool {
  for (let row = current(L.DEAD_ROWS); row !== 0; row = current(L.DEAD_ROWS)) {
    const labels: usize = load<u32>(row, L.ROW_LABELS),
      late: usize = load<u32>(row, L.ROW_LATE);
    retire(labels, 4 + ((<usize>load<u32>(labels)) << 3));
    if (late !== 0) retire(late, L.OPEN_BYTES);
    for (let items: usize = load<u32>(row, L.ROW_CLASSES); items !== 0; items = load<u32>(items, L.CLASS_NEXT))
      retire(items, L.CLASS_BYTES);
    retireRow(row);
    advance(L.DEAD_ROWS);
    left -= PAIR_WORK;
    if (left <= 0) return false;
  }
  return true;
}

const COPY_ROWS: u32 = 0;
/** Rows that have to go are forgotten as they are met. */
const COPY_ROWS_AND_FORGET: u32 = 1;
const COPY_PAIRS: u32 = 2;

@inline
function stays(item: usize, kind: u32): bool {
  if (kind === COPY_PAIRS) return load<u16>(item + L.PAIR_ROWS, L.LIST_STATE) !== <u16>L.LIST_GONE;
  const mark: u32 = load<u8>(item, L.ROW_MARK);
  if (kind === COPY_ROWS) return mark !== L.DEAD;
  if (mark !== L.MARKED || !isEmpty(item)) return true;
  left -= ROW_WORK;
  forget(item);
  return false;
}

/**
 * Makes a list anew without what has to go, or goes on with it. True when the new one has taken the place of the old
 * one; until then the old one grows, and what it gets is met at its end.
 */
function copyList(list: usize, kind: u32): bool {
  let segment: usize = load<u32>(L.COPY_SEGMENT),
    index = load<u32>(L.COPY_INDEX),
    done = load<u32>(L.COPY_DONE);
  const count = load<u32>(list, L.LIST_COUNT);
  if (done === 0) segment = load<u32>(list, L.LIST_FIRST);
  for (; done < count && left > 0; left--) {
    if (index === load<u32>(segment, L.SEGMENT_CAPACITY)) {
      segment = load<u32>(segment, L.SEGMENT_NEXT);
      index = 0;
    }
    const item = load<u32>(segment + ((<usize>index) << 2), L.SEGMENT_ITEMS);
    if (stays(item, kind)) listPush(L.COPY, item);
    index++;
    done++;
  }
  const isDone = done === count;
  if (isDone) replaceList(list);
  store<u32>(L.COPY_SEGMENT, isDone ? 0 : <u32>segment);
  store<u32>(L.COPY_INDEX, isDone ? 0 : index);
  store<u32>(L.COPY_DONE, isDone ? 0 : done);
  return isDone;
}

function replaceList(list: usize): void {
  const old: usize = load<u32>(list, L.LIST_FIRST);
  atomic.store<u64>(list, load<u64>(L.COPY));
  store<u32>(list, load<u32>(L.COPY, L.LIST_LAST), L.LIST_LAST);
  store<u16>(list, load<u16>(L.COPY, L.LIST_ROOM), L.LIST_ROOM);
  memory.fill(L.COPY, 0, 16);
  retireSegments(old);
}
