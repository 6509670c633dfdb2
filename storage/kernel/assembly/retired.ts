/**
 * Memory that nothing leads to any more, while readers on other threads may still be in it. It is used again when all
 * that read at that time have left, which the host knows: `sealRetired` says which moment it is to ask about,
 * `freeRetired` that they have.
 */
import * as L from '../layout';
import { listPush, free, freeRow, segmentBytes } from './memory';

/** `size` bytes of `allocate`. */
export function retire(at: usize, size: usize): void {
  listPush(L.RETIRED, <u32>at);
  listPush(L.RETIRED, (<u32>size + 7) & ~7);
}

export function retireRow(row: usize): void {
  listPush(L.RETIRED, <u32>row);
  listPush(L.RETIRED, L.RETIRED_ROW);
}

export function retireSegments(segment: usize): void {
  for (; segment !== 0; segment = load<u32>(segment, L.SEGMENT_NEXT))
    retire(segment, segmentBytes(segment));
}

/** Puts all that is retired by now together, to be freed at once; returns how many pieces wait for that. */
export function sealRetired(): u32 {
  const before = load<u32>(L.RETIRED_BEFORE, L.LIST_COUNT);
  if (before !== 0) return before >>> 1;
  memory.copy(L.RETIRED_BEFORE, L.RETIRED, 16);
  memory.fill(L.RETIRED, 0, 16);
  store<u32>(L.RETIRED_BEFORE_AT, 0);
  return load<u32>(L.RETIRED_BEFORE, L.LIST_COUNT) >>> 1;
}

/** Frees up to `count` pieces of what was sealed, which nobody reads any more; returns how many are left. */
export function freeRetired(count: u32): u32 {
  let left = load<u32>(L.RETIRED_BEFORE, L.LIST_COUNT),
    at = load<u32>(L.RETIRED_BEFORE_AT);
  let segment: usize = load<u32>(L.RETIRED_BEFORE, L.LIST_FIRST);
  atomic.store<u32>(L.MEMORY_VERSION, load<u32>(L.MEMORY_VERSION) + 1);
  // Symbols among them: which one followed which is known by their addresses.
  memory.fill(L.SUCCESSORS, 0, <usize>L.SUCCESSOR_SLOTS * 4);
  for (; count > 0 && left > 0; count--) {
    // Segments have even numbers of items: a pair is never divided.
    const item = segment + ((<usize>at) << 2);
    const address: usize = load<u32>(item, L.SEGMENT_ITEMS);
    const bytes = load<u32>(item + 4, L.SEGMENT_ITEMS);
    if (bytes === L.RETIRED_ROW) freeRow(address);
    else free(address, bytes);
    at += 2;
    left -= 2;
    const capacity = load<u32>(segment, L.SEGMENT_CAPACITY);
    if (left > 0 && at < capacity) continue;
    const next: usize = load<u32>(segment, L.SEGMENT_NEXT);
    free(segment, segmentBytes(segment));
    segment = next;
    at = 0;
  }
  store<u32>(L.RETIRED_BEFORE, left, L.LIST_COUNT);
  store<u32>(L.RETIRED_BEFORE, <u32>segment, L.LIST_FIRST);
  store<u32>(L.RETIRED_BEFORE_AT, at);
  return left >>> 1;
}
