/** Answers of remote read taken apart, values as bits. */
import { crc32c } from '@node-rs/crc32';
import { uncompressSync } from 'snappy';
import type { BitSample } from './memory-source.ts';
import { decodeXorChunk } from './oracle/xor-decoder.ts';
import { type Bits64, ChunkedReadResponse, ReadResponse, timeOf } from './protocol.ts';

export interface AnsweredSeries {
  /** Names and values alternating. */
  readonly labels: string[];
  readonly samples: BitSample[];
}

interface WireLabel {
  readonly name: string;
  readonly value: string;
}

/** The series of each query of a SAMPLES answer. */
export function decodeSamples(body: Uint8Array): AnsweredSeries[][] {
  const { results } = ReadResponse.decode(uncompressSync(body) as Uint8Array) as unknown as {
    results: { timeseries: { labels: WireLabel[]; samples: { value: Bits64; timestamp: Bits64 }[] }[] }[];
  };
  return results.map(({ timeseries }) =>
    timeseries.map(({ labels, samples }) => ({
      labels: flat(labels),
      samples: samples.map(({ timestamp, value }): BitSample => [timeOf(timestamp), bits(value)]),
    })),
  );
}

export interface Frame {
  readonly bytes: number;
  readonly queryIndex: number;
  readonly labels: string[];
  readonly chunks: {
    readonly minTimeMs: number;
    readonly maxTimeMs: number;
    readonly type: number;
    readonly data: Uint8Array;
  }[];
}

/** The frames of a STREAMED_XOR_CHUNKS answer; throws if one is damaged. */
export function decodeFrames(body: Uint8Array): Frame[] {
  const frames: Frame[] = [];
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  for (let offset = 0; offset < body.length; ) {
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = body[offset++] as number;
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    const message = body.subarray(offset + 4, offset + 4 + length);
    if (message.length !== length || view.getUint32(offset) !== crc32c(message))
      throw new Error(`bad frame at ${offset}`);
    offset += 4 + length;
    const { chunkedSeries, queryIndex } = ChunkedReadResponse.decode(message) as unknown as {
      chunkedSeries: {
        labels: WireLabel[];
        chunks: { minTimeMs: Bits64; maxTimeMs: Bits64; type: number; data: Uint8Array }[];
      }[];
      queryIndex: Bits64 | 0;
    };
    const [series] = chunkedSeries;
    if (series === undefined || chunkedSeries.length !== 1) throw new Error('a frame has one series');
    frames.push({
      bytes: length,
      queryIndex: queryIndex === 0 ? 0 : timeOf(queryIndex),
      labels: flat(series.labels),
      chunks: series.chunks.map(({ minTimeMs, maxTimeMs, type, data }) => ({
        minTimeMs: timeOf(minTimeMs),
        maxTimeMs: timeOf(maxTimeMs),
        type,
        data,
      })),
    });
  }
  return frames;
}

/** The series of each query of a streamed answer. */
export function decodeStreamed(body: Uint8Array, queries: number): AnsweredSeries[][] {
  const answers: AnsweredSeries[][] = Array.from({ length: queries }, () => []);
  for (const { queryIndex, labels, chunks } of decodeFrames(body)) {
    const answer = answers[queryIndex] as AnsweredSeries[];
    if (answer.at(-1)?.labels.join('\0') !== labels.join('\0')) answer.push({ labels, samples: [] });
    const { samples } = answer.at(-1) as AnsweredSeries;
    for (const { data } of chunks) {
      const decoded = decodeXorChunk(data);
      decoded.timestamps.forEach((timestamp, i) => {
        samples.push([timestamp, decoded.bits[i] as bigint]);
      });
    }
  }
  return answers;
}

function flat(labels: readonly WireLabel[]): string[] {
  return labels.flatMap(({ name, value }) => [name, value]);
}

function bits({ low, high }: Bits64): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
