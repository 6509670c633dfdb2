import { connect } from 'node:net';
import { compressSync } from 'snappy';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ReadRequest } from '../../support/protocol.ts';
import { EVERYTHING, readSamples, readStreamed } from '../../support/remote-read.ts';
import { writeRequest } from '../../support/remote-write.ts';
import { bitsOf, differences, SampleList, type SeriesMap, STALE } from '../../support/series.ts';
import { until } from '../../support/until.ts';
import { type RunningServer, serveDatabase, write } from './serve.ts';

const nowMs = Date.now();
const everything = { startMs: 0, endMs: nowMs, matchers: EVERYTHING };
const SERIES = 500;
const SAMPLES = 2000;

let api: Awaited<ReturnType<typeof serveDatabase>>;
/** Of the series whose i has three digits and begins with 1. */
const some = { ...everything, matchers: [['i', '=~', '1..']] } as const;
const expected: SeriesMap = new Map();

beforeAll(async () => {
  api = await serveDatabase();
  // Noise does not compress: the answer is larger than what lies in buffers on its way.
  let noise = 1;
  const series = Array.from({ length: SERIES }, (_, i) => {
    const samples: [number, number | bigint][] = [];
    const list = new SampleList();
    for (let row = 0; row < SAMPLES; row++) {
      noise = (noise * 48271) % 2147483647;
      const value = row === 7 ? STALE : Math.sin(noise);
      samples.push([nowMs - (SAMPLES - row) * 1000, value]);
      list.push(nowMs - (SAMPLES - row) * 1000, bitsOf(value));
    }
    if (/^1..$/.test(String(i))) expected.set(`{__name__="noise", i="${i}"}`, list);
    return {
      labels: [
        ['__name__', 'noise'],
        ['i', String(i)],
      ] as const,
      samples,
    };
  });
  for (let i = 0; i < SERIES; i += 50) {
    const answer = await write(api.url, writeRequest(series.slice(i, i + 50)));
    expect([answer.status, answer.text]).toEqual([204, '']);
  }
}, 60_000);
afterAll(() => api[Symbol.asyncDispose]());

describe('remote read', () => {
  test('answers samples, and chunks in a stream, with the same bits that were written', async () => {
    expect(differences(await readSamples(api.url, some), expected)).toEqual([]);
    expect(differences(await readStreamed(api.url, some), expected)).toEqual([]);
  });

  test.each(['/prometheus', '/select/0/prometheus', '/select/0:0/prometheus'])('is served below %s', async (prefix) => {
    expect((await readSamples(api.url + prefix, { ...everything, matchers: [['i', '=', '7']] })).size).toBe(1);
  });

  test('is served at the bare account path, and not by GET', async () => {
    const path = `${api.url}/select/0/prometheus/`;
    const answer = await fetch(path, { method: 'POST', body: request([]) });
    expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining('quer')]);
    const get = await fetch(path);
    expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST']);
  });

  test('shows a tenant nothing of another', async () => {
    expect((await readSamples(api.url, everything, 'team-b')).size).toBe(0);
  });
});

function request(queries: object[]): Buffer<ArrayBuffer> {
  return compressSync(ReadRequest.encode({ queries }).finish()) as Buffer<ArrayBuffer>;
}

describe('a remote read that is refused', () => {
  const badRegex = { startTimestampMs: 0, endTimestampMs: nowMs, matchers: [{ type: 2, name: 'a', value: '(' }] };
  const rows: [
    what: string,
    body: Buffer<ArrayBuffer>,
    headers: Record<string, string>,
    status: number,
    text: RegExp,
  ][] = [
    [
      'an empty body',
      Buffer.alloc(0) as Buffer<ArrayBuffer>,
      {},
      400,
      /^empty body: a snappy-compressed ReadRequest is required\n$/,
    ],
    [
      '4 GiB declared',
      Buffer.from('ffffffff0f31', 'hex') as Buffer<ArrayBuffer>,
      {},
      400,
      /^snappy: declared length 4294967295 exceeds limit \d+\n$/,
    ],
    ['random bytes', Buffer.from('0c9f3c51b2e8d70a4466ff', 'hex') as Buffer<ArrayBuffer>, {}, 400, /^snappy: /],
    [
      'no protobuf',
      compressSync(Buffer.from([0x0f, 1])) as Buffer<ArrayBuffer>,
      {},
      400,
      /^the body is not a ReadRequest: /,
    ],
    ['a bad expression', request([badRegex]), {}, 400, /regular expression|regexp|missing/],
    ['gzip', request([badRegex]), { 'content-encoding': 'gzip' }, 415, /only snappy/],
    ['two tenants', request([badRegex]), { 'x-scope-orgid': 'a', 'thanos-tenant': 'b' }, 400, /two tenants/],
    ['2 MiB', Buffer.alloc(2 * 2 ** 20) as Buffer<ArrayBuffer>, {}, 413, /^request body exceeds 1048576 bytes\n$/],
  ];
  test.each(rows)('for %s says so in plain text', async (_what, body, headers, status, text) => {
    const response = await fetch(`${api.url}/api/v1/read`, { method: 'POST', headers, body });
    expect([response.status, response.headers.get('content-type')]).toEqual([status, 'text/plain; charset=utf-8']);
    expect(await response.text()).toMatch(text);
  });
});

test('a client that leaves within its answer is counted, and the server goes on', async () => {
  const before = await gone(api);
  const body = compressSync(
    ReadRequest.encode({
      queries: [{ startTimestampMs: 0, endTimestampMs: nowMs, matchers: [{ type: 2, name: '__name__', value: '.+' }] }],
      acceptedResponseTypes: [1],
    }).finish(),
  );
  const socket = connect(api.port, '127.0.0.1');
  socket.write(`POST /api/v1/read HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`);
  socket.write(body);
  await new Promise((resolve) => socket.once('data', resolve));
  socket.pause();
  socket.resetAndDestroy();
  await until('the count', async () => (await gone(api)) === before + 1);
  expect(differences(await readStreamed(api.url, some), expected)).toEqual([]);
});

async function gone({ url }: RunningServer): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^varve_http_requests_total\{handler="\/api\/v1\/read",code="499"\} (\d+)$/m.exec(text)?.[1] ?? 0);
}
