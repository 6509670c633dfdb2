/** A few hours of native histograms with all that happens to them, as a sender has them. */
import { bitsOfFloat, type PlainHistogram, stale } from './oracle/histogram-chunk.ts';
import type { WrittenSeries } from './remote-write.ts';
import type { LabelPairs } from './series.ts';

const STEP_MS = 15_000;

type Counts = ReadonlyMap<number, number>;

interface Scrape {
  readonly timeMs: number;
  readonly isFloat: boolean;
  readonly positive: Counts;
  readonly negative?: Counts;
  readonly zero?: number;
  readonly sum: number;
  readonly schema?: number;
  readonly hint?: number;
}

/**
 * The series in requests of ten scrapes. In a request that has floats and histograms of one series, Debian's Prometheus
 * takes all floats first and finds the histograms too old.
 */
export function requestsOf(series: readonly WrittenSeries[], startMs: number, scrapes: number): WrittenSeries[][] {
  return Array.from({ length: Math.ceil(scrapes / 10) }, (_, slice) => {
    const from = startMs + slice * 10 * STEP_MS;
    const isIn = (timeMs: number): boolean => timeMs >= from && timeMs < from + 10 * STEP_MS;
    return series.map(({ labels, samples, histograms = [] }) => ({
      labels,
      samples: samples.filter(([timeMs]) => isIn(timeMs)),
      histograms: histograms.filter(({ timeMs }) => isIn(timeMs)),
    }));
  });
}

/** The histogram of a scrape; spans have single buckets next to each other joined. */
export function histogramOf(scrape: Scrape): PlainHistogram {
  const { timeMs, isFloat, zero = 0, schema = 3 } = scrape;
  const number = (value: number): bigint => (isFloat ? bitsOfFloat(value) : BigInt(value));
  const side = (counts: Counts) => {
    const sorted = [...counts].sort(([a], [b]) => a - b);
    const spans: [number, number][] = [];
    sorted.forEach(([bucket], i) => {
      const before = sorted[i - 1]?.[0];
      const last = spans.at(-1);
      if (last !== undefined && before === bucket - 1) last[1] += 1;
      else spans.push([before === undefined ? bucket : bucket - before - 1, 1]);
    });
    const values = sorted.map(([, count]) => count);
    const buckets = values.map((count, i) => number(isFloat ? count : count - (values[i - 1] ?? 0)));
    return { spans, buckets, total: values.reduce((sum, count) => sum + count, 0) };
  };
  const [positive, negative] = [side(scrape.positive), side(scrape.negative ?? new Map())];
  return {
    timeMs,
    isFloat,
    schema,
    zeroThreshold: 2 ** -128,
    positiveSpans: positive.spans,
    negativeSpans: negative.spans,
    customValues: [],
    count: number(positive.total + negative.total + zero),
    zeroCount: number(zero),
    sum: bitsOfFloat(scrape.sum),
    positive: positive.buckets,
    negative: negative.buckets,
    ...(scrape.hint === undefined ? {} : { hint: scrape.hint }),
  };
}

function labels(name: string): LabelPairs {
  return [
    ['__name__', name],
    ['job', 'histograms'],
  ];
}

function counts(scrape: number, offset: number): Counts {
  const buckets = new Map<number, number>();
  // Every tenth scrape a new bucket comes.
  for (let bucket = 0; bucket <= 3 + scrape / 10; bucket++) buckets.set(bucket + offset, scrape * (1 + (bucket % 3)));
  return buckets;
}

/** Series of histograms, each with `scrapes` of them from `startMs` on, and one that alternates with floats. */
export function histogramSeries(startMs: number, scrapes: number): WrittenSeries[] {
  const times = Array.from({ length: scrapes }, (_, i) => startMs + i * STEP_MS);
  const made = (name: string, of: (timeMs: number, i: number) => PlainHistogram): WrittenSeries => ({
    labels: labels(name),
    samples: [],
    histograms: times.map(of),
  });
  const counter = (isFloat: boolean) => (timeMs: number, i: number) =>
    histogramOf({ timeMs, isFloat, positive: counts(i, -2), negative: counts(i, 4), zero: i, sum: i * 1.5 });
  return [
    made('counter_integers', counter(false)),
    // Debian's Prometheus takes one without any count for a histogram of integers.
    made('counter_floats', (timeMs, i) => counter(true)(timeMs, i + 1)),
    made('counter_resets', (timeMs, i) => counter(false)(timeMs, i % 50)),
    made('counter_stale', (timeMs, i) => (i % 40 === 39 ? stale(timeMs, false) : counter(false)(timeMs, i))),
    made('schema_changes', (timeMs, i) =>
      histogramOf({ timeMs, isFloat: false, positive: counts(i, 0), sum: i, schema: i < 60 ? 3 : 2 }),
    ),
    made('gauge_integers', (timeMs, i) =>
      histogramOf({ timeMs, isFloat: false, positive: counts((i * 7) % 20, i % 5), sum: i, hint: 3 }),
    ),
    {
      labels: labels('mixed'),
      samples: times.filter((_, i) => i % 20 < 10).map((timeMs, i) => [timeMs, i] as const),
      histograms: times.flatMap((timeMs, i) => (i % 20 < 10 ? [] : [counter(false)(timeMs, i)])),
    },
  ];
}
