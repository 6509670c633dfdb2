/**
 * WAL records. Each decodes from its own bytes plus series definitions; docs/formats/wal.md has the pictures.
 *
 *   definitions: 1 | tenant length u8, tenant | (ref uvarint, bytes uvarint, (name length, name, value length, value)*)*
 *   samples:     2 | (control u8, [ref step], [time step], value bytes)*
 *   items:       6 | (control u8, [ref step], [time step], length uvarint, bytes)*
 *
 * Control of an item: bits 7 and 6 as of a sample, low bits = its kind. Control of a sample: bit 7 = the ref is the last one + 1 (else a zigzag varint step follows), bit 6 = the time is the
 * last one (else a zigzag varint step), low bits = how the value is written:
 *   0–7   that many bytes of the zigzagged integer      16–23 the same of the value × 10, 24–31 × 100, 32–39 × 1000
 *   8–15  the topmost (kind − 7) bytes of the float's bits, the others are zero
 */
import * as L from '../layout';
import { unzigzag, varintEnd, readVarint, writeVarint, zigzag } from './bytes';
import { crc32c } from './crc32c';

const NEXT_REF_BIT: u8 = 128;
const SAME_TIME_BIT: u8 = 64;
const KIND_MASK: u8 = 63;
const KIND_BITS: u8 = 8;
const KIND_SCALED: u8 = 16;
const LAST_KIND: u8 = 39;
/** Integers up to here are exact in a float and fit seven bytes when zigzagged. */
const LARGEST_INTEGER: f64 = 9007199254740992;

export let samplesEnd: usize = 0;
export let definitionsEnd: usize = 0;
let lastRef: u64 = 0;
let lastTime: i64 = 0;
let itemsEnd: usize = 0;
let lastItemRef: u64 = 0;
let lastItemTime: i64 = 0;

/** More than a number moves, as a part of it, when it is rounded twice: 2^-50. */
const ROUNDED_TWICE: f64 = 1 / 1125899906842624;

/** Room that a record of samples needs for one more. */
const SAMPLE_ROOM: usize = 40;

export function beginRecords(): void {
  samplesEnd = L.SAMPLES;
  definitionsEnd = L.DEFINITIONS;
  itemsEnd = L.ITEMS;
}

/** Whether the record of items has no room for one of `length` bytes. */
export function itemsFull(length: usize): bool {
  return itemsEnd + length + SAMPLE_ROOM > <usize>L.ITEMS + L.ITEMS_BYTES;
}

export function samplesFull(): bool {
  return samplesEnd + SAMPLE_ROOM > <usize>L.SAMPLES + L.RECORD_BYTES;
}

/** Whether the definitions, with `before` bytes that went into the ring already, have no room for one more. */
export function definitionsFull(before: u32): bool {
  return before + definitionsEnd + 2 * L.MAX_SERIES_BYTES > <usize>L.DEFINITIONS + L.RECORD_BYTES;
}

/** Adds a sample to the record of samples. */
export function recordSample(ref: u64, time: i64, value: u64): void {
  let at = samplesEnd;
  if (at === L.SAMPLES) {
    store<u8>(at++, L.RECORD_SAMPLES);
    lastRef = 0;
    lastTime = 0;
  }
  const control = at++;
  let flags: u8 = 0;
  if (ref === lastRef + 1) flags = NEXT_REF_BIT;
  else at = writeVarint(at, zigzag(<i64>(ref - lastRef)));
  if (time === lastTime) flags |= SAME_TIME_BIT;
  else at = writeVarint(at, zigzag(time - lastTime));
  lastRef = ref;
  lastTime = time;
  samplesEnd = recordValue(control, flags, at, value);
}

/** Adds an item to the record of items. */
export function recordItem(ref: u64, kind: u32, time: i64, bytes: usize, length: usize): void {
  let at = itemsEnd;
  if (at === L.ITEMS) {
    store<u8>(at++, L.RECORD_ITEMS);
    lastItemRef = 0;
    lastItemTime = 0;
  }
  const control = at++;
  let flags: u8 = 0;
  if (ref === lastItemRef + 1) flags = NEXT_REF_BIT;
  else at = writeVarint(at, zigzag(<i64>(ref - lastItemRef)));
  if (time === lastItemTime) flags |= SAME_TIME_BIT;
  else at = writeVarint(at, zigzag(time - lastItemTime));
  store<u8>(control, flags | <u8>kind);
  lastItemRef = ref;
  lastItemTime = time;
  at = writeVarint(at, length);
  memory.copy(at, bytes, length);
  itemsEnd = at + length;
}

/** An integer of at most 54 bits when zigzagged. */
@inline
function recordWhole(control: usize, flags: u8, at: usize, whole: i64): usize {
  const number = zigzag(whole);
  const bytes = <u8>((71 - clz(number)) >>> 3);
  store<u64>(at, number);
  store<u8>(control, flags + bytes);
  return at + bytes;
}

function recordValue(control: usize, flags: u8, at: usize, bits: u64): usize {
  const value = reinterpret<f64>(bits);
  if (abs(value) < LARGEST_INTEGER / 1000) {
    const number = <i64>value;
    // As it will be decoded: an integer has no −0.
    if (reinterpret<u64>(<f64>number) === bits) return recordWhole(control, flags, at, number);
    let scale: f64 = 10;
    for (let kind: u8 = KIND_SCALED; kind < 40; kind += 8) {
      const scaled = value * scale,
        whole = <i64>nearest(scaled);
      // A division takes long: only where it can succeed.
      if (abs(scaled - <f64>whole) <= abs(scaled) * ROUNDED_TWICE && reinterpret<u64>(<f64>whole / scale) === bits)
        return recordWhole(control, flags | kind, at, whole);
      scale *= 10;
    }
  }
  const bytes = <u8>max<u64>((71 - ctz(bits)) >>> 3, 1);
  store<u64>(at, bswap<u64>(bits));
  store<u8>(control, flags | (KIND_BITS + bytes - 1));
  return at + bytes;
}

// The reader of a record of samples.
let readAt: usize = 0;
let readEnd: usize = 0;
export let sampleRef: u64 = 0;
export let sampleTime: i64 = 0;
export let sampleValue: u64 = 0;
export let samplesDamaged: bool = false;

/** Begins to read a record of samples, its type byte included. */
export function openSamples(at: usize, length: usize): void {
  readAt = at + 1;
  readEnd = at + length;
  sampleRef = 0;
  sampleTime = 0;
  samplesDamaged = false;
}

/** Moves to the next sample of the record; false at its end, or with `samplesDamaged` where the bytes make no sense. */
export function nextSample(): bool {
  if (readAt >= readEnd) return false;
  const control = load<u8>(readAt++),
    kind = control & KIND_MASK;
  const isRaw = kind >= KIND_BITS && kind < KIND_SCALED;
  const bytes = isRaw ? <usize>(kind - KIND_BITS) + 1 : <usize>(kind & 7);
  if (control & NEXT_REF_BIT) sampleRef++;
  else sampleRef += <u64>unzigzag(readStep());
  if (!(control & SAME_TIME_BIT)) sampleTime += unzigzag(readStep());
  samplesDamaged = samplesDamaged || kind > LAST_KIND || bytes > readEnd - readAt || sampleTime < 0;
  if (samplesDamaged) return false;
  if (isRaw) {
    sampleValue = bswap<u64>(load<u64>(readAt)) & (~(<u64>0) << (<u64>((8 - bytes) << 3)));
    readAt += bytes;
    return true;
  }
  const number = bytes === 0 ? <u64>0 : load<u64>(readAt) & (~(<u64>0) >>> <u64>((8 - bytes) << 3));
  readAt += bytes;
  const whole = <f64>unzigzag(number);
  sampleValue = reinterpret<u64>(kind < KIND_BITS ? whole : whole / scaleOf(kind));
  return true;
}

/** The item that `nextItem` met: its bytes are in the record. */
export let itemRef: u64 = 0;
export let itemTime: i64 = 0;
export let itemKind: u32 = 0;
export let itemBytes: usize = 0;
export let itemLength: usize = 0;

/** Begins to read a record of items, its type byte included; `samplesDamaged` is told of these too. */
export function openItems(at: usize, length: usize): void {
  readAt = at + 1;
  readEnd = at + length;
  itemRef = 0;
  itemTime = 0;
  samplesDamaged = false;
}

/** Moves to the next item of the record; false at its end, or with `samplesDamaged` where the bytes make no sense. */
export function nextItem(): bool {
  if (readAt >= readEnd) return false;
  const control = load<u8>(readAt++);
  itemKind = control & KIND_MASK;
  if (control & NEXT_REF_BIT) itemRef++;
  else itemRef += <u64>unzigzag(readStep());
  if (!(control & SAME_TIME_BIT)) itemTime += unzigzag(readStep());
  const length = readStep();
  samplesDamaged = samplesDamaged || length > <u64>(readEnd - readAt) || !isItem(itemKind, itemTime, length);
  if (samplesDamaged) return false;
  itemBytes = readAt;
  itemLength = <usize>length;
  readAt += itemLength;
  return true;
}

/** Whether there can be an item like that. */
export function isItem(kind: u32, time: i64, length: u64): bool {
  if (kind === L.KIND_START) return time >= 0 && length === 8;
  return time >= 0 && kind >= L.KIND_HISTOGRAM && kind <= L.KIND_EXEMPLAR && length <= L.MAX_HISTOGRAM_BYTES;
}

function readStep(): u64 {
  const step = readVarint(readAt, readEnd);
  if (varintEnd === 0) samplesDamaged = true;
  else readAt = varintEnd;
  return step;
}

function scaleOf(kind: u8): f64 {
  return kind < 24 ? 10 : kind < 32 ? 100 : 1000;
}

/** Adds a row's definition to the record of definitions of its tenant. */
export function recordDefinition(row: usize): void {
  const start = definitionsEnd === L.DEFINITIONS ? writeDefinitionsHead(load<u32>(row, L.ROW_TENANT)) : definitionsEnd;
  const labels: usize = load<u32>(row, L.ROW_LABELS);
  const count = load<u32>(labels);
  let bytes: usize = 0;
  for (let i: u32 = 0; i < count * 2; i++) {
    const length = load<u32>(load<u32>(labels + 4 + ((<usize>i) << 2)), L.SYMBOL_LENGTH);
    bytes += length + (length < 128 ? 1 : length < 16384 ? 2 : 3);
  }
  let at = writeVarint(writeVarint(start, load<u64>(row, L.ROW_REF)), <u64>bytes);
  for (let i: u32 = 0; i < count * 2; i++) {
    const symbol: usize = load<u32>(labels + 4 + ((<usize>i) << 2));
    const length: usize = load<u32>(symbol, L.SYMBOL_LENGTH);
    at = writeVarint(at, length);
    memory.copy(at, symbol + L.SYMBOL_TEXT, length);
    at += length;
  }
  definitionsEnd = at;
}

function writeDefinitionsHead(tenant: usize): usize {
  const key: usize = load<u32>(tenant, L.TENANT_KEY);
  const length = load<u32>(key, L.SYMBOL_LENGTH);
  store<u8>(L.DEFINITIONS, L.RECORD_DEFINITIONS);
  store<u8>(L.DEFINITIONS, <u8>length, 1);
  memory.copy(L.DEFINITIONS + 2, key + L.SYMBOL_TEXT, length);
  return L.DEFINITIONS + 2 + length;
}

/** Hands the records over to the WAL, definitions first; returns the log position behind them. */
export function endRecords(): u32 {
  endDefinitions();
  if (samplesEnd !== L.SAMPLES) pushFrame(L.SAMPLES, samplesEnd - L.SAMPLES);
  if (itemsEnd !== L.ITEMS) pushFrame(L.ITEMS, itemsEnd - L.ITEMS);
  beginRecords();
  return load<u32>(L.WAL_HEAD);
}

/** Hands over the definitions alone: a record of them is of one tenant. */
export function endDefinitions(): void {
  if (definitionsEnd !== L.DEFINITIONS) pushFrame(L.DEFINITIONS, definitionsEnd - L.DEFINITIONS);
  definitionsEnd = L.DEFINITIONS;
}

/** Frames a payload and puts it into the ring; the caller has seen to it that there is room. */
export function pushFrame(payload: usize, length: usize): void {
  const header = L.SCRATCH;
  const sequence = load<u64>(L.SEQUENCE);
  store<u32>(header, L.FRAME_MAGIC);
  store<u32>(header, <u32>length, 4);
  store<u32>(header, load<u32>(L.WAL_GENERATION), 8);
  store<u64>(header, sequence, 12);
  store<u32>(header, crc32c(crc32c(0, header, 20), payload, length), 20);
  const head = load<u32>(L.WAL_HEAD);
  copyToRing(head, header, L.FRAME_HEADER_BYTES);
  copyToRing(head + L.FRAME_HEADER_BYTES, payload, length);
  store<u64>(L.SEQUENCE, sequence + 1);
  atomic.store<u32>(L.WAL_HEAD, head + L.FRAME_HEADER_BYTES + <u32>length);
}

function copyToRing(position: u32, from: usize, length: usize): void {
  const offset = <usize>(position & (L.WAL_RING_BYTES - 1));
  const first = min<usize>(length, <usize>L.WAL_RING_BYTES - offset);
  memory.copy(<usize>L.WAL_RING + offset, from, first);
  if (first < length) memory.copy(L.WAL_RING, from + first, length - first);
}
