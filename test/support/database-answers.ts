/** What a query of everything finds in a database, on this thread. */
import { mergeSamples } from '../../storage/chunk/merge-chunks.ts';
import type { Snapshot } from '../../storage/head/snapshots.ts';
import { SampleBuffer } from '../../storage/model/sample-buffer.ts';
import type { TimeRange } from '../../storage/model/time-range.ts';
import { readChunks } from '../../storage/select/read-chunks.ts';
import type { Reader } from '../../storage/select/reader.ts';
import { selectSeries } from '../../storage/select/select-series.ts';
import { type LabelPairs, labelText, SampleList, type SeriesMap } from './series.ts';

export const ALWAYS: TimeRange = { minTimeMs: 0, maxTimeMs: 2 ** 45 };

/** All series that a snapshot sees with all their samples. */
export async function answerOf(reader: Reader, snapshot: Snapshot): Promise<SeriesMap> {
  const answer: SeriesMap = new Map();
  const samples = new SampleBuffer();
  for await (const batch of selectSeries(reader.sources(snapshot), [], ALWAYS)) {
    const chunks = await readChunks(batch, ALWAYS);
    batch.forEach(({ labels }, i) => {
      mergeSamples(chunks[i] ?? [], ALWAYS, reader.codec, { floats: samples, histograms: [] });
      const list = new SampleList();
      const bits = new BigUint64Array(samples.values.buffer);
      for (let row = 0; row < samples.length; row++) list.push(samples.timestamps[row] as number, bits[row] as bigint);
      answer.set(labelText(pairsOf(labels)), list);
    });
  }
  return answer;
}

function pairsOf(labels: readonly string[]): LabelPairs {
  const pairs: [string, string][] = [];
  for (let i = 0; i < labels.length; i += 2) pairs.push([labels[i] as string, labels[i + 1] as string]);
  return pairs;
}
