/** The doors of the kernel. Addresses and layouts are in ../layout.ts; promises in ../kernel.ts. */
import * as L from '../layout';
import { makeCrcTables } from './crc32c';
import { makeSnappyTable } from './snappy';
import { allocate, free, freeSegments, segmentBytes } from './memory';
import { forgetRefs } from './replay';
import { emptyTable, makeRemoved, makeTable } from './table';
import { beginRecords, definitionsFull, endDefinitions, recordDefinition } from './record';
import { dropFromRow } from './rows';
import { findWindow, releaseSealed, sealGeneration } from './window';
import { appendXor, nextXor, openXor, startXor, xorDamaged, xorTime, xorValue } from './chunk';

export { collect, markEmpty } from './collect';
export { crc32c } from './crc32c';
export { decodeSnappy } from './snappy';
export { pushFrame } from './record';
export { cover, replay } from './replay';
export { freeRetired, sealRetired } from './retired';
export { apply } from './apply';
export { plannedSamples } from './plan';
export { makeReplica, meetReplicas } from './policy';
export { validateV1 } from './request-v1';
export { validateV2 } from './request-v2';
export { forgetRowless } from './series';
export { findName, findPair, findSymbol } from './symbols';
export { findTenant } from './tenants';

/** Prepares fresh, zeroed memory; once in the life of a memory. Addresses and limits in bytes. */
export function initialize(arena: u32, softLimit: u32, hardLimit: u32, seed: u32): void {
  store<u32>(L.BUMP, arena);
  store<u32>(L.SOFT_LIMIT, softLimit);
  store<u32>(L.HARD_LIMIT, hardLimit);
  store<u32>(L.HASH_SEED, seed);
  store<u64>(L.NEXT_REF, 1);
  store<u64>(L.SEQUENCE, 1);
  store<u32>(L.NEXT_GENERATION, 1);
  makeCrcTables();
  makeSnappyTable();
  makeRemoved();
  makeTable(L.ALIASES, 1024);
  makeTable(L.SYMBOLS, 1024);
  makeTable(L.NAMES, 256);
  makeTable(L.PAIRS, 1024);
  makeTable(L.SERIES, 1024);
  makeTable(L.REFS, 1024);
  makeTable(L.COVERED, 256);
  makeTable(L.TENANTS, 256);
}

/** Which label names the server gives to series itself: `length` bytes of (length u8, text)*. Once in a memory's life. */
export function reserveNames(at: usize, length: usize): void {
  const names = allocate(4 + length);
  store<u32>(names, <u32>length);
  memory.copy(names + 4, at, length);
  store<u32>(L.RESERVED_NAMES, <u32>names);
}

/** Prepares a private memory that only codes chunks and checksums. */
export function initializeCodec(): void {
  makeCrcTables();
  makeSnappyTable();
}

/** Seals the open generation of a live window; 0 if there is none or one is sealed already. */
export function seal(tenant: usize, number: u32): u32 {
  const window = findWindow(tenant, number);
  if (window === 0 || load<u32>(window, L.WINDOW_SEALED) !== 0) return 0;
  return sealGeneration(tenant, window);
}

/** Takes a window's generation out of `count` rows of a segment of the tenant's list, from `index` on. */
export function dropFromSegment(segment: usize, index: u32, count: u32, number: u32, generation: u32): void {
  for (let i = index; i < index + count; i++) {
    dropFromRow(load<u32>(segment + ((<usize>i) << 2), L.SEGMENT_ITEMS), number, generation);
  }
}

/** Frees the sealed generation of a window; no row refers to it any more. */
export function release(tenant: usize, number: u32): void {
  const window = findWindow(tenant, number);
  if (window !== 0) releaseSealed(tenant, window);
}

/**
 * Writes the second copy of the definitions of rows up to the `upTo`th ever made into the WAL, no more than one full
 * record has, however many records it takes when tenants alternate; returns how many rows have both.
 */
export function redefine(upTo: u32): u32 {
  const head = load<u32>(L.WAL_HEAD);
  let done = load<u32>(L.ROWS_DEFINED_TWICE),
    at = load<u32>(L.ROWS_TO_DEFINE_AT),
    tenant: u32 = 0;
  beginRecords();
  while (<i32>(upTo - done) > 0 && !definitionsFull(load<u32>(L.WAL_HEAD) - head)) {
    const segment: usize = load<u32>(L.ROWS_TO_DEFINE, L.LIST_FIRST);
    if (at === load<u32>(segment, L.SEGMENT_CAPACITY)) {
      store<u32>(L.ROWS_TO_DEFINE, load<u32>(segment, L.SEGMENT_NEXT), L.LIST_FIRST);
      free(segment, segmentBytes(segment));
      at = 0;
      continue;
    }
    const row: usize = load<u32>(segment + ((<usize>at) << 2), L.SEGMENT_ITEMS);
    if (load<u32>(row, L.ROW_TENANT) !== tenant) endDefinitions();
    tenant = load<u32>(row, L.ROW_TENANT);
    recordDefinition(row);
    done++;
    at++;
  }
  store<u32>(L.ROWS_TO_DEFINE, load<u32>(L.ROWS_MADE) - done, L.LIST_COUNT);
  store<u32>(L.ROWS_TO_DEFINE_AT, at);
  endDefinitions();
  store<u32>(L.ROWS_DEFINED_TWICE, done);
  return done;
}

/** The replay is over: its rows need no second copy of their definitions, and what only it looked up is freed. */
export function endReplay(): void {
  freeSegments(load<u32>(L.ROWS_TO_DEFINE, L.LIST_FIRST));
  memory.fill(L.ROWS_TO_DEFINE, 0, 16);
  store<u32>(L.ROWS_TO_DEFINE_AT, 0);
  store<u32>(L.ROWS_DEFINED_TWICE, load<u32>(L.ROWS_MADE));
  forgetRefs();
  emptyTable(L.COVERED, 256, L.COVERED_BYTES);
}

/**
 * Decodes an XOR chunk of `length` bytes into times and values (f64, at most `limit` each). Returns how many samples,
 * or 0xffffffff if the bytes make no sense.
 */
export function decodeXor(at: usize, length: usize, times: usize, values: usize, limit: u32): u32 {
  openXor(at, length);
  let count: u32 = 0;
  while (count < limit && nextXor()) {
    store<f64>(times + ((<usize>count) << 3), <f64>xorTime);
    store<u64>(values + ((<usize>count) << 3), xorValue);
    count++;
  }
  return xorDamaged ? 0xffffffff : count;
}

/** Encodes `count` ≥ 1 samples into a zeroed region; `open` is OPEN_BYTES zeroed bytes. Returns the length in bytes. */
export function encodeXor(times: usize, values: usize, count: u32, open: usize, to: usize): u32 {
  store<u32>(open, <u32>to, L.OPEN_BUFFER);
  startXor(open, <i64>load<f64>(times), load<u64>(values));
  for (let i: usize = 1; i < count; i++)
    appendXor(open, <i64>load<f64>(times + (i << 3)), load<u64>(values + (i << 3)));
  store<u16>(to, bswap<u16>(<u16>count));
  return (<u32>load<u64>(open, L.OPEN_PUBLISHED) + 7) >>> 3;
}
