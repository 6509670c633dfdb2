/**
 * The way back: WAL records into the head. Samples that a published block covers are left out; the others are placed
 * as they were the first time. Layouts in record.ts; checkpoints add
 *
 *   checkpoint: 5 | next generation uvarint | next ref uvarint            (the first record of a checkpoint)
 *   chunks:     4 | (ref, window, generation, length: uvarints, XOR chunk)*
 *   kept items: 7 | (kind u8, ref, generation, time, length: uvarints, bytes)*
 */
import * as L from '../layout';
import { finish, mix, readVarint, seeded, varintEnd } from './bytes';
import { nextXor, openXor, xorDamaged, xorTime, xorValue } from './chunk';
import { placeBesideItems, placeItem, placeStart } from './items';
import { allocate, ROOM_FOR_SERIES, roomLeft } from './memory';
import {
  isItem,
  itemBytes,
  itemKind,
  itemLength,
  itemRef,
  itemTime,
  nextItem,
  nextSample,
  openItems,
  openSamples,
  sampleRef,
  samplesDamaged,
  sampleTime,
  sampleValue,
} from './record';
import { NO_ROOM, place, STORED } from './rows';
import { findOrMakeRow } from './series';
import { readDefinition } from './labels';
import { emptyTable, slot, tableInsert, tableMask } from './table';
import { findTenant } from './tenants';

/**
 * REFS: which row a ref stands for. Refs are given out one after the other, and so they come back: an entry holds a page
 * of them, and the page of the last one is nearly always the next one's too.
 *
 *   entry: ref / PAGE_REFS u64 | rows u32 × PAGE_REFS
 */
const PAGE_BITS: u64 = 6;
const PAGE_REFS: usize = 1 << 6;
export const REF_PAGE_BYTES: usize = 8 + PAGE_REFS * 4;

/** The page looked at last, or 0. Forgotten with the table. */
let lastPage: usize = 0;

function pageHash(number: u64): u32 {
  return finish(mix(seeded(), number));
}

function findPage(number: u64): usize {
  const hash = pageHash(number);
  const table: usize = load<u32>(L.REFS);
  const mask = tableMask(table);
  for (let i = hash & mask; ; i = (i + 1) & mask) {
    const page: usize = load<u32>(slot(table, i), 4);
    if (page === 0 || load<u64>(page) === number) return page;
  }
  return 0; // never: a table always has an empty slot
}

/** Where the row of a ref stands on a page. */
@inline
function rowOnPage(page: usize, ref: u64): usize {
  return page + 8 + (((<usize>ref) & (PAGE_REFS - 1)) << 2);
}

/** The row of a ref, or 0. */
@inline
function findRef(ref: u64): usize {
  if (lastPage === 0 || load<u64>(lastPage) !== ref >>> PAGE_BITS) lastPage = findPage(ref >>> PAGE_BITS);
  return lastPage === 0 ? 0 : load<u32>(rowOnPage(lastPage, ref));
}

function setRef(ref: u64, row: usize): void {
  const number = ref >>> PAGE_BITS;
  let page = findPage(number);
  if (page === 0) {
    page = allocate(REF_PAGE_BYTES);
    store<u64>(page, number);
    tableInsert(L.REFS, pageHash(number), <u32>page);
  }
  store<u32>(rowOnPage(page, ref), <u32>row);
}

/** Forgets all refs: after the replay nobody asks for them. */
export function forgetRefs(): void {
  emptyTable(L.REFS, 1024, REF_PAGE_BYTES);
  lastPage = 0;
}

function coveredHash(tenant: usize, window: u32): u32 {
  return finish(mix(seeded(), ((<u64>tenant) << 32) | window));
}

function findCovered(tenant: usize, window: u32): usize {
  const hash = coveredHash(tenant, window);
  const table: usize = load<u32>(L.COVERED);
  const mask = tableMask(table);
  for (let i = hash & mask; ; i = (i + 1) & mask) {
    const covered: usize = load<u32>(slot(table, i), 4);
    if (covered === 0) return 0;
    if (load<u32>(covered, L.COVERED_TENANT) === <u32>tenant && load<u32>(covered, L.COVERED_WINDOW) === window)
      return covered;
  }
  return 0; // never: a table always has an empty slot
}

/** Says that a published block holds a window's generations up to one, logged before a position. */
export function cover(tenant: usize, window: u32, generation: u32, position: u64): void {
  let covered = findCovered(tenant, window);
  if (covered === 0) {
    covered = allocate(L.COVERED_BYTES);
    store<u32>(covered, <u32>tenant, L.COVERED_TENANT);
    store<u32>(covered, window, L.COVERED_WINDOW);
    tableInsert(L.COVERED, coveredHash(tenant, window), <u32>covered);
  }
  store<u32>(covered, max<u32>(generation, load<u32>(covered, L.COVERED_GENERATION)), L.COVERED_GENERATION);
  store<u64>(covered, max<u64>(position, load<u64>(covered, L.COVERED_POSITION)), L.COVERED_POSITION);
  store<u32>(L.NEXT_GENERATION, max<u32>(generation + 1, load<u32>(L.NEXT_GENERATION)));
}

/** Replays the record at `at`, logged at `sequence`. Answers REPLAYED, REPLAY_DAMAGED or OUT_OF_MEMORY. */
export function replay(at: usize, length: usize, sequence: u64): u32 {
  // What was acknowledged comes back, also if a tenant may have fewer windows now.
  const maxOpenWindows = load<u32>(L.MAX_OPEN_WINDOWS);
  store<u32>(L.MAX_OPEN_WINDOWS, 0xffffffff);
  const answer = replayRecord(at, length, sequence);
  store<u32>(L.MAX_OPEN_WINDOWS, maxOpenWindows);
  return answer;
}

function replayRecord(at: usize, length: usize, sequence: u64): u32 {
  const type = length === 0 ? 0 : load<u8>(at);
  if (type === L.RECORD_SAMPLES) return replaySamples(at, length, sequence);
  if (type === L.RECORD_DEFINITIONS) return replayDefinitions(at + 1, at + length);
  if (type === L.RECORD_ITEMS) return replayItems(at, length, sequence);
  if (type === L.RECORD_CHUNKS) return replayChunks(at + 1, at + length);
  if (type === L.RECORD_KEPT_ITEMS) return replayKeptItems(at + 1, at + length);
  if (type === L.RECORD_CHECKPOINT) {
    const generation = <u32>readVarint(at + 1, at + length);
    if (varintEnd === 0) return L.REPLAY_DAMAGED;
    store<u32>(L.NEXT_GENERATION, max<u32>(generation, load<u32>(L.NEXT_GENERATION)));
    const ref = readVarint(varintEnd, at + length);
    if (varintEnd === 0) return L.REPLAY_DAMAGED;
    store<u64>(L.NEXT_REF, max<u64>(ref, load<u64>(L.NEXT_REF)));
  }
  return L.REPLAYED;
}

function replayDefinitions(at: usize, end: usize): u32 {
  const keyLength: usize = load<u8>(at);
  if (at + 1 + keyLength > end) return L.REPLAY_DAMAGED;
  const tenant = findTenant(at + 1, keyLength);
  if (tenant === 0) return L.OUT_OF_MEMORY;
  at += 1 + keyLength;
  while (at < end) {
    if (!roomLeft(ROOM_FOR_SERIES)) return L.OUT_OF_MEMORY;
    const ref = readVarint(at, end);
    if (varintEnd === 0) return L.REPLAY_DAMAGED;
    const bytes = <usize>readVarint(varintEnd, end);
    const labels = varintEnd;
    if (labels === 0 || bytes > end - labels) return L.REPLAY_DAMAGED;
    at = labels + bytes;
    if (findRef(ref) !== 0) continue;
    if (!readDefinition(labels, at)) return L.REPLAY_DAMAGED;
    define(tenant, ref);
  }
  return L.REPLAYED;
}

/** The row of the labels just read gets the ref; two refs of a series (a lost definition came again) share the row. */
function define(tenant: usize, ref: u64): void {
  const next = load<u64>(L.NEXT_REF);
  store<u64>(L.NEXT_REF, ref);
  const row = findOrMakeRow(tenant);
  store<u64>(L.NEXT_REF, max<u64>(next, ref + 1));
  setRef(ref, row);
}

function replaySamples(at: usize, length: usize, sequence: u64): u32 {
  let coveredTenant: usize = 0,
    coveredWindow: u32 = 0,
    skip = false;
  openSamples(at, length);
  while (nextSample()) {
    const row = findRef(sampleRef);
    if (row === 0) {
      noteOrphans(sampleRef, 1);
      continue;
    }
    const tenant: usize = load<u32>(row, L.ROW_TENANT);
    const window = <u32>(sampleTime / L.WINDOW_MS);
    if (tenant !== coveredTenant || window !== coveredWindow) {
      const covered = findCovered(tenant, window);
      skip = covered !== 0 && sequence < load<u64>(covered, L.COVERED_POSITION);
      coveredTenant = tenant;
      coveredWindow = window;
    }
    if (!skip && !placeAgain(tenant, row, sampleTime, sampleValue)) return L.OUT_OF_MEMORY;
  }
  return samplesDamaged ? L.REPLAY_DAMAGED : L.REPLAYED;
}

/** False if there is no room. */
function placeAgain(tenant: usize, row: usize, time: i64, value: u64): bool {
  const sealedUntil = load<i64>(tenant, L.TENANT_SEALED_UNTIL);
  const verdict =
    load<u32>(row, L.ROW_CLASSES) === 0
      ? place(tenant, row, time, value, sealedUntil)
      : placeBesideItems(tenant, row, time, value, sealedUntil);
  if (verdict === STORED) countAgain(tenant, time);
  return verdict !== NO_ROOM;
}

function countAgain(tenant: usize, time: i64): void {
  store<u64>(tenant, load<u64>(tenant, L.TENANT_SAMPLES) + 1, L.TENANT_SAMPLES);
  if (time > load<i64>(tenant, L.TENANT_NEWEST)) store<i64>(tenant, time, L.TENANT_NEWEST);
}

/**
 * Counts samples of a series whose definition is lost. Its ref is never given again: as long as the log has the samples, a
 * new series of that ref would get them at the next replay.
 */
function noteOrphans(ref: u64, count: u32): void {
  store<u64>(L.NEXT_REF, max<u64>(load<u64>(L.NEXT_REF), ref + 1));
  store<u32>(L.OUT_ORPHANS, load<u32>(L.OUT_ORPHANS) + count);
}

function replayItems(at: usize, length: usize, sequence: u64): u32 {
  openItems(at, length);
  while (nextItem()) {
    const row = findRef(itemRef);
    if (row === 0) {
      noteOrphans(itemRef, 1);
      continue;
    }
    const tenant: usize = load<u32>(row, L.ROW_TENANT);
    const covered = findCovered(tenant, <u32>(itemTime / L.WINDOW_MS));
    if (covered !== 0 && sequence < load<u64>(covered, L.COVERED_POSITION)) continue;
    if (!placeItemAgain(tenant, row, itemKind, itemTime, itemBytes, itemLength)) return L.OUT_OF_MEMORY;
  }
  return samplesDamaged ? L.REPLAY_DAMAGED : L.REPLAYED;
}

/** False if there is no room. */
function placeItemAgain(tenant: usize, row: usize, kind: u32, time: i64, bytes: usize, length: usize): bool {
  if (kind === L.KIND_START) return placeStart(tenant, row, time, load<i64>(bytes));
  const verdict = placeItem(tenant, row, kind, time, bytes, length);
  if (verdict === STORED && kind !== L.KIND_EXEMPLAR) countAgain(tenant, time);
  return verdict !== NO_ROOM;
}

function replayKeptItems(at: usize, end: usize): u32 {
  while (at < end) {
    const kind: u32 = load<u8>(at);
    const ref = readVarint(at + 1, end);
    if (varintEnd === 0) return L.REPLAY_DAMAGED;
    const generation = <u32>readVarint(varintEnd, end);
    if (varintEnd === 0) return L.REPLAY_DAMAGED;
    const time = <i64>readVarint(varintEnd, end);
    if (varintEnd === 0) return L.REPLAY_DAMAGED;
    const length = readVarint(varintEnd, end);
    const bytes = varintEnd;
    if (bytes === 0 || length > <u64>(end - bytes) || !isItem(kind, time, length)) return L.REPLAY_DAMAGED;
    at = bytes + <usize>length;
    store<u32>(L.NEXT_GENERATION, max<u32>(generation + 1, load<u32>(L.NEXT_GENERATION)));
    const row = findRef(ref);
    if (row === 0) {
      noteOrphans(ref, 1);
      continue;
    }
    const tenant: usize = load<u32>(row, L.ROW_TENANT);
    const covered = findCovered(tenant, <u32>(time / L.WINDOW_MS));
    if (covered !== 0 && generation <= load<u32>(covered, L.COVERED_GENERATION)) continue;
    if (!placeItemAgain(tenant, row, kind, time, bytes, <usize>length)) return L.OUT_OF_MEMORY;
  }
  return L.REPLAYED;
}

// The cursor over a chunk is shared with `place`, which reads chunks to find duplicates: the samples are copied first.
const COPIED: usize = L.SCRATCH + 131072;
const COPIED_BYTES: usize = 65536; // far more samples than a chunk of the head has

function replayChunks(at: usize, end: usize): u32 {
  while (at < end) {
    const ref = readVarint(at, end);
    if (varintEnd === 0) return L.REPLAY_DAMAGED;
    const window = <u32>readVarint(varintEnd, end);
    if (varintEnd === 0) return L.REPLAY_DAMAGED;
    const generation = <u32>readVarint(varintEnd, end);
    if (varintEnd === 0) return L.REPLAY_DAMAGED;
    const length = <usize>readVarint(varintEnd, end);
    const xor = varintEnd;
    if (xor === 0 || length > end - xor) return L.REPLAY_DAMAGED;
    at = xor + length;
    if (length < 2) return L.REPLAY_DAMAGED;
    // One that was opened while the checkpoint was written: what becomes of its window must count as later.
    store<u32>(L.NEXT_GENERATION, max<u32>(generation + 1, load<u32>(L.NEXT_GENERATION)));
    const row = findRef(ref);
    if (row === 0) {
      noteOrphans(ref, <u32>bswap<u16>(load<u16>(xor)));
      continue;
    }
    const tenant: usize = load<u32>(row, L.ROW_TENANT);
    const covered = findCovered(tenant, window);
    if (covered !== 0 && generation <= load<u32>(covered, L.COVERED_GENERATION)) continue;
    openXor(xor, length);
    let to = COPIED;
    for (; to < COPIED + COPIED_BYTES && nextXor(); to += 16) {
      store<i64>(to, xorTime);
      store<u64>(to, xorValue, 8);
    }
    if (xorDamaged || nextXor()) return L.REPLAY_DAMAGED;
    for (let from = COPIED; from < to; from += 16) {
      if (load<i64>(from) < 0) return L.REPLAY_DAMAGED;
      if (!placeAgain(tenant, row, load<i64>(from), load<u64>(from, 8))) return L.OUT_OF_MEMORY;
    }
  }
  return L.REPLAYED;
}
