import protobuf from 'protobufjs';
import { compressSync } from 'snappy';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HEADERS_V2, writeRequestV2 } from '../../support/remote-write-v2.ts';
import { type RunningServer, serveDatabase, write } from './serve.ts';

const WriteRequest = protobuf
  .parse(`
    syntax = "proto3";
    message MetricMetadata { uint32 type = 1; string metric_family_name = 2; string help = 4; string unit = 5; }
    message WriteRequest { repeated MetricMetadata metadata = 3; }`)
  .root.lookupType('WriteRequest');

function families(
  ...metadata: readonly (readonly [name: string, type: number, help: string, unit?: string])[]
): Buffer<ArrayBuffer> {
  const message = {
    metadata: metadata.map(([metricFamilyName, type, help, unit = '']) => ({ metricFamilyName, type, help, unit })),
  };
  return compressSync(WriteRequest.encode(message).finish()) as Buffer<ArrayBuffer>;
}

let api: RunningServer;
beforeAll(async () => {
  api = await serveDatabase();
  const sent = [
    families(
      ['up', 2, 'Whether it is up.'],
      ['requests_total', 1, 'What was asked.'],
      ['latency', 3, 'How long.', 's'],
    ),
    families(['requests_total', 1, 'What was asked for.']),
  ];
  for (const body of sent) expect((await write(api.url, body)).status).toBe(204);
});
afterAll(() => api[Symbol.asyncDispose]());

async function metadata(query = '', headers: Record<string, string> = {}): Promise<[status: number, body: unknown]> {
  const response = await fetch(`${api.url}/api/v1/metadata${query}`, { headers });
  return [response.status, await response.json()];
}

const UP = [{ type: 'gauge', help: 'Whether it is up.', unit: '' }];
const NEW_REQUESTS = { type: 'counter', help: 'What was asked for.', unit: '' };
const OLD_REQUESTS = { type: 'counter', help: 'What was asked.', unit: '' };
const LATENCY = [{ type: 'histogram', help: 'How long.', unit: 's' }];

test.each([
  ['', { latency: LATENCY, requests_total: [NEW_REQUESTS, OLD_REQUESTS], up: UP }],
  ['?metric=up', { up: UP }],
  ['?metric=unheard', {}],
  ['?limit=1', { latency: LATENCY }],
  ['?limit=0', {}],
  ['?limit=-1&limit_per_metric=1', { latency: LATENCY, requests_total: [NEW_REQUESTS], up: UP }],
  ['?limit_per_metric=0&metric=requests_total', { requests_total: [NEW_REQUESTS, OLD_REQUESTS] }],
])('GET /api/v1/metadata%s', async (query, data) => {
  expect(await metadata(query)).toEqual([200, { status: 'success', data }]);
});

test.each(['limit', 'limit_per_metric'])('%s has to be a number', async (name) => {
  const error = { status: 'error', errorType: 'bad_data', error: `${name} must be a number` };
  expect(await metadata(`?${name}=many`)).toEqual([400, error]);
});

test('a tenant sees its own, by 2.0 as by 1.0, also under the paths of others', async () => {
  const headers = { ...HEADERS_V2, 'x-scope-orgid': 'second' };
  const nowMs = Date.now();
  const series = ['latency_bucket', 'latency_sum', 'jobs_total'].map((name) => ({
    labels: [['__name__', name]] as const,
    samples: [[nowMs, 1]] as const,
    metadata: name === 'jobs_total' ? { type: 1, help: 'Jobs.' } : { type: 3, help: 'How long.', unit: 's' },
  }));
  for (let i = 0; i < 2; i++) expect((await write(api.url, writeRequestV2(series), { headers })).status).toBe(204);
  const data = { jobs_total: [{ type: 'counter', help: 'Jobs.', unit: '' }], latency: LATENCY };
  expect(await metadata('', { 'x-scope-orgid': 'second' })).toEqual([200, { status: 'success', data }]);
  const elsewhere = await fetch(`${api.url}/select/second/prometheus/api/v1/metadata`);
  expect(await elsewhere.json()).toEqual({ status: 'success', data });
  expect(await metadata('', { 'x-scope-orgid': 'third' })).toEqual([200, { status: 'success', data: {} }]);
});
