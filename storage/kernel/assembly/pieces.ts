/**
 * Memory for what is made and freed with the samples: buffers of open chunks, pages of closed ones. Free neighbours
 * merge: the series of a target grow, close and begin their chunks together, so that what all of them gave back in one
 * size is needed in another. A binary buddy system (Knowlton, CACM 1965; Knuth, TAOCP vol. 1, 2.5); of a size between
 * two powers the tail stays free. All state is in the memory: heads of lists by size, and a bit for each GRAIN that
 * says whether a free piece begins there, which holds [next | previous | order].
 */
import * as L from '../layout';
import { extendAligned } from './memory';

const GRAIN_BITS: u32 = 6;
const LARGEST_ORDER: u32 = 10;
/** The most that a piece can have: 64 KiB. */
export const LARGEST_PIECE: u32 = L.GRAIN << LARGEST_ORDER;
/** How much is taken of the arena at a time. */
const REGION_BYTES: u32 = 16 * LARGEST_PIECE;
/** What placing a sample can need: a region for a page and buffers, and what is before it; the windows of a tenant. */
export const ROOM_FOR_SAMPLE: usize = REGION_BYTES + LARGEST_PIECE + 65536;

const NEXT: usize = 0;
const PREVIOUS: usize = 4;
const ORDER: usize = 8;

@inline
function head(order: u32): usize {
  return <usize>L.FREE_PIECES + ((<usize>order) << 2);
}

@inline
function markWord(at: usize): usize {
  return <usize>L.PIECE_MARKS + ((at >>> (GRAIN_BITS + 5)) << 2);
}

@inline
function markBit(at: usize): u32 {
  return (<u32>1) << (<u32>(at >>> GRAIN_BITS) & 31);
}

/** `bytes` of memory that holds anything: a multiple of GRAIN, at most LARGEST_PIECE. */
export function takePiece(bytes: u32): usize {
  const order: u32 = bytes <= L.GRAIN ? 0 : 32 - clz<u32>((bytes - 1) >>> GRAIN_BITS);
  let from = order;
  while (from <= LARGEST_ORDER && load<u32>(head(from)) === 0) from++;
  if (from > LARGEST_ORDER) {
    addRegion();
    from = LARGEST_ORDER;
  }
  const piece: usize = load<u32>(head(from));
  unlink(piece, from);
  while (from > order) {
    from--;
    link(piece + ((<usize>L.GRAIN) << from), from);
  }
  // The tail: its pieces rise in size, each where a piece of its size may be.
  for (let at = bytes, end = L.GRAIN << order; at < end; ) {
    const tail = ctz<u32>(at);
    link(piece + at, tail - GRAIN_BITS);
    at += (<u32>1) << tail;
  }
  return piece;
}

/** Takes back what `takePiece` gave for as many bytes. Nobody may be reading it. */
export function givePiece(at: usize, bytes: u32): void {
  while (bytes !== 0) {
    const order = 31 - GRAIN_BITS - clz<u32>(bytes);
    merge(at, order);
    at += (<usize>L.GRAIN) << order;
    bytes -= L.GRAIN << order;
  }
}

function addRegion(): void {
  const region = extendAligned(REGION_BYTES, LARGEST_PIECE);
  for (let at = REGION_BYTES; at > 0; at -= LARGEST_PIECE) link(region + at - LARGEST_PIECE, LARGEST_ORDER);
}

/** Frees a piece together with those beside it that make a larger one. */
function merge(at: usize, order: u32): void {
  for (; order < LARGEST_ORDER; order++) {
    const size = (<usize>L.GRAIN) << order;
    const buddy = at ^ size;
    if ((load<u32>(markWord(buddy)) & markBit(buddy)) === 0 || load<u32>(buddy, ORDER) !== order) break;
    unlink(buddy, order);
    at &= ~size;
  }
  link(at, order);
}

function link(at: usize, order: u32): void {
  const next: usize = load<u32>(head(order));
  store<u32>(at, <u32>next, NEXT);
  store<u32>(at, 0, PREVIOUS);
  store<u32>(at, order, ORDER);
  if (next !== 0) store<u32>(next, <u32>at, PREVIOUS);
  store<u32>(head(order), <u32>at);
  store<u32>(markWord(at), load<u32>(markWord(at)) | markBit(at));
  store<u32>(L.FREE_BYTES, load<u32>(L.FREE_BYTES) + (L.GRAIN << order));
}

function unlink(at: usize, order: u32): void {
  const next: usize = load<u32>(at, NEXT),
    previous: usize = load<u32>(at, PREVIOUS);
  if (next !== 0) store<u32>(next, <u32>previous, PREVIOUS);
  store<u32>(previous === 0 ? head(order) : previous + NEXT, <u32>next);
  store<u32>(markWord(at), load<u32>(markWord(at)) & ~markBit(at));
  store<u32>(L.FREE_BYTES, load<u32>(L.FREE_BYTES) - (L.GRAIN << order));
}
