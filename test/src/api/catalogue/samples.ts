/** B24 to B41: labels, times and values. */
import { writeRequest } from '../../../support/remote-write.ts';
import { type LabelPairs, STALE } from '../../../support/series.ts';
import { labelField, sampleField, seriesField } from '../../../support/wire-writer.ts';
import {
  bytes,
  DAY_MS,
  GOOD,
  goodContent,
  HOUR_MS,
  nowMs,
  post,
  postAll,
  type Row,
  request,
  snappy,
  type Target,
} from './row.ts';

const one = (labels: LabelPairs): Pick<Row, 'counts' | 'content'> => ({
  counts: { stored: 1 },
  content: [[labels, [[nowMs, 1]]]],
});
const rejected = (reason: string, samples = 1): Pick<Row, 'counts'> => ({
  counts: { rejected: { [reason]: samples } },
});
const named = (...labels: LabelPairs): LabelPairs => [['__name__', 'm'], ...labels];

/** A series that is refused beside one that is stored. */
function refused(b: number, what: string, labels: LabelPairs, text: RegExp, reason: string): Row {
  const body = writeRequest([
    { labels, samples: [[nowMs, 5]] },
    { labels: GOOD, samples: [[nowMs, 1]] },
  ]);
  return {
    b,
    what,
    send: post(body),
    status: 400,
    text: new RegExp(`^stored 1 of 2 samples; rejected 1: ${text.source}.*; in all 1 ${reason}\\n$`),
    counts: { stored: 1, rejected: { [reason]: 1 } },
    content: goodContent,
  };
}

function stored(b: number, what: string, sent: LabelPairs, shown: LabelPairs = sent): Row {
  return { b, what, send: post(request(sent, [nowMs, 1])), status: 204, ...one(shown) };
}

/** A label whose value, or name, is these bytes. */
function notText(what: string, content: readonly number[], isName = false): Row {
  const text = Uint8Array.from(content);
  const label = isName ? labelField(text, 'v') : labelField('n', text);
  const series = seriesField(labelField('__name__', 'm'), label, sampleField(nowMs, 0n));
  return {
    b: 28,
    what,
    send: post(snappy(bytes(series))),
    status: 400,
    text: /rejected 1: a label is not valid UTF-8 /,
    ...rejected('not-utf8'),
  };
}

const many = (count: number): LabelPairs =>
  named(...Array.from({ length: count - 1 }, (_, i) => [`l${i}`, 'v'] as const));

const labels: Row[] = [
  refused(24, 'no name', [['job', 'a']], /missing __name__ \{job="a"\}/, 'missing-name'),
  refused(24, 'no labels at all', [], /missing __name__ \{\}/, 'missing-name'),
  refused(25, 'a name twice, equal values', named(['a', '1'], ['a', '1']), /duplicate label "a"/, 'duplicate-label'),
  refused(
    25,
    'a name twice, other values',
    named(['a', '1'], ['b', '2'], ['a', '3']),
    /duplicate label "a"/,
    'duplicate-label',
  ),
  stored(
    26,
    'unsorted labels',
    [
      ['z', '1'],
      ['__name__', 'm'],
      ['a', '2'],
    ],
    [
      ['__name__', 'm'],
      ['a', '2'],
      ['z', '1'],
    ],
  ),
  {
    b: 26,
    what: 'one series, sorted and unsorted',
    send: postAll(
      request(
        [
          ['__name__', 'm'],
          ['a', '1'],
        ],
        [nowMs - 1, 1],
      ),
      request(
        [
          ['a', '1'],
          ['__name__', 'm'],
        ],
        [nowMs, 2],
      ),
    ),
    status: 204,
    counts: { stored: 2 },
    content: [
      [
        named(['a', '1']),
        [
          [nowMs - 1, 1],
          [nowMs, 2],
        ],
      ],
    ],
  },
  refused(27, 'an empty label name', named(['', 'v']), /empty label name/, 'empty-label-name'),
  stored(27, 'an empty value, which is none', named(['a', '']), named()),
  notText('the byte FF', [0xff]),
  notText('an overlong form', [0xc0, 0x80]),
  notText('a lone surrogate', [0xed, 0xa0, 0x80]),
  notText('a character cut at the end', [0xe2, 0x82]),
  notText('a name that is no text', [0xf4, 0x90, 0x80, 0x80], true),
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty'].map((name) =>
    stored(29, `a label called ${name}`, named([name, name])),
  ),
  refused(
    30,
    'a name of 1025 bytes',
    named(['n'.repeat(1025), 'v']),
    /label name of 1025 bytes, limit 1024 \(label_name_bytes_limit/,
    'label-name-too-long',
  ),
  stored(30, 'a name of 1024 bytes', named(['n'.repeat(1024), 'v'])),
  refused(
    30,
    'a value of 16 385 bytes',
    named(['n', 'v'.repeat(16_385)]),
    /label value of 16385 bytes, limit 16384 \(label_value_bytes_limit/,
    'label-value-too-long',
  ),
  stored(30, 'a value of 16 384 bytes', named(['n', 'v'.repeat(16_384)])),
  refused(
    30,
    'a value of 1 MiB',
    named(['n', 'v'.repeat(2 ** 20)]),
    /label value of 1048576 bytes, limit 16384/,
    'label-value-too-long',
  ),
  refused(30, '129 labels', many(129), /129 labels, limit 128 \(labels_limit/, 'too-many-labels'),
  stored(
    30,
    '128 labels',
    many(128),
    [...many(128)].sort(([a], [b]) => (a < b ? -1 : 1)),
  ),
  refused(30, '10 000 labels', many(10_000), /10000 labels, limit 128/, 'too-many-labels'),
  refused(
    30,
    'labels of more than 64 KiB',
    named(...Array.from({ length: 6 }, (_, i) => [`l${i}`, 'v'.repeat(12_000)] as const)),
    /labels of 72\d\d\d bytes in all, limit 65536 \(labels_bytes_limit/,
    'series-too-long',
  ),
  ...['<img src=x onerror=alert(1)>', '</script>', 'javascript:x', 'a\r\nb', 'a\0b', '\u202egnp.exe'].map((value) =>
    stored(31, `the value ${JSON.stringify(value)}`, named(['n', value])),
  ),
  stored(33, 'tenant_id, which is stored', named(['tenant_id', 'other'])),
  stored(33, '__tenant__, which is stored', named(['__tenant__', 'other'])),
  stored(33, 'a label that is an external one, which wins when it is read', named(['replica', 'mine'])),
  {
    b: 33,
    what: 'labels that the server gives itself are counted',
    send: async (target) => {
      const before = await hidden(target);
      const answer = await post(
        writeRequest(
          [['tenant_id', 'x'] as const, ['replica', 'x'] as const, ['other', 'x'] as const].map((label) => ({
            labels: named(label),
            samples: [[nowMs, 1]],
          })),
        ),
      )(target);
      if ((await hidden(target)) !== before + 2) throw new Error('not counted');
      return answer;
    },
    status: 204,
    counts: { stored: 3 },
    content: [
      [named(['tenant_id', 'x']), [[nowMs, 1]]],
      [named(), [[nowMs, 1]]],
      [named(['other', 'x']), [[nowMs, 1]]],
    ],
  },
];

async function hidden({ api }: Target): Promise<number> {
  return api.database.stats().seriesHidden;
}

/** A sample that is refused for its time, then a good one. */
function wrongTime(b: number, what: string, time: bigint | number, text: RegExp, reason: string): Row {
  const body = snappy(bytes(seriesField(labelField('__name__', 'm'), sampleField(BigInt(time), 0n))));
  return {
    b,
    what,
    send: async (target) => {
      const answer = await post(body)(target);
      const after = await post(request(GOOD, [nowMs, 1]))(target);
      if (typeof after === 'string' || after.status !== 204) throw new Error('the next sample was refused, too');
      return answer;
    },
    status: 400,
    text: new RegExp(`^stored 0 of 1 samples; rejected 1: ${text.source}`),
    counts: { stored: 1, rejected: { [reason]: 1 } },
    content: goodContent,
  };
}

/** Samples of one series, one request each; all are stored. */
function times(b: number, what: string, ...sent: readonly number[]): Row {
  return {
    b,
    what,
    send: postAll(...sent.map((ms) => request(named(), [ms, ms]))),
    status: 204,
    counts: { stored: sent.length },
    content: [[named(), [...sent].sort((x, y) => x - y).map((ms) => [ms, ms] as const)]],
  };
}

const FUTURE = /too far in the future \(limit 10m: .*--tsdb\.too-far-in-future\.time-window\) /;
const FUTURE_REASON = 'too-far-in-future';
const timestamps: Row[] = [
  wrongTime(34, 'eleven minutes from now', nowMs + 660_000, FUTURE, FUTURE_REASON),
  wrongTime(34, 'a year from now', nowMs + 365 * DAY_MS, FUTURE, FUTURE_REASON),
  wrongTime(34, 'the last time that there is', 2n ** 63n - 1n, /timestamp beyond 2\^53 ms /, 'timestamp-out-of-range'),
  wrongTime(
    34,
    'just beyond what a double can tell',
    2n ** 53n + 1n,
    /timestamp beyond 2\^53 ms /,
    'timestamp-out-of-range',
  ),
  times(34, 'nine minutes from now', nowMs + 540_000),
  wrongTime(35, 'the first time that there is', -(2n ** 63n), /negative timestamp /, 'negative-timestamp'),
  wrongTime(35, '−1', -1n, /negative timestamp .* @-1/, 'negative-timestamp'),
  times(35, '0', 0),
  wrongTime(
    36,
    'seconds',
    Math.floor(nowMs / 1000),
    /looks like seconds, want milliseconds .* @\d{10};/,
    'wrong-time-unit',
  ),
  wrongTime(
    36,
    'microseconds',
    BigInt(nowMs) * 1000n,
    /looks like microseconds, want milliseconds /,
    'wrong-time-unit',
  ),
  wrongTime(
    36,
    'nanoseconds',
    BigInt(nowMs) * 1_000_000n,
    /looks like nanoseconds, want milliseconds /,
    'wrong-time-unit',
  ),
  times(37, 'an hour behind the newest sample', nowMs, nowMs - HOUR_MS),
  times(37, 'older than the out-of-order window', nowMs, nowMs - 25 * HOUR_MS, nowMs - 25 * HOUR_MS - 1),
  times(37, 'ten years old', nowMs, nowMs - 3650 * DAY_MS),
  {
    b: 37,
    what: 'more windows than a tenant may have: the others are stored',
    send: post(request(named(), ...Array.from({ length: 130 }, (_, i) => [i * 2 * HOUR_MS, i] as const))),
    status: 400,
    text: /^stored 128 of 130 samples; rejected 2: the tenant has samples of 128 windows of 2h in the head already \(--receive\.max-open-windows\) .*; in all 2 too-many-windows\n$/,
    counts: { stored: 128, rejected: { 'too-many-windows': 2 } },
    content: [[named(), Array.from({ length: 128 }, (_, i) => [i * 2 * HOUR_MS, i] as const)]],
  },
  {
    b: 38,
    what: 'the same sample again',
    send: postAll(request(named(), [nowMs, 1]), request(named(), [nowMs, 1])),
    status: 204,
    counts: { stored: 1, duplicate: 1 },
    content: [[named(), [[nowMs, 1]]]],
  },
  {
    b: 38,
    what: 'the same NaN again',
    send: postAll(request(named(), [nowMs, 0x7ff8000000000001n]), request(named(), [nowMs, 0x7ff8000000000001n])),
    status: 204,
    counts: { stored: 1, duplicate: 1 },
    content: [[named(), [[nowMs, 0x7ff8000000000001n]]]],
  },
  {
    b: 38,
    what: 'another value at a timestamp: the first one stays, and it is counted',
    send: postAll(request(named(), [nowMs, 1]), request(named(), [nowMs, 2])),
    status: 204,
    counts: { stored: 1, conflicting: 1 },
    content: [[named(), [[nowMs, 1]]]],
  },
  {
    b: 39,
    what: 'descending times in one series',
    send: post(request(named(), [nowMs, 3], [nowMs - 2, 1], [nowMs - 1, 2])),
    status: 204,
    counts: { stored: 3 },
    content: [
      [
        named(),
        [
          [nowMs - 2, 1],
          [nowMs - 1, 2],
          [nowMs, 3],
        ],
      ],
    ],
  },
];

const VALUES: readonly bigint[] = [
  STALE,
  0x7ff8000000000001n, // Go's NaN
  0xfff8000000000000n, // −NaN
  0x7ff0000000000001n, // signalling
  0x7ff0000000000000n, // +Inf
  0xfff0000000000000n, // −Inf
  0x8000000000000000n, // −0
  1n, // the smallest denormal
  0x800fffffffffffffn,
];
const values: Row[] = VALUES.map((value) => ({
  b: value === STALE ? 40 : 41,
  what: `the value ${value.toString(16)}`,
  send: post(request(named(), [nowMs, value])),
  status: 204,
  counts: { stored: 1 },
  content: [[named(), [[nowMs, value]]]],
}));

const beside: Row = {
  b: 24,
  what: 'many offenders: three are named, all are counted, the rest is stored',
  send: post(
    writeRequest([
      ...Array.from({ length: 5 }, (_, i) => ({
        labels: [['i', `${i}`]] as LabelPairs,
        samples: [[nowMs, i]] as const,
      })),
      {
        labels: named(['n', 'v'.repeat(16_385)]),
        samples: [
          [nowMs, 1],
          [nowMs + 1, 1],
        ],
      },
      { labels: GOOD, samples: [[nowMs, 1]] },
    ]),
  ),
  status: 400,
  text: /^stored 1 of 8 samples; rejected 7: missing __name__ \{i="0"\}; missing __name__ \{i="1"\}; missing __name__ \{i="2"\}; in all 5 missing-name, 2 label-value-too-long\n$/,
  counts: { stored: 1, rejected: { 'missing-name': 5, 'label-value-too-long': 2 } },
  content: goodContent,
};

export const SAMPLES: readonly Row[] = [beside, ...labels, ...timestamps, ...values];
