import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AnyValue,
  asJson,
  asProtobuf,
  attributes,
  CUMULATIVE,
  DELTA,
  type KeyValue,
  type Metric,
  type NumberPoint,
  type OtlpRequest,
  request,
  translate,
  translateJson,
} from '../../support/otlp.ts';

/** 2023-11-14T22:13:20.123456789Z. */
const AT = '1700000000123456789';
const AT_MS = 1700000000123;
const NS = 1_000_000n;

function gauge(name: string, ...dataPoints: NumberPoint[]): Metric {
  return { name, gauge: { dataPoints } };
}

function sum(name: string, dataPoints: NumberPoint[], isMonotonic: boolean, aggregationTemporality: number): Metric {
  return { name, sum: { dataPoints, isMonotonic, aggregationTemporality } };
}

const one: NumberPoint = { timeUnixNano: AT, asDouble: 1 };

/** What becomes of a request, the same for both of its forms. */
function translated(model: OtlpRequest) {
  const result = translate(asProtobuf(model));
  expect(translateJson(asJson(model))).toEqual(result);
  return result;
}

const samplesOf = (model: OtlpRequest): string[] => translated(model).samples;

describe('gauges and sums', () => {
  test('a gauge is its value, a monotonic sum a counter, another sum a gauge', () => {
    const metrics = [
      { ...gauge('system.memory', { ...one, asDouble: 1.5 }), unit: 'By' },
      sum('requests', [{ timeUnixNano: AT, asInt: '7' }], true, CUMULATIVE),
      sum('queue.size', [{ timeUnixNano: AT, asInt: '-7' }], false, CUMULATIVE),
    ];
    expect(samplesOf(request(metrics))).toEqual([
      `system_memory_bytes{} 1.5@${AT_MS}`,
      `requests_total{} 7@${AT_MS}`,
      `queue_size{} -7@${AT_MS}`,
    ]);
  });

  test.each([
    ['9007199254740993', '9007199254740992'],
    ['9223372036854775807', '9223372036854775807'],
    ['-9223372036854775808', '-9223372036854775808'],
    ['-9007199254740995', '-9007199254740996'],
  ])('the integer %s becomes the nearest double', (asInt, nearest) => {
    expect(samplesOf(request([gauge('x', { timeUnixNano: AT, asInt })]))).toEqual([`x{} ${Number(nearest)}@${AT_MS}`]);
  });

  test('values are bits: −0, infinities, and every NaN', () => {
    const values = [
      '-0',
      'Infinity',
      '-Infinity',
      'bits:7ff0000000000002',
      'bits:7ff8000000000abc',
      'bits:fff8000000000000',
    ];
    const points = values.map((asDouble) => ({ ...one, asDouble }));
    expect(translate(asProtobuf(request([gauge('x', ...points)]))).samples).toEqual(
      ['-0', 'Infinity', '-Infinity', '7ff0000000000002', '7ff8000000000abc', 'fff8000000000000'].map(
        (text) => `x{} ${text}@${AT_MS}`,
      ),
    );
    expect(translateJson(asJson(request([gauge('x', { ...one, asDouble: 'NaN' })]))).samples).toEqual([
      `x{} 7ff8000000000000@${AT_MS}`,
    ]);
  });

  test('the flag for no recorded value is a staleness marker, with a value and without', () => {
    const points = [
      { timeUnixNano: AT, flags: 1 },
      { ...one, flags: 1 },
      { ...one, flags: 2 },
    ];
    expect(samplesOf(request([gauge('x', ...points)]))).toEqual([
      `x{} 7ff0000000000002@${AT_MS}`,
      `x{} 7ff0000000000002@${AT_MS}`,
      `x{} 1@${AT_MS}`,
    ]);
  });

  test.each([
    ['1', 0n],
    ['999999', 0n],
    ['1000000', 1n],
    ['1700000000123999999', 1700000000123n],
    ['18446744073709551615', 18446744073709n],
  ])('%s ns are rounded down', (timeUnixNano, ms) => {
    // A time below 1 ms rounds to none.
    const expected = ms === 0n ? [] : [`x{} 1@${ms}`];
    expect(samplesOf(request([gauge('x', { ...one, timeUnixNano })]))).toEqual(expected);
  });
});

describe('histograms and summaries', () => {
  test('a histogram is sum, count and cumulative buckets', () => {
    const point = {
      timeUnixNano: AT,
      count: '6',
      sum: 12.5,
      bucketCounts: ['1', '0', '3', '2'],
      explicitBounds: [0.005, 1, 2.5],
      attributes: attributes({ 'http.route': '/', le: 'sent' }),
    };
    const metric = { name: 'd', unit: 's', histogram: { dataPoints: [point], aggregationTemporality: CUMULATIVE } };
    expect(samplesOf(request([metric]))).toEqual([
      `d_seconds_sum{http_route="/", le="sent"} 12.5@${AT_MS}`,
      `d_seconds_count{http_route="/", le="sent"} 6@${AT_MS}`,
      `d_seconds_bucket{http_route="/", le="0.005"} 1@${AT_MS}`,
      `d_seconds_bucket{http_route="/", le="1"} 1@${AT_MS}`,
      `d_seconds_bucket{http_route="/", le="2.5"} 4@${AT_MS}`,
      `d_seconds_bucket{http_route="/", le="+Inf"} 6@${AT_MS}`,
    ]);
  });

  const histogram = (point: object): Metric => ({
    name: 'h',
    histogram: { dataPoints: [{ timeUnixNano: AT, ...point }], aggregationTemporality: CUMULATIVE },
  });

  test('without a sum there is no _sum, without buckets only +Inf', () => {
    expect(samplesOf(request([histogram({ count: '3' })]))).toEqual([
      `h_count{} 3@${AT_MS}`,
      `h_bucket{le="+Inf"} 3@${AT_MS}`,
    ]);
  });

  test('with fewer counts than bounds the rest has no bucket', () => {
    expect(samplesOf(request([histogram({ count: '3', bucketCounts: ['1'], explicitBounds: [1, 2] })]))).toEqual([
      `h_count{} 3@${AT_MS}`,
      `h_bucket{le="1"} 1@${AT_MS}`,
      `h_bucket{le="+Inf"} 3@${AT_MS}`,
    ]);
  });

  test('counts are added as 64-bit integers', () => {
    const bucketCounts = ['4294967295', '1', '9007199254740993', '0'];
    const samples = samplesOf(request([histogram({ count: '1', bucketCounts, explicitBounds: [1, 2, 3] })]));
    expect(samples.slice(1, 4)).toEqual([
      `h_bucket{le="1"} 4294967295@${AT_MS}`,
      `h_bucket{le="2"} 4294967296@${AT_MS}`,
      `h_bucket{le="3"} ${Number(9007199254740993n + 4294967296n)}@${AT_MS}`,
    ]);
  });

  test('a histogram that has ended is stale in all of its series', () => {
    const point = { count: '3', sum: 1, bucketCounts: ['1', '2'], explicitBounds: [1], flags: 1 };
    const samples = samplesOf(request([histogram(point)]));
    expect(samples).toHaveLength(4);
    for (const sample of samples) expect(sample).toContain(' 7ff0000000000002@');
  });

  test('a summary is sum, count and its quantiles', () => {
    const quantileValues = [{ quantile: 0, value: 1 }, { quantile: 0.5, value: 2 }, { quantile: 1 }];
    const dataPoints = [
      { timeUnixNano: AT, count: '5', sum: 9, quantileValues },
      { timeUnixNano: AT, flags: 1 },
    ];
    expect(samplesOf(request([{ name: 's', unit: 'ms', summary: { dataPoints } }]))).toEqual([
      `s_milliseconds_sum{} 9@${AT_MS}`,
      `s_milliseconds_count{} 5@${AT_MS}`,
      `s_milliseconds{quantile="0"} 1@${AT_MS}`,
      `s_milliseconds{quantile="0.5"} 2@${AT_MS}`,
      `s_milliseconds{quantile="1"} 0@${AT_MS}`,
      `s_milliseconds_sum{} 7ff0000000000002@${AT_MS}`,
      `s_milliseconds_count{} 7ff0000000000002@${AT_MS}`,
    ]);
  });
});

describe('labels', () => {
  const labelsOf = (keyValues: readonly KeyValue[], resource: Readonly<Record<string, string>> = {}): string =>
    (samplesOf(request([gauge('x', { ...one, attributes: keyValues })], resource))[0] as string).replace(/ 1@.*/, '');

  test('keys become names, empty values no label, reserved ones are kept', () => {
    const values = { 'http.status-code': '200', _a: '1', '9': '2', __reserved__: '3', empty: '', __name__: 'no' };
    expect(labelsOf(attributes(values))).toBe('x{__reserved__="3", http_status_code="200", key_9="2", key_a="1"}');
  });

  test('keys that become one name are joined in the order of the keys', () => {
    expect(labelsOf(attributes({ a_b: '3', 'a.b': '2', 'a-b': '1', c: '' }))).toBe('x{a_b="1;2;3"}');
    const beyond = attributes({ 'a\u{10000}b': 'later', 'a\uffffb': 'earlier' });
    expect(labelsOf(beyond)).toBe('x{a_b="earlier;later"}');
    expect(labelsOf([...attributes({ a: '1' }), ...attributes({ a: '2' })])).toBe('x{a="1;2"}');
  });

  test('job and instance come from the resource, over attributes of that name', () => {
    const resource = { 'service.name': 'shop', 'service.namespace': 'eu', 'service.instance.id': 'i-1' };
    expect(labelsOf(attributes({ job: 'a', instance: 'b' }), resource)).toBe('x{instance="i-1", job="eu/shop"}');
    expect(labelsOf([], { 'service.name': 'shop' })).toBe('x{job="shop"}');
    expect(labelsOf(attributes({ job: 'a' }), { 'service.namespace': 'eu' })).toBe('x{job="a"}');
    expect(labelsOf([], { 'service.name': 'shop', 'service.namespace': '' })).toBe('x{job="/shop"}');
    expect(labelsOf(attributes({ job: 'a' }), { 'service.name': '' })).toBe('x{job="a"}');
  });

  test('the resource counts also where it comes after its metrics', () => {
    const json = asJson(request([gauge('x', one)], { 'service.name': 'shop' })).toString();
    const [, resource, scopes] = /\{("resource":.*\}\]\}),("scopeMetrics".*)\}\]\}$/.exec(json) as unknown as string[];
    expect(translateJson(`{"resourceMetrics":[{${scopes},${resource}}]}`).samples[0]).toContain('job="shop"');
  });

  const kinds: [value: AnyValue | undefined, text: string][] = [
    [{ stringValue: 'plain "text"' }, 'plain "text"'],
    [{ boolValue: true }, 'true'],
    [{ boolValue: false }, 'false'],
    [{ intValue: '-9223372036854775808' }, '-9223372036854775808'],
    [{ doubleValue: 1.61803399 }, '1.61803399'],
    [{ doubleValue: 9e-9 }, '9e-9'],
    [{ doubleValue: 1e21 }, '1e+21'],
    [{ doubleValue: 100 }, '100'],
    [{ doubleValue: 'NaN' }, 'NaN'],
    [{ doubleValue: '-Infinity' }, '-Infinity'],
    [{ bytesValue: 'AP/+' }, 'AP/+'],
    [{ arrayValue: { values: [] } }, '[]'],
    [{ arrayValue: { values: [{ stringValue: '<a>\u2028' }, {}, { intValue: '1' }] } }, '["<a>\\u2028",null,1]'],
    [{ arrayValue: { values: [{ doubleValue: 'Infinity' }, { bytesValue: 'AA==' }] } }, '["Infinity","AA=="]'],
    [{ kvlistValue: { values: [] } }, '{}'],
    [
      { kvlistValue: { values: [{ key: 'b', value: { boolValue: true } }, { key: '__proto__' }, { key: 'B' }] } },
      '{"B":null,"__proto__":null,"b":true}',
    ],
    [undefined, ''],
    [{}, ''],
  ];
  test.each(kinds)('the value %j is %s', (value, text) => {
    const expected = text === '' ? 'x{}' : `x{v=${JSON.stringify(text)}}`;
    expect(labelsOf([value === undefined ? { key: 'v' } : { key: 'v', value }])).toBe(expected);
  });
});

describe('target_info', () => {
  const resource = { 'service.name': 'shop', 'service.instance.id': 'i', 'host.name': 'h', 'host.arch': '' };
  const points = (...ms: number[]): NumberPoint[] =>
    ms.map((time) => ({ asInt: '1', timeUnixNano: String(BigInt(time) * NS) }));
  const infoOf = (metrics: Metric[], attributes: Readonly<Record<string, string>> = resource): string[] =>
    samplesOf(request(metrics, attributes)).filter((sample) => sample.startsWith('target_info'));
  const labels = 'target_info{host_name="h", instance="i", job="shop"}';

  test('has the attributes of the resource that are no other label, at the time of its data points', () => {
    expect(infoOf([gauge('x', ...points(AT_MS))])).toEqual([`${labels} 1@${AT_MS}`]);
  });

  test('is there every 150 s from the first data point on, and at the last', () => {
    const metrics = [gauge('x', ...points(AT_MS + 300_001)), gauge('y', ...points(AT_MS, AT_MS + 5))];
    const times = [AT_MS, AT_MS + 150_000, AT_MS + 300_000, AT_MS + 300_001];
    expect(infoOf(metrics)).toEqual(times.map((time) => `${labels} 1@${time}`));
    const exactly = [gauge('x', ...points(AT_MS, AT_MS + 150_000))];
    expect(infoOf(exactly)).toEqual([AT_MS, AT_MS + 150_000].map((time) => `${labels} 1@${time}`));
  });

  test('is bounded however far apart the data points are', () => {
    const info = infoOf([gauge('x', ...points(1000, AT_MS))]);
    expect(info).toHaveLength(1001);
    expect([info[0], info[999], info[1000]]).toEqual(
      [1000, 1000 + 999 * 150_000, AT_MS].map((time) => `${labels} 1@${time}`),
    );
  });

  test('is not there without other attributes, without an identity, or without data points', () => {
    expect(infoOf([gauge('x', one)], { 'service.name': 'shop', 'service.instance.id': 'i' })).toEqual([]);
    expect(infoOf([gauge('x', one)], { 'host.name': 'h' })).toEqual([]);
    expect(infoOf([gauge('x', one)], {})).toEqual([]);
    expect(infoOf([gauge('x')])).toEqual([]);
    expect(infoOf([])).toEqual([]);
  });

  test('is there for a resource whose data points are refused', () => {
    expect(infoOf([sum('x', [one], true, DELTA)])).toEqual([`${labels} 1@${AT_MS}`]);
  });
});

describe('what is refused is named and counted, and the rest is stored', () => {
  const good = gauge('good', one);
  const rows: [what: string, metric: Metric, points: number, text: RegExp][] = [
    ['a delta sum', sum('s', [one, one], true, DELTA), 2, /^refused 2 data points of "s": delta temporality/],
    [
      'a delta histogram',
      { name: 'h', histogram: { dataPoints: [{ timeUnixNano: AT }], aggregationTemporality: DELTA } },
      1,
      /^refused 1 data point of "h": delta temporality/,
    ],
    ['a sum without temporality', sum('s', [one], true, 0), 1, /neither cumulative nor delta/],
    ['a metric of a kind that is not known', { name: 'n' }, 0, /^refused 0 data points of "n": no gauge, sum/],
    [
      'a metric whose name vanishes',
      gauge('?!', one, one),
      2,
      /2 data points of "\?!": nothing is left of the metric name/,
    ],
    ['a data point without a time', gauge('t', { asInt: '1' }, one), 1, /1 data point of "t": no time/],
    ['a data point without a value', gauge('v', { timeUnixNano: AT }), 1, /"v": neither a value nor/],
    [
      'an attribute without a name',
      gauge('a', { ...one, attributes: attributes({ ようこそ: '1' }) }),
      1,
      /attribute key/,
    ],
    [
      'a label set that is too long',
      gauge('l', { ...one, attributes: attributes({ a: 'x'.repeat(65_536) }) }),
      1,
      /"l": a label set of more than 65536 bytes/,
    ],
    [
      'a histogram with too many buckets',
      {
        name: 'wide',
        histogram: {
          aggregationTemporality: CUMULATIVE,
          dataPoints: [{ timeUnixNano: AT, bucketCounts: Array.from({ length: 10_001 }, () => '1') }],
        },
      },
      1,
      /"wide": too many series/,
    ],
  ];
  test.each(rows)('%s', (_, metric, points, text) => {
    const { samples, refused, refusedPoints } = translated(request([metric, good]));
    expect(refused).toMatch(text);
    expect(refusedPoints).toBe(points);
    expect(samples.at(-1)).toBe(`good{} 1@${AT_MS}`);
  });

  test('a few metrics are named, however many are refused', () => {
    const metrics = Array.from({ length: 100 }, (_, i) => sum(`metric ${i} ${'x'.repeat(200)}`, [one], true, DELTA));
    const { refused, refusedPoints } = translated(request(metrics));
    expect(refusedPoints).toBe(100);
    expect(refused).toMatch(/^refused 100 data points of "metric 0 x+…", "metric 1 x+…", "metric 2 x+…", …: delta/);
    expect(refused.length).toBeLessThan(500);
  });

  test('attributes of a resource without a name cost only its target_info', () => {
    const { samples, refused } = translated(request([good], { 'service.name': 's', '??': 'x', host: 'h' }));
    expect(samples).toEqual([`good{job="s"} 1@${AT_MS}`]);
    expect(refused).toMatch(/^refused 0 data points of "target_info": nothing is left of an attribute key/);
  });
});

describe('a request that becomes more than itself', () => {
  const wide = (points: number, buckets: number, label: string): OtlpRequest => {
    const point = {
      timeUnixNano: AT,
      count: '1',
      bucketCounts: Array.from({ length: buckets }, () => '1'),
      explicitBounds: Array.from({ length: buckets }, (_, i) => i),
      attributes: attributes({ label }),
    };
    const dataPoints = Array.from({ length: points }, () => point);
    return request([{ name: 'h', histogram: { dataPoints, aggregationTemporality: CUMULATIVE } }]);
  };

  test('comes in parts, each with whole data points', () => {
    const { samples, batches } = translate(asProtobuf(wide(30, 1000, 'x'.repeat(200))));
    expect(samples).toHaveLength(30 * 1002);
    expect(batches).toBe(8);
  });

  test('is refused where one data point becomes too much', () => {
    const { samples, refused } = translate(asProtobuf(wide(1, 1000, 'x'.repeat(10_000))));
    expect(samples).toEqual([]);
    expect(refused).toMatch(/^refused 1 data point of "h": too many series for one data point/);
  });

  test('is refused from where all of it becomes too much', () => {
    const bytes = asProtobuf(wide(40, 1000, 'x'.repeat(8000)));
    const { samples, refusedPoints } = translate(bytes);
    expect(samples).toHaveLength((40 - refusedPoints) * 1002);
    expect(refusedPoints).toBeGreaterThan(0);
    expect(refusedPoints).toBeLessThan(20);
  });
});

describe('protobuf and JSON', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 12 }).filter((value) => value.isWellFormed()),
    fc.constantFrom('a.b', 'a_b', '__proto__', 'constructor', 'le', 'job', '"\\\n\u2028😀'),
  );
  const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String);
  const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
  // JSON.stringify writes −0 as 0 and knows no infinities: those go as strings.
  const double = fc
    .double({ noNaN: true })
    .map((value) =>
      Number.isFinite(value) && !Object.is(value, -0) ? value : Object.is(value, -0) ? '-0' : String(value),
    );
  const { value: anyValue } = fc.letrec<{ value: AnyValue }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.record({ stringValue: text }),
      fc.record({ boolValue: fc.boolean() }),
      fc.record({ intValue: int64 }),
      fc.record({ doubleValue: double }),
      fc.record({ bytesValue: fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes).toString('base64')) }),
      fc.constant({}),
      fc.array(tie('value'), { maxLength: 3 }).map((values) => ({ arrayValue: { values } })),
      fc
        .array(fc.record({ key: text, value: tie('value') }), { maxLength: 3 })
        .map((values) => ({ kvlistValue: { values } })),
    ),
  }));
  const keyValues = fc.array(fc.record({ key: text, value: anyValue }), { maxLength: 4 });
  const base = { timeUnixNano: uint64, attributes: keyValues, flags: fc.nat(3) };
  const optional = { requiredKeys: [] as [] };
  const numbers = fc.array(
    fc.oneof(fc.record({ ...base, asInt: int64 }, optional), fc.record({ ...base, asDouble: double }, optional)),
    { maxLength: 3 },
  );
  const aggregationTemporality = fc.nat(3);
  const histograms = fc.array(
    fc.record(
      {
        ...base,
        count: uint64,
        sum: double,
        bucketCounts: fc.array(uint64, { maxLength: 4 }),
        explicitBounds: fc.array(double, { maxLength: 4 }),
      },
      optional,
    ),
    { maxLength: 3 },
  );
  const quantile = fc.record({
    quantile: fc.double({ min: 0, max: 1 }),
    value: fc.double({ noNaN: true, noDefaultInfinity: true }),
  });
  const summaries = fc.array(
    fc.record({ ...base, count: uint64, quantileValues: fc.array(quantile, { maxLength: 3 }) }, optional),
    { maxLength: 3 },
  );
  const named = { name: text, unit: fc.constantFrom('', '1', 's', 'By/s', '{x}', 'ü/€') };
  const metric = fc.oneof(
    fc.record({ ...named, gauge: fc.record({ dataPoints: numbers }) }),
    fc.record({ ...named, sum: fc.record({ dataPoints: numbers, aggregationTemporality, isMonotonic: fc.boolean() }) }),
    fc.record({ ...named, histogram: fc.record({ dataPoints: histograms, aggregationTemporality }) }),
    fc.record({ ...named, summary: fc.record({ dataPoints: summaries }) }),
    fc.record(named),
  ) as fc.Arbitrary<Metric>;
  const model = fc.record({
    resourceMetrics: fc.array(
      fc.record({
        resource: fc.record({ attributes: keyValues }),
        scopeMetrics: fc.array(fc.record({ metrics: fc.array(metric, { maxLength: 3 }) }), { maxLength: 2 }),
      }),
      { maxLength: 2 },
    ),
  }) as unknown as fc.Arbitrary<OtlpRequest>;

  test('give the same samples and the same refusals for any request', () => {
    let samples = 0;
    fc.assert(
      fc.property(model, (sent) => {
        const result = translate(asProtobuf(sent));
        expect(translateJson(asJson(sent))).toEqual(result);
        samples += result.samples.length;
      }),
      { numRuns: 500 },
    );
    expect(samples).toBeGreaterThan(100);
  });
});
