/**
 * Series: aliases (what a label set looks like on the wire) lead to rows (what it is). A row is its address; its
 * SeriesRef is what the WAL knows it by.
 */
import * as L from '../layout';
import { equal, finish, hashBytes, mix, seeded } from './bytes';
import { labelCount, labelName, labelNameLength, labelValue, labelValueLength } from './labels';
import { allocate, allocateAlias, allocateRow, listPush, freeAlias } from './memory';
import { addPosting, findSymbol, intern, leaveSymbol, useSymbol } from './symbols';
import { slot, tableEntries, tableInsert, tableMask, tableRemove } from './table';

/** An alias that would make more than this many for each series is not kept: senders could invent spellings. */
const ALIASES_PER_SERIES: u32 = 4;
const ALIASES_AT_LEAST: u32 = 1024;
/** A policy may drop far more series than it keeps, and each that has no alias is asked about again and again. */
const ROWLESS_AT_LEAST: u32 = 262144;

/** The alias of wire bytes for a tenant, or 0. */
export function findAlias(tenant: usize, wire: usize, length: usize): usize {
  return findHashedAlias(tenant, wire, length, aliasHash(tenant, wire, length));
}

export function aliasHash(tenant: usize, wire: usize, length: usize): u32 {
  return hashBytes(wire, length, <u32>tenant);
}

/** The first candidate for an alias with this hash, or 0; only to be touched. */
@inline
export function aliasCandidate(hash: u32): usize {
  const table: usize = load<u32>(L.ALIASES);
  return load<u32>(slot(table, hash & tableMask(table)), 4);
}

/** As `findAlias`, for bytes whose hash is known. */
export function findHashedAlias(tenant: usize, wire: usize, length: usize, hash: u32): usize {
  const table: usize = load<u32>(L.ALIASES);
  const mask = tableMask(table);
  for (let i = hash & mask; ; i = (i + 1) & mask) {
    const entry = slot(table, i);
    const alias: usize = load<u32>(entry, 4);
    if (alias === 0) return 0;
    if (
      load<u32>(entry) === hash &&
      load<u32>(alias, L.ALIAS_LENGTH) === <u32>length &&
      load<u32>(alias, L.ALIAS_TENANT) === <u32>tenant &&
      equal(alias + L.ALIAS_WIRE, wire, length)
    )
      return alias;
  }
  return 0; // never: a table always has an empty slot
}

/** Remembers what wire bytes stand for; 0 if there are too many spellings, or too many that stand for no row, already. */
export function addAlias(tenant: usize, wire: usize, length: usize, row: usize): usize {
  const rowless = load<u32>(L.ROWLESS_ALIASES);
  const count = isRow(row) ? tableEntries(load<u32>(L.ALIASES)) - rowless : rowless;
  if (areTooMany(count, isRow(row) ? ALIASES_AT_LEAST : ROWLESS_AT_LEAST)) return 0;
  const alias = allocateAlias(<usize>L.ALIAS_WIRE + length);
  store<u32>(alias, <u32>tenant, L.ALIAS_TENANT);
  store<u32>(alias, 0, L.ALIAS_NEXT);
  store<u32>(alias, <u32>length, L.ALIAS_LENGTH);
  store<u32>(alias, 0, L.ALIAS_CONFIG);
  store<u32>(alias, 0, L.ALIAS_REPLICA);
  setRow(alias, row);
  memory.copy(alias + L.ALIAS_WIRE, wire, length);
  if (isKey(alias)) for (let i: usize = 0; i < length; i += 4) useSymbol(load<u32>(alias + i, L.ALIAS_WIRE));
  tableInsert(L.ALIASES, hashBytes(wire, length, <u32>tenant), <u32>alias);
  return alias;
}

/** Whether the alias is of 2.0: addresses of symbols. Those are 8-aligned, and a label field begins with byte 0a. */
@inline
function isKey(alias: usize): bool {
  return (load<u8>(alias, L.ALIAS_WIRE) & 7) === 0;
}

/** Forgets how a row's labels look on the wire, and the row by its labels: its series, when it comes again, is new. */
export function forgetRow(row: usize): void {
  tableRemove(L.SERIES, load<u32>(row, L.ROW_HASH), <u32>row);
  let alias: usize = load<u32>(row, L.ROW_ALIASES);
  while (alias !== 0) {
    const next: usize = load<u32>(alias, L.ALIAS_SIBLING);
    const hash = aliasHash(load<u32>(alias, L.ALIAS_TENANT), alias + L.ALIAS_WIRE, load<u32>(alias, L.ALIAS_LENGTH));
    tableRemove(L.ALIASES, hash, <u32>alias);
    const length: usize = load<u32>(alias, L.ALIAS_LENGTH);
    if (isKey(alias)) for (let i: usize = 0; i < length; i += 4) leaveSymbol(load<u32>(alias + i, L.ALIAS_WIRE));
    freeAlias(alias);
    alias = next;
  }
  store<u32>(row, 0, L.ROW_ALIASES);
  store<u32>(L.ROW_COUNT, load<u32>(L.ROW_COUNT) - 1);
}

/** Whether what an alias stands for is a row, and not NO_ROW or DROPPED_ROW. */
@inline
export function isRow(row: usize): bool {
  return row > <usize>L.DROPPED_ROW;
}

/** Lets an alias stand for a row, or for none. */
function setRow(alias: usize, row: usize): void {
  store<u32>(alias, <u32>row, L.ALIAS_ROW);
  if (isRow(row)) {
    store<u32>(alias, load<u32>(row, L.ROW_ALIASES), L.ALIAS_SIBLING);
    store<u32>(row, <u32>alias, L.ROW_ALIASES);
  } else store<u32>(L.ROWLESS_ALIASES, load<u32>(L.ROWLESS_ALIASES) + 1);
}

/** Lets a known alias stand for another row, or for none. */
export function changeRow(alias: usize, row: usize): void {
  const before: usize = load<u32>(alias, L.ALIAS_ROW);
  if (before === row) return;
  if (isRow(before)) {
    const next = load<u32>(alias, L.ALIAS_SIBLING);
    if (load<u32>(before, L.ROW_ALIASES) === <u32>alias) store<u32>(before, next, L.ROW_ALIASES);
    else {
      let previous: usize = load<u32>(before, L.ROW_ALIASES);
      while (load<u32>(previous, L.ALIAS_SIBLING) !== <u32>alias) previous = load<u32>(previous, L.ALIAS_SIBLING);
      store<u32>(previous, next, L.ALIAS_SIBLING);
    }
  } else store<u32>(L.ROWLESS_ALIASES, load<u32>(L.ROWLESS_ALIASES) - 1);
  setRow(alias, row);
}

@inline
function areTooMany(aliases: u32, atLeast: u32): bool {
  return aliases > atLeast && aliases > load<u32>(L.ROW_COUNT) * ALIASES_PER_SERIES;
}

/** Makes room when too many aliases stand for no row. Between requests only: a plan holds aliases. */
export function forgetRowless(): void {
  if (!areTooMany(load<u32>(L.ROWLESS_ALIASES), ROWLESS_AT_LEAST)) return;
  const table: usize = load<u32>(L.ALIASES);
  const mask = tableMask(table);
  for (let i: u32 = 0; i <= mask; i++) {
    const entry = slot(table, i);
    const alias: usize = load<u32>(entry, 4);
    if (alias === 0 || alias === L.REMOVED || isRow(load<u32>(alias, L.ALIAS_ROW))) continue;
    tableRemove(L.ALIASES, load<u32>(entry), <u32>alias);
    freeAlias(alias);
  }
  store<u32>(L.ROWLESS_ALIASES, 0);
}

/** Whether the last `findOrMakeRow` made the row. */
export let rowIsNew: bool = false;

/** The row of the labels that `readLabels` left, made if they are new. */
export function findOrMakeRow(tenant: usize): usize {
  const count = labelCount;
  const pairs = <usize>L.SCRATCH + 65536;
  let hash = mix(seeded(), <u64>tenant);
  for (let i: u32 = 0; i < count; i++) {
    const name = intern(labelName(i), labelNameLength(i)),
      value = intern(labelValue(i), labelValueLength(i));
    store<u32>(pairs + ((<usize>i) << 3), <u32>name);
    store<u32>(pairs + ((<usize>i) << 3), <u32>value, 4);
    hash = mix(hash, ((<u64>name) << 32) | <u64>value);
  }
  const h = finish(hash);
  const row = findRow(tenant, h, pairs, count);
  rowIsNew = row === 0;
  return row !== 0 ? row : makeRow(tenant, h, pairs, count);
}

/** The row of the labels that `readLabels` left, or 0. Makes nothing: who sends series in vain costs no memory. */
export function findKnownRow(tenant: usize): usize {
  const count = labelCount;
  const pairs = <usize>L.SCRATCH + 65536;
  let hash = mix(seeded(), <u64>tenant);
  for (let i: u32 = 0; i < count; i++) {
    const name = findSymbol(labelName(i), labelNameLength(i)),
      value = findSymbol(labelValue(i), labelValueLength(i));
    if (name === 0 || value === 0) return 0;
    store<u32>(pairs + ((<usize>i) << 3), <u32>name);
    store<u32>(pairs + ((<usize>i) << 3), <u32>value, 4);
    hash = mix(hash, ((<u64>name) << 32) | <u64>value);
  }
  return findRow(tenant, finish(hash), pairs, count);
}

/** Whether the tenant holds as many series as it may. */
@inline
export function isFullOfSeries(tenant: usize): bool {
  const limit = load<u32>(tenant, L.TENANT_MAX_SERIES);
  return limit !== 0 && load<u32>(tenant + L.TENANT_ROWS, L.LIST_COUNT) >= limit;
}

function findRow(tenant: usize, hash: u32, pairs: usize, count: u32): usize {
  const table: usize = load<u32>(L.SERIES);
  const mask = tableMask(table);
  for (let i = hash & mask; ; i = (i + 1) & mask) {
    const entry = slot(table, i);
    const row: usize = load<u32>(entry, 4);
    if (row === 0) return 0;
    if (load<u32>(entry) !== hash || load<u32>(row, L.ROW_TENANT) !== <u32>tenant) continue;
    const labels: usize = load<u32>(row, L.ROW_LABELS);
    if (load<u32>(labels) === count && equal(labels + 4, pairs, (<usize>count) << 3)) return row;
  }
  return 0; // never: a table always has an empty slot
}

function makeRow(tenant: usize, hash: u32, pairs: usize, count: u32): usize {
  const labels = allocate(4 + ((<usize>count) << 3));
  store<u32>(labels, count);
  memory.copy(labels + 4, pairs, (<usize>count) << 3);
  const row = allocateRow();
  store<u32>(row, <u32>labels, L.ROW_LABELS);
  store<u64>(row, load<u64>(L.NEXT_REF), L.ROW_REF);
  store<u64>(L.NEXT_REF, load<u64>(L.NEXT_REF) + 1);
  store<u32>(row, <u32>tenant, L.ROW_TENANT);
  store<u32>(row, hash, L.ROW_HASH);
  tableInsert(L.SERIES, hash, <u32>row);
  for (let i: u32 = 0; i < count; i++) {
    const pair = labels + 4 + ((<usize>i) << 3);
    addPosting(tenant, load<u32>(pair), load<u32>(pair, 4), row);
  }
  listPush(tenant + L.TENANT_ROWS, <u32>row);
  listPush(L.ROWS_TO_DEFINE, <u32>row);
  store<u32>(L.ROWS_MADE, load<u32>(L.ROWS_MADE) + 1);
  atomic.store<u32>(L.ROW_COUNT, load<u32>(L.ROW_COUNT) + 1);
  return row;
}
