/**
 * Exemplars as the message Exemplar of remote write. Labels are the IDs of trace and span, and the filtered attributes
 * where all together have at most 128 characters, as in Prometheus; their names stay as they are.
 *
 *   Exemplar { Label labels = 1; double value = 2; int64 timestamp = 3 }
 *
 * Source: prometheus storage/remote/otlptranslator/prometheusremotewrite/helper.go, prompb/types.proto.
 */
import { ByteWriter } from '../../storage/index.ts';
import { type Attribute, readAttribute } from './otlp-attributes.ts';
import { doubleAt, signedAt, timeAt } from './otlp-numbers.ts';
import { FieldCursor } from './otlp-protobuf.ts';

const EXEMPLAR = { time: 2, double: 3, spanId: 4, traceId: 5, int: 6, attributes: 7 } as const;
const MAX_CHARACTERS = 128;

export interface PointExemplar {
  readonly value: number;
  readonly message: Uint8Array;
}

/** The exemplar in `bytes[from, to)`, or undefined if it has no value. */
export function readExemplar(bytes: Uint8Array, from: number, to: number): PointExemplar | undefined {
  const cursor = new FieldCursor(bytes, from, to);
  const ids = new Map<string, string>();
  const attributes: Attribute[] = [];
  let timeMs = 0;
  let value: number | undefined;
  while (cursor.next()) {
    const { number } = cursor;
    if (number === EXEMPLAR.time) timeMs = timeAt(bytes, cursor.from);
    else if (number === EXEMPLAR.double) value = doubleAt(bytes, cursor.from);
    else if (number === EXEMPLAR.int) value = signedAt(bytes, cursor.from);
    else if (number === EXEMPLAR.traceId) addId(ids, 'trace_id', bytes.subarray(cursor.from, cursor.to));
    else if (number === EXEMPLAR.spanId) addId(ids, 'span_id', bytes.subarray(cursor.from, cursor.to));
    else if (number === EXEMPLAR.attributes) attributes.push(readAttribute(bytes, cursor.from, cursor.to));
  }
  if (value === undefined) return undefined;
  return { value, message: encode(labelsOf(ids, attributes), value, timeMs) };
}

function addId(ids: Map<string, string>, name: string, bytes: Uint8Array): void {
  if (bytes.some((byte) => byte !== 0)) ids.set(name, Buffer.from(bytes).toString('hex'));
}

function labelsOf(ids: Map<string, string>, attributes: readonly Attribute[]): Map<string, string> {
  let characters = 0;
  const count = (name: string, value: string): void => {
    characters += [...name].length + [...value].length;
  };
  for (const [name, value] of ids) count(name, value);
  for (const { key, value } of attributes) {
    if (characters > MAX_CHARACTERS) return ids;
    count(key, value);
  }
  if (characters > MAX_CHARACTERS) return ids;
  return new Map([...attributes.map(({ key, value }) => [key, value] as const), ...ids]);
}

function encode(labels: ReadonlyMap<string, string>, value: number, timeMs: number): Uint8Array {
  const writer = new ByteWriter(128);
  const label = new ByteWriter(128);
  for (const name of [...labels.keys()].sort()) {
    label.reset();
    label.u8(0x0a);
    label.text(name);
    label.u8(0x12);
    label.text(labels.get(name) as string);
    writer.u8(0x0a);
    writer.uvarint(label.length);
    writer.raw(label.bytes);
  }
  writer.u8(0x11);
  const double = new Uint8Array(8);
  new DataView(double.buffer).setFloat64(0, value, true);
  writer.raw(double);
  writer.u8(0x18);
  writer.uvarint(timeMs);
  return writer.bytes.slice();
}
