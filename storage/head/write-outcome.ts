/** What became of a request, in the words that its sender reads. */
import type { Offender, Outcome, TimeRules } from '../kernel/kernel.ts';
import * as L from '../kernel/layout.ts';
import { formatDuration } from '../lib/duration.ts';
import { limitName, type TenantLimits } from './tenant-limits.ts';

export interface WriteOutcome {
  /** Samples in the request: stored + duplicates + conflicts + rejected + all that were dropped. */
  readonly received: number;
  readonly stored: number;
  /** Equal to what is there already: success. */
  readonly duplicates: number;
  /** Another value at a timestamp that is there already; the first one stays. Success. */
  readonly conflicts: number;
  readonly rejected: number;
  /** As configured: success. */
  readonly dropped: DroppedSamples;
  readonly newSeries: number;
  /** What remote write 2.0 tells its sender: of a request without fault all that was in it, else what is stored now. */
  readonly written: Written;
  /** Time of the newest sample stored; undefined if none was. */
  readonly newestMs: number | undefined;
  /**
   * '', or a line that says how many samples were rejected and exemplars dropped, names the first three and counts the
   * rest by reason.
   */
  readonly message: string;
  /** Rejected samples by reason. */
  readonly rejectedBy: ReadonlyMap<string, number>;
}

export interface Written {
  readonly samples: number;
  readonly histograms: number;
  readonly exemplars: number;
}

/** Samples that are not stored because the configuration says so. */
export interface DroppedSamples {
  /** Of series that relabelling drops. */
  readonly relabel: number;
  /** Of a replica that is not elected. */
  readonly ha: number;
  /** The same, but kept for a while, in case the elected one falls silent. */
  readonly shadow: number;
}

interface Reason {
  /** For counters. */
  readonly slug: string;
  /** For people. */
  readonly text: (offender: Offender, rules: WriteRules, outcome: Outcome) => string;
}

/** By what a request was judged. */
export interface WriteRules extends TimeRules {
  /** The newest time that was accepted. */
  readonly latestMs: number;
  readonly limits: TenantLimits;
}

/** Of series, not of samples: they have none. */
const NO_SAMPLES = 'no-samples';

const reasons: ReadonlyMap<number, Reason> = new Map<number, Reason>([
  [L.REJECT_NO_NAME, { slug: 'missing-name', text: () => 'missing __name__' }],
  [L.REJECT_EMPTY_NAME, { slug: 'empty-label-name', text: () => 'empty label name' }],
  [
    L.REJECT_DUPLICATE_LABEL,
    { slug: 'duplicate-label', text: (o) => `duplicate label ${JSON.stringify(doubledName(o))}` },
  ],
  [L.REJECT_NOT_UTF8, { slug: 'not-utf8', text: () => 'a label is not valid UTF-8' }],
  [
    L.REJECT_TOO_MANY_LABELS,
    {
      slug: 'too-many-labels',
      text: ({ actual }, { limits }) => over(`${actual} labels`, limits.labels, 'labels_limit'),
    },
  ],
  [
    L.REJECT_NAME_TOO_LONG,
    {
      slug: 'label-name-too-long',
      text: ({ actual }, { limits }) =>
        over(`label name of ${actual} bytes`, limits.labelNameBytes, 'label_name_bytes_limit'),
    },
  ],
  [
    L.REJECT_VALUE_TOO_LONG,
    {
      slug: 'label-value-too-long',
      text: ({ actual }, { limits }) =>
        over(`label value of ${actual} bytes`, limits.labelValueBytes, 'label_value_bytes_limit'),
    },
  ],
  [
    L.REJECT_SERIES_TOO_LONG,
    {
      slug: 'series-too-long',
      text: ({ actual }, { limits }) =>
        over(`labels of ${actual} bytes in all`, limits.labelsBytes, 'labels_bytes_limit'),
    },
  ],
  [L.REJECT_NEGATIVE_TIME, { slug: 'negative-timestamp', text: () => 'negative timestamp' }],
  [
    L.REJECT_FUTURE,
    {
      slug: 'too-far-in-future',
      text: (_, { futureMs, latestMs }) =>
        `too far in the future (limit ${formatDuration(futureMs)}: ${new Date(latestMs).toISOString()}; --tsdb.too-far-in-future.time-window)`,
    },
  ],
  [
    L.REJECT_WINDOWS,
    {
      slug: 'too-many-windows',
      text: (_, { maxOpenWindows }) =>
        `the tenant has samples of ${maxOpenWindows} windows of 2h in the head already (--receive.max-open-windows)`,
    },
  ],
  [
    L.REJECT_SERIES_LIMIT,
    {
      slug: 'series-limit',
      text: ({ actual }, { limits }) =>
        `series limit ${limits.headSeries} (active ${actual}; ${limitName('head_series_limit')})`,
    },
  ],
  [L.REJECT_TIME_RANGE, { slug: 'timestamp-out-of-range', text: () => 'timestamp beyond 2^53 ms' }],
  [
    L.REJECT_TIME_UNIT,
    { slug: 'wrong-time-unit', text: (o, rules) => `looks like ${unitOf(o.timestampMs, rules)}, want milliseconds` },
  ],
  [
    L.REJECT_SYMBOL_REF,
    { slug: 'symbol-ref', text: (o, _, { symbols }) => `symbol ref ${o.actual} out of range (${symbols})` },
  ],
  [L.REJECT_ODD_REFS, { slug: 'odd-label-refs', text: (o) => `odd number of label refs (${o.actual})` }],
  [L.REJECT_NO_SAMPLES, { slug: NO_SAMPLES, text: () => 'neither samples nor histograms' }],
  [L.REJECT_BOTH_KINDS, { slug: 'samples-and-histograms', text: () => 'samples beside histograms in one series' }],
  [L.REJECT_RELABELLED, { slug: 'relabelled', text: (o) => `after relabelling: ${slugOf(o.actual)}` }],
  [
    L.REJECT_HISTOGRAM,
    { slug: 'invalid-histogram', text: ({ actual }) => `invalid histogram: ${histogramRules.get(actual)}` },
  ],
  [L.REJECT_EXEMPLAR, { slug: 'exemplar', text: ({ actual }) => `exemplar: ${exemplarProblems.get(actual)?.text}` }],
]);

const histogramRules = new Map<number, string>([
  [L.RULE_TOO_LONG, `more than ${L.MAX_HISTOGRAM_BYTES} bytes`],
  [L.RULE_MIXED, 'counts of integers and of floats'],
  [L.RULE_RESET_HINT, 'an unknown reset hint'],
  [L.RULE_START, 'a start timestamp that is negative or beyond 2^53 ms'],
  [L.RULE_SCHEMA, 'its schema is not -4 to 8, nor -53 for custom buckets'],
  [L.RULE_BOUND_NAN, 'a custom bound is NaN'],
  [L.RULE_BOUND_ORDER, 'custom bounds that do not strictly increase'],
  [L.RULE_BOUND_INFINITE, 'the last custom bound is +Inf'],
  [L.RULE_SPAN_OFFSET, 'a span with a negative offset'],
  [L.RULE_SPANS, 'its spans have another number of buckets than it has'],
  [L.RULE_BOUNDS, 'fewer custom bounds than its spans cover'],
  [L.RULE_CUSTOM_ZERO_COUNT, 'custom buckets and a zero count'],
  [L.RULE_CUSTOM_ZERO_THRESHOLD, 'custom buckets and a zero threshold'],
  [L.RULE_CUSTOM_NEGATIVE_SPANS, 'custom buckets and negative spans'],
  [L.RULE_CUSTOM_NEGATIVE_BUCKETS, 'custom buckets and negative buckets'],
  [L.RULE_NEGATIVE_BUCKET, 'a bucket with a negative count'],
  [L.RULE_NEGATIVE_ZERO_BUCKET, 'a negative zero count'],
  [L.RULE_EXPONENTIAL_BOUNDS, 'exponential buckets and custom bounds'],
  [L.RULE_COUNT_NAN, 'its count is NaN'],
  [L.RULE_NEGATIVE_COUNT, 'its count is negative'],
  [L.RULE_COUNT_LOW, 'its count is less than its buckets hold'],
  [L.RULE_COUNT, 'its count is not what its buckets hold'],
]);

const exemplarProblems = new Map<number, { readonly slug: string; readonly text: string }>([
  [L.EXEMPLAR_SERIES, { slug: 'series', text: 'its series is rejected' }],
  [L.EXEMPLAR_BAD_LABELS, { slug: 'labels', text: 'a label without a name, or twice' }],
  [
    L.EXEMPLAR_TOO_LONG,
    { slug: 'too-long', text: `labels of more than ${L.MAX_EXEMPLAR_CHARACTERS} characters together` },
  ],
  [L.EXEMPLAR_NOT_UTF8, { slug: 'not-utf8', text: 'a label is not valid UTF-8' }],
  [L.EXEMPLAR_TIME, { slug: 'timestamp', text: 'a timestamp that samples may not have' }],
  [L.EXEMPLAR_WINDOWS, { slug: 'too-many-windows', text: 'too many windows (--receive.max-open-windows)' }],
]);

const isAboutTime = new Set<number>([
  L.REJECT_NEGATIVE_TIME,
  L.REJECT_FUTURE,
  L.REJECT_WINDOWS,
  L.REJECT_TIME_RANGE,
  L.REJECT_TIME_UNIT,
  L.REJECT_HISTOGRAM,
  L.REJECT_EXEMPLAR,
]);
/** A longer label set is cut in the text. */
const MAX_LABEL_TEXT = 512;

/** Turns the kernel's counts into the answer; `shadow` of the losers' samples are kept. */
export function writeOutcome(outcome: Outcome, rules: WriteRules, shadow = 0): WriteOutcome {
  const { received, stored, duplicates, conflicts, newSeries, newestMs, droppedRelabel, droppedHa } = outcome;
  const rejectedBy = new Map(outcome.rejected.map(({ reason, samples }) => [slugOf(reason), samples]));
  const rejected = outcome.rejected.reduce((sum, { samples }) => sum + samples, 0);
  const exemplarsDropped = outcome.exemplarsDropped.reduce((sum, { exemplars }) => sum + exemplars, 0);
  const isFine = rejected + outcome.emptySeries + exemplarsDropped === 0;
  const message = isFine ? '' : messageOf(outcome, rejected, exemplarsDropped, rules);
  return {
    received,
    stored,
    duplicates,
    conflicts,
    rejected,
    dropped: { relabel: droppedRelabel, ha: droppedHa - shadow, shadow },
    newSeries,
    written: isFine ? outcome.carried : writtenOf(outcome, exemplarsDropped),
    newestMs: newestMs < 0 ? undefined : newestMs,
    message,
    rejectedBy,
  };
}

/** Of what a policy drops it is not known which are histograms. */
function writtenOf(outcome: Outcome, exemplarsDropped: number): Written {
  const { stored, duplicates, histograms, exemplars, droppedRelabel, droppedHa } = outcome;
  const samples = stored + duplicates - histograms + droppedRelabel + droppedHa;
  return { samples, histograms, exemplars: exemplars - exemplarsDropped };
}

function messageOf(outcome: Outcome, rejected: number, dropped: number, rules: WriteRules): string {
  const { received, stored, offenders, rejected: byReason, emptySeries, exemplars, exemplarsDropped } = outcome;
  const first = offenders.map((offender) => {
    const time = isAboutTime.has(offender.reason) ? ` @${offender.timestampMs}` : '';
    return `${reasons.get(offender.reason)?.text(offender, rules, outcome)} ${labelText(offender.labels)}${time}`;
  });
  const counts = byReason.map(({ reason, samples }) => `${samples} ${slugOf(reason)}`);
  if (emptySeries > 0) counts.push(`${emptySeries} series ${NO_SAMPLES}`);
  if (counts.length > 0) first.push(`in all ${counts.join(', ')}`);
  const droppedBy = exemplarsDropped.map((each) => `${each.exemplars} ${exemplarProblems.get(each.reason)?.slug}`);
  if (dropped > 0) first.push(`dropped ${dropped} of ${exemplars} exemplars: ${droppedBy.join(', ')}`);
  return `stored ${stored} of ${received} samples; rejected ${rejected}: ${first.join('; ')}`;
}

function over(what: string, limit: number, key: string): string {
  return `${what}, limit ${limit} (${limitName(key)})`;
}

/** The unit in which a time that was refused for its unit is a time of about now. */
function unitOf(time: number, { latestMs, futureMs }: WriteRules): string {
  const nowMs = latestMs - futureMs;
  if (time < nowMs) return 'seconds';
  return time / nowMs < 30_000 ? 'microseconds' : 'nanoseconds';
}

function slugOf(reason: number): string {
  return reasons.get(reason)?.slug ?? `reason-${reason}`;
}

function labelText(labels: Offender['labels']): string {
  const text = `{${labels.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(', ')}}`;
  return text.length > MAX_LABEL_TEXT ? `${text.slice(0, MAX_LABEL_TEXT)}…` : text;
}

function doubledName({ labels }: Offender): string {
  const names = labels.map(([name]) => name);
  return names.find((name, i) => names.indexOf(name) !== i) ?? '';
}
