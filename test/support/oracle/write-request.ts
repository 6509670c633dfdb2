/**
 * Oracle for the walk over a remote write 1.0 request: a strict reader of the wire format, and the rules by which a
 * label set is accepted. Plain and slow; it shares no source with the engine.
 *
 * It is stricter than protobufjs in what no sender writes: a tag in more bytes than it needs, groups, a tenth byte of a
 * varint above 1, a known field under another wire type, and the symbols and series of remote write 2.0 (fields 4 and
 * 5) are damage to it.
 */

import { fixed64Field, labelField, varintField } from '../wire-writer.ts';
import { readHistogram, type WireHistogram } from './histogram-message.ts';
import { Damage, expectType, fieldsOf } from './wire-fields.ts';

export interface WireSeries {
  /** As sent. */
  readonly labels: readonly (readonly [name: Uint8Array, value: Uint8Array])[];
  /** Bytes of the label fields, tags and all. */
  readonly labelBytes: number;
  readonly samples: readonly WireSample[];
  readonly histograms: readonly WireHistogramField[];
  readonly exemplars: readonly WireExemplar[];
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

/** Where something stands among the samples, histograms and exemplars of its series. */
interface Placed {
  readonly place: number;
}

export type WireHistogramField = WireHistogram & Placed;

export interface WireSample extends Placed {
  readonly timestampMs: bigint;
  readonly bits: bigint;
  /** Only 2.0 has it; 0 = none. */
  readonly startMs?: bigint;
}

export interface WireExemplar extends Placed {
  readonly timestampMs: bigint;
  /** As it is stored, or why it is not. */
  readonly stored: Uint8Array | 'labels' | 'too-long' | 'not-utf8';
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

function readSeries(bytes: Uint8Array): WireSeries {
  const labels: [Uint8Array, Uint8Array][] = [];
  const samples: WireSample[] = [];
  let labelBytes = 0;
  const histograms: WireHistogramField[] = [];
  let place = 0;
  const exemplars: WireExemplar[] = [];
  for (const { number, type, bytes: content, size } of fieldsOf(bytes)) {
    if (number > 4) continue;
    expectType(type, 2);
    if (number === 1) {
      labels.push(readLabel(content));
      labelBytes += size;
    } else if (number === 2) samples.push({ ...readSample(content), place: place++ });
    else if (number === 3) exemplars.push({ ...readExemplar(content), place: place++ });
    else histograms.push({ ...readHistogram(content), place: place++ });
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

/** An exemplar in the one form in which it is stored: labels sorted, none empty; value and time where they are not 0. */
function readExemplar(bytes: Uint8Array): Omit<WireExemplar, 'place'> {
  const labels: [Uint8Array, Uint8Array][] = [];
  let labelBytes = 0;
  let bits = 0n;
  let timestampMs = 0n;
  for (const { number, type, value, bytes: content, size } of fieldsOf(bytes)) {
    if (number === 1) {
      expectType(type, 2);
      labels.push(readLabel(content));
      labelBytes += size;
    } else if (number === 2) {
      expectType(type, 1);
      bits = new DataView(content.buffer, content.byteOffset).getBigUint64(0, true);
    } else if (number === 3) {
      expectType(type, 0);
      timestampMs = BigInt.asIntN(64, value);
    }
  }
  return exemplarOf(labels, labelBytes, bits, timestampMs);
}

/** How an exemplar is stored, or why it is not. */
export function exemplarOf(
  labels: WireSeries['labels'],
  labelBytes: number,
  bits: bigint,
  timestampMs: bigint,
): Omit<WireExemplar, 'place'> {
  const verdict = labelBytes > MAX_EXEMPLAR_BYTES ? 'too-long' : exemplarLabels(labels, labelBytes);
  if (typeof verdict === 'string') return { timestampMs, stored: verdict };
  const stored = [
    ...verdict.flatMap(([name, text]) => labelField(name, text)),
    ...(bits === 0n ? [] : fixed64Field(2, bits)),
    ...(timestampMs === 0n ? [] : varintField(3, timestampMs)),
  ];
  return { timestampMs, stored: Uint8Array.from(stored) };
}

const MAX_EXEMPLAR_BYTES = 4096;
const MAX_EXEMPLAR_CHARACTERS = 128;

function exemplarLabels(
  labels: WireSeries['labels'],
  labelBytes: number,
): readonly (readonly [string, string])[] | 'labels' | 'too-long' | 'not-utf8' {
  const verdict = canonicalLabels({ labels, labelBytes }, LIMITS);
  if ('refused' in verdict) {
    if (verdict.refused === 'not-utf8') return 'not-utf8';
    return verdict.refused === 'empty-name' || verdict.refused === 'duplicate' ? 'labels' : 'too-long';
  }
  const characters = verdict.labels.reduce((sum, [name, value]) => sum + [...name].length + [...value].length, 0);
  return characters > MAX_EXEMPLAR_CHARACTERS ? 'too-long' : verdict.labels;
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
export function judgeLabels(series: WireSeries, limits: LabelLimits = LIMITS): LabelVerdict {
  const { labelBytes, v2 } = series;
  if (v2 !== undefined && labelBytes > LIMITS.series) return { refused: 'series-too-long', actual: labelBytes };
  const verdict = canonicalLabels(series, limits);
  if ('refused' in verdict || verdict.labels.some(([name]) => name === '__name__')) return verdict;
  return { refused: 'no-name', actual: 0 };
}

function canonicalLabels(
  { labels, labelBytes }: Pick<WireSeries, 'labels' | 'labelBytes'>,
  limits: LabelLimits,
): LabelVerdict {
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
  return { labels: sorted.map(([name, value]) => [text.decode(name), text.decode(value)] as const) };
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
