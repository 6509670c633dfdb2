/**
 * The items of a row: bytes with a time, in the pages of their window's open generation, with which they leave the head.
 *
 * Those of a class are ordered by key, the newest first, in a skip list: a sender may send them in any order, and each
 * has to be looked for. Levels are drawn, so that nobody can choose keys that make the search long.
 *
 *   histograms: by time · exemplars: by time, then bytes · start timestamps: by window, generation, time
 */
import * as L from '../layout';
import { compareBytes } from './bytes';
import { allocate } from './memory';
import { allocateChunk } from './window';

/** The class of a row's items, or 0 if it has none. */
export function findClass(row: usize, kind: u32): usize {
  for (let items: usize = load<u32>(row, L.ROW_CLASSES); items !== 0; items = load<u32>(items, L.CLASS_NEXT))
    if (load<u32>(items, L.CLASS_KIND) === kind) return items;
  return 0;
}

export function makeClass(row: usize, kind: u32): usize {
  const items = allocate(L.CLASS_BYTES);
  store<u32>(items, kind, L.CLASS_KIND);
  store<u32>(items, load<u32>(row, L.ROW_CLASSES), L.CLASS_NEXT);
  atomic.store<u32>(row, <u32>items, L.ROW_CLASSES);
  return items;
}

/** Time of the newest histogram of a row; -1 if it has none. */
export function newestHistogram(row: usize): i64 {
  const items = findClass(row, L.KIND_HISTOGRAM);
  const first: usize = items === 0 ? 0 : <usize>load<u32>(items, L.CLASS_FIRST);
  return first === 0 ? -1 : load<i64>(first, L.ITEM_TIME);
}

@inline
export function windowNumber(time: i64): u32 {
  return <u32>(time / L.WINDOW_MS);
}

@inline
export function bytesOf(item: usize): usize {
  return item + L.ITEM_LINK + (<usize>(load<u8>(item, L.ITEM_LINKS) - 1) << 2);
}

/** Where the link of a level stands: in an item, or for 0 at the begin of its class. */
@inline
function linkOf(items: usize, item: usize, level: u32): usize {
  if (item === 0) return items + L.CLASS_FIRST + (<usize>level << 2);
  return level === 0 ? item + L.ITEM_NEXT : item + L.ITEM_LINK + (<usize>(level - 1) << 2);
}

// The key that is looked for.
let keyKind: u32 = 0;
let keyTime: i64 = 0;
let keyGeneration: u32 = 0;
let keyBytes: usize = 0;
let keyLength: usize = 0;

export function setKey(kind: u32, time: i64, generation: u32, bytes: usize, length: usize): void {
  keyKind = kind;
  keyTime = time;
  keyGeneration = generation;
  keyBytes = bytes;
  keyLength = length;
}

/** Above 0 if the item comes before the key, 0 if it has the key. */
function order(item: usize): i64 {
  const time = load<i64>(item, L.ITEM_TIME);
  if (keyKind === L.KIND_START) {
    const windows = <i64>windowNumber(time) - <i64>windowNumber(keyTime);
    if (windows !== 0) return windows;
    const generations = <i64>load<u32>(item, L.ITEM_GENERATION) - <i64>keyGeneration;
    return generations !== 0 ? generations : time - keyTime;
  }
  if (time !== keyTime || keyKind !== L.KIND_EXEMPLAR) return time - keyTime;
  return compareBytes(bytesOf(item), load<u16>(item, L.ITEM_LENGTH), keyBytes, keyLength);
}

/** Whether the last `seek` met the key itself. */
export let isFound: bool = false;

/** The item with the key or, if there is none, the next older one; 0 behind all. Its place is in ITEM_PLACE. */
export function seek(items: usize): usize {
  let before: usize = 0,
    next: usize = 0;
  for (let level: i32 = L.ITEM_LEVELS - 1; level >= 0; level--) {
    next = load<u32>(linkOf(items, before, level));
    while (next !== 0 && order(next) > 0) {
      before = next;
      next = load<u32>(linkOf(items, before, level));
    }
    store<u32>(L.ITEM_PLACE + (<usize>level << 2), <u32>linkOf(items, before, level));
  }
  isFound = next !== 0 && order(next) === 0;
  return next;
}

/** One level in most cases, each further one in a quarter of those that have the one below. */
function drawLevels(): u32 {
  // xorshift32
  let state = load<u32>(L.ITEM_RANDOM);
  if (state === 0) state = load<u32>(L.HASH_SEED) | 1;
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  store<u32>(L.ITEM_RANDOM, state);
  return min<u32>(L.ITEM_LEVELS, 1 + (clz(state * 0x9e3779b1) >>> 1));
}

/** Puts an item into the place that `seek` found. Readers meet it when it is complete. */
export function insert(window: usize, kind: u32, time: i64, bytes: usize, length: usize): void {
  const levels = drawLevels();
  const generation = load<u32>(window, L.WINDOW_GENERATION);
  const header = L.ITEM_LINK + ((levels - 1) << 2);
  const item = allocateChunk(window, generation, header + <u32>length);
  store<u32>(item, generation, L.ITEM_GENERATION);
  store<i64>(item, time, L.ITEM_TIME);
  store<u16>(item, <u16>length, L.ITEM_LENGTH);
  store<u8>(item, <u8>kind, L.ITEM_KIND);
  store<u8>(item, <u8>levels, L.ITEM_LINKS);
  memory.copy(item + header, bytes, length);
  for (let level = levels; level > 0; level--) {
    const link: usize = load<u32>(L.ITEM_PLACE + (<usize>(level - 1) << 2));
    store<u32>(linkOf(0, item, level - 1), load<u32>(link));
    atomic.store<u32>(link, <u32>item);
  }
  store<u32>(window, 1, L.WINDOW_TOUCHED);
}

/** Takes the items of a window's generation out of a row, whose version is odd. */
export function dropItems(row: usize, number: u32, generation: u32): void {
  for (let items: usize = load<u32>(row, L.ROW_CLASSES); items !== 0; items = load<u32>(items, L.CLASS_NEXT)) {
    for (let level: u32 = 0; level < L.ITEM_LEVELS; level++) {
      let link = linkOf(items, 0, level);
      for (let item: usize = load<u32>(link); item !== 0; item = load<u32>(link)) {
        const next = linkOf(items, item, level);
        if (load<u32>(item, L.ITEM_GENERATION) === generation && windowNumber(load<i64>(item, L.ITEM_TIME)) === number)
          store<u32>(link, load<u32>(next));
        else link = next;
      }
    }
  }
}

/** Whether a row has any items. */
export function hasItems(row: usize): bool {
  for (let items: usize = load<u32>(row, L.ROW_CLASSES); items !== 0; items = load<u32>(items, L.CLASS_NEXT))
    if (load<u32>(items, L.CLASS_FIRST) !== 0) return true;
  return false;
}
