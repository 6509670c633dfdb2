/**
 * The live 2 h windows of a tenant. Samples go to a window's open generation; a seal closes that generation for a cut
 * and opens the next. Generations are numbered for the whole shard, so a window that died and lives again is never
 * mistaken for its past.
 */
import * as L from '../layout';
import { allocate, free } from './memory';
import { givePiece, LARGEST_PIECE, takePiece } from './pieces';

const SMALLEST_PAGE: u32 = 1024;
const SLOTS_AT_LEAST: u32 = 4;
/** Before the slots: for how many there is room. */
const ROOM_BYTES: usize = 8;

@inline
function windowAt(tenant: usize, index: u32): usize {
  return <usize>load<u32>(tenant, L.TENANT_WINDOW_SLOTS) + <usize>index * L.WINDOW_BYTES;
}

/** The live window with this number, or 0. */
export function findWindow(tenant: usize, number: u32): usize {
  const count = load<u32>(tenant, L.TENANT_WINDOWS);
  // The newest windows are the last ones.
  for (let i = count; i > 0; i--) {
    const window = windowAt(tenant, i - 1);
    if (load<u32>(window, L.WINDOW_NUMBER) === number) return window;
  }
  return 0;
}

/** The live window with this number, made if need be; 0 if the tenant holds as many as it may. */
export function openWindow(tenant: usize, number: u32): usize {
  const known = findWindow(tenant, number);
  if (known !== 0) return known;
  const count = load<u32>(tenant, L.TENANT_WINDOWS);
  if (count >= load<u32>(L.MAX_OPEN_WINDOWS)) return 0;
  if (count === roomForWindows(tenant)) growSlots(tenant, count);
  const window = windowAt(tenant, count);
  memory.fill(window, 0, L.WINDOW_BYTES);
  store<u32>(window, number, L.WINDOW_NUMBER);
  store<u32>(window, takeGeneration(), L.WINDOW_GENERATION);
  store<u32>(window, <u32>isLate(tenant, number), L.WINDOW_LATE);
  atomic.store<u32>(tenant, count + 1, L.TENANT_WINDOWS);
  return window;
}

/** Whether the window ended longer before the tenant's newest sample than samples may come out of order. */
function isLate(tenant: usize, number: u32): bool {
  const end = (<i64>number + 1) * L.WINDOW_MS;
  return end <= load<i64>(tenant, L.TENANT_NEWEST) - load<i64>(L.OUT_OF_ORDER_MS);
}

function roomForWindows(tenant: usize): u32 {
  const slots: usize = load<u32>(tenant, L.TENANT_WINDOW_SLOTS);
  return slots === 0 ? 0 : load<u32>(slots - ROOM_BYTES);
}

/** Doubles the room of a tenant that holds `count` windows. Only this thread reads it. */
function growSlots(tenant: usize, count: u32): void {
  const room = max<u32>(count << 1, SLOTS_AT_LEAST);
  const slots = allocate(ROOM_BYTES + room * L.WINDOW_BYTES) + ROOM_BYTES;
  store<u32>(slots - ROOM_BYTES, room);
  const known: usize = load<u32>(tenant, L.TENANT_WINDOW_SLOTS);
  if (known !== 0) {
    memory.copy(slots, known, count * L.WINDOW_BYTES);
    free(known - ROOM_BYTES, ROOM_BYTES + count * L.WINDOW_BYTES);
  }
  store<u32>(tenant, <u32>slots, L.TENANT_WINDOW_SLOTS);
}

function takeGeneration(): u32 {
  const generation = load<u32>(L.NEXT_GENERATION);
  store<u32>(L.NEXT_GENERATION, generation + 1);
  return generation;
}

/** Closes the open generation of a live window for a cut; returns its number. */
export function sealGeneration(tenant: usize, window: usize): u32 {
  const sealed = load<u32>(window, L.WINDOW_GENERATION);
  store<u32>(window, sealed, L.WINDOW_SEALED);
  store<u32>(window, load<u32>(window, L.WINDOW_PAGES), L.WINDOW_SEALED_PAGES);
  store<u32>(window, 0, L.WINDOW_PAGES);
  store<u32>(window, 0, L.WINDOW_TOUCHED);
  store<u32>(window, takeGeneration(), L.WINDOW_GENERATION);
  const end = (<i64>load<u32>(window, L.WINDOW_NUMBER) + 1) * L.WINDOW_MS;
  if (end > load<i64>(tenant, L.TENANT_SEALED_UNTIL)) store<i64>(tenant, end, L.TENANT_SEALED_UNTIL);
  return sealed;
}

/** Frees what a sealed generation held; no row may refer to it any more. The window dies if it holds nothing else. */
export function releaseSealed(tenant: usize, window: usize): void {
  freePages(load<u32>(window, L.WINDOW_SEALED_PAGES));
  store<u32>(window, 0, L.WINDOW_SEALED_PAGES);
  store<u32>(window, 0, L.WINDOW_SEALED);
  if (load<u32>(window, L.WINDOW_TOUCHED) !== 0) return;
  const last = load<u32>(tenant, L.TENANT_WINDOWS) - 1;
  const from = windowAt(tenant, last);
  if (from !== window) memory.copy(window, from, L.WINDOW_BYTES);
  store<u32>(tenant, last, L.TENANT_WINDOWS);
}

function freePages(first: usize): void {
  for (let page = first; page !== 0; ) {
    const next: usize = load<u32>(page, L.PAGE_NEXT);
    givePiece(page, load<u32>(page, L.PAGE_SIZE));
    page = next;
  }
}

/** Whether a chunk of this window and generation still counts: open, or sealed and not yet released. */
export function isLive(tenant: usize, number: u32, generation: u32): bool {
  const window = findWindow(tenant, number);
  return (
    window !== 0 &&
    (load<u32>(window, L.WINDOW_GENERATION) === generation || load<u32>(window, L.WINDOW_SEALED) === generation)
  );
}

/** Room for a closed chunk of `bytes` among the pages of its window's generation. */
export function allocateChunk(window: usize, generation: u32, bytes: u32): usize {
  const pages =
    window + (load<u32>(window, L.WINDOW_GENERATION) === generation ? L.WINDOW_PAGES : L.WINDOW_SEALED_PAGES);
  const size = (bytes + 7) & ~7;
  let page: usize = load<u32>(pages);
  if (page === 0 || load<u32>(page, L.PAGE_SIZE) - load<u32>(page, L.PAGE_USED) < size) {
    let pageBytes = page === 0 ? SMALLEST_PAGE : min<u32>(load<u32>(page, L.PAGE_SIZE) << 1, LARGEST_PIECE);
    while (pageBytes - L.PAGE_HEADER_BYTES < size) pageBytes <<= 1;
    const fresh = takePiece(pageBytes);
    store<u32>(fresh, pageBytes, L.PAGE_SIZE);
    store<u32>(fresh, L.PAGE_HEADER_BYTES, L.PAGE_USED);
    store<u32>(fresh, <u32>page, L.PAGE_NEXT);
    store<u32>(pages, <u32>fresh);
    page = fresh;
  }
  const used = load<u32>(page, L.PAGE_USED);
  store<u32>(page, used + size, L.PAGE_USED);
  return page + used;
}
