import { expect, test } from 'vitest';
import { defaultTenantLimits } from '../../../storage/head/tenant-limits.ts';
import { type WriteRules, writeOutcome } from '../../../storage/head/write-outcome.ts';
import { defaultTimeRules, type Offender, type Outcome } from '../../../storage/kernel/kernel.ts';
import * as L from '../../../storage/kernel/layout.ts';

const LATEST_MS = Date.UTC(2026, 0, 1);
const RULES: WriteRules = { ...defaultTimeRules, latestMs: LATEST_MS, limits: defaultTenantLimits };
const nothing: Outcome = {
  received: 0,
  stored: 0,
  duplicates: 0,
  conflicts: 0,
  droppedRelabel: 0,
  droppedHa: 0,
  newSeries: 0,
  histograms: 0,
  exemplars: 0,
  carried: { samples: 0, histograms: 0, exemplars: 0 },
  symbols: 0,
  emptySeries: 0,
  newestMs: -1,
  exemplarsStored: 0,
  exemplarsDropped: [],
  rejected: [],
  offenders: [],
};

function offender(reason: number, facts: Partial<Offender> = {}): Offender {
  return { reason, labels: [['__name__', 'up']], timestampMs: 5, actual: 0, ...facts };
}

/** The text for one sample refused for this reason. */
function textOf(reason: number, facts: Partial<Offender> = {}): string {
  const rejected = [{ reason, samples: 1 }];
  return writeOutcome({ ...nothing, received: 1, rejected, offenders: [offender(reason, facts)] }, RULES).message;
}

test('duplicates and conflicts are success, and say nothing', () => {
  const outcome = writeOutcome({ ...nothing, received: 9, stored: 4, duplicates: 3, conflicts: 2 }, RULES);
  expect(outcome).toMatchObject({ received: 9, stored: 4, duplicates: 3, conflicts: 2, rejected: 0, message: '' });
  expect(outcome.rejectedBy.size).toBe(0);
});

test('the text names the first offenders and counts all by reason', () => {
  const outcome = writeOutcome(
    {
      ...nothing,
      received: 2000,
      stored: 1900,
      rejected: [
        { reason: L.REJECT_NO_NAME, samples: 60 },
        { reason: L.REJECT_NEGATIVE_TIME, samples: 40 },
      ],
      offenders: [
        offender(L.REJECT_NO_NAME, { labels: [['job', 'a"b']] }),
        offender(L.REJECT_NEGATIVE_TIME, { timestampMs: -1 }),
        offender(L.REJECT_NO_NAME, { labels: [] }),
      ],
    },
    RULES,
  );
  expect(outcome.message).toBe(
    'stored 1900 of 2000 samples; rejected 100: missing __name__ {job="a\\"b"}; negative timestamp {__name__="up"} @-1; ' +
      'missing __name__ {}; in all 60 missing-name, 40 negative-timestamp',
  );
  expect([...outcome.rejectedBy]).toEqual([
    ['missing-name', 60],
    ['negative-timestamp', 40],
  ]);
});

test.each([
  [L.REJECT_EMPTY_NAME, {}, 'empty label name {__name__="up"}; in all 1 empty-label-name'],
  [
    L.REJECT_DUPLICATE_LABEL,
    {
      labels: [
        ['a', '1'],
        ['b', '2'],
        ['a', '3'],
      ],
    },
    'duplicate label "a" {a="1", b="2", a="3"}',
  ],
  [L.REJECT_NOT_UTF8, {}, 'a label is not valid UTF-8'],
  [L.REJECT_TOO_MANY_LABELS, { actual: 200 }, '200 labels, limit 128 (labels_limit in --receive.limits-config-file)'],
  [L.REJECT_NAME_TOO_LONG, { actual: 1025 }, 'label name of 1025 bytes, limit 1024 (label_name_bytes_limit in '],
  [L.REJECT_VALUE_TOO_LONG, { actual: 20_000 }, 'label value of 20000 bytes, limit 16384 (label_value_bytes_limit in '],
  [L.REJECT_SERIES_TOO_LONG, { actual: 70_000 }, 'labels of 70000 bytes in all, limit 65536 (labels_bytes_limit in '],
  [
    L.REJECT_FUTURE,
    { timestampMs: 9e12 },
    'too far in the future (limit 10m: 2026-01-01T00:00:00.000Z; --tsdb.too-far-in-future.time-window)',
  ],
  [L.REJECT_TIME_RANGE, { timestampMs: 2 ** 54 }, 'timestamp beyond 2^53 ms {__name__="up"} @18014398509481984'],
  [L.REJECT_TIME_UNIT, { timestampMs: LATEST_MS / 1000 }, 'looks like seconds, want milliseconds'],
  [L.REJECT_TIME_UNIT, { timestampMs: LATEST_MS * 1000 }, 'looks like microseconds'],
  [L.REJECT_TIME_UNIT, { timestampMs: LATEST_MS * 1e6 }, 'looks like nanoseconds'],
  [L.REJECT_WINDOWS, {}, 'samples of 128 windows of 2h in the head already (--receive.max-open-windows)'],
  [
    L.REJECT_HISTOGRAM,
    { actual: L.RULE_COUNT },
    'invalid histogram: its count is not what its buckets hold {__name__="up"} @5',
  ],
] as const)('reason %i is told with what was found and what is allowed', (reason, facts, text) => {
  expect(textOf(reason, facts)).toContain(text);
});

test('a label set of any length does not make a text of any length', () => {
  const labels = Array.from({ length: 100 }, (_, i) => [`label_${i}`, 'x'.repeat(1000)] as const);
  const text = textOf(L.REJECT_NO_NAME, { labels });
  expect(text.length).toBeLessThan(700);
  expect(text).toContain('…');
});

test('dropped exemplars are told beside samples that are all stored, and what is written says how many', () => {
  const outcome = writeOutcome(
    {
      ...nothing,
      received: 3,
      stored: 2,
      duplicates: 1,
      histograms: 2,
      exemplars: 5,
      exemplarsStored: 2,
      exemplarsDropped: [
        { reason: L.EXEMPLAR_TOO_LONG, exemplars: 1 },
        { reason: L.EXEMPLAR_TIME, exemplars: 1 },
      ],
      offenders: [offender(L.REJECT_EXEMPLAR, { actual: L.EXEMPLAR_TOO_LONG })],
    },
    RULES,
  );
  expect(outcome.message).toBe(
    'stored 2 of 3 samples; rejected 0: exemplar: labels of more than 128 characters together {__name__="up"} @5; ' +
      'dropped 2 of 5 exemplars: 1 too-long, 1 timestamp',
  );
  expect(outcome.written).toEqual({ samples: 1, histograms: 2, exemplars: 3 });
});

test('every rule of histograms has a text of its own', () => {
  const rules = Object.entries(L).filter(([name]) => name.startsWith('RULE_'));
  const texts = rules.map(([, actual]) => textOf(L.REJECT_HISTOGRAM, { actual }));
  expect(texts.filter((text) => text.includes('undefined'))).toEqual([]);
  expect(new Set(texts).size).toBe(rules.length);
});
