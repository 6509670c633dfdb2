/**
 * 26 hours of samples with everything that makes storage hard: staleness markers, NaN payloads, −0, infinities, gaps,
 * jitter, series that come and go, samples out of order and samples far too late. The same for the same end.
 */
import type { WrittenSeries } from './remote-write.ts';
import { bitsOf, type LabelPairs, labelText, SampleList, type SeriesMap, STALE, type Value } from './series.ts';

const HOUR_MS = 3_600_000;
const INTERVAL_MS = 30_000;
/** Scrapes in one request. */
const BATCH = 40;

interface GeneratedSeries {
  readonly labels: LabelPairs;
  readonly kind: Kind;
  readonly index: number;
}

const KINDS = ['counter', 'gauge', 'constant', 'gaps', 'payload', 'extremes', 'churn', 'unordered', 'late'] as const;
type Kind = (typeof KINDS)[number];

const EXTREMES: readonly Value[] = [-0, 0, Infinity, -Infinity, 5e-324, -5e-324, Number.MAX_VALUE, 1 / 3, -1];
const PAYLOADS: readonly Value[] = [
  0x7ff8000000001234n,
  0xfff8000000000001n,
  0x7ff8000000000001n,
  42,
  0x7fffffffffffffffn,
];

/** The day's requests in the order of sending, those that come far too late, and what must be found afterwards. */
export interface DayOfSamples {
  readonly startMs: number;
  /** Of the last sample. */
  readonly endMs: number;
  readonly requests: readonly (readonly WrittenSeries[])[];
  /** To be sent after everything else: their windows are hours back. */
  readonly lateRequests: readonly (readonly WrittenSeries[])[];
  readonly expected: SeriesMap;
}

/** Makes the day that ends at `endMs`, with `seriesCount` series. */
export function dayOfSamples(endMs: number, seriesCount: number): DayOfSamples {
  const startMs = endMs - 26 * HOUR_MS;
  const all = Array.from({ length: seriesCount }, (_, index) => series(index));
  const collected = all.map(() => [] as [number, Value][]);
  const late = all.map(() => [] as [number, Value][]);
  const withheld = all.map(() => [] as [number, Value][]);
  const requests: WrittenSeries[][] = [];
  const scrapes = (endMs - startMs) / INTERVAL_MS;
  for (let first = 0; first < scrapes; first += BATCH) {
    const request = all.map((one, i) => {
      const samples = withheld[i] as [number, Value][];
      withheld[i] = [];
      for (let scrape = first; scrape < Math.min(first + BATCH, scrapes); scrape++) {
        const sample = sampleOf(one, startMs, scrape);
        if (sample === undefined) continue;
        collected[i]?.push(sample);
        if (one.kind === 'late' && scrape % 50 === 7) late[i]?.push(sample);
        else if (one.kind === 'unordered' && scrape % 10 === 3 && scrape < scrapes - BATCH) withheld[i]?.push(sample);
        else samples.push(sample);
      }
      // In front of what came in time: as they are, out of order against the last request only.
      return { labels: one.labels, samples };
    });
    requests.push(request.filter(({ samples }) => samples.length > 0));
  }
  const lateRequests = [all.map(({ labels }, i) => ({ labels, samples: late[i] ?? [] }))].map((request) =>
    request.filter(({ samples }) => samples.length > 0),
  );
  const expected: SeriesMap = new Map(all.map(({ labels }, i) => [labelText(labels), sampleList(collected[i] ?? [])]));
  return { startMs, endMs: startMs + (scrapes - 1) * INTERVAL_MS + 999, requests, lateRequests, expected };
}

function sampleList(samples: readonly (readonly [number, Value])[]): SampleList {
  const list = new SampleList();
  for (const [timestampMs, value] of samples) list.push(timestampMs, bitsOf(value));
  return list;
}

function series(index: number): GeneratedSeries {
  const kind = KINDS[index % KINDS.length] as Kind;
  const instance = `host-${Math.floor(index / KINDS.length) % 20}`;
  const labels: [string, string][] = [
    ['__name__', kind === 'counter' ? 'day_requests_total' : `day_${kind}`],
    ['instance', instance],
    ['job', 'day'],
    ['shard', String(index)],
  ];
  return { labels, kind, index };
}

/** A well-mixed number in [0, 1) from two integers. */
function noise(a: number, b: number): number {
  let hash = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x7f4a7c15, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
  return ((hash ^ (hash >>> 15)) >>> 0) / 2 ** 32;
}

function sampleOf(
  { kind, index }: GeneratedSeries,
  startMs: number,
  scrape: number,
): [timestampMs: number, value: Value] | undefined {
  const jitterMs = index % 3 === 0 ? Math.floor(noise(index, scrape) * 900) : 0;
  const timestampMs = startMs + scrape * INTERVAL_MS + jitterMs;
  const hour = (scrape * INTERVAL_MS) / HOUR_MS;
  const random = noise(scrape, index);
  switch (kind) {
    case 'counter': // Restarts every 10 h.
      return [timestampMs, (scrape % 1200) * 7 + Math.floor(random * 7)];
    case 'constant':
      return [timestampMs, index];
    case 'payload':
      return [timestampMs, random < 0.2 ? (PAYLOADS[scrape % PAYLOADS.length] as Value) : index];
    case 'extremes':
      return [timestampMs, EXTREMES[Math.floor(random * EXTREMES.length)] as Value];
    case 'gaps': {
      // The last half hour of every 4 h is missing, with a staleness marker at its begin.
      const within = (scrape + index) % 480;
      if (within > 420) return undefined;
      return [timestampMs, within === 420 ? STALE : Math.round(random * 1000) / 10];
    }
    case 'churn': {
      const born = index % 24;
      return hour >= born && hour < born + 2.5 ? [timestampMs, Math.floor(random * 100)] : undefined;
    }
    default:
      return [timestampMs, Math.round(random * 1e6) / 1e3];
  }
}
