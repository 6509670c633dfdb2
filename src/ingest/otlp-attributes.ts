/** Attributes of resources and data points, and the labels that they become. */

import { labelName } from './otlp-names.ts';
import { FieldCursor } from './otlp-protobuf.ts';

const KEY_VALUE = { key: 1, value: 2 } as const;
const ANY_VALUE = { string: 1, bool: 2, int: 3, double: 4, array: 5, list: 6, bytes: 7 } as const;
/** Of ArrayValue and KeyValueList. */
const VALUES = 1;

export interface Attribute {
  readonly key: string;
  /** As text, whatever its type is. */
  readonly value: string;
}

/** The KeyValue in `bytes[from, to)`. */
export function readAttribute(bytes: Uint8Array, from: number, to: number): Attribute {
  const cursor = new FieldCursor(bytes, from, to);
  let key = '';
  let value = '';
  while (cursor.next()) {
    if (cursor.number === KEY_VALUE.key) key = cursor.text();
    else if (cursor.number === KEY_VALUE.value) value = readValue(bytes, cursor.from, cursor.to, textOf);
  }
  return { key, value };
}

/** How a value that is not nested is written. */
type Notation = (kind: number, value: string) => string;

/** As the value of a label. */
const textOf: Notation = (_, value) => value;

/** In a nested value, which becomes JSON. */
const jsonOf: Notation = (kind, value) => {
  if (kind === 0) return 'null';
  if (kind === ANY_VALUE.string || kind === ANY_VALUE.bytes) return quoted(value);
  // JSON has no words for what is no number.
  return kind === ANY_VALUE.double && !Number.isFinite(Number(value)) ? quoted(value) : value;
};

/** The AnyValue in `bytes[from, to)`. Its depth is bounded by `checkMessage`. */
function readValue(bytes: Uint8Array, from: number, to: number, notation: Notation): string {
  const cursor = new FieldCursor(bytes, from, to);
  let [kind, value] = [0, ''];
  while (cursor.next()) {
    const { number } = cursor;
    if (number === ANY_VALUE.array) return `[${readElements(bytes, cursor).join(',')}]`;
    if (number === ANY_VALUE.list) return `{${readMembers(bytes, cursor).join(',')}}`;
    const text = scalarText(bytes, cursor);
    if (text !== undefined) [kind, value] = [number, text];
  }
  return notation(kind, value);
}

function scalarText(bytes: Uint8Array, cursor: FieldCursor): string | undefined {
  const { number, from, to } = cursor;
  if (number === ANY_VALUE.string) return cursor.text();
  if (number === ANY_VALUE.bool) return cursor.uint32() === 0 ? 'false' : 'true';
  if (number === ANY_VALUE.int) return String(cursor.int64());
  if (number === ANY_VALUE.double)
    return doubleText(new DataView(bytes.buffer, bytes.byteOffset + from).getFloat64(0, true));
  if (number === ANY_VALUE.bytes) return Buffer.from(bytes.subarray(from, to)).toString('base64');
  return undefined;
}

function doubleText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

function readElements(bytes: Uint8Array, { from, to }: FieldCursor): string[] {
  const cursor = new FieldCursor(bytes, from, to);
  const elements: string[] = [];
  while (cursor.next()) if (cursor.number === VALUES) elements.push(readValue(bytes, cursor.from, cursor.to, jsonOf));
  return elements;
}

/** Sorted by key, each key once: the order in which a sender has them is no part of a series' identity. */
function readMembers(bytes: Uint8Array, { from, to }: FieldCursor): string[] {
  const cursor = new FieldCursor(bytes, from, to);
  const members = new Map<string, string>();
  while (cursor.next()) if (cursor.number === VALUES) readMember(bytes, cursor, members);
  return [...members.keys()].sort(compareText).map((key) => `${quoted(key)}:${members.get(key)}`);
}

function readMember(bytes: Uint8Array, { from, to }: FieldCursor, members: Map<string, string>): void {
  const cursor = new FieldCursor(bytes, from, to);
  let [key, value] = ['', 'null'];
  while (cursor.next()) {
    if (cursor.number === KEY_VALUE.key) key = cursor.text();
    else if (cursor.number === KEY_VALUE.value) value = readValue(bytes, cursor.from, cursor.to, jsonOf);
  }
  members.set(key, value);
}

/** As Go writes a JSON string: besides what JSON asks for, the line separators of JavaScript are escaped. */
function quoted(text: string): string {
  return JSON.stringify(text).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
}

/** In byte order of UTF-8, as Go compares strings; by UTF-16 units surrogates would come too early. */
function compareText(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Makes label names of keys, and remembers those of one request. */
export class LabelNames {
  readonly #names = new Map<string, string | undefined>();

  of(key: string): string | undefined {
    let name = this.#names.get(key);
    if (name === undefined && !this.#names.has(key)) {
      name = labelName(key);
      this.#names.set(key, name);
    }
    return name;
  }
}

/** Labels by their names. An empty value stands for none. */
export type LabelMap = Map<string, string>;

/**
 * The labels that attributes become, except those with a key in `ignored`. Where two keys become one name, the values
 * are joined with `;` in the order of the keys. `undefined` if a key has no name: it is then `unnamed`.
 */
export function labelsOf(
  attributes: readonly Attribute[],
  ignored: ReadonlySet<string>,
  names: LabelNames,
): { readonly labels: LabelMap } | { readonly unnamed: string } {
  const kept = attributes.filter(({ key }) => !ignored.has(key));
  if (kept.length > 1) kept.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  if (kept.some(({ key }) => /[\ud800-\udbff]/.test(key))) kept.sort((a, b) => compareText(a.key, b.key));
  const labels: LabelMap = new Map();
  for (const { key, value } of kept) {
    const name = names.of(key);
    if (name === undefined) return { unnamed: key };
    const before = labels.get(name);
    labels.set(name, before ? `${before};${value}` : value);
  }
  return { labels };
}
