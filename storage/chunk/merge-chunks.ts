/**
 * The chunks of one merged series, which may overlap and repeat each other, as one run of samples: sorted, one sample a
 * timestamp. Where two sources have a sample at one timestamp, the earlier source wins; within a source the chunk that
 * comes first in its list, which need not be in time order.
 *
 *   source 0   [--a--][--b--]            [--d--]
 *   source 1          [--b--]   [--c--]     [--e--]
 *   answer     a      b         c        d ∪ e decoded, merged, encoded again
 *
 * A chunk that overlaps nothing and lies in the range leaves with the bytes it came with; so does one of several equal
 * ones. What is encoded again has at most 120 samples a chunk and never crosses a 2 h window.
 *
 * Values are bits. Samples are moved by whole arrays or as pairs of 32-bit words, never as numbers: a staleness marker
 * is a signalling NaN, which a load and a store may turn into a quiet one.
 */
import type { ChunkCodec } from '../kernel/chunk-codec.ts';
import { StorageError } from '../lib/errors.ts';
import { SampleBuffer } from '../model/sample-buffer.ts';
import { type Chunk, XOR } from '../model/series-source.ts';
import { type TimeRange, windowOf } from '../model/time-range.ts';

/** As many as Prometheus puts into a chunk. */
const SAMPLES_PER_CHUNK = 120;

/** What merging needs of the chunk codec. */
export type XorCodec = Pick<ChunkCodec, 'decodeXor' | 'encodeXor'>;

/**
 * The chunks of one series, one list for each part in the order of priority, merged and cut to the range: sorted, not
 * overlapping, with no sample outside the range. Chunks that need no change keep their bytes. Throws StorageError
 * 'invalid' if chunks overlap that are not XOR, CorruptionError if one that has to be decoded is damaged.
 */
export function mergeChunks(parts: readonly (readonly Chunk[])[], range: TimeRange, codec: XorCodec): Chunk[] {
  const merged: Chunk[] = [];
  for (const group of overlapGroups(parts, range)) {
    const [first] = group;
    const single = first !== undefined && group.length === 1;
    if (single && isInside(first.chunk, range)) merged.push(first.chunk);
    // There is no way yet to cut a histogram chunk: readers of the protocol cut to their range themselves.
    else if (single && first.chunk.encoding !== XOR) merged.push(first.chunk);
    else {
      const samples = new SampleBuffer();
      appendGroup(group, codec, samples);
      cutTo(samples, range);
      encodeAgain(samples, codec, merged);
    }
  }
  return merged;
}

/**
 * Replaces the content of `out` by the samples of one series in the range, of all parts in the order of priority. Throws
 * StorageError 'invalid' if a chunk is not XOR, CorruptionError if one is damaged.
 */
export function mergeSamples(
  parts: readonly (readonly Chunk[])[],
  range: TimeRange,
  codec: Pick<XorCodec, 'decodeXor'>,
  out: SampleBuffer,
): void {
  out.length = 0;
  for (const group of overlapGroups(parts, range)) appendGroup(group, codec, out);
  cutTo(out, range);
}

/** How many samples a chunk holds, without decoding it. All encodings begin with the count. */
export function chunkSampleCount({ bytes }: Chunk): number {
  return bytes.length < 2 ? 0 : ((bytes[0] as number) << 8) | (bytes[1] as number);
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
  const byPriority = [...group].sort((a, b) => a.part - b.part || a.place - b.place);
  for (const { chunk, part } of byPriority) {
    const chunks = byPart.get(part);
    if (chunks === undefined) byPart.set(part, [chunk]);
    else chunks.push(chunk);
  }
  return [...byPart.values()];
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

function undecodable(chunk: Chunk): StorageError {
  const what = `a chunk of encoding ${chunk.encoding} at ${chunk.minTimeMs}`;
  return new StorageError('invalid', `${what}: only float samples (XOR, ${XOR}) can be decoded or merged`);
}

/** Appends the samples of chunks that overlap each other and nothing before them. */
function appendGroup(group: readonly PartChunk[], codec: Pick<XorCodec, 'decodeXor'>, out: SampleBuffer): void {
  if (group.length === 1) {
    for (const { chunk } of group) decode(chunk, codec, out);
    return;
  }
  let merged = new SampleBuffer();
  for (const chunks of groupByPart(group)) {
    let part = new SampleBuffer();
    part.reserve(chunks.reduce((sum, chunk) => sum + chunkSampleCount(chunk), 0));
    for (const chunk of chunks) {
      if (part.length === 0 || chunk.minTimeMs > (part.timestamps[part.length - 1] as number)) {
        decode(chunk, codec, part);
      } else {
        const overlapping = new SampleBuffer();
        decode(chunk, codec, overlapping);
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

function decode(chunk: Chunk, codec: Pick<XorCodec, 'decodeXor'>, out: SampleBuffer): void {
  if (chunk.encoding !== XOR) throw undecodable(chunk);
  codec.decodeXor(chunk.bytes, out);
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
