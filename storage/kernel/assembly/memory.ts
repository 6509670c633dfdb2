/**
 * The arena: a bump allocator with free lists by size class for what comes and goes (buffers of open chunks, pages of
 * closed ones). All its state is in the memory itself, so that every instance of the kernel sees the same. Fresh arena
 * bytes are zero; reused ones are not.
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
/** What placing a sample can need: a page, the buffers that a growing chunk goes through, the windows of a tenant. */
export const ROOM_FOR_SAMPLE: usize = 131072;

/** `size` bytes, 8-aligned. Callers have checked `roomLeft` for what a series can need; running out here is a bug. */
export function allocate(size: usize): usize {
  const at: usize = load<u32>(L.BUMP);
  const bytes = (size + 7) & ~7;
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

/** `size` bytes of a slab: aliases and rows are walked in the order of creation, and neighbours are fetched ahead. */
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

/** Bytes of a buffer of a class: 64, 96, 128, 192, 256 … 1536; the eleventh is the longest XOR chunk with its slack. */
export function bufferBytes(sizeClass: u32): u32 {
  if (sizeClass === 10) return 2304;
  return (sizeClass & 1 ? <u32>96 : <u32>64) << (sizeClass >>> 1);
}

/** A zeroed buffer for an open chunk. */
export function allocateBuffer(sizeClass: u32): usize {
  const bytes = bufferBytes(sizeClass);
  const free = takeFree(L.FREE_BUFFERS + (sizeClass << 2), bytes);
  if (free === 0) return allocate(bytes);
  memory.fill(free, 0, bytes);
  return free;
}

export function freeBuffer(at: usize, sizeClass: u32): void {
  giveFree(L.FREE_BUFFERS + (sizeClass << 2), at, bufferBytes(sizeClass));
}

/** A page of closed chunks of 1 KiB << sizeClass. */
export function allocatePage(sizeClass: u32): usize {
  const bytes: u32 = 1024 << sizeClass;
  let at = takeFree(L.FREE_PAGES + (sizeClass << 2), bytes);
  if (at === 0) at = allocate(bytes);
  store<u32>(at, 0, L.PAGE_NEXT);
  store<u32>(at, bytes, L.PAGE_SIZE);
  store<u32>(at, L.PAGE_HEADER_BYTES, L.PAGE_USED);
  return at;
}

/** Frees a page and all that follow it. */
export function freePages(first: usize): void {
  for (let page = first; page !== 0; ) {
    const next: usize = load<u32>(page, L.PAGE_NEXT);
    const bytes = load<u32>(page, L.PAGE_SIZE);
    giveFree(L.FREE_PAGES + ((31 - clz(bytes) - 10) << 2), page, bytes);
    page = next;
  }
}

/** Appends to a list; readers that hold an older count still find their items where they were. */
export function listPush(list: usize, item: u32): void {
  const count = load<u32>(list, L.LIST_COUNT);
  let room = load<u32>(list, L.LIST_ROOM);
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
  store<u32>(list, room - 1, L.LIST_ROOM);
  atomic.store<u32>(list, count + 1, L.LIST_COUNT);
}
