/**
 * Samples of a row. The newest window's samples arrive in order and go to the row's open chunk; the others go to its
 * late chunk. A full chunk, or one whose window or generation ends, is closed: copied to the pages of its window.
 * While chunks move, the row's version is odd; an append in place publishes one word.
 */
import * as L from '../layout';
import { appendXor, fitsXor, nextXor, openXor, openXorStream, startXor, xorTime, xorValue } from './chunk';
import { allocate, roomLeft } from './memory';
import { givePiece, ROOM_FOR_SAMPLE, takePiece } from './pieces';
import { dropItems, hasItems } from './item-list';
import { allocateChunk, findWindow, isLive, openWindow } from './window';

export const STORED: u32 = 0;
export const DUPLICATE: u32 = 1;
export const CONFLICT: u32 = 2;
export const NO_ROOM: u32 = 3;
/** A verdict from here on is FIRST_REJECT plus a reason. */
export const FIRST_REJECT: u32 = 16;

const TAIL_BYTES: u32 = 32; // a sample takes 19 at most, and a write touches 8 at once
const LARGEST_BUFFER: u32 = 48 * L.GRAIN; // the longest chunk has 2200 bytes
const REBUILD: usize = L.SCRATCH + 1048576; // samples of a chunk being rebuilt: (time, value) × CHUNK_SAMPLES

@inline
function countOf(open: usize): u32 {
  return <u32>(load<u64>(open, L.OPEN_PUBLISHED) >>> 32);
}

@inline
export function beginMove(row: usize): void {
  atomic.store<u32>(row, load<u32>(row, L.ROW_VERSION) + 1, L.ROW_VERSION);
}

@inline
export function endMove(row: usize): void {
  atomic.store<u32>(row, load<u32>(row, L.ROW_VERSION) + 1, L.ROW_VERSION);
}

/** Stores a sample that is not negative and not too far in the future; says what became of it. */
@inline
export function place(tenant: usize, row: usize, time: i64, value: u64, sealedUntil: i64): u32 {
  const open = row + L.ROW_OPEN;
  const published = load<u64>(open, L.OPEN_PUBLISHED);
  const end = (<i64>load<u32>(open, L.OPEN_WINDOW) + 1) * L.WINDOW_MS;
  if (
    published !== 0 &&
    published >>> 32 < L.CHUNK_SAMPLES &&
    time > load<i64>(open, L.OPEN_LAST_TIME) &&
    time < end &&
    time >= sealedUntil
  ) {
    if (isFull(open, time, value)) {
      if (!roomLeft(ROOM_FOR_SAMPLE)) return NO_ROOM;
      growBuffer(row, open);
    }
    appendXor(open, time, value);
    return STORED;
  }
  return placeElsewhere(tenant, row, time, value, sealedUntil);
}

/** Every case but the usual one: a first sample, a full chunk, another window, out of order, late. */
function placeElsewhere(tenant: usize, row: usize, time: i64, value: u64, sealedUntil: i64): u32 {
  if (!roomLeft(ROOM_FOR_SAMPLE)) return NO_ROOM;
  const number = <u32>(time / L.WINDOW_MS);
  const window = openWindow(tenant, number);
  if (window === 0) return FIRST_REJECT + L.REJECT_WINDOWS;
  const generation = load<u32>(window, L.WINDOW_GENERATION);
  const open = row + L.ROW_OPEN;
  const openNumber = load<u32>(open, L.OPEN_WINDOW);
  const empty = countOf(open) === 0;
  const inOrder =
    !empty &&
    openNumber === number &&
    load<u32>(open, L.OPEN_GENERATION) === generation &&
    time > load<i64>(open, L.OPEN_LAST_TIME);
  // In a window that was ever sealed, other chunks may hold what is later than the open chunk.
  if (!inOrder || time < sealedUntil) {
    const verdict = findSample(row, number, time, value);
    if (verdict !== STORED) return verdict;
  }
  const newer =
    empty || number > openNumber || (number === openNumber && load<u32>(open, L.OPEN_GENERATION) !== generation);
  if (inOrder || newer) appendOrStart(tenant, row, open, number, generation, time, value);
  else placeLate(tenant, row, number, generation, time, value);
  store<u32>(window, 1, L.WINDOW_TOUCHED);
  return STORED;
}

/** Appends to the open chunk if it is this generation's and has room; else closes it and starts the next. */
function appendOrStart(
  tenant: usize,
  row: usize,
  open: usize,
  number: u32,
  generation: u32,
  time: i64,
  value: u64,
): void {
  const count = countOf(open);
  const same =
    count !== 0 && load<u32>(open, L.OPEN_WINDOW) === number && load<u32>(open, L.OPEN_GENERATION) === generation;
  if (same && count < L.CHUNK_SAMPLES) {
    if (isFull(open, time, value)) growBuffer(row, open);
    appendXor(open, time, value);
    return;
  }
  beginMove(row);
  if (count !== 0) closeChunk(tenant, row, open);
  startChunk(open, number, generation, time, value);
  endMove(row);
}

function startChunk(open: usize, number: u32, generation: u32, time: i64, value: u64): void {
  const buffer: usize = load<u32>(open, L.OPEN_BUFFER);
  if (buffer === 0) setBuffer(open, L.GRAIN);
  else memory.fill(buffer, 0, bufferBytes(open));
  store<u32>(open, number, L.OPEN_WINDOW);
  store<u32>(open, generation, L.OPEN_GENERATION);
  store<u32>(open, <u32>(time - <i64>number * L.WINDOW_MS), L.OPEN_MIN_OFFSET);
  startXor(open, time, value);
}

@inline
function bufferBytes(open: usize): u32 {
  return <u32>load<u8>(open, L.OPEN_GRAINS) * L.GRAIN;
}

/** Whether the buffer has no room for a further sample. */
@inline
function isFull(open: usize, time: i64, value: u64): bool {
  const used = <u32>load<u64>(open, L.OPEN_PUBLISHED) >>> 3;
  return used > bufferBytes(open) - TAIL_BYTES && !fitsXor(open, time, value);
}

/** Leaves an open chunk without samples and without a buffer. */
function freeBuffer(open: usize): void {
  store<u64>(open, 0, L.OPEN_PUBLISHED);
  givePiece(load<u32>(open, L.OPEN_BUFFER), bufferBytes(open));
  store<u32>(open, 0, L.OPEN_BUFFER);
}

/** Gives an open chunk a zeroed buffer. */
function setBuffer(open: usize, bytes: u32): usize {
  const buffer = takePiece(bytes);
  memory.fill(buffer, 0, bytes);
  store<u32>(open, <u32>buffer, L.OPEN_BUFFER);
  store<u8>(open, <u8>(bytes / L.GRAIN), L.OPEN_GRAINS);
  return buffer;
}

function growBuffer(row: usize, open: usize): void {
  beginMove(row);
  growInMove(open);
  endMove(row);
}

/** Copies an open chunk to its window's pages and links it; one whose generation was released is only emptied. */
function closeChunk(tenant: usize, row: usize, open: usize): void {
  const number = load<u32>(open, L.OPEN_WINDOW),
    generation = load<u32>(open, L.OPEN_GENERATION);
  if (isLive(tenant, number, generation)) {
    const published = load<u64>(open, L.OPEN_PUBLISHED);
    const length = (<u32>published + 7) >>> 3;
    const chunk = allocateChunk(findWindow(tenant, number), generation, L.CHUNK_XOR + length);
    store<u32>(chunk, load<u32>(row, L.ROW_CHUNKS), L.CHUNK_PREVIOUS);
    store<u32>(chunk, number, L.CHUNK_WINDOW);
    store<u32>(chunk, generation, L.CHUNK_GENERATION);
    store<u16>(chunk, <u16>(published >>> 32), L.CHUNK_COUNT);
    store<u16>(chunk, <u16>length, L.CHUNK_LENGTH);
    store<u32>(chunk, load<u32>(open, L.OPEN_MIN_OFFSET), L.CHUNK_MIN_OFFSET);
    store<u32>(chunk, <u32>(load<i64>(open, L.OPEN_LAST_TIME) - <i64>number * L.WINDOW_MS), L.CHUNK_MAX_OFFSET);
    memory.copy(chunk + L.CHUNK_XOR, load<u32>(open, L.OPEN_BUFFER), length);
    store<u16>(chunk, bswap<u16>(<u16>(published >>> 32)), L.CHUNK_XOR);
    store<u32>(row, <u32>chunk, L.ROW_CHUNKS);
  }
  freeBuffer(open);
}

/** Whether the row has a float at this time: STORED if not, else DUPLICATE or CONFLICT by its bits. */
export function findSample(row: usize, number: u32, time: i64, value: u64): u32 {
  let verdict = findInOpen(row + L.ROW_OPEN, number, time, value);
  const late: usize = load<u32>(row, L.ROW_LATE);
  if (verdict === STORED && late !== 0) verdict = findInOpen(late, number, time, value);
  const offset = <u32>(time - <i64>number * L.WINDOW_MS);
  for (
    let chunk: usize = load<u32>(row, L.ROW_CHUNKS);
    verdict === STORED && chunk !== 0;
    chunk = load<u32>(chunk, L.CHUNK_PREVIOUS)
  ) {
    if (
      load<u32>(chunk, L.CHUNK_WINDOW) !== number ||
      offset < load<u32>(chunk, L.CHUNK_MIN_OFFSET) ||
      offset > load<u32>(chunk, L.CHUNK_MAX_OFFSET)
    )
      continue;
    openXor(chunk + L.CHUNK_XOR, load<u16>(chunk, L.CHUNK_LENGTH));
    verdict = scanFor(time, value);
  }
  return verdict;
}

/** Whether a float of a window's generation is the newest that the row has of it. */
export function isNewest(row: usize, number: u32, generation: u32, time: i64): bool {
  const late: usize = load<u32>(row, L.ROW_LATE);
  if (reachesBehind(row + L.ROW_OPEN, number, generation, time)) return false;
  if (late !== 0 && reachesBehind(late, number, generation, time)) return false;
  const offset = <u32>(time - <i64>number * L.WINDOW_MS);
  for (let chunk: usize = load<u32>(row, L.ROW_CHUNKS); chunk !== 0; chunk = load<u32>(chunk, L.CHUNK_PREVIOUS)) {
    if (
      load<u32>(chunk, L.CHUNK_WINDOW) === number &&
      load<u32>(chunk, L.CHUNK_GENERATION) === generation &&
      load<u32>(chunk, L.CHUNK_MAX_OFFSET) > offset
    )
      return false;
  }
  return true;
}

function reachesBehind(open: usize, number: u32, generation: u32, time: i64): bool {
  return (
    countOf(open) !== 0 &&
    load<u32>(open, L.OPEN_WINDOW) === number &&
    load<u32>(open, L.OPEN_GENERATION) === generation &&
    load<i64>(open, L.OPEN_LAST_TIME) > time
  );
}

function findInOpen(open: usize, number: u32, time: i64, value: u64): u32 {
  const published = load<u64>(open, L.OPEN_PUBLISHED);
  if (published === 0 || load<u32>(open, L.OPEN_WINDOW) !== number) return STORED;
  const last = load<i64>(open, L.OPEN_LAST_TIME);
  if (time > last) return STORED;
  if (time === last) return load<u64>(open, L.OPEN_LAST_VALUE) === value ? DUPLICATE : CONFLICT;
  openXorStream(load<u32>(open, L.OPEN_BUFFER), <u32>published, <u32>(published >>> 32));
  return scanFor(time, value);
}

function scanFor(time: i64, value: u64): u32 {
  while (nextXor()) {
    if (xorTime === time) return xorValue === value ? DUPLICATE : CONFLICT;
    if (xorTime > time) break;
  }
  return STORED;
}

/** A sample that the open chunk cannot take: to the late chunk, at its end or in its middle. */
function placeLate(tenant: usize, row: usize, number: u32, generation: u32, time: i64, value: u64): void {
  let late: usize = load<u32>(row, L.ROW_LATE);
  if (late === 0) {
    late = allocate(L.OPEN_BYTES);
    atomic.store<u32>(row, <u32>late, L.ROW_LATE);
  }
  const same =
    countOf(late) !== 0 &&
    load<u32>(late, L.OPEN_WINDOW) === number &&
    load<u32>(late, L.OPEN_GENERATION) === generation;
  if (same && time < load<i64>(late, L.OPEN_LAST_TIME)) insertLate(tenant, row, late, time, value);
  else appendOrStart(tenant, row, late, number, generation, time, value);
}

/** Rebuilds the late chunk with one more sample in its middle; a full one is closed first. */
function insertLate(tenant: usize, row: usize, late: usize, time: i64, value: u64): void {
  const number = load<u32>(late, L.OPEN_WINDOW),
    generation = load<u32>(late, L.OPEN_GENERATION);
  const published = load<u64>(late, L.OPEN_PUBLISHED);
  if (published >>> 32 >= L.CHUNK_SAMPLES) {
    appendOrStart(tenant, row, late, number, generation, time, value);
    return;
  }
  openXorStream(load<u32>(late, L.OPEN_BUFFER), <u32>published, <u32>(published >>> 32));
  let to = REBUILD,
    placed = false;
  while (nextXor()) {
    if (!placed && xorTime > time) {
      store<i64>(to, time);
      store<u64>(to, value, 8);
      to += 16;
      placed = true;
    }
    store<i64>(to, xorTime);
    store<u64>(to, xorValue, 8);
    to += 16;
  }
  beginMove(row);
  startChunk(late, number, generation, load<i64>(REBUILD), load<u64>(REBUILD, 8));
  for (let from = REBUILD + 16; from < to; from += 16) {
    const nextTime = load<i64>(from),
      nextValue = load<u64>(from, 8);
    if (isFull(late, nextTime, nextValue)) growInMove(late);
    appendXor(late, nextTime, nextValue);
  }
  endMove(row);
}

/** Buffers grow by steps of a half and a third: 1, 2, 3, 4, 6, 8, 12 … grains. */
function growInMove(open: usize): void {
  const bytes = bufferBytes(open),
    half = bytes >>> 1;
  if (bytes === LARGEST_BUFFER) unreachable();
  const from: usize = load<u32>(open, L.OPEN_BUFFER);
  const more = (bytes & (bytes - 1)) === 0 ? half : bytes / 3;
  const to = setBuffer(open, bytes + max<u32>(more, L.GRAIN));
  memory.copy(to, from, bytes);
  givePiece(from, bytes);
}

/** Whether a row holds nothing. */
export function isEmpty(row: usize): bool {
  if (load<u32>(row, L.ROW_CHUNKS) !== 0 || countOf(row + L.ROW_OPEN) !== 0) return false;
  const late: usize = load<u32>(row, L.ROW_LATE);
  return (late === 0 || countOf(late) === 0) && !hasItems(row);
}

/** Takes everything of a window's generation out of a row. */
export function dropFromRow(row: usize, number: u32, generation: u32): void {
  if (isEmpty(row)) return;
  store<u8>(row, 0, L.ROW_MARK); // it held something since it was marked
  beginMove(row);
  dropOpen(row + L.ROW_OPEN, number, generation);
  const late: usize = load<u32>(row, L.ROW_LATE);
  if (late !== 0) dropOpen(late, number, generation);
  let link = row + L.ROW_CHUNKS;
  for (let chunk: usize = load<u32>(link); chunk !== 0; ) {
    const previous = load<u32>(chunk, L.CHUNK_PREVIOUS);
    if (load<u32>(chunk, L.CHUNK_WINDOW) === number && load<u32>(chunk, L.CHUNK_GENERATION) === generation)
      store<u32>(link, previous);
    else link = chunk + L.CHUNK_PREVIOUS;
    chunk = previous;
  }
  dropItems(row, number, generation);
  endMove(row);
}

function dropOpen(open: usize, number: u32, generation: u32): void {
  const buffer: usize = load<u32>(open, L.OPEN_BUFFER);
  if (buffer === 0 || load<u32>(open, L.OPEN_WINDOW) !== number || load<u32>(open, L.OPEN_GENERATION) !== generation)
    return;
  freeBuffer(open);
}
