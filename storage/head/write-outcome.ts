/** What became of a request, in the words that its sender reads. */
import type { Offender, Outcome } from '../kernel/kernel.ts';
import * as L from '../kernel/layout.ts';

export interface WriteOutcome {
  /** Samples in the request: stored + duplicates + conflicts + rejected. */
  readonly received: number;
  readonly stored: number;
  /** Equal to what is there already: success. */
  readonly duplicates: number;
  /** Another value at a timestamp that is there already; the first one stays. Success. */
  readonly conflicts: number;
  readonly rejected: number;
  readonly newSeries: number;
  /** '', or a line that says how many samples were rejected, names the first three and counts the rest by reason. */
  readonly message: string;
  /** Rejected samples by reason. */
  readonly rejectedBy: ReadonlyMap<string, number>;
}

interface Reason {
  /** For counters. */
  readonly slug: string;
  /** For people; `latestMs` is the newest time that was accepted. */
  readonly text: (offender: Offender, latestMs: number) => string;
}

/** Not for ever: a cut makes room. */
export const TOO_MANY_WINDOWS = 'too-many-windows';

const reasons = new Map<number, Reason>([
  [L.REJECT_NO_NAME, { slug: 'missing-name', text: () => 'missing __name__' }],
  [L.REJECT_EMPTY_NAME, { slug: 'empty-label-name', text: () => 'empty label name' }],
  [
    L.REJECT_DUPLICATE_LABEL,
    { slug: 'duplicate-label', text: (o) => `duplicate label ${JSON.stringify(doubledName(o))}` },
  ],
  [L.REJECT_NOT_UTF8, { slug: 'not-utf8', text: () => 'a label is not valid UTF-8' }],
  [L.REJECT_TOO_MANY_LABELS, { slug: 'too-many-labels', text: (o) => `${o.actual} labels, limit ${L.MAX_LABELS}` }],
  [
    L.REJECT_NAME_TOO_LONG,
    { slug: 'label-name-too-long', text: (o) => `label name of ${o.actual} bytes, limit ${L.MAX_NAME_BYTES}` },
  ],
  [
    L.REJECT_VALUE_TOO_LONG,
    { slug: 'label-value-too-long', text: (o) => `label value of ${o.actual} bytes, limit ${L.MAX_VALUE_BYTES}` },
  ],
  [
    L.REJECT_SERIES_TOO_LONG,
    { slug: 'series-too-long', text: (o) => `labels of ${o.actual} bytes in all, limit ${L.MAX_SERIES_BYTES}` },
  ],
  [L.REJECT_NEGATIVE_TIME, { slug: 'negative-timestamp', text: () => 'negative timestamp' }],
  [
    L.REJECT_FUTURE,
    {
      slug: 'too-far-in-future',
      text: (_, latestMs) => `too far in the future (limit 10m: ${new Date(latestMs).toISOString()})`,
    },
  ],
  [
    L.REJECT_WINDOWS,
    {
      slug: TOO_MANY_WINDOWS,
      text: () => `the tenant has samples of ${L.MAX_WINDOWS} windows of 2h in the head already`,
    },
  ],
  [L.REJECT_HISTOGRAM, { slug: 'histogram', text: () => 'native histograms are not supported yet' }],
]);

const isAboutTime = new Set<number>([L.REJECT_NEGATIVE_TIME, L.REJECT_FUTURE, L.REJECT_WINDOWS]);
/** A longer label set is cut in the text. */
const MAX_LABEL_TEXT = 512;

/** Turns the kernel's counts into the answer; `latestMs` is the newest time that was accepted. */
export function writeOutcome(outcome: Outcome, latestMs: number): WriteOutcome {
  const { received, stored, duplicates, conflicts, newSeries } = outcome;
  const rejectedBy = new Map(outcome.rejected.map(({ reason, samples }) => [slugOf(reason), samples]));
  const rejected = received - stored - duplicates - conflicts;
  return {
    received,
    stored,
    duplicates,
    conflicts,
    rejected,
    newSeries,
    message: rejected === 0 ? '' : messageOf(outcome, rejected, latestMs),
    rejectedBy,
  };
}

function messageOf(
  { received, stored, offenders, rejected: byReason }: Outcome,
  rejected: number,
  latestMs: number,
): string {
  const first = offenders.map((offender) => {
    const time = isAboutTime.has(offender.reason) ? ` @${offender.timestampMs}` : '';
    return `${reasons.get(offender.reason)?.text(offender, latestMs)} ${labelText(offender.labels)}${time}`;
  });
  const counts = byReason.map(({ reason, samples }) => `${samples} ${slugOf(reason)}`);
  return `stored ${stored} of ${received} samples; rejected ${rejected}: ${[...first, `in all ${counts.join(', ')}`].join('; ')}`;
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
