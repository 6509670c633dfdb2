/**
 * The chunks of one merged series, which may overlap and repeat each other, as one run of samples: sorted, one sample a
 * timestamp, be it a float or a histogram. Where two sources have a sample at one timestamp, the earlier source wins; within a source the chunk that
 * comes first in its list, which need not be in time order.
 *
 *   source 0   [--a--][--b--]            [--d--]
 *   source 1          [--b--]   [--c--]     [--e--]
 *   answer     a      b         c        d ∪ e decoded, merged, encoded again
 *
 * A chunk that overlaps nothing and lies in the range leaves with the bytes it came with; so does one of several equal
 * ones. What is encoded again has at most 120 samples a chunk and never crosses a 2 h window. A chunk with start
 * timestamps is always encoded again, without them: no reader of the protocol has to know its encoding.
 *
 * Values are bits. Samples are moved by whole arrays or as pairs of 32-bit words, never as numbers: a staleness marker
 * is a signalling NaN, which a load and a store may turn into a quiet one.
 */
import type { ChunkCodec } from '../kernel/chunk-codec.ts';
import type { HistogramRow } from '../model/histogram.ts';
import { SampleBuffer } from '../model/sample-buffer.ts';
import { type Chunk, chunkSampleCount, XOR } from '../model/series-source.ts';
import { type TimeRange, windowOf } from '../model/time-range.ts';
import { cutHistograms } from './cut-histograms.ts';
import { decodeMixed, hasStartTimes, isDecodable, type MixedSample } from './mixed-samples.ts';

/** As many as Prometheus puts into a chunk. */
const SAMPLES_PER_CHUNK = 120;

/** The samples of one series: two lists that ascend in time and have no time in common. */
export interface MergedSamples {
  readonly floats: SampleBuffer;
  readonly histograms: HistogramRow[];
}

/** What merging needs of the chunk codec. */
export type XorCodec = Pick<ChunkCodec, 'decodeXor' | 'encodeXor'>;

/**
 * The chunks of one series, one list for each part in the order of priority, merged and cut to the range: sorted, not
 * overlapping, with no sample outside the range. Chunks that need no change keep their bytes. Throws StorageError
 * 'invalid' if chunks overlap of which one cannot be decoded, CorruptionError if one that has to be decoded is damaged.
 */
export function mergeChunks(parts: readonly (readonly Chunk[])[], range: TimeRange, codec: XorCodec): Chunk[] {
  const merged: Chunk[] = [];
  for (const group of overlapGroups(parts, range)) {
    const [first] = group;
    const single = first !== undefined && group.length === 1;
    if (single && isInside(first.chunk, range) && !hasStartTimes(first.chunk)) merged.push(first.chunk);
    else if (group.every(isXor)) {
      const samples = new SampleBuffer();
      appendGroup(group, codec, samples);
      cutTo(samples, range);
      encodeAgain(samples, codec, merged);
    }
    // Aggregates of Thanos cannot be cut: readers of the protocol cut to their range themselves.
    else if (single && !isDecodable(first.chunk)) merged.push(first.chunk);
    else encodeMixed(decodeMixed(inPriority(group), range, codec), codec, merged);
  }
  return merged;
}

/**
 * Replaces the content of `out`, and of `histograms`, by the samples of one series in the range, of all parts in the
 * order of priority; both ascend in time and have no time in common. Throws StorageError 'invalid' if a chunk cannot be
 * decoded, CorruptionError if one is damaged.
 */
export function mergeSamples(
  parts: readonly (readonly Chunk[])[],
  range: TimeRange,
  codec: Pick<XorCodec, 'decodeXor'>,
  out: MergedSamples,
): void {
  const { floats, histograms } = out;
  floats.length = 0;
  histograms.length = 0;
  for (const group of overlapGroups(parts, range)) {
    if (group.every(isXor)) appendGroup(group, codec, floats);
    else {
      for (const { source, row } of decodeMixed(inPriority(group), range, codec)) {
        if (source instanceof SampleBuffer) appendSample(floats, source, row);
        else histograms.push({ run: source, row });
      }
    }
  }
  cutTo(floats, range);
}

interface PartChunk {
  readonly chunk: Chunk;
  /** Index of the part, and place in its list; lower ones win. */
  readonly part: number;
  readonly place: number;
}

/** Chunks that reach into the range, in time order, in groups that do not overlap each other; copies are left out. */
function overlapGroups(parts: readonly (readonly Chunk[])[], range: TimeRange): PartChunk[][] {
  const all: PartChunk[] = [];
  parts.forEach((chunks, part) => {
    chunks.forEach((chunk, place) => {
      if (reachesInto(chunk, range)) all.push({ chunk, part, place });
    });
  });
  // The sort is stable: at one start the earlier part stays in front.
  all.sort((a, b) => a.chunk.minTimeMs - b.chunk.minTimeMs);
  const groups: PartChunk[][] = [];
  let group: PartChunk[] = [];
  let groupMaxTimeMs = -Infinity;
  for (const one of all) {
    if (one.chunk.minTimeMs > groupMaxTimeMs) {
      group = [];
      groups.push(group);
    }
    if (!group.some(({ chunk }) => isCopy(chunk, one.chunk))) group.push(one);
    groupMaxTimeMs = Math.max(groupMaxTimeMs, one.chunk.maxTimeMs);
  }
  return groups;
}

/** The chunks of each part of a group, both in the order of priority. */
function groupByPart(group: readonly PartChunk[]): Chunk[][] {
  const byPart = new Map<number, Chunk[]>();
  for (const { chunk, part } of sortByPriority(group)) {
    const chunks = byPart.get(part);
    if (chunks === undefined) byPart.set(part, [chunk]);
    else chunks.push(chunk);
  }
  return [...byPart.values()];
}

function inPriority(group: readonly PartChunk[]): Chunk[] {
  return sortByPriority(group).map(({ chunk }) => chunk);
}

function sortByPriority(group: readonly PartChunk[]): PartChunk[] {
  return [...group].sort((a, b) => a.part - b.part || a.place - b.place);
}

function isXor({ chunk }: PartChunk): boolean {
  return chunk.encoding === XOR;
}

function reachesInto(chunk: Chunk, range: TimeRange): boolean {
  return chunk.minTimeMs < range.maxTimeMs && chunk.maxTimeMs >= range.minTimeMs;
}

function isInside(chunk: Chunk, range: TimeRange): boolean {
  return chunk.minTimeMs >= range.minTimeMs && chunk.maxTimeMs < range.maxTimeMs;
}

function isCopy(a: Chunk, b: Chunk): boolean {
  if (a.minTimeMs !== b.minTimeMs || a.maxTimeMs !== b.maxTimeMs || a.encoding !== b.encoding) return false;
  return Buffer.compare(a.bytes, b.bytes) === 0;
}

/** Appends the samples of chunks that overlap each other and nothing before them. */
function appendGroup(group: readonly PartChunk[], codec: Pick<XorCodec, 'decodeXor'>, out: SampleBuffer): void {
  if (group.length === 1) {
    for (const { chunk } of group) codec.decodeXor(chunk.bytes, out);
    return;
  }
  let merged = new SampleBuffer();
  for (const chunks of groupByPart(group)) {
    let part = new SampleBuffer();
    part.reserve(chunks.reduce((sum, chunk) => sum + chunkSampleCount(chunk), 0));
    for (const chunk of chunks) {
      if (part.length === 0 || chunk.minTimeMs > (part.timestamps[part.length - 1] as number)) {
        codec.decodeXor(chunk.bytes, part);
      } else {
        const overlapping = new SampleBuffer();
        codec.decodeXor(chunk.bytes, overlapping);
        part = union(part, overlapping);
      }
    }
    merged = union(merged, part);
  }
  out.reserve(out.length + merged.length);
  out.timestamps.set(merged.timestamps.subarray(0, merged.length), out.length);
  out.values.set(merged.values.subarray(0, merged.length), out.length);
  out.length += merged.length;
}

/** Appends the chunks of samples of both kinds, which ascend in time. */
function encodeMixed(samples: readonly MixedSample[], codec: XorCodec, target: Chunk[]): void {
  for (let from = 0; from < samples.length; ) {
    const isFloat = isFloatSample(samples[from] as MixedSample);
    let to = from + 1;
    while (to < samples.length && isFloatSample(samples[to] as MixedSample) === isFloat) to++;
    const floats = new SampleBuffer();
    const histograms: HistogramRow[] = [];
    for (const { source, row } of samples.slice(from, to)) {
      if (source instanceof SampleBuffer) appendSample(floats, source, row);
      else histograms.push({ run: source, row });
    }
    encodeAgain(floats, codec, target);
    cutHistograms(histograms, target);
    from = to;
  }
}

function isFloatSample({ source }: MixedSample): boolean {
  return source instanceof SampleBuffer;
}

/** By moves of the array, which leave the value's bits as they are. */
function appendSample(out: SampleBuffer, source: SampleBuffer, row: number): void {
  out.reserve(out.length + 1);
  out.timestamps[out.length] = source.timestamps[row] as number;
  out.values.set(source.values.subarray(row, row + 1), out.length);
  out.length += 1;
}

function encodeAgain(samples: SampleBuffer, codec: XorCodec, target: Chunk[]): void {
  const { timestamps, length } = samples;
  for (let from = 0; from < length; ) {
    const minTimeMs = timestamps[from] as number;
    const window = windowOf(minTimeMs);
    let to = from + 1;
    while (to < length && to - from < SAMPLES_PER_CHUNK && windowOf(timestamps[to] as number) === window) to++;
    const maxTimeMs = timestamps[to - 1] as number;
    target.push({ minTimeMs, maxTimeMs, encoding: XOR, bytes: codec.encodeXor(samples, from, to) });
    from = to;
  }
}

/** The samples of both; `first` wins where both have a timestamp. May return one of the two. */
function union(first: SampleBuffer, second: SampleBuffer): SampleBuffer {
  if (second.length === 0) return first;
  if (first.length === 0) return second;
  const merged = new SampleBuffer();
  merged.reserve(first.length + second.length);
  const a = first.timestamps;
  const b = second.timestamps;
  const aBits = bitsOf(first.values);
  const bBits = bitsOf(second.values);
  const times = merged.timestamps;
  const bits = bitsOf(merged.values);
  let i = 0;
  let j = 0;
  let length = 0;
  while (i < first.length || j < second.length) {
    const takeFirst = j === second.length || (i < first.length && (a[i] as number) <= (b[j] as number));
    const source = takeFirst ? aBits : bBits;
    const row = takeFirst ? i : j;
    const timestamp = (takeFirst ? a[i] : b[j]) as number;
    times[length] = timestamp;
    bits[2 * length] = source[2 * row] as number;
    bits[2 * length + 1] = source[2 * row + 1] as number;
    length++;
    if (takeFirst) i++;
    while (j < second.length && b[j] === timestamp) j++;
  }
  merged.length = length;
  return merged;
}

function bitsOf(values: Float64Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
}

/** Drops the rows outside the range, in place. */
function cutTo(samples: SampleBuffer, range: TimeRange): void {
  const { timestamps, values } = samples;
  let from = 0;
  let to = samples.length;
  while (from < to && (timestamps[from] as number) < range.minTimeMs) from++;
  while (to > from && (timestamps[to - 1] as number) >= range.maxTimeMs) to--;
  if (from > 0) {
    timestamps.copyWithin(0, from, to);
    values.copyWithin(0, from, to);
  }
  samples.length = to - from;
}
