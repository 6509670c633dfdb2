/**
 * Oracle for the walk over a remote write 1.0 request: a strict reader of the wire format, and the rules by which a
 * label set is accepted. Plain and slow; it shares no source with the engine.
 *
 * It is stricter than protobufjs in what no sender writes: a tag in more bytes than it needs, groups, a tenth byte of a
 * varint above 1, a known field under another wire type, and the symbols and series of remote write 2.0 (fields 4 and
 * 5) are damage to it. Exemplars and histograms are passed over unread.
 */

export interface WireSeries {
  /** As sent. */
  readonly labels: readonly (readonly [name: Uint8Array, value: Uint8Array])[];
  /** Bytes of the label fields, tags and all. */
  readonly labelBytes: number;
  readonly samples: readonly { readonly timestampMs: bigint; readonly bits: bigint }[];
  readonly histograms: number;
  readonly exemplars: number;
  /** Of a series of 2.0. */
  readonly v2?: WireFacts;
}

/** What only 2.0 has. */
export interface WireFacts {
  /** Why its refs or its fields make no sense; '' if they do. */
  readonly refused: '' | 'symbol-ref' | 'odd-refs' | 'no-samples' | 'both-kinds';
  /** What is said of its metric; undefined if nothing is. */
  readonly metadata: WireMetadata | undefined;
}

export interface WireMetadata {
  readonly type: number;
  readonly help: Uint8Array;
  readonly unit: Uint8Array;
}

/** What 1.0 says of a metric family. */
export interface FamilyMetadata extends WireMetadata {
  readonly family: Uint8Array;
}

export class Damage extends Error {}

class WireReader {
  readonly #bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.at === this.#bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let i = 0n; i < 10n; i++) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined) throw new Damage('cut varint');
      value |= BigInt(byte % 128) << (7n * i);
      if (byte < 128) {
        if (value >= 2n ** 64n) throw new Damage('a varint of more than 64 bits');
        return value;
      }
    }
    throw new Damage('a varint of more than ten bytes');
  }

  take(length: bigint): Uint8Array {
    if (length > BigInt(this.#bytes.length - this.at)) throw new Damage('length past the end');
    this.at += Number(length);
    return this.#bytes.subarray(this.at - Number(length), this.at);
  }

  /** The next field: its number, wire type and content; of a varint the content is its value. */
  field(): { number: number; type: number; value: bigint; bytes: Uint8Array } {
    const start = this.at;
    const tag = this.varint();
    const size = this.at - start;
    if (tag < 8n || tag >= 2n ** 32n || size > 5 || (tag < 128n && size > 1)) throw new Damage('bad tag');
    const number = Number(tag / 8n);
    const type = Number(tag % 8n);
    const none = new Uint8Array(0);
    if (type === 0) return { number, type, value: this.varint(), bytes: none };
    if (type === 1) return { number, type, value: 0n, bytes: this.take(8n) };
    if (type === 5) return { number, type, value: 0n, bytes: this.take(4n) };
    if (type === 2) return { number, type, value: 0n, bytes: this.take(this.varint()) };
    throw new Damage('unknown wire type');
  }
}

/** The series of a decompressed request, or undefined if it is damaged anywhere. */
export function readWriteRequest(bytes: Uint8Array): WireSeries[] | undefined {
  try {
    const series: WireSeries[] = [];
    for (const { number, type, bytes: content } of fieldsOf(bytes)) {
      if (number === 1 || number === 3) expectType(type, 2);
      if ((number === 4 || number === 5) && type === 2) throw new Damage('remote write 2.0');
      if (number === 1) series.push(readSeries(content));
      if (number === 3) readFamily(content);
    }
    return series;
  } catch (error) {
    if (error instanceof Damage) return undefined;
    throw error;
  }
}

/** What a request that is not damaged says of metric families, in its order. */
export function readFamilies(bytes: Uint8Array): FamilyMetadata[] {
  return [...fieldsOf(bytes)].filter(({ number }) => number === 3).map(({ bytes: content }) => readFamily(content));
}

function readFamily(bytes: Uint8Array): FamilyMetadata {
  const none: Uint8Array = new Uint8Array(0);
  const texts = [none, none, none, none, none, none];
  let kind = 0;
  for (const { number, type, value, bytes: content } of fieldsOf(bytes)) {
    if (number > 5 || number === 3) continue;
    expectType(type, number === 1 ? 0 : 2);
    if (number === 1) kind = Number(value & 0xffffffffn);
    else texts[number] = content;
  }
  return { family: texts[2] as Uint8Array, type: kind, help: texts[4] as Uint8Array, unit: texts[5] as Uint8Array };
}

/** A field of a message, and the bytes that it takes. */
export interface WireField {
  readonly number: number;
  readonly type: number;
  readonly value: bigint;
  readonly bytes: Uint8Array;
  readonly size: number;
}

/** The fields of a message in their order; throws Damage. */
export function* fieldsOf(bytes: Uint8Array): Generator<WireField> {
  const reader = new WireReader(bytes);
  while (!reader.isAtEnd) {
    const start = reader.at;
    const field = reader.field();
    yield { ...field, size: reader.at - start };
  }
}

export function expectType(type: number, wanted: number): void {
  if (type !== wanted) throw new Damage('wrong wire type');
}

function readSeries(bytes: Uint8Array): WireSeries {
  const labels: [Uint8Array, Uint8Array][] = [];
  const samples: { timestampMs: bigint; bits: bigint }[] = [];
  let labelBytes = 0;
  let histograms = 0;
  let exemplars = 0;
  for (const { number, type, bytes: content, size } of fieldsOf(bytes)) {
    if (number > 4) continue;
    expectType(type, 2);
    if (number === 1) {
      labels.push(readLabel(content));
      labelBytes += size;
    } else if (number === 2) samples.push(readSample(content));
    else if (number === 3) exemplars++;
    else histograms++;
  }
  return { labels, labelBytes, samples, histograms, exemplars };
}

function readLabel(bytes: Uint8Array): [Uint8Array, Uint8Array] {
  const label: [Uint8Array, Uint8Array] = [new Uint8Array(0), new Uint8Array(0)];
  for (const { number, type, bytes: content } of fieldsOf(bytes)) {
    if (number > 2) continue;
    expectType(type, 2);
    label[number - 1] = content;
  }
  return label;
}

function readSample(bytes: Uint8Array): { timestampMs: bigint; bits: bigint } {
  const sample = { timestampMs: 0n, bits: 0n };
  for (const { number, type, value, bytes: content } of fieldsOf(bytes)) {
    if (number === 1) {
      expectType(type, 1);
      sample.bits = new DataView(content.buffer, content.byteOffset).getBigUint64(0, true);
    } else if (number === 2) {
      expectType(type, 0);
      sample.timestampMs = BigInt.asIntN(64, value);
    }
  }
  return sample;
}

export type LabelVerdict =
  | { readonly labels: readonly (readonly [name: string, value: string])[] }
  | {
      readonly refused:
        | 'empty-name'
        | 'too-many-labels'
        | 'name-too-long'
        | 'value-too-long'
        | 'not-utf8'
        | 'series-too-long'
        | 'duplicate'
        | 'no-name';
      readonly actual: number;
    };

/** What labels may be: how many, bytes of a name, of a value, and of all as they are sent. */
export interface LabelLimits {
  readonly labels: number;
  readonly name: number;
  readonly value: number;
  readonly series: number;
}

const LIMITS: LabelLimits = { labels: 128, name: 1024, value: 16_384, series: 65_536 };

/** The canonical form of a label set, or why it is refused; of several reasons the first in this function. */
export function judgeLabels({ labels, labelBytes, v2 }: WireSeries, limits: LabelLimits = LIMITS): LabelVerdict {
  if (v2 !== undefined && labelBytes > LIMITS.series) return { refused: 'series-too-long', actual: labelBytes };
  if (labels.some(([name]) => name.length === 0)) return { refused: 'empty-name', actual: 0 };
  const present = labels.filter(([, value]) => value.length > 0);
  if (present.length > limits.labels) return { refused: 'too-many-labels', actual: present.length };
  for (const [name, value] of present) {
    if (name.length > limits.name) return { refused: 'name-too-long', actual: name.length };
    if (value.length > limits.value) return { refused: 'value-too-long', actual: value.length };
    if (!isUtf8(name) || !isUtf8(value)) return { refused: 'not-utf8', actual: 0 };
  }
  if (labelBytes > limits.series) return { refused: 'series-too-long', actual: labelBytes };
  const sorted = present.toSorted(([a], [b]) => Buffer.compare(a, b));
  if (sorted.some(([name], i) => i > 0 && Buffer.compare(name, (sorted[i - 1] as [Uint8Array, Uint8Array])[0]) === 0))
    return { refused: 'duplicate', actual: 0 };
  const text = new TextDecoder('utf-8', { ignoreBOM: true });
  const named = sorted.map(([name, value]) => [text.decode(name), text.decode(value)] as const);
  return named.some(([name]) => name === '__name__') ? { labels: named } : { refused: 'no-name', actual: 0 };
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
