/** The head's items in the form of blocks and queries: histograms as chunks, the rest as lists. */
import { cutHistograms } from '../chunk/cut-histograms.ts';
import { StorageError } from '../lib/errors.ts';
import type { StartTime, StartTimes, StoredExemplar } from '../model/extras.ts';
import type { BucketLayout, HistogramRow, HistogramRun } from '../model/histogram.ts';
import { decodeHistogramMessage } from '../model/histogram-message.ts';
import type { Chunk } from '../model/series-source.ts';
import { type HeadItem, ItemKind, isHistogramItem } from './head-item.ts';
import type { HeadChunk } from './head-view.ts';

/**
 * The chunks of the histograms among the items of a row, which ascend in time; no chunk has more than one generation.
 * Throws StorageError 'corrupt' if one is no histogram.
 */
export function histogramChunks(items: readonly HeadItem[]): HeadChunk[] {
  const chunks: HeadChunk[] = [];
  for (const [{ window, generation }, rows] of rowsByGeneration(items)) {
    const cut: Chunk[] = [];
    cutHistograms(rows, cut);
    for (const chunk of cut) chunks.push({ ...chunk, window, generation });
  }
  return chunks;
}

/** The exemplars among the items, which ascend in time. */
export function exemplarsOf(items: readonly HeadItem[]): StoredExemplar[] {
  return items
    .filter(({ kind }) => kind === ItemKind.EXEMPLAR)
    .map(({ timeMs, bytes }) => ({ timeMs, message: bytes }));
}

/** When the counting of floats and of histograms began, without repetition; the items ascend in time. */
export function startTimesOf(items: readonly HeadItem[]): StartTimes {
  const floats: StartTime[] = [];
  const histograms: StartTime[] = [];
  for (const item of items) {
    const startMs = startOf(item);
    const starts = isHistogramItem(item) ? histograms : floats;
    const isKnown = startMs === (starts.at(-1)?.startMs ?? 0);
    if (startMs !== undefined && !isKnown) starts.push({ timeMs: item.timeMs, startMs });
  }
  return { floats, histograms };
}

/** The start that an item tells; undefined if its kind tells none. */
function startOf(item: HeadItem): number | undefined {
  if (isHistogramItem(item)) return decodeHistogramMessage(item.bytes).startTimes?.[0] ?? 0;
  if (item.kind !== ItemKind.START_TIME) return undefined;
  if (item.bytes.length !== 8) throw new StorageError('corrupt', `a start time of ${item.bytes.length} bytes`);
  const start = new DataView(item.bytes.buffer, item.bytes.byteOffset).getBigInt64(0, true);
  return Number(start);
}

/** The histograms of each generation, in time order; of two at one time the first counts. */
function rowsByGeneration(items: readonly HeadItem[]): [HeadItem, HistogramRow[]][] {
  const groups = new Map<string, [HeadItem, HistogramRow[]]>();
  let layout: BucketLayout | undefined;
  for (const item of items) {
    if (!isHistogramItem(item)) continue;
    const run: HistogramRun = decodeHistogramMessage(item.bytes, layout);
    layout = run.layout;
    const key = `${item.window} ${item.generation}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item, [{ run, row: 0 }]]);
    else if ((group[1].at(-1)?.run.timestamps[0] as number) < item.timeMs) group[1].push({ run, row: 0 });
  }
  return [...groups.values()];
}
