import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  asJson,
  asProtobuf,
  attributes,
  CUMULATIVE,
  DELTA,
  type Metric,
  OtlpResponse,
  OtlpStatus,
  request,
} from '../../support/otlp.ts';
import { EVERYTHING, readHistograms, readSamples, readStreamed } from '../../support/remote-read.ts';
import { writeRequest } from '../../support/remote-write.ts';
import { bitsOf, differences, SampleList, type SeriesMap, STALE, type Value } from '../../support/series.ts';
import { exchange, type RunningServer, serve, serveDatabase, statusOf, write } from './serve.ts';

const MIB = 1024 * 1024;
const PATH = '/api/v1/otlp/v1/metrics';
const PROTOBUF = 'application/x-protobuf';
const JSON_TYPE = 'application/json';
const nowMs = Date.now();
const nano = (ms: number): string => `${ms}123456`;

let api: RunningServer;
beforeAll(async () => {
  api = await serveDatabase();
});
afterAll(() => api[Symbol.asyncDispose]());

interface Answer {
  readonly status: number;
  readonly type: string | null;
  readonly bytes: Buffer;
  readonly headers: Headers;
}

async function post(
  body: Buffer<ArrayBuffer>,
  { path = PATH, tenant = '', headers = {} }: { path?: string; tenant?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const scope: Record<string, string> = tenant === '' ? {} : { 'x-scope-orgid': tenant };
  const sent = { 'content-type': PROTOBUF, ...scope, ...headers };
  const response = await fetch(api.url + path, { method: 'POST', headers: sent, body });
  const bytes = Buffer.from(await response.arrayBuffer());
  return { status: response.status, type: response.headers.get('content-type'), bytes, headers: response.headers };
}

const stored = (tenant: string): Promise<SeriesMap> =>
  readSamples(api.url, { startMs: 0, endMs: nowMs + 86_400_000, matchers: EVERYTHING }, tenant);

function series(...rows: [labels: string, ...samples: [timestampMs: number, value: Value][]][]): SeriesMap {
  return new Map(
    rows.map(([labels, ...samples]) => {
      const list = new SampleList();
      for (const [timestampMs, value] of samples) list.push(timestampMs, bitsOf(value));
      return [labels, list];
    }),
  );
}

const gauge = (name: string, asInt: string, timeMs = nowMs): Metric => ({
  name,
  gauge: { dataPoints: [{ timeUnixNano: nano(timeMs), asInt }] },
});

describe('OTLP metrics', () => {
  const model = request([{ ...gauge('process.uptime', '7'), unit: 's' }], { 'service.name': 'shop' });
  const expected = series(['{__name__="process_uptime_seconds", job="shop"}', [nowMs, 7]]);

  test.each([PATH, `${PATH}/`, '/otlp/v1/metrics', '/opentelemetry/v1/metrics', '/api/v1/otlp'])(
    'are stored by POST %s',
    async (path) => {
      const tenant = `path-${path.replaceAll('/', '-')}`;
      const answer = await post(asProtobuf(model), { path, tenant });
      expect([answer.status, answer.type, answer.bytes.length]).toEqual([200, PROTOBUF, 0]);
      expect(differences(await stored(tenant), expected)).toEqual([]);
      const get = await fetch(api.url + path);
      expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST']);
    },
  );

  const forms: [what: string, body: Buffer<ArrayBuffer>, headers: Record<string, string>][] = [
    ['protobuf', asProtobuf(model), {}],
    ['protobuf-gzip', gzipSync(asProtobuf(model)), { 'content-encoding': 'gzip' }],
    ['protobuf-zstd', zstdCompressSync(asProtobuf(model)), { 'content-encoding': 'zstd' }],
    ['json', asJson(model), { 'content-type': JSON_TYPE }],
    [
      'json-gzip',
      gzipSync(asJson(model)),
      { 'content-type': 'Application/JSON; charset=utf-8', 'content-encoding': 'GZIP' },
    ],
    ['json-identity', asJson(model), { 'content-type': JSON_TYPE, 'content-encoding': 'identity' }],
  ];
  test.each(forms)('are stored from %s, and answered in the same form', async (tenant, body, headers) => {
    const answer = await post(body, { tenant, headers });
    const isJson = tenant.startsWith('json');
    expect([answer.status, answer.type, answer.bytes.toString()]).toEqual(
      isJson ? [200, JSON_TYPE, '{}'] : [200, PROTOBUF, ''],
    );
    expect(differences(await stored(tenant), expected)).toEqual([]);
  });

  test('and remote write meet in one series', async () => {
    const tenant = 'one-series';
    const labels = [
      ['__name__', 'process_uptime_seconds'],
      ['job', 'shop'],
    ] as const;
    const before = writeRequest([{ labels, samples: [[nowMs - 1000, 6]] }]);
    expect((await write(api.url, before, { headers: { 'x-scope-orgid': tenant } })).status).toBe(204);
    expect((await post(asProtobuf(model), { tenant })).status).toBe(200);
    expect((await post(asJson(model), { tenant, headers: { 'content-type': JSON_TYPE } })).status).toBe(200);
    const after = writeRequest([{ labels: labels.toReversed(), samples: [[nowMs + 1000, 8]] }]);
    expect((await write(api.url, after, { headers: { 'x-scope-orgid': tenant } })).status).toBe(204);
    const rows: [number, number][] = [
      [nowMs - 1000, 6],
      [nowMs, 7],
      [nowMs + 1000, 8],
    ];
    const all = series(['{__name__="process_uptime_seconds", job="shop"}', ...rows]);
    expect(differences(await stored(tenant), all)).toEqual([]);
  });

  test('of every kind come back bit by bit', async () => {
    const tenant = 'kinds';
    const timeUnixNano = nano(nowMs);
    const sent = request(
      [
        { name: 'g', gauge: { dataPoints: [{ timeUnixNano, asDouble: 'bits:7ff8000000000abc' }] } },
        { name: 'ended', gauge: { dataPoints: [{ timeUnixNano, flags: 1 }] } },
        {
          name: 'c',
          unit: 'By',
          sum: {
            dataPoints: [{ timeUnixNano, asDouble: '-0' }],
            isMonotonic: true,
            aggregationTemporality: CUMULATIVE,
          },
        },
        {
          name: 'h',
          unit: 'ms',
          histogram: {
            dataPoints: [{ timeUnixNano, count: '3', sum: 1.5, bucketCounts: ['1', '2'], explicitBounds: [0.1] }],
            aggregationTemporality: CUMULATIVE,
          },
        },
        { name: 's', summary: { dataPoints: [{ timeUnixNano, quantileValues: [{ quantile: 0.99, value: 4 }] }] } },
      ],
      { 'service.instance.id': 'i', 'host.name': 'h1' },
    );
    expect((await post(asProtobuf(sent), { tenant })).bytes).toHaveLength(0);
    const i = 'instance="i"';
    const rows: [string, Value][] = [
      [`{__name__="g", ${i}}`, 0x7ff8000000000abcn],
      [`{__name__="ended", ${i}}`, STALE],
      [`{__name__="c_bytes_total", ${i}}`, -0],
      [`{__name__="h_milliseconds_sum", ${i}}`, 1.5],
      [`{__name__="h_milliseconds_count", ${i}}`, 3],
      [`{__name__="h_milliseconds_bucket", ${i}, le="0.1"}`, 1],
      [`{__name__="h_milliseconds_bucket", ${i}, le="+Inf"}`, 3],
      [`{__name__="s_sum", ${i}}`, 0],
      [`{__name__="s_count", ${i}}`, 0],
      [`{__name__="s", ${i}, quantile="0.99"}`, 4],
      [`{__name__="target_info", host_name="h1", ${i}}`, 1],
    ];
    const expected = series(...rows.map(([labels, value]): [string, [number, Value]] => [labels, [nowMs, value]]));
    expect(differences(await stored(tenant), expected)).toEqual([]);
    const query = { startMs: 0, endMs: nowMs, matchers: EVERYTHING };
    expect(differences(await readStreamed(api.url, query, tenant), expected)).toEqual([]);
  });

  test('that are more than one write can take are stored in several', async () => {
    const tenant = 'many';
    const dataPoints = Array.from({ length: 120_000 }, (_, i) => ({
      timeUnixNano: nano(nowMs),
      asInt: String(i),
      attributes: attributes({ i: String(i) }),
    }));
    const answer = await post(gzipSync(asProtobuf(request([{ name: 'x', gauge: { dataPoints } }]))), {
      tenant,
      headers: { 'content-encoding': 'gzip' },
    });
    expect([answer.status, answer.bytes.length]).toEqual([200, 0]);
    expect((await stored(tenant)).size).toBe(120_000);
  });
});

test('an exponential histogram is stored and read as a native histogram', async () => {
  await using own = await serveDatabase();
  const dataPoints = [
    {
      timeUnixNano: nano(nowMs),
      count: '6',
      sum: 7.5,
      scale: 9,
      zeroCount: '1',
      positive: { offset: 4, bucketCounts: [1, 1, 0, 3] },
    },
  ];
  const model = request([{ name: 'e', exponentialHistogram: { dataPoints, aggregationTemporality: CUMULATIVE } }]);
  const headers = { 'content-type': PROTOBUF };
  const response = await fetch(own.url + PATH, { method: 'POST', headers, body: asProtobuf(model) });
  expect([response.status, (await response.arrayBuffer()).byteLength]).toEqual([200, 0]);
  const read = await readHistograms(own.url, { startMs: 0, endMs: nowMs, matchers: EVERYTHING });
  expect([...read].map(([labels, { histograms }]) => [labels, histograms])).toEqual([
    [
      '{__name__="e"}',
      [
        expect.objectContaining({
          timeMs: nowMs,
          schema: 8,
          count: 6n,
          zeroCount: 1n,
          sum: bitsOf(7.5),
          positiveSpans: [[3, 2]],
          zeroThreshold: 1e-128,
        }),
      ],
    ],
  ]);
});

test('what is said of metrics is at /api/v1/metadata, in the words of Prometheus', async () => {
  const points = { dataPoints: [{ timeUnixNano: nano(nowMs), asInt: '1' }] };
  const buckets = { dataPoints: [{ timeUnixNano: nano(nowMs), count: '0' }], aggregationTemporality: CUMULATIVE };
  const model = request([
    { name: 'memory', description: 'What is used.', unit: 'By', gauge: points },
    { name: 'io', description: 'Bytes.', unit: 'By/s', sum: { ...points, aggregationTemporality: CUMULATIVE } },
    { name: 'requests', sum: { ...points, aggregationTemporality: CUMULATIVE, isMonotonic: true } },
    { name: 'latency', description: 'How long.', unit: 'ms', histogram: buckets },
    { name: 'refused', description: 'Not stored.', sum: { ...points, aggregationTemporality: DELTA } },
  ]);
  expect((await post(asProtobuf(model), { tenant: 'described' })).status).toBe(200);
  const response = await fetch(`${api.url}/api/v1/metadata`, { headers: { 'x-scope-orgid': 'described' } });
  expect(((await response.json()) as { data: unknown }).data).toEqual({
    io_bytes_per_second: [{ type: 'gauge', help: 'Bytes.', unit: 'bytes_per_second' }],
    latency_milliseconds: [{ type: 'histogram', help: 'How long.', unit: 'milliseconds' }],
    memory_bytes: [{ type: 'gauge', help: 'What is used.', unit: 'bytes' }],
    requests_total: [{ type: 'counter', help: '', unit: '' }],
  });
});

test('the largest request there may be has room when it is alone', async () => {
  await using small = await serveDatabase({ settings: { memoryBudgetBytes: 64 * MIB } });
  const model = request([gauge('good', '1')]);
  // A description is a field that is not read, and noise does not compress.
  const noise = Buffer.from(Uint8Array.from({ length: 23 * MIB }, () => Math.random() * 256)).toString('base64');
  const padded = {
    resourceMetrics: model.resourceMetrics.map(({ resource, scopeMetrics }) => ({ resource, noise, scopeMetrics })),
  };
  const body = gzipSync(JSON.stringify(padded), { level: 1 });
  expect(body.length).toBeGreaterThan(20 * MIB);
  const headers = { 'content-type': JSON_TYPE, 'content-encoding': 'gzip' };
  const response = await fetch(small.url + PATH, { method: 'POST', headers, body });
  expect([response.status, await response.text()]).toEqual([200, '{}']);
});

describe('a part of a request', () => {
  const delta = { dataPoints: [{ timeUnixNano: nano(nowMs), asInt: '1' }], aggregationTemporality: DELTA };

  test('that is refused by name is counted, and the rest is stored', async () => {
    const tenant = 'partial';
    const model = request([gauge('good', '1'), { name: 'bad', sum: delta }]);
    const answer = await post(asProtobuf(model), { tenant });
    expect(answer.status).toBe(200);
    const partialSuccess = {
      rejectedDataPoints: '1',
      errorMessage: 'refused 1 data point of "bad": delta temporality is not accepted: send cumulative',
    };
    expect(OtlpResponse.decode(answer.bytes).toJSON()).toEqual({ partialSuccess });
    const json = await post(asJson(model), { tenant, headers: { 'content-type': JSON_TYPE } });
    expect(JSON.parse(json.bytes.toString())).toEqual({ partialSuccess });
    expect(differences(await stored(tenant), series(['{__name__="good"}', [nowMs, 1]]))).toEqual([]);
    const metrics = await (await fetch(`${api.url}/metrics`)).text();
    expect(metrics).toMatch(/varve_otlp_data_points_refused_total\{tenant="partial",reason="delta"\} 2\n/);
  });

  test('that the engine refuses is counted too, in its words', async () => {
    const tenant = 'future';
    const model = request([
      gauge('good', '1'),
      gauge('late', '1', nowMs + 86_400_000),
      { name: 'bad', sum: delta },
      {
        name: 'long',
        gauge: {
          dataPoints: [{ timeUnixNano: nano(nowMs), asInt: '1', attributes: attributes({ a: 'x'.repeat(20_000) }) }],
        },
      },
    ]);
    const answer = await post(asProtobuf(model), { tenant });
    const { partialSuccess } = OtlpResponse.decode(answer.bytes).toJSON() as {
      partialSuccess: { rejectedDataPoints: string; errorMessage: string };
    };
    expect([answer.status, partialSuccess.rejectedDataPoints]).toEqual([200, '3']);
    expect(partialSuccess.errorMessage).toMatch(
      /^refused 1 data point of "bad": .*; stored 1 of 3 samples; rejected 2: /,
    );
    expect([...(await stored(tenant)).keys()]).toEqual(['{__name__="good"}']);
  });
});

describe('a request that is refused', () => {
  const good = asProtobuf(request([gauge('good', '1')]));
  const goodJson = asJson(request([gauge('good', '1')]));
  const gzip = { 'content-encoding': 'gzip' };
  const json = { 'content-type': JSON_TYPE };
  const rows: [
    what: string,
    body: Buffer<ArrayBuffer>,
    headers: Record<string, string>,
    status: number,
    text: RegExp,
  ][] = [
    ['cut protobuf', good.subarray(0, -1), {}, 400, /^protobuf: .* at byte \d+$/],
    ['JSON as protobuf', goodJson, {}, 400, /^protobuf: .* at byte \d+$/],
    ['protobuf as JSON', good, json, 400, /^json: /],
    ['an empty body as JSON', Buffer.alloc(0), json, 400, /^json: expected "\{" at byte 0$/],
    ['plain protobuf as gzip', good, gzip, 400, /^the body cannot be decompressed: incorrect header check$/],
    [
      'cut gzip',
      gzipSync(good).subarray(0, -9),
      gzip,
      400,
      /^the body cannot be decompressed: unexpected end of file$/,
    ],
    ['cut zstd', zstdCompressSync(good).subarray(0, -2), { 'content-encoding': 'zstd' }, 400, /cannot be decompressed/],
    ['an empty body as gzip', Buffer.alloc(0), gzip, 400, /^the body cannot be decompressed/],
    ['33 MiB in 33 KiB of gzip', gzipSync(Buffer.alloc(33 * MIB)), gzip, 413, /^request body exceeds 33554432 bytes$/],
    [
      '33 MiB in a few bytes of zstd',
      zstdCompressSync(Buffer.alloc(33 * MIB)),
      { 'content-encoding': 'zstd' },
      413,
      /^request body exceeds 33554432 bytes$/,
    ],
    // A frame that wants a window of 2 GiB.
    [
      'zstd that asks for memory',
      Buffer.from('28b52ffd00a801000000', 'hex'),
      { 'content-encoding': 'zstd' },
      400,
      /cannot be decompressed/,
    ],
    [
      'JSON that becomes too long',
      Buffer.from(`{"resourceMetrics":[${'{},'.repeat(7_500_000)}{}]}`),
      json,
      400,
      /more than 33554432 bytes as protobuf/,
    ],
    [
      'an encoding that is not accepted',
      good,
      { 'content-encoding': 'snappy' },
      415,
      /^Content-Encoding "snappy" is not accepted: send gzip, zstd or none$/,
    ],
    [
      'two encodings',
      good,
      { 'content-encoding': 'gzip, gzip' },
      415,
      /^Content-Encoding "gzip, gzip" is not accepted/,
    ],
    ['a tenant that is none', good, { 'x-scope-orgid': '../x' }, 400, /^invalid tenant ID "..\/x" in X-Scope-OrgID/],
  ];
  test.each(rows)('%s is answered as an OTLP status, and nothing is stored', async (_, body, headers, status, text) => {
    const answer = await post(body, { tenant: 'refused', headers });
    const isJson = headers['content-type'] === JSON_TYPE;
    expect([answer.status, answer.type]).toEqual([status, isJson ? JSON_TYPE : PROTOBUF]);
    const { message } = (isJson ? JSON.parse(answer.bytes.toString()) : OtlpStatus.decode(answer.bytes)) as {
      message: string;
    };
    expect(message).toMatch(text);
    expect((await stored('refused')).size).toBe(0);
    const metrics = await (await fetch(`${api.url}/metrics`)).text();
    expect(metrics).toMatch(/^varve_http_request_in_flight_bytes 0$/m);
  });

  test.each(['text/plain', 'application/x-protobufs', 'application/grpc'])(
    'as %s is told what to send',
    async (type) => {
      const answer = await post(good, { headers: { 'content-type': type } });
      expect([answer.status, answer.type]).toEqual([415, 'text/plain; charset=utf-8']);
      expect(answer.bytes.toString()).toBe(
        `Content-Type "${type}" is not accepted: send application/x-protobuf or application/json\n`,
      );
    },
  );

  test('without a Content-Type is told what to send', async () => {
    const head = `POST ${PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
    const answer = await exchange(api.port, [head]);
    expect(statusOf(answer)).toBe(415);
    expect(answer).toContain('a request without Content-Type is not accepted: send application/x-protobuf or');
  });

  test('by its declared length is refused before it is sent', async () => {
    const head = `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: ${JSON_TYPE}\r\nContent-Length: 40000000\r\n\r\n`;
    const answer = await exchange(api.port, [head]);
    expect(statusOf(answer)).toBe(413);
    expect(answer).toContain('{"message":"request body exceeds 33554432 bytes"}');
  });

  test('while there is no database is told when to come again', async () => {
    await using starting = await serve();
    const response = await fetch(starting.url + PATH, {
      method: 'POST',
      headers: { 'content-type': PROTOBUF },
      body: good,
    });
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '2']);
    expect(OtlpStatus.decode(Buffer.from(await response.arrayBuffer())).toJSON()).toEqual({
      message: 'not ready: opening the database',
    });
  });
});

test('an empty request is a success', async () => {
  const answer = await post(Buffer.alloc(0), { tenant: 'empty' });
  expect([answer.status, answer.type, answer.bytes.length]).toEqual([200, PROTOBUF, 0]);
  const json = await post(Buffer.from('{}'), { tenant: 'empty', headers: { 'content-type': JSON_TYPE } });
  expect([json.status, json.bytes.toString()]).toEqual([200, '{}']);
});
