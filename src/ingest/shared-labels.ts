/** The labels that all series of a remote write request have: what its sender adds to them, its external labels above all. */
import protobuf from 'protobufjs';

/** Names and values. */
export type SharedLabels = ReadonlyMap<string, string>;

/** So many series of a request are looked at, spread over it. */
const LOOKED_AT = 100;

/** Fields of the request and of a series. */
const V1_SERIES = 1;
const V2_SYMBOLS = 4;
const V2_SERIES = 5;
const LABELS = 1;

/** Of a decompressed request that the engine took; undefined if it has no series. */
export function sharedLabels(message: Uint8Array, protocol: 'v1' | 'v2' = 'v1'): SharedLabels | undefined {
  const starts = fieldStarts(message, protocol === 'v1' ? V1_SERIES : V2_SERIES);
  const labelsOf = protocol === 'v1' ? labelsAt : symbolLabels(message);
  const step = Math.max(1, Math.floor(starts.length / LOOKED_AT));
  let common: SharedLabels | undefined;
  for (let i = 0; i < starts.length && common?.size !== 0; i += step) {
    common = inBoth(common, labelsOf(message, starts[i] as number));
  }
  return common;
}

/** What two have in common; without a first one, all of the second. */
export function inBoth(first: SharedLabels | undefined, second: SharedLabels): SharedLabels {
  if (first === undefined) return second;
  return new Map([...first].filter(([name, value]) => second.get(name) === value));
}

/** Where the lengths of a repeated field stand. */
function fieldStarts(message: Uint8Array, field: number): number[] {
  const reader = protobuf.Reader.create(message);
  const starts: number[] = [];
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag >>> 3 === field) starts.push(reader.pos);
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
    if (tag >>> 3 !== LABELS) reader.skipType(tag & 7);
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

/** Reads the labels of series of a 2.0 message, whose texts are looked up when they are needed. */
function symbolLabels(message: Uint8Array): (message: Uint8Array, start: number) => SharedLabels {
  const starts = fieldStarts(message, V2_SYMBOLS);
  const reader = protobuf.Reader.create(message);
  const textOf = (ref: number | undefined): string => {
    reader.pos = starts[ref ?? 0] as number;
    return reader.string();
  };
  return (_, start) => {
    const refs = refsAt(message, start);
    const labels = new Map<string, string>();
    for (let i = 0; i < refs.length; i += 2) {
      if (refs.some((ref) => ref >= starts.length)) break; // a series that was refused
      const name = textOf(refs[i]);
      if (name !== '__name__') labels.set(name, textOf(refs[i + 1]));
    }
    return labels;
  };
}

function refsAt(message: Uint8Array, start: number): number[] {
  const reader = protobuf.Reader.create(message);
  reader.pos = start;
  const refs: number[] = [];
  for (const end = reader.uint32() + reader.pos; reader.pos < end; ) {
    const tag = reader.uint32();
    if (tag === LABELS << 3) refs.push(reader.uint32());
    else if (tag === ((LABELS << 3) | 2))
      for (const stop = reader.uint32() + reader.pos; reader.pos < stop; ) refs.push(reader.uint32());
    else reader.skipType(tag & 7);
  }
  return refs;
}
