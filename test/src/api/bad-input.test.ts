import { connect } from 'node:net';
import { compressSync } from 'snappy';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { EVERYTHING, readSamples } from '../../support/remote-read.ts';
import { writeRequest } from '../../support/remote-write.ts';
import { bitsOf, differences, SampleList, type SeriesMap } from '../../support/series.ts';
import { until } from '../../support/until.ts';
import { exchange, type RunningServer, serveDatabase, statusOf, write } from './serve.ts';

const MIB = 1024 * 1024;
const LIMIT = 32 * MIB;
const nowMs = Date.now();

let api: RunningServer;
beforeAll(async () => {
  api = await serveDatabase();
});
afterAll(() => api[Symbol.asyncDispose]());

const stored = (tenant?: string): Promise<SeriesMap> =>
  readSamples(api.url, { startMs: 0, endMs: nowMs + 86_400_000, matchers: EVERYTHING }, tenant);

const snappy = (bytes: Uint8Array): Buffer<ArrayBuffer> => compressSync(bytes as Buffer) as Buffer<ArrayBuffer>;
const bytes = (...parts: (number | number[] | string | Uint8Array)[]): Buffer<ArrayBuffer> =>
  Buffer.concat(
    parts.map((part) =>
      typeof part === 'string' ? Buffer.from(part) : Buffer.from(typeof part === 'number' ? [part] : part),
    ),
  ) as Buffer<ArrayBuffer>;

/** A series that would be stored if anything of its request were. */
const good = { labels: [['__name__', 'good']] as const, samples: [[nowMs, 1]] as const };
const goodRequest = writeRequest([good]);

describe('a body that is refused stores nothing', () => {
  afterEach(async () => {
    expect((await fetch(`${api.url}/-/ready`)).status).toBe(200);
    expect([...(await stored()).keys()]).toEqual([]);
  });

  const bodies: [what: string, body: Buffer<ArrayBuffer>, text: RegExp][] = [
    [
      '4 GiB declared, 7 bytes there',
      bytes([0xff, 0xff, 0xff, 0xff, 0x0f], '1234567'),
      /^snappy: declared length 4294967295 exceeds limit 33554432\n$/,
    ],
    [
      '33 MiB declared and there',
      snappy(Buffer.alloc(33 * MIB)),
      /^snappy: declared length 34603008 exceeds limit 33554432\n$/,
    ],
    ['10 bytes declared, 11 there', bytes(10, 10 << 2, 'x'.repeat(11)), /^snappy: corrupt input at byte \d+\n$/],
    ['10 bytes declared, 9 there', bytes(10, 8 << 2, 'x'.repeat(9)), /^snappy: corrupt input at byte \d+\n$/],
    ['a copy with offset 0', bytes(10, 0, 'x', [0b0101, 0], 0, 'y'), /^snappy: corrupt input at byte \d+\n$/],
    ['a copy from before the start', bytes(10, 0, 'x', [0b0101, 9], 0, 'y'), /^snappy: corrupt input at byte \d+\n$/],
    ['a copy past the end', bytes(10, 0, 'x', [0b11111101, 1]), /^snappy: corrupt input at byte \d+\n$/],
    ['an empty body', bytes(), /^empty body/],
    ['one byte', bytes(7), /^snappy: corrupt input at byte \d+\n$/],
    ['framed snappy', bytes([0xff, 6, 0, 0], 'sNaPpY', [1, 5, 0, 0], 'abcde'), /block format required/],
    ['random bytes', snappy(Buffer.from('9f3c51b2e8d70a4466ff', 'hex')), /^protobuf: .* at byte \d+\n$/],
    ['a field of wire type 7', snappy(bytes(0x0f, 1)), /^protobuf: .* at byte \d+\n$/],
    ['a varint of 11 bytes', snappy(bytes(0x0a, Array(10).fill(0x80), 1)), /^protobuf: .* at byte \d+\n$/],
    ['a length past the end', snappy(bytes(0x0a, 100, 'x')), /^protobuf: .* at byte \d+\n$/],
    [
      'a good series, then a length past the end',
      snappy(bytes(0x0a, 0, 0x0a, 100, 'x')),
      /^protobuf: .* at byte \d+\n$/,
    ],
    ['100 000 nested groups', snappy(Buffer.alloc(100_000, 0x7b)), /^protobuf: .* at byte \d+\n$/],
    ['15 million empty series', snappy(Buffer.alloc(30_000_000, bytes(0x0a, 0))), /too many series \(limit 100000\)/],
  ];
  test.each(bodies)('%s: 400', async (_what, body, text) => {
    const answer = await write(api.url, body);
    expect(answer).toMatchObject({ status: 400, text: expect.stringMatching(text) });
  });

  const headers: [name: string, value: string, text: RegExp][] = [
    ['content-encoding', 'gzip', /only snappy/],
    ['content-encoding', 'deflate', /only snappy/],
    ['content-encoding', 'snappy, gzip', /only snappy/],
    ['content-encoding', 'x-unknown', /only snappy/],
    ['content-type', 'text/plain', /prometheus\.WriteRequest/],
    ['content-type', 'application/x-protobuf; proto=foo', /prometheus\.WriteRequest/],
    [
      'content-type',
      'application/x-protobuf;proto=prometheus.WriteRequest;proto=prometheus.WriteRequest',
      /prometheus\.WriteRequest/,
    ],
    ['content-type', `application/x-protobuf; x=${'y'.repeat(8 * 1024)}`, /prometheus\.WriteRequest/],
    ['content-type', 'no type at all', /prometheus\.WriteRequest/],
    [
      'content-type',
      'application/x-protobuf;proto=io.prometheus.write.v2.Request',
      /2\.0 .*not accepted yet: send .*prometheus\.WriteRequest/,
    ],
  ];
  test.each(headers)('%s: %s is 415', async (name, value, text) => {
    const answer = await write(api.url, goodRequest, { headers: { [name]: value } });
    expect(answer).toMatchObject({ status: 415, text: expect.stringMatching(text) });
  });

  const head =
    'POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n';

  test('from a page of another site: 403', async () => {
    const lines = `Sec-Fetch-Site: cross-site\r\nConnection: close\r\nContent-Length: ${goodRequest.length}\r\n\r\n`;
    expect(statusOf(await exchange(api.port, [head + lines, goodRequest]))).toBe(403);
  });

  test('more than 32 MiB by its Content-Length: 413 before it is read', async () => {
    const answer = await exchange(api.port, [`${head}Content-Length: ${LIMIT + 1}\r\n\r\n`]);
    expect(statusOf(answer)).toBe(413);
    expect(answer).toContain('request body exceeds 33554432 bytes\n');
  });

  test('more than 32 MiB that is really sent: the answer still arrives', async () => {
    const answer = await exchange(api.port, [`${head}Content-Length: ${40 * MIB}\r\n\r\n`, ...mebibytes(40)]);
    expect(statusOf(answer)).toBe(413);
  });

  test('more than 32 MiB in chunks: 413 at the first byte too many', async () => {
    const answer = await exchange(api.port, [`${head}Transfer-Encoding: chunked\r\n\r\n`, ...chunks(40)]);
    expect(statusOf(answer)).toBe(413);
    expect(answer).toContain('request body exceeds 33554432 bytes\n');
  });

  test('1 TiB announced with Expect: 413, and no 100 before it', async () => {
    const answer = await exchange(api.port, [`${head}Expect: 100-continue\r\nContent-Length: ${2 ** 40}\r\n\r\n`]);
    expect(statusOf(answer)).toBe(413);
    expect(answer).not.toContain('100 Continue');
  });

  test.each([0, 1, 10, goodRequest.length - 1])(
    'a connection reset after %d bytes: no answer, and it is counted',
    async (sent) => {
      const before = await gone();
      const socket = connect(api.port, '127.0.0.1');
      socket.write(`${head}Content-Length: ${goodRequest.length}\r\n\r\n`);
      socket.write(goodRequest.subarray(0, sent));
      // An answer to another request shows that the server has had time for the bytes of this one.
      await fetch(`${api.url}/-/healthy`);
      socket.resetAndDestroy();
      await until('the count', async () => (await gone()) === before + 1);
    },
  );

  async function gone(): Promise<number> {
    const text = await (await fetch(`${api.url}/metrics`)).text();
    return Number(/^varve_http_requests_total\{handler="\/api\/v1\/write",code="499"\} (\d+)$/m.exec(text)?.[1] ?? 0);
  }

  function* mebibytes(count: number): Generator<Buffer> {
    for (let i = 0; i < count; i++) yield Buffer.alloc(MIB);
  }

  function* chunks(count: number): Generator<Buffer> {
    for (let i = 0; i < count; i++) yield bytes(`${MIB.toString(16)}\r\n`, Buffer.alloc(MIB), '\r\n');
  }
});

describe('a tenant that is refused', () => {
  const rows: [headers: Record<string, string>, path: string, text: RegExp][] = [
    [{ 'x-scope-orgid': '..' }, '/api/v1/write', /^invalid tenant ID "\.\." in X-Scope-OrgID/],
    [{ 'thanos-tenant': 'a/b' }, '/api/v1/write', /^invalid tenant ID "a\/b" in THANOS-TENANT/],
    [{ 'x-scope-orgid': '' }, '/api/v1/write', /^invalid tenant ID ""/],
    [{ 'x-scope-orgid': 'x'.repeat(151) }, '/api/v1/write', /\(151 characters\)/],
    [{ 'x-scope-orgid': 'ä' }, '/api/v1/write', /^invalid tenant ID/],
    [{ 'x-scope-orgid': 'a, a' }, '/api/v1/write', /^X-Scope-OrgID was sent more than once/],
    [{ 'x-scope-orgid': 'a', 'thanos-tenant': 'b' }, '/api/v1/write', /X-Scope-OrgID says "a", THANOS-TENANT says "b"/],
    [{ 'x-scope-orgid': 'a' }, '/insert/7/prometheus/', /X-Scope-OrgID says "a", the path says "7"/],
    [{}, '/insert/%2e%2e%2f/prometheus/api/v1/write', /^invalid tenant ID "\.\.\/" in the path/],
    [{}, '/insert/1:2:3/prometheus/', /^invalid account "1:2:3"/],
  ];
  test.each(rows)('%j on %s: 400, and nothing is stored', async (headers, path, text) => {
    const answer = await write(api.url, goodRequest, { headers, path });
    expect(answer).toMatchObject({ status: 400, text: expect.stringMatching(text) });
    for (const tenant of [undefined, 'a', 'b', '7']) expect([...(await stored(tenant)).keys()]).toEqual([]);
  });
});

describe('a body that is unusual and fine', () => {
  const unknownField = bytes((15 << 3) | 2, 3, 'abc');
  const metadata = bytes((3 << 3) | 2, 5, (2 << 3) | 2, 3, 'abc');
  const rows: [what: string, body: Buffer<ArrayBuffer>, headers: Record<string, string>][] = [
    ['an unknown, well-formed field', snappy(unknownField), {}],
    ['metadata only', snappy(metadata), {}],
    ['no series', snappy(bytes()), {}],
    ['version 9.9 in the header', snappy(bytes()), { 'x-prometheus-remote-write-version': '9.9' }],
    ['a proto parameter', snappy(bytes()), { 'content-type': 'application/x-protobuf;proto=prometheus.WriteRequest' }],
  ];
  test.each(rows)('%s: 204', async (_what, body, headers) => {
    const answer = await write(api.url, body, { headers });
    expect([answer.status, answer.text]).toEqual([204, '']);
    expect([...answer.headers.keys()].filter((name) => name.startsWith('x-prometheus'))).toEqual([]);
  });

  test('no Content-Type and no Content-Encoding: 204', async () => {
    const body = snappy(bytes());
    const head = `POST /api/v1/write HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`;
    expect(statusOf(await exchange(api.port, [head, body]))).toBe(204);
  });
});

describe('samples', () => {
  test('that are valid beside an invalid series are stored, and the answer counts both', async () => {
    const valid = {
      labels: [
        ['__name__', 'up'],
        ['job', 'a'],
      ] as const,
      samples: [
        [nowMs, 1],
        [nowMs + 1, 2],
      ] as const,
    };
    const nameless = { labels: [['job', 'b']] as const, samples: [[nowMs, 3]] as const };
    const other = { labels: [['__name__', 'down']] as const, samples: [[nowMs, 4]] as const };
    const body = writeRequest([valid, nameless, other]);
    const answer = await write(api.url, body, { headers: { 'x-scope-orgid': 'partial' } });
    expect(answer.status).toBe(400);
    expect(answer.text).toMatch(/^stored 3 of 4 samples; rejected 1: missing __name__/);
    const expected: SeriesMap = new Map([
      ['{__name__="up", job="a"}', samples([nowMs, 1], [nowMs + 1, 2])],
      ['{__name__="down"}', samples([nowMs, 4])],
    ]);
    expect(differences(await stored('partial'), expected)).toEqual([]);
  });

  test('arrive under their tenant through every write path', async () => {
    const paths: [path: string, headers: Record<string, string>, tenant: string][] = [
      ['/api/v1/write', { 'x-scope-orgid': 't1' }, 't1'],
      ['/api/v1/receive', { 'thanos-tenant': 't2' }, 't2'],
      ['/api/v1/push', { 'x-scope-orgid': 't3' }, 't3'],
      ['/api/prom/push', { 'x-scope-orgid': 't4' }, 't4'],
      ['/prometheus/api/v1/write/', { 'x-scope-orgid': 't5' }, 't5'],
      ['/insert/5/prometheus/api/v1/write', {}, '5'],
      ['/insert/5:6/prometheus/', {}, '5_6'],
      ['/insert/7/prometheus', { 'x-scope-orgid': '7' }, '7'],
      ['/insert/0/prometheus/api/v1/write', {}, 'default-tenant'],
    ];
    for (const [path, headers, tenant] of paths) {
      expect([path, (await write(api.url, goodRequest, { path, headers })).status]).toEqual([path, 204]);
      expect([path, ...(await stored(tenant)).keys()]).toEqual([path, '{__name__="good"}']);
    }
    const fromAccount = { startMs: 0, endMs: nowMs, matchers: EVERYTHING };
    expect((await readSamples(`${api.url}/select/5:6/prometheus`, fromAccount)).size).toBe(1);
    expect((await readSamples(`${api.url}/prometheus`, fromAccount)).size).toBe(1);
  });

  test('sent again are 204 and counted as duplicates: received = stored + duplicate + conflicting + rejected', async () => {
    const headers = { 'x-scope-orgid': 'again' };
    expect((await write(api.url, goodRequest, { headers })).status).toBe(204);
    expect((await write(api.url, goodRequest, { headers })).status).toBe(204);
    const conflicting = writeRequest([{ ...good, samples: [[nowMs, 2]] }]);
    expect((await write(api.url, conflicting, { headers })).status).toBe(204);
    const text = await (await fetch(`${api.url}/metrics`)).text();
    const count = (name: string): number =>
      Number(new RegExp(`^varve_samples_${name}_total\\{tenant="again"\\} (\\d+)$`, 'm').exec(text)?.[1]);
    expect([count('received'), count('stored'), count('duplicate'), count('conflicting')]).toEqual([3, 1, 1, 1]);
  });
});

function samples(...rows: [timestampMs: number, value: number][]): SampleList {
  const list = new SampleList();
  for (const [timestampMs, value] of rows) list.push(timestampMs, bitsOf(value));
  return list;
}
