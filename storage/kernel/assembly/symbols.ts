/** Interned strings, and the index of the head: per tenant the label names, their values, and the postings of each. */
import * as L from '../layout';
import { equal, finish, hashBytes, mix, seeded } from './bytes';
import { allocate, listPush } from './memory';
import { retire } from './retired';
import { slot, tableInsert, tableMask, tableRemove } from './table';

/** The symbol with these bytes, or 0. */
export function findSymbol(at: usize, length: usize): usize {
  return lookUpSymbol(hashBytes(at, length, 0), at, length);
}

function lookUpSymbol(hash: u32, at: usize, length: usize): usize {
  const table: usize = load<u32>(L.SYMBOLS);
  const mask = tableMask(table);
  for (let i = hash & mask; ; i = (i + 1) & mask) {
    const entry = slot(table, i);
    const symbol: usize = load<u32>(entry, 4);
    if (symbol === 0) return 0;
    if (
      load<u32>(entry) === hash &&
      load<u32>(symbol, L.SYMBOL_LENGTH) === <u32>length &&
      equal(symbol + L.SYMBOL_TEXT, at, length)
    )
      return symbol;
  }
  return 0; // never: a table always has an empty slot
}

/** The symbol with these bytes, made if it is new; it stays as long as somebody uses it. */
export function intern(at: usize, length: usize): usize {
  const hash = hashBytes(at, length, 0);
  const known = lookUpSymbol(hash, at, length);
  if (known !== 0) return known;
  const symbol = allocate(<usize>L.SYMBOL_TEXT + length);
  store<u32>(symbol, hash);
  store<u32>(symbol, <u32>length, L.SYMBOL_LENGTH);
  memory.copy(symbol + L.SYMBOL_TEXT, at, length);
  tableInsert(L.SYMBOLS, hash, <u32>symbol);
  return symbol;
}

export function useSymbol(symbol: usize): void {
  store<u32>(symbol, load<u32>(symbol, L.SYMBOL_USES) + 1, L.SYMBOL_USES);
}

/** One use less; a symbol that nobody uses leaves. */
export function leaveSymbol(symbol: usize): void {
  const uses = load<u32>(symbol, L.SYMBOL_USES) - 1;
  store<u32>(symbol, uses, L.SYMBOL_USES);
  if (uses !== 0) return;
  tableRemove(L.SYMBOLS, load<u32>(symbol), <u32>symbol);
  retire(symbol, <usize>L.SYMBOL_TEXT + load<u32>(symbol, L.SYMBOL_LENGTH));
}

function hashTwo(a: usize, b: usize): u32 {
  return finish(mix(seeded(), ((<u64>a) << 32) | <u64>b));
}

/** The label name of a tenant, or 0. `symbol` is the name's. */
export function findName(tenant: usize, symbol: usize): usize {
  const hash = hashTwo(tenant, symbol);
  const table: usize = load<u32>(L.NAMES);
  const mask = tableMask(table);
  for (let i = hash & mask; ; i = (i + 1) & mask) {
    const name: usize = load<u32>(slot(table, i), 4);
    if (name === 0) return 0;
    if (load<u32>(name, L.NAME_TENANT) === <u32>tenant && load<u32>(name, L.NAME_SYMBOL) === <u32>symbol) return name;
  }
  return 0; // never: a table always has an empty slot
}

/** The pair of a tenant's name with a value, or 0. */
export function findPair(name: usize, value: usize): usize {
  const hash = hashTwo(name, value);
  const table: usize = load<u32>(L.PAIRS);
  const mask = tableMask(table);
  for (let i = hash & mask; ; i = (i + 1) & mask) {
    const pair: usize = load<u32>(slot(table, i), 4);
    if (pair === 0) return 0;
    if (load<u32>(pair, L.PAIR_NAME) === <u32>name && load<u32>(pair, L.PAIR_VALUE) === <u32>value) return pair;
  }
  return 0; // never: a table always has an empty slot
}

/** Puts a row into the postings of name=value (both symbols). */
export function addPosting(tenant: usize, nameSymbol: usize, value: usize, row: usize): void {
  let name = findName(tenant, nameSymbol);
  if (name === 0) {
    name = allocate(L.NAME_BYTES);
    store<u32>(name, <u32>tenant, L.NAME_TENANT);
    store<u32>(name, <u32>nameSymbol, L.NAME_SYMBOL);
    store<u32>(name, load<u32>(tenant, L.TENANT_NAMES), L.NAME_NEXT);
    useSymbol(nameSymbol);
    tableInsert(L.NAMES, hashTwo(tenant, nameSymbol), <u32>name);
    atomic.store<u32>(tenant, <u32>name, L.TENANT_NAMES);
  }
  let pair = findPair(name, value);
  if (pair === 0) {
    pair = allocate(L.PAIR_BYTES);
    store<u32>(pair, <u32>name, L.PAIR_NAME);
    store<u32>(pair, <u32>value, L.PAIR_VALUE);
    useSymbol(value);
    tableInsert(L.PAIRS, hashTwo(name, value), <u32>pair);
    listPush(name + L.NAME_PAIRS, <u32>pair);
  }
  listPush(pair + L.PAIR_ROWS, <u32>row);
}

/** Takes a pair without rows out of the look-ups; its name's list of pairs has it still. */
export function removePair(pair: usize): void {
  const value = load<u32>(pair, L.PAIR_VALUE);
  tableRemove(L.PAIRS, hashTwo(load<u32>(pair, L.PAIR_NAME), value), <u32>pair);
  leaveSymbol(value);
  retire(pair, L.PAIR_BYTES);
}

/** Takes a name without pairs out of its tenant. */
export function removeName(name: usize): void {
  const tenant: usize = load<u32>(name, L.NAME_TENANT),
    symbol = load<u32>(name, L.NAME_SYMBOL);
  let link = tenant + L.TENANT_NAMES;
  while (load<u32>(link) !== <u32>name) link = <usize>load<u32>(link) + L.NAME_NEXT;
  // Who is at the name goes on from it to the next one.
  atomic.store<u32>(link, load<u32>(name, L.NAME_NEXT));
  tableRemove(L.NAMES, hashTwo(tenant, symbol), <u32>name);
  leaveSymbol(symbol);
  retire(name, L.NAME_BYTES);
}
