/** Series in memory as a SeriesSource, with a plain XOR encoder: the oracle for everything that reads head and blocks. */
import { compareLabels, compareUtf8, type Labels, labelValue } from '../../storage/model/labels.ts';
import type { Matcher } from '../../storage/model/matcher.ts';
import type { SampleBuffer } from '../../storage/model/sample-buffer.ts';
import { type Chunk, type SeriesSource, type SourceSeries, XOR } from '../../storage/model/series-source.ts';
import type { TimeRange } from '../../storage/model/time-range.ts';
import { decodeXorChunk } from './oracle/xor-decoder.ts';

/** A sample whose value is given as bits. */
export type BitSample = readonly [timestampMs: number, bits: bigint];

/** One series; each inner list becomes one chunk, of floats. */
export interface MemorySeries {
  readonly labels: Labels;
  readonly chunks: readonly (readonly BitSample[] | Chunk)[];
}

export const EVER: TimeRange = { minTimeMs: -(2 ** 52), maxTimeMs: 2 ** 52 };

/** The bits of a float. */
export function bitsOf(value: number): bigint {
  return new BigUint64Array(new Float64Array([value]).buffer)[0] as bigint;
}

export class MemorySource implements SeriesSource {
  readonly externalLabels: Labels;
  readonly #series: { readonly labels: Labels; readonly chunks: readonly Chunk[] }[];

  constructor(series: readonly MemorySeries[], externalLabels: Labels = []) {
    this.externalLabels = externalLabels;
    this.#series = series
      .map(({ labels, chunks }) => ({
        labels,
        chunks: chunks.flatMap((one) => ('bytes' in one ? one : oneChunk(one))),
      }))
      .sort((a, b) => compareLabels(a.labels, b.labels));
  }

  async labelNames(matchers: readonly Matcher[], range: TimeRange): Promise<string[]> {
    const names = this.#matching(matchers, range).flatMap(({ labels }) => labels.filter((_, i) => i % 2 === 0));
    return [...new Set(names)].sort(compareUtf8);
  }

  async labelValues(name: string, matchers: readonly Matcher[], range: TimeRange): Promise<string[]> {
    const values = this.#matching(matchers, range).map(({ labels }) => labelValue(labels, name));
    return [...new Set(values)].filter((value) => value !== '').sort(compareUtf8);
  }

  async select(matchers: readonly Matcher[], range: TimeRange): Promise<SourceSeries[]> {
    return this.#matching(matchers, range).map(({ labels, chunks }) => ({
      labels,
      chunkRefs: chunks.map((_, i) => i),
    }));
  }

  async readChunks(series: readonly SourceSeries[], range: TimeRange): Promise<Chunk[][]> {
    return series.map(({ labels }) => {
      const found = this.#series.find((one) => compareLabels(one.labels, labels) === 0);
      return (found?.chunks ?? [])
        .filter((chunk) => reachesInto(chunk, range))
        .sort((a, b) => a.minTimeMs - b.minTimeMs)
        .map((chunk) => ({ ...chunk, bytes: chunk.bytes.slice() }));
    });
  }

  #matching(matchers: readonly Matcher[], range: TimeRange) {
    return this.#series.filter(
      ({ labels, chunks }) =>
        matchers.every((matcher) => matcher.matches(labelValue(labels, matcher.name))) &&
        chunks.some((chunk) => reachesInto(chunk, range)),
    );
  }
}

function reachesInto(chunk: Chunk, range: TimeRange): boolean {
  return chunk.minTimeMs < range.maxTimeMs && chunk.maxTimeMs >= range.minTimeMs;
}

function oneChunk(samples: readonly BitSample[]): Chunk[] {
  return samples.length === 0 ? [] : [xorChunk(samples)];
}

/** A chunk of samples, which are in time order. */
export function xorChunk(samples: readonly BitSample[]): Chunk {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined) throw new Error('a chunk has samples');
  return { minTimeMs: first[0], maxTimeMs: last[0], encoding: XOR, bytes: encodeXor(samples) };
}

/** The samples of a chunk, by the plain decoder. */
export function decodeChunk(chunk: Chunk): BitSample[] {
  const { timestamps, bits } = decodeXorChunk(chunk.bytes);
  return timestamps.map((timestamp, i) => [timestamp, bits[i] as bigint]);
}

/** The rows of a buffer, values as bits. */
export function rowsOf(samples: SampleBuffer): BitSample[] {
  const bits = new BigUint64Array(samples.values.buffer, samples.values.byteOffset, samples.length);
  return Array.from(bits, (value, i) => [samples.timestamps[i] as number, value]);
}

/** Each changed value is written with all its 64 bits, each later time step with 64: valid, and as simple as it gets. */
function encodeXor(samples: readonly BitSample[]): Uint8Array {
  let bits = samples.length.toString(2).padStart(16, '0');
  let delta = 0;
  samples.forEach(([timestamp, value], i) => {
    const [previousTimestamp, previousValue] = samples[i - 1] ?? [0, 0n];
    const step = timestamp - previousTimestamp;
    if (i === 0) {
      const time = BigInt(timestamp);
      bits += uvarint(time < 0n ? -time * 2n - 1n : time * 2n) + word(value);
      return;
    }
    if (i === 1) bits += uvarint(BigInt(step));
    else bits += step === delta ? '0' : `1111${word(BigInt(step - delta))}`;
    delta = step;
    bits += value === previousValue ? '0' : `1100000000000${word(value ^ previousValue)}`;
  });
  const bytes = bits.match(/.{1,8}/g) ?? [];
  return Uint8Array.from(bytes, (byte) => Number.parseInt(byte.padEnd(8, '0'), 2));
}

function word(value: bigint): string {
  return BigInt.asUintN(64, value).toString(2).padStart(64, '0');
}

function uvarint(value: bigint): string {
  let rest = value;
  let bits = '';
  while (rest >= 0x80n) {
    bits += ((rest & 0x7fn) | 0x80n).toString(2).padStart(8, '0');
    rest >>= 7n;
  }
  return bits + rest.toString(2).padStart(8, '0');
}
