/**
 * What a row has besides floats: histograms, exemplars and start timestamps. A histogram is judged as a float is: the one
 * that was there first stays, whatever it is. Of exemplars each that differs is stored.
 *
 * A start timestamp is stored where it changes: it holds for the floats of its generation from its time on. Where a float
 * comes late, what held there holds again from the next millisecond on.
 */
import * as L from '../layout';
import { equal } from './bytes';
import { bytesOf, findClass, insert, isFound, makeClass, seek, setKey, windowNumber } from './item-list';
import { roomLeft } from './memory';
import { ROOM_FOR_SAMPLE } from './pieces';
import { recordItem } from './record';
import { beginMove, CONFLICT, DUPLICATE, endMove, findSample, FIRST_REJECT, isNewest, NO_ROOM, place, STORED } from './rows';
import { findWindow, openWindow } from './window';

/** A start timestamp on its way into an item and a record. */
const START: usize = L.SCRATCH + 270336;

/** Room in the record that the start timestamp of a float can need. */
export const ROOM_FOR_STARTS: usize = 96;

/** Stores a histogram or an exemplar, whose time and bytes were found valid; says what became of it. */
export function placeItem(tenant: usize, row: usize, kind: u32, time: i64, bytes: usize, length: usize): u32 {
  if (!roomLeft(ROOM_FOR_SAMPLE)) return NO_ROOM;
  const window = openWindow(tenant, windowNumber(time));
  if (window === 0) return FIRST_REJECT + L.REJECT_WINDOWS;
  const isExemplar = kind === L.KIND_EXEMPLAR;
  const items = classOf(row, isExemplar ? kind : L.KIND_HISTOGRAM);
  setKey(isExemplar ? kind : L.KIND_HISTOGRAM, time, 0, bytes, length);
  const known = seek(items);
  if (isFound) {
    const same =
      load<u8>(known, L.ITEM_KIND) === kind &&
      load<u16>(known, L.ITEM_LENGTH) === length &&
      equal(bytesOf(known), bytes, length);
    return same ? DUPLICATE : CONFLICT;
  }
  if (!isExemplar && findSample(row, windowNumber(time), time, 0) !== STORED) return CONFLICT;
  insert(window, kind, time, bytes, length);
  return STORED;
}

function classOf(row: usize, kind: u32): usize {
  const items = findClass(row, kind);
  return items !== 0 ? items : makeClass(row, kind);
}

/** As `place`, for a row that has items: a histogram at the same time was there first. */
export function placeBesideItems(tenant: usize, row: usize, time: i64, value: u64, sealedUntil: i64): u32 {
  const items = findClass(row, L.KIND_HISTOGRAM);
  if (items !== 0) {
    setKey(L.KIND_HISTOGRAM, time, 0, 0, 0);
    seek(items);
    if (isFound) return CONFLICT;
  }
  return place(tenant, row, time, value, sealedUntil);
}

/**
 * Remembers and records the start timestamp of a float that was stored just now; 0 = it has none. The caller has seen to
 * it that there is room.
 */
export function noteStart(tenant: usize, row: usize, time: i64, start: i64): void {
  let items = findClass(row, L.KIND_START);
  if (items === 0) {
    if (start === 0) return;
    items = makeClass(row, L.KIND_START);
  }
  const window = findWindow(tenant, windowNumber(time));
  const generation = load<u32>(window, L.WINDOW_GENERATION);
  setKey(L.KIND_START, time, generation, 0, 0);
  const held = startOf(seek(items), time, generation);
  if (held === start) return;
  changeStart(window, row, items, time, start);
  if (windowNumber(time + 1) !== windowNumber(time) || isNewest(row, windowNumber(time), generation, time)) return;
  setKey(L.KIND_START, time + 1, generation, 0, 0);
  seek(items);
  if (!isFound) changeStart(window, row, items, time + 1, held);
}

function startOf(item: usize, time: i64, generation: u32): i64 {
  return item !== 0 &&
    load<u32>(item, L.ITEM_GENERATION) === generation &&
    windowNumber(load<i64>(item, L.ITEM_TIME)) === windowNumber(time)
    ? load<i64>(bytesOf(item))
    : 0;
}

function changeStart(window: usize, row: usize, items: usize, time: i64, start: i64): void {
  setStart(window, row, items, time, start);
  store<i64>(START, start);
  recordItem(load<u64>(row, L.ROW_REF), L.KIND_START, time, START, 8);
}

function setStart(window: usize, row: usize, items: usize, time: i64, start: i64): void {
  setKey(L.KIND_START, time, load<u32>(window, L.WINDOW_GENERATION), 0, 0);
  const known = seek(items);
  if (isFound) {
    beginMove(row);
    store<i64>(bytesOf(known), start);
    endMove(row);
    return;
  }
  store<i64>(START, start);
  insert(window, L.KIND_START, time, START, 8);
}

/** Stores a start timestamp as it was recorded; the last one of a time counts. False if there is no room. */
export function placeStart(tenant: usize, row: usize, time: i64, start: i64): bool {
  if (!roomLeft(ROOM_FOR_SAMPLE)) return false;
  const window = openWindow(tenant, windowNumber(time));
  if (window !== 0) setStart(window, row, classOf(row, L.KIND_START), time, start);
  return true;
}
