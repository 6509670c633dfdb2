/** A thread that reads a head while it is written, and looks for what no state of it may show. */
import { workerData } from 'node:worker_threads';
import { HeadView } from '../../../storage/head/head-view.ts';
import { ChunkCodec } from '../../../storage/kernel/chunk-codec.ts';
import * as L from '../../../storage/kernel/layout.ts';
import { SampleBuffer } from '../../../storage/model/sample-buffer.ts';

/** Words: how often everything was read; 1 = stop; how many samples were seen in all (mod 2^32). */
export const PASSES = 0;
export const STOP = 1;
export const SAMPLES = 2;

export interface ReadingInit {
  readonly memory: WebAssembly.Memory;
  readonly tenant: number;
  readonly reader: number;
  readonly words: Int32Array;
  readonly startMs: number;
  readonly stepMs: number;
}

/** The value of a series at a time. */
export function valueAt(series: number, timeMs: number): number {
  return ((timeMs % 1_000_003) * 7919 + series * 104_729) / 7;
}

if (workerData !== null && typeof workerData === 'object' && 'words' in workerData) read(workerData as ReadingInit);

function read({ memory, tenant, reader, words, startMs, stepMs }: ReadingInit): void {
  const view = new HeadView(memory, reader);
  const codec = ChunkCodec.load();
  const samples = new SampleBuffer();
  /** Where each row began and ended when it was read last, as numbers of steps. */
  const seen = new Map<number, { first: number; last: number }>();
  while (Atomics.load(words, STOP) === 0) {
    for (const row of view.list(tenant + L.TENANT_ROWS)) {
      const [, text] = view.labels(row) as [string, string];
      const times = readRow(view, codec, row, samples, Number(text.slice(1)));
      Atomics.add(words, SAMPLES, times.length);
      if (text.startsWith('l') || times.length === 0) continue;
      const steps = times.map((time) => (time - startMs) / stepMs);
      const [first, last] = [steps[0] as number, steps.at(-1) as number];
      if (last - first + 1 !== steps.length)
        throw new Error(`${text}: ${steps.length} samples from ${first} to ${last}`);
      const before = seen.get(row);
      if (before !== undefined && (first < before.first || last < before.last))
        throw new Error(`${text}: ${first} to ${last} after ${before.first} to ${before.last}`);
      seen.set(row, { first, last });
    }
    Atomics.add(words, PASSES, 1);
  }
}

/** The times of a row, sorted; throws where chunks are torn, values wrong or times doubled. */
function readRow(view: HeadView, codec: ChunkCodec, row: number, samples: SampleBuffer, series: number): number[] {
  const times: number[] = [];
  for (const { minTimeMs, maxTimeMs, bytes, window } of view.chunks(row, () => true)) {
    samples.length = 0;
    codec.decodeXor(bytes, samples);
    const [first, last] = [samples.timestamps[0], samples.timestamps[samples.length - 1] as number];
    // Of a sample that is just being appended the time may be known before the chunk has it.
    if (samples.length === 0 || first !== minTimeMs || last > maxTimeMs)
      throw new Error('times and bytes of a chunk differ');
    for (let i = 0; i < samples.length; i++) {
      const time = samples.timestamps[i] as number;
      if (Math.floor(time / L.WINDOW_MS) !== window) throw new Error('a chunk crosses its window');
      if (samples.values[i] !== valueAt(series, time)) throw new Error(`series ${series} has a wrong value at ${time}`);
      times.push(time);
    }
  }
  times.sort((a, b) => a - b);
  if (times.some((time, i) => i > 0 && time === times[i - 1])) throw new Error(`series ${series} has a time twice`);
  return times;
}
