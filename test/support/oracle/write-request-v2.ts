/**
 * Oracle for the walk over a remote write 2.0 request, as write-request.ts is for 1.0 and as strict: the symbols in one
 * list, then every series with its texts in place.
 */
import { readHistogram } from './histogram-message.ts';
import { Damage, expectType, fieldsOf } from './wire-fields.ts';
import {
  exemplarOf,
  type WireExemplar,
  type WireHistogramField,
  type WireMetadata,
  type WireSample,
  type WireSeries,
} from './write-request.ts';

/** What stands in the way of a whole request: 'damaged', or what is wrong with its symbols. */
export type WholeProblem = 'damaged' | 'first-symbol' | 'older-version';

/** The series of a decompressed request, or why none of it can be taken. */
export function readWriteRequestV2(bytes: Uint8Array): WireSeries[] | WholeProblem {
  try {
    const fields = [...fieldsOf(bytes)];
    const symbols: Uint8Array[] = [];
    for (const { number, type, bytes: content } of fields) {
      if (number === 4 || number === 5) expectType(type, 2);
      if (number === 4) symbols.push(content);
    }
    const series = fields.filter(({ number }) => number === 5).map((field) => readSeries(field.bytes, symbols));
    const isOlder = fields.some(({ number, type }) => number <= 3 && type === 2);
    if (symbols[0]?.length !== 0) return isOlder ? 'older-version' : 'first-symbol';
    return isOlder ? 'damaged' : series;
  } catch (error) {
    if (error instanceof Damage) return 'damaged';
    throw error;
  }
}

const NO_TEXT: Uint8Array = new Uint8Array(0);

function readSeries(bytes: Uint8Array, symbols: readonly Uint8Array[]): WireSeries {
  const refs: number[] = [];
  const otherRefs: number[] = [];
  const samples: WireSample[] = [];
  const histograms: WireHistogramField[] = [];
  const exemplars: WireExemplar[] = [];
  let place = 0;
  const metadata = { type: 0, help: 0, unit: 0 };
  let hasOddExemplar = false;
  for (const { number, type, value, bytes: content } of fieldsOf(bytes)) {
    if (number > 5) continue;
    if (number === 1) refs.push(...readRefs(type, value, content));
    else expectType(type, 2);
    if (number === 2) samples.push({ ...readSample(content), place: place++ });
    else if (number === 3) histograms.push({ ...readHistogram(content), place: place++ });
    else if (number === 4) {
      const exemplar = readExemplar(content);
      otherRefs.push(...exemplar.refs);
      hasOddExemplar ||= exemplar.refs.length % 2 === 1;
      const texts = labelsOf(exemplar.refs, symbols);
      const stored = exemplarOf(texts, bytesOfLabels(texts), exemplar.bits, exemplar.timestampMs);
      exemplars.push({ ...stored, place: place++ });
    } else if (number === 5) {
      readMetadata(content, metadata);
      otherRefs.push(metadata.help, metadata.unit);
    }
  }
  const hasOddRefs = refs.length % 2 === 1 || hasOddExemplar;
  const isBadRef = (ref: number): boolean => ref >= symbols.length;
  const labels = labelsOf(refs, symbols);
  const problem = (): NonNullable<WireSeries['v2']>['refused'] => {
    if (samples.length + histograms.length === 0) return 'no-samples';
    if ([...refs, ...otherRefs].some(isBadRef)) return 'symbol-ref';
    if (hasOddRefs) return 'odd-refs';
    return samples.length > 0 && histograms.length > 0 ? 'both-kinds' : '';
  };
  return {
    labels,
    labelBytes: bytesOfLabels(labels),
    samples,
    histograms,
    exemplars,
    v2: { refused: problem(), metadata: textsOf(metadata, symbols) },
  };
}

function labelsOf(refs: readonly number[], symbols: readonly Uint8Array[]): [Uint8Array, Uint8Array][] {
  const labels: [Uint8Array, Uint8Array][] = [];
  for (let i = 0; i + 1 < refs.length; i += 2)
    labels.push([symbols[refs[i] as number] ?? NO_TEXT, symbols[refs[i + 1] as number] ?? NO_TEXT]);
  return labels;
}

function bytesOfLabels(labels: WireSeries['labels']): number {
  return labels.reduce((sum, label) => sum + labelFieldBytes(label), 0);
}

/** The length of a label as 1.0 writes it. */
function labelFieldBytes([name, value]: readonly [Uint8Array, Uint8Array]): number {
  const field = (length: number): number => 1 + Math.ceil(Math.max(1, length.toString(2).length) / 7) + length;
  return field(field(name.length) + field(value.length));
}

function textsOf(
  { type, help, unit }: { type: number; help: number; unit: number },
  symbols: readonly Uint8Array[],
): WireMetadata | undefined {
  if (type === 0 && help === 0 && unit === 0) return undefined;
  return { type, help: symbols[help] ?? NO_TEXT, unit: symbols[unit] ?? NO_TEXT };
}

/** The refs of a field: one, or many packed; each counts modulo 2^32. */
function readRefs(type: number, value: bigint, content: Uint8Array): number[] {
  if (type === 0) return [Number(value & 0xffffffffn)];
  expectType(type, 2);
  const refs: number[] = [];
  for (let at = 0; at < content.length; ) {
    let ref = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = content[at++];
      if (byte === undefined || shift > 63n) throw new Damage('cut ref');
      ref |= BigInt(byte & 127) << shift;
      if (byte < 128) break;
    }
    if (ref >= 2n ** 64n) throw new Damage('a ref of more than 64 bits');
    refs.push(Number(ref & 0xffffffffn));
  }
  return refs;
}

function readSample(bytes: Uint8Array): { timestampMs: bigint; bits: bigint; startMs: bigint } {
  const sample = { timestampMs: 0n, bits: 0n, startMs: 0n };
  for (const { number, type, value, bytes: content } of fieldsOf(bytes)) {
    if (number > 3) continue;
    expectType(type, number === 1 ? 1 : 0);
    if (number === 1) sample.bits = new DataView(content.buffer, content.byteOffset).getBigUint64(0, true);
    if (number === 2) sample.timestampMs = BigInt.asIntN(64, value);
    if (number === 3) sample.startMs = BigInt.asIntN(64, value);
  }
  return sample;
}

function readExemplar(bytes: Uint8Array): { refs: number[]; bits: bigint; timestampMs: bigint } {
  const refs: number[] = [];
  const exemplar = { refs, bits: 0n, timestampMs: 0n };
  for (const { number, type, value, bytes: content } of fieldsOf(bytes)) {
    if (number === 1) refs.push(...readRefs(type, value, content));
    if (number === 2) {
      expectType(type, 1);
      exemplar.bits = new DataView(content.buffer, content.byteOffset).getBigUint64(0, true);
    } else if (number === 3) {
      expectType(type, 0);
      exemplar.timestampMs = BigInt.asIntN(64, value);
    }
  }
  return exemplar;
}

/** Several fields are one message: what comes later counts. */
function readMetadata(bytes: Uint8Array, metadata: { type: number; help: number; unit: number }): void {
  for (const { number, type, value } of fieldsOf(bytes)) {
    if (number !== 1 && number !== 3 && number !== 4) continue;
    expectType(type, 0);
    const word = Number(value & 0xffffffffn);
    if (number === 1) metadata.type = word;
    else if (number === 3) metadata.help = word;
    else metadata.unit = word;
  }
}
