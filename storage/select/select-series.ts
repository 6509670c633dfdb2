/**
 * One view of many sources: the head's generations and the blocks of a tenant. Each source yields its series in label
 * order; a merge over all sources joins what has equal labels, and hands it on in batches, so that an answer of any
 * size is made in bounded memory.
 *
 * External labels belong to a source as a whole and are added here: a matcher on one of their names is decided once for
 * the source and not passed on; on a clash the external label wins. Adding a label can change the order of series, and
 * can make two series of one source equal: both become parts of one merged series.
 */
import { concurrently } from '../lib/concurrently.ts';
import { compareLabels, type Labels, labelValue, withExternalLabels } from '../model/labels.ts';
import type { Matcher } from '../model/matcher.ts';
import type { SeriesSource, SourceSeries } from '../model/series-source.ts';
import type { TimeRange } from '../model/time-range.ts';

/** One source's share of a merged series. */
export interface SeriesPart {
  readonly source: SeriesSource;
  readonly series: SourceSeries;
}

/** A series as a query sees it: external labels included, parts in the order of the sources. */
export interface MergedSeries {
  readonly labels: Labels;
  readonly parts: readonly SeriesPart[];
}

/** Sources that are asked at the same time: most are blocks in a bucket, and wait for it. */
export const SOURCES_AT_ONCE = 32;

/** A batch ends at so many series or chunks, whichever comes first: some MiB of chunks at most. */
const BATCH_SERIES = 256;
const BATCH_CHUNKS = 8192;

/**
 * The series that match in any of the sources, in label order without repetition, in batches that are never empty.
 * At one timestamp an earlier source wins, so `sources` come oldest generation first.
 */
export async function* selectSeries(
  sources: readonly SeriesSource[],
  matchers: readonly Matcher[],
  range: TimeRange,
): AsyncGenerator<MergedSeries[], void, undefined> {
  yield* batches(mergeSorted(await selectEach(sources, [matchers], range)));
}

/**
 * The labels of the series that match any of the matcher sets, in label order without repetition, in batches.
 */
export async function* selectLabelSets(
  sources: readonly SeriesSource[],
  matcherSets: readonly (readonly Matcher[])[],
  range: TimeRange,
): AsyncGenerator<Labels[], void, undefined> {
  const merged = batches(mergeSorted(await selectEach(sources, matcherSets, range)));
  for (const batch of merged) yield batch.map(({ labels }) => labels);
}

/**
 * The matchers that the series' own labels have to fulfil, or undefined if the external labels already decide that
 * nothing of the source can match.
 */
export function withoutExternalMatchers(source: SeriesSource, matchers: readonly Matcher[]): Matcher[] | undefined {
  const own: Matcher[] = [];
  for (const matcher of matchers) {
    const external = labelValue(source.externalLabels, matcher.name);
    if (external === '') own.push(matcher);
    else if (!matcher.matches(external)) return undefined;
  }
  return own;
}

/** A sorted list of one source's series, and how far the merge has read it. */
interface SortedInput {
  readonly source: SeriesSource;
  readonly labels: readonly Labels[];
  readonly series: readonly SourceSeries[];
  next: number;
}

async function selectEach(
  sources: readonly SeriesSource[],
  matcherSets: readonly (readonly Matcher[])[],
  range: TimeRange,
): Promise<SortedInput[]> {
  const inputs = await concurrently(sources, SOURCES_AT_ONCE, async (source) => {
    const own: SortedInput[] = [];
    for (const matchers of matcherSets) {
      const left = withoutExternalMatchers(source, matchers);
      if (left === undefined) continue;
      const series = await source.select(left, range);
      if (series.length > 0) own.push(sortedInput(source, series));
    }
    return own;
  });
  return inputs.flat();
}

function sortedInput(source: SeriesSource, series: readonly SourceSeries[]): SortedInput {
  if (source.externalLabels.length === 0) return { source, labels: series.map((one) => one.labels), series, next: 0 };
  const labelled = series.map((one) => ({ labels: withExternalLabels(one.labels, source.externalLabels), one }));
  labelled.sort((a, b) => compareLabels(a.labels, b.labels));
  return { source, labels: labelled.map(({ labels }) => labels), series: labelled.map(({ one }) => one), next: 0 };
}

function* batches(merged: Iterable<MergedSeries>): Generator<MergedSeries[], void, undefined> {
  let batch: MergedSeries[] = [];
  let chunks = 0;
  for (const series of merged) {
    batch.push(series);
    for (const part of series.parts) chunks += part.series.chunkRefs.length;
    if (batch.length >= BATCH_SERIES || chunks >= BATCH_CHUNKS) {
      yield batch;
      batch = [];
      chunks = 0;
    }
  }
  if (batch.length > 0) yield batch;
}

/** Joins the inputs by labels. A binary heap of their positions: the root is the input to read next. */
function* mergeSorted(inputs: readonly SortedInput[]): Generator<MergedSeries, void, undefined> {
  const heap = inputs.map((_, i) => i);
  for (let i = (heap.length >> 1) - 1; i >= 0; i--) siftDown(heap, inputs, i);
  while (heap.length > 0) {
    const labels = labelsAt(inputs, heap[0] as number);
    const parts: SeriesPart[] = [];
    while (heap.length > 0 && compareLabels(labelsAt(inputs, heap[0] as number), labels) === 0) {
      const input = inputs[heap[0] as number] as SortedInput;
      parts.push({ source: input.source, series: input.series[input.next++] as SourceSeries });
      if (input.next === input.series.length) {
        const last = heap.pop() as number;
        if (heap.length > 0) heap[0] = last;
      }
      siftDown(heap, inputs, 0);
    }
    yield { labels, parts };
  }
}

function labelsAt(inputs: readonly SortedInput[], index: number): Labels {
  const input = inputs[index] as SortedInput;
  return input.labels[input.next] as Labels;
}

function siftDown(heap: number[], inputs: readonly SortedInput[], from: number): void {
  for (let parent = from; ; ) {
    let least = parent;
    for (const child of [2 * parent + 1, 2 * parent + 2]) {
      if (child < heap.length && isBefore(inputs, heap[child] as number, heap[least] as number)) least = child;
    }
    if (least === parent) return;
    [heap[parent], heap[least]] = [heap[least] as number, heap[parent] as number];
    parent = least;
  }
}

/** Equal labels come in the order of the sources, because that decides which sample wins. */
function isBefore(inputs: readonly SortedInput[], a: number, b: number): boolean {
  return (compareLabels(labelsAt(inputs, a), labelsAt(inputs, b)) || a - b) < 0;
}
