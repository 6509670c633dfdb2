import protobuf from 'protobufjs';
import { expect, test } from 'vitest';
import { transcodeJson } from '../../../src/ingest/otlp-json.ts';
import { MetricsTranslation } from '../../../src/ingest/otlp-metrics.ts';
import { EXPORT_REQUEST } from '../../../src/ingest/otlp-schema.ts';

const WriteRequest = protobuf
  .parse(`
    syntax = "proto3";
    message Label { string name = 1; string value = 2; }
    message Exemplar { repeated Label labels = 1; double value = 2; int64 timestamp = 3; }
    message TimeSeries { repeated Label labels = 1; repeated Exemplar exemplars = 3; }
    message WriteRequest { repeated TimeSeries timeseries = 1; }`)
  .root.lookupType('WriteRequest');

interface Decoded {
  readonly timeseries: readonly {
    readonly labels: readonly Label[];
    readonly exemplars?: readonly {
      readonly labels?: readonly Label[];
      readonly value: number;
      readonly timestamp: string;
    }[];
  }[];
}
interface Label {
  readonly name: string;
  readonly value: string;
}

const AT = '1700000000123456789';
const AT_MS = '1700000000123';
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

/** `series {labels} value@time` of each exemplar that a metric brings. */
function exemplarsOf(metric: object): string[] {
  const json = JSON.stringify({ resourceMetrics: [{ scopeMetrics: [{ metrics: [metric] }] }] });
  const translation = new MetricsTranslation(transcodeJson(Buffer.from(json), EXPORT_REQUEST, 1e6));
  const found: string[] = [];
  const text = (labels: readonly Label[] = []): string =>
    labels
      .filter(({ name }) => name !== '__name__')
      .map(({ name, value }) => `${name}=${value}`)
      .join(',');
  for (const { body } of translation.batches()) {
    const { timeseries } = WriteRequest.toObject(WriteRequest.decode(body), { longs: String }) as Decoded;
    for (const { labels, exemplars = [] } of timeseries) {
      const name = labels.find((label) => label.name === '__name__')?.value;
      for (const one of exemplars)
        found.push(`${name}{${text(labels)}} {${text(one.labels)}} ${one.value}@${one.timestamp}`);
    }
  }
  expect(translation.refusals.text()).toBe('');
  return found;
}

const exemplar = (asDouble: number, more: object = {}): object => ({ timeUnixNano: AT, asDouble, ...more });
const attribute = (key: string, stringValue: string): object => ({ key, value: { stringValue } });

test('an exemplar has the IDs of trace and span, its attributes as they are, and its own time', () => {
  const exemplars = [
    exemplar(1.5, { traceId: TRACE, spanId: SPAN.toUpperCase(), filteredAttributes: [attribute('user.id', 'u1')] }),
    { timeUnixNano: '5000000', asInt: '-7', traceId: '00', filteredAttributes: [] },
    { timeUnixNano: AT, traceId: TRACE },
  ];
  const sum = { aggregationTemporality: 2, dataPoints: [{ timeUnixNano: AT, asInt: '1', exemplars }] };
  expect(exemplarsOf({ name: 's', sum })).toEqual([
    `s{} {span_id=${SPAN},trace_id=${TRACE},user.id=u1} 1.5@${AT_MS}`,
    's{} {} -7@5',
  ]);
});

test('attributes that make the labels longer than 128 characters are left out', () => {
  // trace_id and its 32 digits are 40 characters.
  const of = (length: number): string[] => {
    const one = exemplar(1, { traceId: TRACE, filteredAttributes: [attribute('a', 'ä'.repeat(length))] });
    const sum = { aggregationTemporality: 2, dataPoints: [{ timeUnixNano: AT, asInt: '1', exemplars: [one] }] };
    return exemplarsOf({ name: 's', sum });
  };
  expect(of(87)).toEqual([`s{} {a=${'ä'.repeat(87)},trace_id=${TRACE}} 1@${AT_MS}`]);
  expect(of(88)).toEqual([`s{} {trace_id=${TRACE}} 1@${AT_MS}`]);
});

test('those of explicit buckets go to the first bucket that they fit in, those of a gauge nowhere', () => {
  const exemplars = [0.5, 1, 1.5, 9].map((value) => exemplar(value));
  const histogram = {
    aggregationTemporality: 2,
    dataPoints: [
      { timeUnixNano: AT, count: '4', sum: 1, bucketCounts: ['2', '1', '1'], explicitBounds: [1, 2], exemplars },
    ],
  };
  expect(exemplarsOf({ name: 'h', histogram })).toEqual([
    `h_bucket{le=1} {} 0.5@${AT_MS}`,
    `h_bucket{le=1} {} 1@${AT_MS}`,
    `h_bucket{le=2} {} 1.5@${AT_MS}`,
    `h_bucket{le=+Inf} {} 9@${AT_MS}`,
  ]);
  expect(exemplarsOf({ name: 'g', gauge: { dataPoints: [{ timeUnixNano: AT, asInt: '1', exemplars }] } })).toEqual([]);
});

test('those of an exponential histogram stay beside it', () => {
  const exponentialHistogram = {
    aggregationTemporality: 2,
    dataPoints: [{ timeUnixNano: AT, exemplars: [exemplar(3)] }],
  };
  expect(exemplarsOf({ name: 'e', exponentialHistogram })).toEqual([`e{} {} 3@${AT_MS}`]);
});
