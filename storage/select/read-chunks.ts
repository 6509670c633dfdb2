/** Reads the chunks of a batch of merged series: one call for each source, whatever the batch looks like. */
import { concurrently } from '../lib/concurrently.ts';
import type { Chunk, SeriesSource, SourceSeries } from '../model/series-source.ts';
import type { TimeRange } from '../model/time-range.ts';
import { type MergedSeries, SOURCES_AT_ONCE } from './select-series.ts';

interface SourceShare {
  readonly series: SourceSeries[];
  /** Where the chunks of each of `series` belong. */
  readonly targets: { readonly lists: Chunk[][]; readonly part: number }[];
}

/** For each series of the batch one list of chunks for each of its parts, in the order of the parts. */
export async function readChunks(batch: readonly MergedSeries[], range: TimeRange): Promise<Chunk[][][]> {
  const shares = new Map<SeriesSource, SourceShare>();
  const answer = batch.map(({ parts }) => {
    const lists: Chunk[][] = parts.map(() => []);
    parts.forEach(({ source, series }, part) => {
      let share = shares.get(source);
      if (share === undefined) {
        share = { series: [], targets: [] };
        shares.set(source, share);
      }
      share.series.push(series);
      share.targets.push({ lists, part });
    });
    return lists;
  });
  await concurrently([...shares], SOURCES_AT_ONCE, async ([source, { series, targets }]) => {
    const chunks = await source.readChunks(series, range);
    targets.forEach(({ lists, part }, i) => {
      lists[part] = chunks[i] ?? [];
    });
  });
  return answer;
}
