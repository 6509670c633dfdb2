/**
 * The samples of overlapping chunks of any kind, floats beside histograms, one a timestamp. The road for what is not XOR
 * alone: it has an object for each sample.
 */
import type { ChunkCodec } from '../kernel/chunk-codec.ts';
import { StorageError } from '../lib/errors.ts';
import { type HistogramRun, ResetHint } from '../model/histogram.ts';
import { SampleBuffer } from '../model/sample-buffer.ts';
import { type Chunk, Encoding } from '../model/series-source.ts';
import type { TimeRange } from '../model/time-range.ts';
import { decodeHistograms } from './histogram-chunk.ts';
import { decodeXor2 } from './xor2-chunk.ts';

/** A float or a histogram: row `row` of what its chunk was decoded to. */
export interface MixedSample {
  readonly timeMs: number;
  readonly source: SampleBuffer | HistogramRun;
  readonly row: number;
}

export function hasStartTimes({ encoding }: Chunk): boolean {
  return encoding >= Encoding.XOR2 && encoding <= Encoding.FLOAT_HISTOGRAM_START;
}

export function isDecodable({ encoding }: Chunk): boolean {
  return encoding >= Encoding.XOR && encoding <= Encoding.FLOAT_HISTOGRAM_START;
}

/**
 * The samples in the range, in time order; where several chunks have one at the same time, that of the earliest in the
 * list. Throws StorageError 'invalid' if a chunk is of an encoding that is not known, CorruptionError if one is damaged.
 */
export function decodeMixed(
  chunks: readonly Chunk[],
  range: TimeRange,
  codec: Pick<ChunkCodec, 'decodeXor'>,
): MixedSample[] {
  const samples: MixedSample[] = [];
  for (const chunk of chunks) {
    const source = decode(chunk, codec, chunks.length === 1);
    const count = source instanceof SampleBuffer ? source.length : source.timestamps.length;
    for (let row = 0; row < count; row++) {
      const timeMs = source.timestamps[row] as number;
      if (timeMs >= range.minTimeMs && timeMs < range.maxTimeMs) samples.push({ timeMs, source, row });
    }
  }
  if (chunks.length === 1) return samples;
  // The sort is stable: of several at one time the first one comes from the earliest chunk.
  samples.sort((a, b) => a.timeMs - b.timeMs);
  return samples.filter(({ timeMs }, i) => i === 0 || timeMs !== samples[i - 1]?.timeMs);
}

function decode(chunk: Chunk, codec: Pick<ChunkCodec, 'decodeXor'>, isAlone: boolean): SampleBuffer | HistogramRun {
  if (!isDecodable(chunk)) {
    const what = `a chunk of encoding ${chunk.encoding} at ${chunk.minTimeMs}`;
    throw new StorageError('invalid', `${what} can neither be decoded nor merged`);
  }
  if (chunk.encoding === Encoding.XOR || chunk.encoding === Encoding.XOR2) {
    const samples = new SampleBuffer();
    if (chunk.encoding === Encoding.XOR) codec.decodeXor(chunk.bytes, samples);
    else decodeXor2(chunk, samples);
    return samples;
  }
  const run = decodeHistograms(chunk);
  // What a chunk says of its first histogram holds only while nothing comes between it and the chunk before.
  return isAlone || run.hint === ResetHint.GAUGE ? run : { ...run, hint: ResetHint.UNKNOWN };
}
