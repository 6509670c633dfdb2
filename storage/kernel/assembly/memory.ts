/**
 * The arena: a bump allocator with free lists by size for what comes and goes with series. All its state is in the
 * memory itself, so that every instance of the kernel sees the same. What is dead comes back in the sizes in which series
 * are made anew, so nothing is merged, and only what is long is divided. What comes and goes with samples is in pieces.ts.
 */
import * as L from '../layout';

const GROW_PAGES = 256; // 16 MiB at a time
/** Readers of bytes take wide words and look ahead: behind the last piece there is memory too. */
const SLACK_BYTES: usize = 256;

/**
 * What a new series can need besides grown tables: slabs for its alias and row, its labels once as wire bytes and once
 * as symbols, and for each of at most MAX_LABELS a name, a pair and a segment of a list.
 */
export const ROOM_FOR_SERIES: usize = 16 * L.MAX_SERIES_BYTES + 2 * L.SLAB_BYTES;

/**
 * `size` zeroed bytes, 8-aligned. Callers have checked `roomLeft` for what a series can need; running out here is a bug.
 */
export function allocate(size: usize): usize {
  const bytes = (size + 7) & ~7;
  let at = bytes <= L.LARGEST_EXACT ? takeFree(<usize>L.FREE_EXACT + (bytes >>> 1), <u32>bytes) : 0;
  if (at === 0 && load<u32>(L.FREE_LONG) !== 0) at = takeLong(bytes);
  if (at === 0) return extend(bytes);
  memory.fill(at, 0, bytes);
  return at;
}

/** Takes back what `allocate` gave. Nobody may be reading it. */
export function free(at: usize, size: usize): void {
  const bytes = (size + 7) & ~7;
  if (bytes <= L.LARGEST_EXACT) giveFree(<usize>L.FREE_EXACT + (bytes >>> 1), at, <u32>bytes);
  else {
    giveFree(L.FREE_LONG, at, <u32>bytes);
    store<u32>(at, <u32>bytes, 4);
  }
}

/** The beginning of the first long piece that is long enough, or 0; what is left of it stays free. */
function takeLong(bytes: usize): usize {
  let link: usize = L.FREE_LONG;
  for (let at: usize = load<u32>(link); at !== 0; at = load<u32>(link)) {
    const have: usize = load<u32>(at, 4);
    if (have >= bytes) {
      takeFree(link, <u32>have);
      if (have > bytes) free(at + bytes, have - bytes);
      return at;
    }
    link = at;
  }
  return 0;
}

/** `bytes` of fresh memory at a multiple of `alignment`; it is zero. */
export function extendAligned(bytes: usize, alignment: usize): usize {
  const gap = -(<usize>load<u32>(L.BUMP)) & (alignment - 1);
  const at = extend(gap + bytes);
  if (gap !== 0) free(at, gap);
  return at + gap;
}

/** Fresh memory behind all that is there; it is zero. */
function extend(bytes: usize): usize {
  const at: usize = load<u32>(L.BUMP);
  if (bytes > <usize>load<u32>(L.HARD_LIMIT) - at) unreachable();
  const next = at + bytes;
  const have: u64 = (<u64>(<u32>memory.size())) << 16,
    need = <u64>next + SLACK_BYTES;
  if (need > have) {
    const least = <i32>((need - have + 65535) >>> 16);
    if (memory.grow(max<i32>(GROW_PAGES, least)) < 0 && memory.grow(least) < 0) unreachable();
  }
  store<u32>(L.BUMP, <u32>next);
  return at;
}

/** `size` zeroed bytes of a slab: aliases and rows are walked in the order of creation, and neighbours are fetched ahead. */
export function allocateIn(slab: usize, size: usize): usize {
  const bytes = (size + 7) & ~7;
  let at: usize = load<u32>(slab);
  if (bytes > <usize>load<u32>(slab, 4) - at) {
    const whole = max<usize>(bytes, L.SLAB_BYTES);
    at = allocate(whole);
    store<u32>(slab, <u32>(at + whole), 4);
  }
  store<u32>(slab, <u32>(at + bytes));
  return at;
}

/**
 * Whether `bytes` more may be used: of the budget, and of what addresses there are. Of those as much stays free as
 * all hash tables need to grow once, which what is asked for here may make them do.
 */
export function roomLeft(bytes: usize): bool {
  const bump = load<u32>(L.BUMP);
  const used = bump - load<u32>(L.FREE_BYTES);
  const soft = load<u32>(L.SOFT_LIMIT);
  return (
    used < soft &&
    soft - used > <u32>bytes &&
    <u64>(load<u32>(L.HARD_LIMIT) - bump) > <u64>bytes + load<u32>(L.TABLE_GROWTH)
  );
}

function takeFree(list: usize, bytes: u32): usize {
  const at: usize = load<u32>(list);
  if (at !== 0) {
    store<u32>(list, load<u32>(at));
    store<u32>(L.FREE_BYTES, load<u32>(L.FREE_BYTES) - bytes);
  }
  return at;
}

function giveFree(list: usize, at: usize, bytes: u32): void {
  store<u32>(at, load<u32>(list));
  store<u32>(list, <u32>at);
  store<u32>(L.FREE_BYTES, load<u32>(L.FREE_BYTES) + bytes);
}

/** Appends to a list; readers that hold an older count still find their items where they were. */
export function listPush(list: usize, item: u32): void {
  const count = load<u32>(list, L.LIST_COUNT);
  let room: u32 = load<u16>(list, L.LIST_ROOM);
  let segment: usize = load<u32>(list, L.LIST_LAST);
  if (room === 0) {
    room = min<u32>(max<u32>(count, 4), 1024);
    const fresh = allocate(L.SEGMENT_ITEMS + (room << 2));
    store<u32>(fresh, room, L.SEGMENT_CAPACITY);
    if (segment === 0) store<u32>(list, <u32>fresh, L.LIST_FIRST);
    else store<u32>(segment, <u32>fresh, L.SEGMENT_NEXT);
    store<u32>(list, <u32>fresh, L.LIST_LAST);
    segment = fresh;
  }
  const index = load<u32>(segment, L.SEGMENT_CAPACITY) - room;
  store<u32>(segment + (index << 2), item, L.SEGMENT_ITEMS);
  store<u16>(list, <u16>(room - 1), L.LIST_ROOM);
  atomic.store<u32>(list, count + 1, L.LIST_COUNT);
}

/** Gives back the segments of a list from the one at `segment` on. Nobody may be reading it. */
export function freeSegments(segment: usize): void {
  while (segment !== 0) {
    const next: usize = load<u32>(segment, L.SEGMENT_NEXT);
    free(segment, segmentBytes(segment));
    segment = next;
  }
}

@inline
export function segmentBytes(segment: usize): usize {
  return <usize>L.SEGMENT_ITEMS + ((<usize>load<u32>(segment, L.SEGMENT_CAPACITY)) << 2);
}

/** A zeroed row, but for its version: a row that was used before goes on counting. */
export function allocateRow(): usize {
  const row: usize = load<u32>(L.FREE_ROWS);
  if (row === 0) return allocateIn(L.ROW_SLAB, L.ROW_BYTES);
  const next = load<u32>(row, L.ROW_LABELS);
  store<u32>(L.FREE_ROWS, next);
  if (next === 0) store<u32>(L.FREE_ROWS_LAST, 0);
  store<u32>(L.FREE_BYTES, load<u32>(L.FREE_BYTES) - L.ROW_BYTES);
  const version = load<u32>(row, L.ROW_VERSION);
  memory.fill(row, 0, L.ROW_BYTES);
  store<u32>(row, version, L.ROW_VERSION);
  return row;
}

/** What still points to a free row finds one that holds nothing. */
export function freeRow(row: usize): void {
  store<u32>(row, 0, L.ROW_LABELS);
  const last: usize = load<u32>(L.FREE_ROWS_LAST);
  if (last === 0) store<u32>(L.FREE_ROWS, <u32>row);
  else store<u32>(last, <u32>row, L.ROW_LABELS);
  store<u32>(L.FREE_ROWS_LAST, <u32>row);
  store<u32>(L.FREE_BYTES, load<u32>(L.FREE_BYTES) + L.ROW_BYTES);
}

/** Bytes of an alias's piece, and the list that it is in when it is free. */
function aliasBytes(size: usize): usize {
  const bytes = (size + 7) & ~7;
  return bytes <= L.LARGEST_EXACT ? bytes : (<usize>1) << (32 - clz<u32>(<u32>bytes - 1));
}

function aliasList(bytes: usize): usize {
  if (bytes <= L.LARGEST_EXACT) return <usize>L.FREE_ALIASES + (bytes >>> 1);
  return <usize>L.FREE_ALIASES + (<usize>L.LARGEST_EXACT >>> 1) + ((<usize>ctz<u32>(<u32>bytes / L.LARGEST_EXACT)) << 2);
}

/** An alias with room for `size` bytes in all. It holds what it held before. */
export function allocateAlias(size: usize): usize {
  const bytes = aliasBytes(size);
  const free = takeFree(aliasList(bytes), <u32>bytes);
  return free !== 0 ? free : allocateIn(L.ALIAS_SLAB, bytes);
}

/** An alias is not used for anything else: what was its predecessor may look at it, and then sees that it does not fit. */
export function freeAlias(alias: usize): void {
  const bytes = aliasBytes(<usize>L.ALIAS_WIRE + load<u32>(alias, L.ALIAS_LENGTH));
  store<u32>(alias, L.NO_ALIAS, L.ALIAS_LENGTH);
  giveFree(aliasList(bytes), alias, <u32>bytes);
}
