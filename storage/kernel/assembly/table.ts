/**
 * Hash tables with open addressing: [mask | count | (hash, pointer) × (mask + 1)], root pointer in the state words.
 * A grown table replaces the old one by one store; the old one is left as it is, for readers that are in it (all old
 * ones together are smaller than the new one). TABLE_GROWTH is what all tables together take when each grows once.
 */
import * as L from '../layout';
import { allocate } from './memory';

export const TABLE_ENTRIES: usize = 8;

export function makeTable(root: usize, size: u32): void {
  const table = allocate(TABLE_ENTRIES + ((<usize>size) << 3));
  store<u32>(table, size - 1);
  store<u32>(L.TABLE_GROWTH, load<u32>(L.TABLE_GROWTH) + <u32>TABLE_ENTRIES + (size << 4));
  atomic.store<u32>(root, <u32>table);
}

@inline
export function tableMask(table: usize): u32 {
  return load<u32>(table);
}

@inline
export function slot(table: usize, index: u32): usize {
  return table + TABLE_ENTRIES + ((<usize>index) << 3);
}

function place(table: usize, hash: u32, pointer: u32): void {
  const mask = load<u32>(table);
  let i = hash & mask;
  while (load<u32>(slot(table, i), 4) !== 0) i = (i + 1) & mask;
  const at = slot(table, i);
  store<u32>(at, hash);
  atomic.store<u32>(at, pointer, 4);
  store<u32>(table, load<u32>(table, 4) + 1, 4);
}

/** Adds an entry that is not in the table yet. */
export function tableInsert(root: usize, hash: u32, pointer: u32): void {
  let table: usize = load<u32>(root);
  const mask = load<u32>(table);
  if (load<u32>(table, 4) >= mask - (mask >>> 2)) {
    const size = (mask + 1) << 1;
    const grown = allocate(TABLE_ENTRIES + ((<usize>size) << 3));
    store<u32>(grown, size - 1);
    store<u32>(L.TABLE_GROWTH, load<u32>(L.TABLE_GROWTH) + (size << 3));
    for (let i: u32 = 0; i <= mask; i++) {
      const at = slot(table, i);
      if (load<u32>(at, 4) !== 0) place(grown, load<u32>(at), load<u32>(at, 4));
    }
    atomic.store<u32>(root, <u32>grown);
    table = grown;
  }
  place(table, hash, pointer);
}
