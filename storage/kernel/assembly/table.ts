/**
 * Hash tables with open addressing (TABLE_… in ../layout), root pointer in the state words. Readers walk them without
 * locks: an entry that is removed leaves a mark that leads to nothing they look for, as others may stand behind it; a
 * table that is made anew replaces the old one by one store, and the old one is left as it is for those who are in it.
 * TABLE_GROWTH is what all tables together take when each grows once.
 */
import * as L from '../layout';
import { allocate, free } from './memory';
import { retire } from './retired';

/** What removed entries lead to: no symbol, name, pair, row or alias that is looked for. */
export function makeRemoved(): void {
  store<u32>(L.REMOVED, 0xffffffff, L.SYMBOL_LENGTH);
  store<u32>(L.REMOVED, L.NO_ALIAS, L.ALIAS_LENGTH);
}

export function makeTable(root: usize, size: u32): void {
  store<u32>(L.TABLE_GROWTH, load<u32>(L.TABLE_GROWTH) + <u32>tableBytes(size << 1));
  atomic.store<u32>(root, <u32>freshTable(size));
}

function freshTable(size: u32): usize {
  const table = allocate(tableBytes(size));
  store<u32>(table, size - 1, L.TABLE_MASK);
  return table;
}

@inline
export function tableBytes(size: u32): usize {
  return <usize>L.TABLE_SLOTS + ((<usize>size) << 3);
}

@inline
export function tableMask(table: usize): u32 {
  return load<u32>(table, L.TABLE_MASK);
}

/** How many entries a table has. */
@inline
export function tableEntries(table: usize): u32 {
  return load<u32>(table, L.TABLE_ENTRIES);
}

@inline
export function slot(table: usize, index: u32): usize {
  return table + L.TABLE_SLOTS + ((<usize>index) << 3);
}

function place(table: usize, hash: u32, pointer: u32): void {
  const mask = tableMask(table);
  let i = hash & mask;
  let there = load<u32>(slot(table, i), 4);
  while (there !== 0 && there !== L.REMOVED) {
    i = (i + 1) & mask;
    there = load<u32>(slot(table, i), 4);
  }
  if (there === 0) store<u32>(table, load<u32>(table, L.TABLE_USED) + 1, L.TABLE_USED);
  store<u32>(table, tableEntries(table) + 1, L.TABLE_ENTRIES);
  const at = slot(table, i);
  store<u32>(at, hash);
  atomic.store<u32>(at, pointer, 4);
}

/** Adds an entry that is not in the table yet. */
export function tableInsert(root: usize, hash: u32, pointer: u32): void {
  const mask = tableMask(load<u32>(root));
  if (load<u32>(load<u32>(root), L.TABLE_USED) >= mask - (mask >>> 2)) renew(root);
  place(load<u32>(root), hash, pointer);
}

/** Makes a table anew without its removed entries, twice as large if it is not mostly those that fill it. */
function renew(root: usize): void {
  const old: usize = load<u32>(root);
  const oldSize = tableMask(old) + 1;
  const entries = tableEntries(old);
  const size = entries > oldSize - (oldSize >>> 1) ? oldSize << 1 : oldSize;
  const table = freshTable(size);
  store<u32>(L.TABLE_GROWTH, load<u32>(L.TABLE_GROWTH) + <u32>(tableBytes(size << 1) - tableBytes(oldSize << 1)));
  for (let i: u32 = 0; i < oldSize; i++) {
    const at = slot(old, i);
    const pointer = load<u32>(at, 4);
    if (pointer !== 0 && pointer !== L.REMOVED) place(table, load<u32>(at), pointer);
  }
  atomic.store<u32>(root, <u32>table);
  retire(old, tableBytes(oldSize));
}

/** Removes an entry that is in the table. */
export function tableRemove(root: usize, hash: u32, pointer: u32): void {
  const table: usize = load<u32>(root);
  const mask = tableMask(table);
  let i = hash & mask;
  while (load<u32>(slot(table, i), 4) !== pointer) i = (i + 1) & mask;
  store<u32>(table, tableEntries(table) - 1, L.TABLE_ENTRIES);
  if (load<u32>(slot(table, (i + 1) & mask), 4) !== 0) {
    atomic.store<u32>(slot(table, i), L.REMOVED, 4);
    return;
  }
  // Nobody's way leads on from here: this slot is free, and so are the removed ones before it.
  let freed: u32 = 0;
  do {
    atomic.store<u32>(slot(table, i), 0, 4);
    freed++;
    i = (i - 1) & mask;
  } while (load<u32>(slot(table, i), 4) === L.REMOVED);
  store<u32>(table, load<u32>(table, L.TABLE_USED) - freed, L.TABLE_USED);
}

/** Frees a table that only this thread reads, with its entries of `bytes` each, and makes an empty one of `size` slots. */
export function emptyTable(root: usize, size: u32, bytes: usize): void {
  const old: usize = load<u32>(root);
  const oldSize = tableMask(old) + 1;
  for (let i: u32 = 0; i < oldSize; i++) {
    const pointer: usize = load<u32>(slot(old, i), 4);
    if (pointer !== 0 && pointer !== L.REMOVED) free(pointer, bytes);
  }
  free(old, tableBytes(oldSize));
  store<u32>(L.TABLE_GROWTH, load<u32>(L.TABLE_GROWTH) - <u32>tableBytes(oldSize << 1));
  makeTable(root, size);
}
