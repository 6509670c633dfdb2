/**
 * The labels of a planned series on the wire, as remote write 1.0 writes them: one form for all protocols, by which an alias
 * is found and which rejects show.
 */
import * as L from '../layout';
import { writeVarint } from './bytes';
import { measure, readLabels, skipField } from './labels';
import { LABEL } from './plan';
import { nextRef, openRefs, ref, symbolLength, symbolText } from './request-symbols';

/** Where scattered labels are gathered: the body as received is not needed any more, and they are not longer. */
const GATHERED: usize = L.IN;

@inline
function isV2(): bool {
  return load<u32>(L.PLAN_PROTOCOL) === L.PROTOCOL_V2;
}

/** Bytes that the last call of `wireLabels` or `writeWireLabels` left. */
export let wireLength: usize = 0;
/**
 * How long the labels are; those of 2.0 are written out up to MAX_SERIES_BYTES, since symbols repeat: one could stand for
 * gigabytes.
 */
export let wireTotal: u64 = 0;

/** As `readLabels`, for what `wireLabels` left. */
export function readWireLabels(wire: usize, length: usize): u32 {
  if (!isV2() || wireTotal <= L.MAX_SERIES_BYTES) return readLabels(wire, length);
  measure(<u32>min<u64>(wireTotal, 0xffffffff));
  return L.REJECT_SERIES_TOO_LONG;
}

/**
 * The label fields of a series in one piece, `wireLength` bytes, as 1.0 writes them: one form for all protocols. Valid
 * until those of another one are asked for.
 */
export function wireLabels(entry: usize): usize {
  if (isV2()) return writeWireLabels(load<u32>(entry, L.PLAN_LABELS), load<u32>(entry, L.PLAN_END));
  const labels: usize = load<u32>(entry, L.PLAN_LABELS);
  wireLength = load<u32>(entry, L.PLAN_LABELS_BYTES);
  wireTotal = wireLength;
  if (wireLength !== L.SCATTERED) return labels;
  const end: usize = load<u32>(entry, L.PLAN_END);
  let to = GATHERED;
  for (let at = labels; at < end; ) {
    const next = skipField(at, end);
    if (load<u8>(at) === LABEL) {
      memory.copy(to, at, next - at);
      to += next - at;
    }
    at = next;
  }
  wireLength = to - GATHERED;
  wireTotal = wireLength;
  return GATHERED;
}

/** Writes out the labels of a series of 2.0; a ref that no symbol has, or that has no partner, leaves its label out. */
export function writeWireLabels(series: usize, end: usize): usize {
  const symbols = load<u32>(L.SYMBOL_COUNT);
  let to = GATHERED;
  wireTotal = 0;
  openRefs(series, end);
  while (nextRef()) {
    const name = ref;
    if (!nextRef()) break;
    if (name >= symbols || ref >= symbols) continue;
    const nameLength = symbolLength(name),
      valueLength = symbolLength(ref);
    const bytes = 2 + varintBytes(nameLength) + nameLength + varintBytes(valueLength) + valueLength;
    wireTotal += 1 + varintBytes(bytes) + bytes;
    if (wireTotal > L.MAX_SERIES_BYTES) continue;
    store<u8>(to, LABEL);
    to = writeText(writeVarint(to + 1, bytes), 0x0a, name);
    to = writeText(to, 0x12, ref);
  }
  wireLength = to - GATHERED;
  return GATHERED;
}

function writeText(at: usize, tag: u8, symbol: u32): usize {
  const length = symbolLength(symbol);
  store<u8>(at, tag);
  at = writeVarint(at + 1, length);
  memory.copy(at, symbolText(symbol), length);
  return at + length;
}

function varintBytes(value: usize): usize {
  return value < 128 ? 1 : value < 16384 ? 2 : value < 2097152 ? 3 : value < 268435456 ? 4 : 5;
}
