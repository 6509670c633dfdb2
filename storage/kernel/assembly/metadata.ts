/**
 * What a request says of metrics: type, help and unit. It is handed to the host, which keeps it, as entries of METADATA;
 * METADATA_COUNT of them. 1.0 says it of metric families, in requests of their own. 2.0 says it of every series in every
 * request, so what a row's sender said last stands in the row by its identity, and only what is new is handed over.
 */
import * as L from '../layout';
import { finish, mix, readVarint, seeded } from './bytes';
import { fail, fieldEnd, fieldNumber, readField, wireType } from './fields';
import { symbolLength, symbolText } from './request-symbols';

/** The next free entry, zeroed; 0 if there are too many: what is left out is said again by the sender. */
function addEntry(): usize {
  const count = load<u32>(L.METADATA_COUNT);
  if (count === L.MAX_METADATA) return 0;
  const entry = <usize>L.METADATA + <usize>count * L.METADATA_BYTES;
  memory.fill(entry, 0, L.METADATA_BYTES);
  store<u32>(L.METADATA_COUNT, count + 1);
  return entry;
}

function setText(at: usize, text: usize, length: usize): void {
  store<u32>(at, <u32>text);
  store<u32>(at, <u32>length, 4);
}

/** Checks a MetricMetadata message of 1.0 and hands it over. */
export function readFamilyMetadata(at: usize, end: usize): bool {
  const entry = addEntry();
  while (at < end) {
    const start = at;
    const content = readField(at, end);
    if (content === 0) return false;
    at = fieldEnd;
    const number = fieldNumber;
    if (number > 5 || number === 3) continue;
    if (wireType !== (number === 1 ? 0 : 2)) return fail(L.ERROR_FIELD_TYPE, start);
    if (entry === 0) continue;
    if (number === 1) store<u32>(entry, <u32>readVarint(content, at), L.METADATA_TYPE);
    else if (number === 2) setText(entry + L.METADATA_NAME, content, at - content);
    else if (number === 4) setText(entry + L.METADATA_HELP, content, at - content);
    else setText(entry + L.METADATA_UNIT, content, at - content);
  }
  return true;
}

/** Hands over what a checked series of 2.0, whose fields are at..end, says of its metric, if nobody said it before. */
export function tellMetadata(tenant: usize, row: usize, identity: u32, at: usize, end: usize): void {
  const name = metricName(row);
  if (name === 0) return;
  // The same of many series of a metric is told once, or again where two words of the table share a place.
  const hash = ((<u64>load<u32>(name)) << 32) | identity;
  const word = mix(mix(seeded(), hash), <u64>tenant);
  const told = <usize>L.METADATA_TOLD + ((<usize>finish(word) & (L.TOLD_SLOTS - 1)) << 3);
  if (load<u64>(told) !== word) {
    const entry = addEntry();
    if (entry === 0) return;
    store<u64>(told, word);
    setText(entry + L.METADATA_NAME, name + L.SYMBOL_TEXT, load<u32>(name, L.SYMBOL_LENGTH));
    readSeriesMetadata(entry, at, end);
  }
  store<u32>(row, identity, L.ROW_METADATA);
}

function readSeriesMetadata(entry: usize, at: usize, end: usize): void {
  while (at < end) {
    const body = readField(at, end);
    at = fieldEnd;
    if (fieldNumber !== 5) continue;
    for (let field = body; field < at; ) {
      const content = readField(field, at);
      field = fieldEnd;
      if (fieldNumber !== 1 && fieldNumber !== 3 && fieldNumber !== 4) continue;
      const value = <u32>readVarint(content, field);
      if (fieldNumber === 1) store<u32>(entry, value, L.METADATA_TYPE);
      else if (fieldNumber === 3) setText(entry + L.METADATA_HELP, symbolText(value), symbolLength(value));
      else setText(entry + L.METADATA_UNIT, symbolText(value), symbolLength(value));
    }
  }
}

/** The symbol of a row's metric name; 0 if it has none. */
function metricName(row: usize): usize {
  const labels: usize = load<u32>(row, L.ROW_LABELS);
  const end = labels + 4 + ((<usize>load<u32>(labels)) << 3);
  for (let pair = labels + 4; pair < end; pair += 8) {
    const name: usize = load<u32>(pair);
    // '__name__' read as one word
    if (load<u32>(name, L.SYMBOL_LENGTH) === 8 && load<u64>(name, L.SYMBOL_TEXT) === 0x5f5f656d616e5f5f)
      return load<u32>(pair, 4);
  }
  return 0;
}
