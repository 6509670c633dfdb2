/**
 * The symbols of a remote write 2.0 request, and which of ours have the same text. A symbol is looked up when a label
 * first refers to it. Those of one sender mostly follow each other as they did in the request before, so the symbol that
 * followed last time is compared before anything is hashed.
 */
import * as L from '../layout';
import { equal, hashBytes, readVarint, varintEnd } from './bytes';
import { findSymbol } from './symbols';

let lastFound: usize = 0;

export function beginSymbols(): void {
  store<u32>(L.SYMBOL_COUNT, 0);
  lastFound = 0;
}

/** An entry of the request's symbols, for a number below SYMBOL_COUNT. */
@inline
export function requestSymbol(index: u32): usize {
  return <usize>L.REQUEST_SYMBOLS + <usize>index * L.REQUEST_SYMBOL_BYTES;
}

@inline
export function symbolText(index: u32): usize {
  return load<u32>(requestSymbol(index), L.REQUEST_SYMBOL_TEXT);
}

@inline
export function symbolLength(index: u32): usize {
  return load<u32>(requestSymbol(index), L.REQUEST_SYMBOL_LENGTH);
}

/** Adds the next symbol; false if there are too many. */
export function addSymbol(text: usize, length: usize): bool {
  const count = load<u32>(L.SYMBOL_COUNT);
  if (count === L.MAX_SYMBOLS_PER_REQUEST) return false;
  const entry = requestSymbol(count);
  store<u32>(entry, 0, L.REQUEST_SYMBOL);
  store<u32>(entry, <u32>text, L.REQUEST_SYMBOL_TEXT);
  store<u32>(entry, <u32>length, L.REQUEST_SYMBOL_LENGTH);
  store<u32>(entry, 0, L.REQUEST_SYMBOL_HASH);
  store<u32>(L.SYMBOL_COUNT, count + 1);
  return true;
}

/** Our symbol with the text of a request's symbol, or UNKNOWN_SYMBOL, which is asked for again only after `recall`. */
export function lookUp(index: u32): u32 {
  const entry = requestSymbol(index);
  const text: usize = load<u32>(entry, L.REQUEST_SYMBOL_TEXT),
    length: usize = load<u32>(entry, L.REQUEST_SYMBOL_LENGTH);
  const successor: usize = L.SUCCESSORS + ((lastFound >>> 1) & ((<usize>L.SUCCESSOR_SLOTS - 1) << 2));
  let symbol: usize = load<u32>(successor);
  if (
    symbol === 0 ||
    load<u32>(symbol, L.SYMBOL_USES) === 0 ||
    load<u32>(symbol, L.SYMBOL_LENGTH) !== <u32>length ||
    !equal(symbol + L.SYMBOL_TEXT, text, length)
  ) {
    // Longer than any label: not one of ours, and not hashed again and again.
    symbol = length > L.MAX_VALUE_BYTES ? 0 : findSymbol(text, length);
    if (symbol !== 0) store<u32>(successor, <u32>symbol);
  }
  if (symbol === 0) {
    store<u32>(entry, L.UNKNOWN_SYMBOL, L.REQUEST_SYMBOL);
    return L.UNKNOWN_SYMBOL;
  }
  lastFound = symbol;
  store<u32>(entry, <u32>symbol, L.REQUEST_SYMBOL);
  return <u32>symbol;
}

/** A symbol that may have come into being since it was looked up. */
export function recall(index: u32): u32 {
  const known = load<u32>(requestSymbol(index), L.REQUEST_SYMBOL);
  return known > L.UNKNOWN_SYMBOL ? known : lookUp(index);
}

/** A hash of a symbol's text, for texts that are no labels. */
export function textHash(index: u32): u32 {
  const entry = requestSymbol(index);
  let hash = load<u32>(entry, L.REQUEST_SYMBOL_HASH);
  if (hash === 0) {
    hash = hashBytes(load<u32>(entry, L.REQUEST_SYMBOL_TEXT), load<u32>(entry, L.REQUEST_SYMBOL_LENGTH), 1) | 1;
    store<u32>(entry, hash, L.REQUEST_SYMBOL_HASH);
  }
  return hash;
}

// A walk over the label refs of a series that was checked: packed, one by one, or both.
let seriesAt: usize = 0;
let seriesEnd: usize = 0;
let packedEnd: usize = 0;
export let ref: u32 = 0;

/** Begins the walk; `number` is the field of the refs. */
export function openRefs(at: usize, end: usize): void {
  seriesAt = at;
  seriesEnd = end;
  packedEnd = 0;
}

/** Moves to the next ref of field 1; false at the end. */
export function nextRef(): bool {
  while (packedEnd === 0) {
    if (seriesAt >= seriesEnd) return false;
    const tag = readVarint(seriesAt, seriesEnd);
    const body = varintEnd;
    const value = (tag & 7) === 1 || (tag & 7) === 5 ? 0 : readVarint(body, seriesEnd);
    if ((tag & 7) === 1) seriesAt = body + 8;
    else if ((tag & 7) === 5) seriesAt = body + 4;
    else if ((tag & 7) === 0) {
      seriesAt = varintEnd;
      if (tag !== 0x08) continue;
      ref = <u32>value;
      return true;
    } else {
      const content = varintEnd;
      seriesAt = content + <usize>value;
      if (tag !== 0x0a || value === 0) continue;
      packedEnd = seriesAt;
      seriesAt = content;
    }
  }
  ref = <u32>readVarint(seriesAt, packedEnd);
  seriesAt = varintEnd;
  if (seriesAt === packedEnd) packedEnd = 0;
  return true;
}
