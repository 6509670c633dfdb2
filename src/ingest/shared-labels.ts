/** The labels that all series of a remote write request have: what its sender adds to them, its external labels above all. */
import protobuf from 'protobufjs';

/** Names and values. */
export type SharedLabels = ReadonlyMap<string, string>;

/** So many series of a request are looked at, spread over it. */
const LOOKED_AT = 100;

/** Of a decompressed WriteRequest of remote write 1.0 that the engine took; undefined if it has no series. */
export function sharedLabels(message: Uint8Array): SharedLabels | undefined {
  const starts = seriesStarts(message);
  const step = Math.max(1, Math.floor(starts.length / LOOKED_AT));
  let common: SharedLabels | undefined;
  for (let i = 0; i < starts.length && common?.size !== 0; i += step) {
    common = inBoth(common, labelsAt(message, starts[i] as number));
  }
  return common;
}

/** What two have in common; without a first one, all of the second. */
export function inBoth(first: SharedLabels | undefined, second: SharedLabels): SharedLabels {
  if (first === undefined) return second;
  return new Map([...first].filter(([name, value]) => second.get(name) === value));
}

function seriesStarts(message: Uint8Array): number[] {
  const reader = protobuf.Reader.create(message);
  const starts: number[] = [];
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag >>> 3 === 1) starts.push(reader.pos);
    reader.skipType(tag & 7);
  }
  return starts;
}

function labelsAt(message: Uint8Array, start: number): SharedLabels {
  const reader = protobuf.Reader.create(message);
  reader.pos = start;
  const labels = new Map<string, string>();
  for (const end = reader.uint32() + reader.pos; reader.pos < end; ) {
    const tag = reader.uint32();
    if (tag >>> 3 !== 1) reader.skipType(tag & 7);
    else {
      const [name, value] = readLabel(reader);
      if (name !== '__name__') labels.set(name, value);
    }
  }
  return labels;
}

function readLabel(reader: protobuf.Reader): [name: string, value: string] {
  const label: [string, string] = ['', ''];
  for (const end = reader.uint32() + reader.pos; reader.pos < end; ) {
    const tag = reader.uint32();
    if (tag >>> 3 === 1) label[0] = reader.string();
    else if (tag >>> 3 === 2) label[1] = reader.string();
    else reader.skipType(tag & 7);
  }
  return label;
}
