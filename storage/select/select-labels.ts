/** Label names and values over many sources, external labels included. */
import { concurrently } from '../lib/concurrently.ts';
import { compareUtf8, labelValue } from '../model/labels.ts';
import type { Matcher } from '../model/matcher.ts';
import type { SeriesSource } from '../model/series-source.ts';
import type { TimeRange } from '../model/time-range.ts';
import { SOURCES_AT_ONCE, withoutExternalMatchers } from './select-series.ts';

/** What the series are that a listing is about. */
export interface LabelSelection {
  /** A series counts if it matches one of these sets; no set at all means every series. */
  readonly matcherSets: readonly (readonly Matcher[])[];
  readonly range: TimeRange;
  /** At most so many in the answer; 0 means all. */
  readonly limit: number;
}

/** Names or values in byte order; `truncated` if the limit left some out. */
export interface LabelListing {
  readonly values: string[];
  readonly truncated: boolean;
}

/** The label names of the selected series. */
export async function labelNames(sources: readonly SeriesSource[], selection: LabelSelection): Promise<LabelListing> {
  return await union(sources, selection, async (source, matchers) => {
    const own = await source.labelNames(matchers, selection.range);
    // A source without a series in the range has no external labels to show either.
    if (own.length === 0) return own;
    return [...own, ...source.externalLabels.filter((_, i) => i % 2 === 0)];
  });
}

/** The values that the label has in the selected series. */
export async function labelValues(
  sources: readonly SeriesSource[],
  name: string,
  selection: LabelSelection,
): Promise<LabelListing> {
  return await union(sources, selection, async (source, matchers) => {
    const external = labelValue(source.externalLabels, name);
    if (external === '') return await source.labelValues(name, matchers, selection.range);
    return (await source.labelNames(matchers, selection.range)).length > 0 ? [external] : [];
  });
}

async function union(
  sources: readonly SeriesSource[],
  { matcherSets, limit }: LabelSelection,
  list: (source: SeriesSource, matchers: readonly Matcher[]) => Promise<readonly string[]>,
): Promise<LabelListing> {
  const found = new Set<string>();
  await concurrently(sources, SOURCES_AT_ONCE, async (source) => {
    for (const matchers of matcherSets.length === 0 ? [[]] : matcherSets) {
      const own = withoutExternalMatchers(source, matchers);
      if (own !== undefined) for (const value of await list(source, own)) found.add(value);
    }
  });
  const values = [...found].sort(compareUtf8);
  const truncated = limit > 0 && values.length > limit;
  if (truncated) values.length = limit;
  return { values, truncated };
}
