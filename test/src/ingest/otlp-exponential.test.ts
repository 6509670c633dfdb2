/** Exponential histograms: what becomes of them, as buckets and as the bounds that both sides give them. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  asJson,
  asProtobuf,
  attributes,
  CUMULATIVE,
  DELTA,
  type ExponentialPoint,
  type Metric,
  request,
  type Translated,
  translate,
  translateJson,
} from '../../support/otlp.ts';

/** 2023-11-14T22:13:20.123456789Z. */
const AT = '1700000000123456789';
const AT_MS = 1700000000123;

function metric(point: ExponentialPoint, aggregationTemporality: number = CUMULATIVE): Metric {
  return {
    name: 'e',
    unit: 's',
    exponentialHistogram: { dataPoints: [{ timeUnixNano: AT, ...point }], aggregationTemporality },
  };
}

/** What becomes of a data point, the same for both forms of its request. */
function translated(point: ExponentialPoint, aggregationTemporality?: number): Translated {
  const model = request([metric(point, aggregationTemporality)]);
  const result = translate(asProtobuf(model));
  expect(translateJson(asJson(model))).toEqual(result);
  return result;
}

test('a data point becomes a native histogram of one series, whatever it says of zero', () => {
  const point: ExponentialPoint = {
    attributes: attributes({ 'http.route': '/' }),
    count: '9007199254740993',
    sum: 1.5,
    scale: 3,
    zeroCount: '7',
    zeroThreshold: 0.1,
    positive: { offset: -1, bucketCounts: ['9007199254740983', 0, 1] },
    negative: { offset: 2, bucketCounts: [2] },
  };
  expect(translated(point)).toEqual({
    samples: [],
    histograms: [
      `e_seconds{http_route="/"} {count 9007199254740993 sum 1.5 schema 3 zero 7 within 1e-128 ` +
        `+0:9007199254740983,-9007199254740983,1 −3:2}@${AT_MS}`,
    ],
    refused: '',
    refusedPoints: 0,
    batches: 1,
  });
});

test('the flag that there is no value is a staleness marker for a sum, and nothing else', () => {
  const { histograms } = translated({ flags: 1, count: '5', scale: 2, positive: { bucketCounts: [5] } });
  expect(histograms).toEqual([`e_seconds{} {count 0 sum 7ff0000000000002 schema 0 zero 0 within 1e-128}@${AT_MS}`]);
});

describe('what cannot be a native histogram is refused by name', () => {
  test.each<[what: string, point: ExponentialPoint, temporality: number, text: RegExp]>([
    ['delta temporality', { count: '1' }, DELTA, /delta temporality/],
    ['a scale below −4', { scale: -5 }, CUMULATIVE, /scale below -4/],
    ['buckets beyond 2^31', { positive: { offset: 2 ** 31 - 1, bucketCounts: [1] } }, CUMULATIVE, /beyond 2\^31/],
    ['no time', { timeUnixNano: '0' }, CUMULATIVE, /no time/],
    ['too many buckets', { negative: { bucketCounts: Array(10_001).fill(0) } }, CUMULATIVE, /too many series/],
  ])('%s', (_, point, temporality, text) => {
    const { histograms, refused, refusedPoints } = translated(point, temporality);
    expect([histograms, refusedPoints, refused]).toEqual([[], 1, expect.stringMatching(text)]);
  });
});

/** The buckets of a translated data point, `+offset:deltas …`. */
function layout(offset: number, bucketCounts: readonly number[], scale: number): string {
  const [text = ''] = translated({ scale, positive: { offset, bucketCounts } }).histograms;
  return / within 1e-128 ?(.*)\}@/.exec(text)?.[1] ?? '';
}

// The cases of Prometheus' own test (TestConvertBucketsLayout): buckets, and what they are at scale 8, 9 and 10.
test.each<[offset: number, counts: number[], scales: [string, string, string]]>([
  [0, [4, 3, 2, 1], ['+1:4,-1,-1,-1', '+1:7,-4', '+1:10']],
  [1, [4, 3, 2, 1], ['+2:4,-1,-1,-1', '+1:4,1,-4', '+1:9,-8']],
  [4, [4, 2, 0, 2, ...Array(12).fill(0), 1], ['+5:4,-2,-2,2 12:-1', '+3:6,-4 6:-1', '+2:8 3:-7']],
  [4, [4, 2, 0, 2, ...Array(8).fill(0), 1], ['+5:4,-2,-2,2 8:-1', '+3:6,-4 4:-1', '+2:8,-8,0,1']],
  [-2, [3, 1, 0, 0, 0, 1], ['+-1:3,-2 3:0', '+0:4,-4,1', '+0:4,-3']],
  [-2, [3, 1, 0, 1, 0, 1], ['+-1:3,-2,-1,1,-1,1', '+0:4,-3,0', '+0:4,-2']],
  [-2, [3, 0, 0, 1, 0, 0, 1], ['+-1:3,-3,0,1,-1,0,1', '+0:3,-2,-1,1', '+0:3,-2,0']],
  [0, [], ['', '', '']],
  [0, [0, 0], ['', '', '']],
])('buckets from %d on: %j', (offset, counts, scales) => {
  expect([8, 9, 10].map((scale) => layout(offset, counts, scale))).toEqual(scales);
});

test('each observation lies within the bounds of a bucket on either side', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -4, max: 20 }),
      fc.integer({ min: -3000, max: 3000 }),
      fc.array(fc.oneof(fc.constant(0), fc.nat(9)), { maxLength: 40 }),
      (scale, offset, counts) => {
        const schema = Math.min(scale, 8);
        const expected = new Map<number, number>();
        counts.forEach((count, i) => {
          // The bucket's upper bound 2^((i + 1) / 2^scale) is at most that of its bucket in Prometheus, 2^(j / 2^schema).
          const index = Math.ceil((offset + i + 1) / 2 ** (scale - schema));
          if (count > 0) expected.set(index, (expected.get(index) ?? 0) + count);
        });
        expect(bucketsOf(layout(offset, counts, scale))).toEqual(expected);
      },
    ),
    { numRuns: 300 },
  );
});

/** Counts by index of the buckets that are not empty. */
function bucketsOf(text: string): Map<number, number> {
  const buckets = new Map<number, number>();
  let [index, count] = [0, 0];
  for (const span of text.slice(1).split(' ').filter(Boolean)) {
    const [offset, deltas = ''] = span.split(':');
    index += Number(offset);
    for (const delta of deltas.split(',')) {
      count += Number(delta);
      if (count > 0) buckets.set(index, count);
      index++;
    }
  }
  return buckets;
}
