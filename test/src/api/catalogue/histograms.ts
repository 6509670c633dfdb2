/** B43 to B45: native histograms and exemplars. */
import {
  HEADERS_V2,
  type RawSeriesV2,
  rawRequestV2,
  sampleV2,
  writeRequestV2,
} from '../../../support/remote-write-v2.ts';
import { type Body, GOOD, goodContent, nowMs, post, type Row } from './row.ts';

const SYMBOLS = ['', '__name__', 'good', 'bad', 'trace_id', 'x'.repeat(121)];
const good: RawSeriesV2 = { labelsRefs: [1, 2], samples: [sampleV2(nowMs, 1)] };
const postV2 = (body: Body): Row['send'] => post(body, HEADERS_V2);
const one = { sum: 0, timestamp: nowMs };

const invalid: Row[] = (
  [
    [
      'a count that is not the sum of its buckets',
      { ...one, countInt: 5, positiveSpans: [{ length: 1 }], positiveDeltas: [3] },
      'its count is not what its buckets hold',
    ],
    [
      'a bucket below zero',
      { ...one, countInt: 1, positiveSpans: [{ length: 2 }], positiveDeltas: [3, -5] },
      'a bucket with a negative count',
    ],
    [
      'a span of 2^31 buckets',
      { ...one, countInt: 1, positiveSpans: [{ length: 2 ** 31 }], positiveDeltas: [1] },
      'its spans have another number of buckets than it has',
    ],
    [
      'a million buckets',
      { ...one, countInt: 0, positiveSpans: [{ length: 1e6 }], positiveDeltas: Array(1e6).fill(0) },
      'more than \\d+ bytes',
    ],
    ['schema 127', { ...one, countInt: 0, schema: 127 }, 'its schema is not -4 to 8, nor -53 for custom buckets'],
    [
      'custom bounds that fall',
      {
        ...one,
        countInt: 2,
        schema: -53,
        customValues: [2, 1],
        positiveSpans: [{ length: 2 }],
        positiveDeltas: [1, 0],
      },
      'custom bounds that do not strictly increase',
    ],
    ['NaN for a count', { ...one, countFloat: Number.NaN }, 'its count is NaN'],
  ] as [what: string, histogram: object, rule: string][]
).map(([what, histogram, rule]) => ({
  b: 43,
  what,
  send: postV2(rawRequestV2(SYMBOLS, [{ labelsRefs: [1, 3], histograms: [histogram] }, good])),
  status: 400,
  text: new RegExp(
    `^stored 1 of 2 samples; rejected 1: invalid histogram: ${rule} \\{.*; in all 1 invalid-histogram\\n$`,
  ),
  written: [1, 0, 0],
  counts: { stored: 1, rejected: { 'invalid-histogram': 1 } },
  content: goodContent,
}));

const histogram = { countInt: 1, sum: 1, positiveSpans: [{ length: 1 }], positiveDeltas: [1] };
const mixed: Row = {
  b: 44,
  what: 'floats and histograms in turns in one series: both are kept',
  send: async (target) => {
    let answer = await postV2(writeRequestV2([{ labels: GOOD, samples: [[nowMs - 3, 1]] }]))(target);
    for (const [ms, isFloat] of [
      [nowMs - 2, false],
      [nowMs - 1, true],
      [nowMs, false],
    ] as const) {
      const series = isFloat ? { samples: [[ms, 1]] as const } : { histograms: [{ ...histogram, timestamp: ms }] };
      answer = await postV2(writeRequestV2([{ labels: GOOD, ...series }]))(target);
    }
    return answer;
  },
  status: 204,
  written: [0, 1, 0],
  counts: { stored: 4 },
  content: [
    [
      GOOD,
      [
        [nowMs - 3, 1],
        [nowMs - 1, 1],
      ],
    ],
  ],
};

const withExemplars = (...exemplars: readonly object[]): Body => rawRequestV2(SYMBOLS, [{ ...good, exemplars }]);
const exemplars: Row[] = [
  {
    b: 45,
    what: 'an exemplar without labels',
    send: postV2(withExemplars({ value: 1, timestamp: nowMs })),
    status: 204,
    written: [1, 0, 1],
    counts: { stored: 1 },
    content: goodContent,
  },
  {
    b: 45,
    what: 'an exemplar whose labels have more than 128 characters',
    send: postV2(withExemplars({ labelsRefs: [4, 5], value: 1, timestamp: nowMs })),
    status: 400,
    text: /exemplar: labels of more than 128 characters together/,
    written: [1, 0, 0],
    counts: { stored: 1 },
    content: goodContent,
  },
  {
    b: 45,
    what: 'exemplars out of order: both are kept',
    send: postV2(withExemplars({ value: 1, timestamp: nowMs }, { value: 2, timestamp: nowMs - 1 })),
    status: 204,
    written: [1, 0, 2],
    counts: { stored: 1 },
    content: goodContent,
  },
];

export const HISTOGRAMS: readonly Row[] = [...invalid, mixed, ...exemplars];
