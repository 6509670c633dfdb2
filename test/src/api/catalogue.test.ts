/**
 * The catalogue of bad input: what a server has to withstand, row by row. After each row the server is ready, what was
 * stored before is what it was bit by bit, nothing else is stored than the row says, and every sample is counted once.
 */
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseLimitsConfig } from '../../../src/config/limits-config.ts';
import { ReaderPool } from '../../../src/read/reader-pool.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { EVERYTHING, readSamples } from '../../support/remote-read.ts';
import { differences, STALE, sampleCount } from '../../support/series.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';
import { ACCESS, WEB_CONFIG } from './catalogue/access.ts';
import { BODIES } from './catalogue/bodies.ts';
import { HISTOGRAMS } from './catalogue/histograms.ts';
import { REMOTE_WRITE_V2 } from './catalogue/remote-write-v2.ts';
import {
  type Answer,
  answerOf,
  bytes,
  type Counts,
  goodRequest,
  nowMs,
  REPLICA,
  type Row,
  request,
  type ServerName,
  seriesMap,
  snappy,
  type Target,
  WRITE_HEAD,
} from './catalogue/row.ts';
import { SAMPLES } from './catalogue/samples.ts';
import { LIMITS, TENANTS } from './catalogue/tenants.ts';
import { exchange, type ServeOptions, serve, serveDatabase, statusOf, write } from './serve.ts';

const ROWS: readonly Row[] = [...BODIES, ...REMOTE_WRITE_V2, ...HISTOGRAMS, ...SAMPLES, ...TENANTS, ...ACCESS];

/** Rows that need more than one answer stand below, or where what they need is. */
const ELSEWHERE: Readonly<Record<number, string>> = {
  21: 'below',
  42: 'compaction and downsampling',
  47: 'below',
  49: 'test/src/api/auth.test.ts',
  57: 'below',
};

test('every row from B1 to B57 is here, or is known to be elsewhere', () => {
  const known = new Set([...ROWS.map(({ b }) => b), ...Object.keys(ELSEWHERE).map(Number)]);
  expect(Array.from({ length: 57 }, (_, i) => i + 1).filter((b) => !known.has(b))).toEqual([]);
});

interface Place extends AsyncDisposable {
  readonly api: Target['api'];
  readonly metrics: Metrics;
  /** Where what it stored is read, without a password. */
  readonly reading: string;
}

async function open(options: ServeOptions): Promise<Place> {
  const metrics = new Metrics();
  const settings = { externalLabels: [...REPLICA], ...options.settings };
  const api = await serveDatabase({ ...options, settings, metrics });
  const readers = new ReaderPool(api.database, { threads: 1 });
  const reading = await serve({ settings, database: Promise.resolve(api.database), readers: () => readers });
  expect((await write(reading.url, witness, { headers: { 'x-scope-orgid': WITNESS } })).status).toBe(204);
  return {
    api,
    metrics,
    reading: reading.url,
    async [Symbol.asyncDispose]() {
      await reading[Symbol.asyncDispose]();
      await readers.close();
      await api[Symbol.asyncDispose]();
    },
  };
}

const WITNESS = 'witness';
const WITNESSED = [
  [nowMs - 2, 0x7ff8000000000001n],
  [nowMs - 1, STALE],
  [nowMs, -0],
] as const;
const witness = request([['__name__', 'witness']], ...WITNESSED);
const witnessed = seriesMap([[[['__name__', 'witness']], WITNESSED]]);

const files = new TemporaryDirectory('catalogue');
const places = new Map<ServerName, Place>();
beforeAll(async () => {
  const webConfigPath = join(files.path, 'web.yml');
  writeFileSync(webConfigPath, WEB_CONFIG);
  const limits = { current: parseLimitsConfig(LIMITS, 'limits.yml'), onChange: () => {} };
  places.set('open', await open({ limits }));
  places.set('named', await open({ settings: { requireTenant: true, lifecycleEnabled: true } }));
  places.set('locked', await open({ webConfigPath }));
  places.set('hasty', await open({ timeouts: { headersMs: 200, requestMs: 400, checkMs: 50 } }));
});
afterAll(async () => {
  for (const place of places.values()) await place[Symbol.asyncDispose]();
  files[Symbol.dispose]();
});

/** Samples by what became of them, of all tenants together; what is 0 is left out. */
async function counted(metrics: Metrics): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const lines = (await metrics.text()).matchAll(/^varve_samples_([a-z]+)_total\{(.*)\} (\d+)$/gm);
  for (const [, what = '', labels = '', value] of lines) {
    const reason = /reason="([^"]*)"/.exec(labels)?.[1];
    const key = reason === undefined ? what : `${what} ${reason}`;
    counts[key] = (counts[key] ?? 0) + Number(value);
  }
  return counts;
}

function gained(before: Record<string, number>, after: Record<string, number>): Record<string, number> {
  const pairs = Object.entries(after).map(([key, count]) => [key, count - (before[key] ?? 0)] as const);
  return Object.fromEntries(pairs.filter(([, count]) => count !== 0));
}

/** received = stored + duplicate + conflicting + rejected. */
function expected({ rejected = {}, ...counts }: Counts): Record<string, number> {
  const parts = {
    ...counts,
    ...Object.fromEntries(Object.entries(rejected).map(([key, n]) => [`rejected ${key}`, n])),
  };
  const received = Object.values(parts).reduce((sum, count) => sum + count, 0);
  return received === 0 ? {} : { ...parts, received };
}

const titled = ROWS.map((row, i) => [`B${row.b}: ${row.what}`, row, `row-${i}`] as const);

test.each(titled)('%s', async (_title, row, ownTenant) => {
  const { api, metrics, reading } = places.get(row.server ?? 'open') as Place;
  const tenant = row.tenant ?? ownTenant;
  const before = await counted(metrics);
  const answer: Answer = answerOf(await row.send({ api, tenant }));
  expect(answer).toMatchObject({ status: row.status, text: expect.stringMatching(row.text ?? /^$/) });
  if (row.header !== undefined) expect(answer.headers.get(row.header[0])).toMatch(row.header[1]);
  expect(writtenOf(answer)).toEqual(row.written);
  expect(gained(before, await counted(metrics))).toEqual(expected(row.counts ?? {}));
  await expectUnharmed(reading);
  expect(differences(await stored(reading, tenant), seriesMap(row.content ?? []))).toEqual([]);
});

/** What the headers of remote write 2.0 say; undefined if there are none. */
function writtenOf({ headers }: Answer): number[] | undefined {
  const told = ['samples', 'histograms', 'exemplars'].map((kind) =>
    headers.get(`x-prometheus-remote-write-${kind}-written`),
  );
  return told.every((count) => count === null) ? undefined : told.map((count) => Number(count ?? Number.NaN));
}

function stored(url: string, tenant: string): ReturnType<typeof readSamples> {
  return readSamples(url, { startMs: 0, endMs: nowMs + 86_400_000, matchers: EVERYTHING }, tenant);
}

/** The server is ready, and what it had is what it was. */
async function expectUnharmed(url: string): Promise<void> {
  expect((await fetch(`${url}/-/ready`)).status).toBe(200);
  expect(differences(await stored(url, WITNESS), witnessed)).toEqual([]);
}

test.each([0, 1, 10, goodRequest.length - 1])(
  'B21: a connection reset after %d bytes of a body: no answer, nothing is stored, and it is counted',
  async (sent) => {
    const { api, metrics, reading } = places.get('open') as Place;
    const gone = async (): Promise<number> => {
      const line = /^varve_http_requests_total\{handler="\/api\/v1\/write",code="499"\} (\d+)$/m;
      return Number(line.exec(await metrics.text())?.[1] ?? 0);
    };
    const before = await gone();
    const socket = connect(api.port, '127.0.0.1');
    socket.write(`${WRITE_HEAD}X-Scope-OrgID: reset\r\nContent-Length: ${goodRequest.length}\r\n\r\n`);
    socket.write(goodRequest.subarray(0, sent));
    // An answer to another request shows that the server has had time for the bytes of this one.
    await fetch(`${api.url}/-/healthy`);
    socket.resetAndDestroy();
    await until('the count', async () => (await gone()) === before + 1);
    await expectUnharmed(reading);
    expect((await stored(reading, 'reset')).size).toBe(0);
  },
);

describe('B47: more than there is room for', () => {
  /** A body of so many bytes that nothing makes smaller: one unknown field. */
  function bulky(size: number): Buffer {
    const content = Buffer.alloc(size);
    for (let i = 0, state = 1; i < size; i++) {
      state = (state * 48_271) % 2_147_483_647;
      content[i] = state;
    }
    const length: number[] = [];
    for (let rest = size; rest > 0; rest = Math.floor(rest / 128)) length.push((rest % 128) + (rest >= 128 ? 128 : 0));
    return snappy(bytes((15 << 3) | 2, length, content));
  }

  test('bodies beyond the bytes that may be in flight get 503, those before them are not affected', async () => {
    const { api, metrics, reading } = places.get('open') as Place;
    const inFlight = async (): Promise<number> =>
      Number(/^varve_http_request_in_flight_bytes (\d+)$/m.exec(await metrics.text())?.[1]);
    const large = bulky(31 * 1024 * 1024);
    const begin = (): Socket => {
      const socket = connect(api.port, '127.0.0.1');
      socket.write(`${WRITE_HEAD}Connection: close\r\nContent-Length: ${large.length}\r\n\r\n`);
      socket.write(large.subarray(0, -1));
      return socket;
    };
    const answerTo = async (socket: Socket): Promise<string> => {
      let text = '';
      for await (const part of socket) text += String(part);
      return text;
    };
    const waiting = [begin(), begin()];
    await until('two bodies in flight', async () => (await inFlight()) === 2 * (large.length - 1));
    const refused = await exchange(api.port, [
      `${WRITE_HEAD}Connection: close\r\nContent-Length: ${4 * 1024 * 1024}\r\n\r\n`,
    ]);
    expect(statusOf(refused)).toBe(503);
    expect(refused).toMatch(/^Retry-After: 1\r$/im);
    expect((await write(api.url, goodRequest, { headers: { 'x-scope-orgid': 'beside' } })).status).toBe(204);
    for (const socket of waiting) {
      socket.write(large.subarray(-1));
      expect(statusOf(await answerTo(socket))).toBe(204);
    }
    await expectUnharmed(reading);
  });

  test('a thousand writes at once are all stored, once each', async () => {
    const { api, reading } = places.get('open') as Place;
    const writes = Array.from({ length: 1000 }, (_, i) => {
      const body = request(
        [
          ['__name__', 'crowd'],
          ['i', `${i % 100}`],
        ],
        [nowMs - i, i],
      );
      return write(api.url, body, { headers: { 'x-scope-orgid': 'crowd' } });
    });
    expect(new Set((await Promise.all(writes)).map(({ status }) => status))).toEqual(new Set([204]));
    expect(sampleCount(await stored(reading, 'crowd'))).toBe(1000);
    await expectUnharmed(reading);
  });
});

test('B57: random tenants are refused beyond a limit, and take no place before they store something', async () => {
  await using api = await serveDatabase({ maxTenants: 3 });
  const send = (tenant: string, body = goodRequest): ReturnType<typeof write> =>
    write(api.url, body, { headers: { 'x-scope-orgid': tenant } });
  for (let i = 0; i < 100; i++)
    expect((await send(`random-${i}`, request([['job', 'x']], [nowMs, 1]))).status).toBe(400);
  for (const tenant of ['a', 'b', 'c']) expect((await send(tenant)).status).toBe(204);
  const refused = await send('d');
  expect(refused).toMatchObject({ status: 429, text: expect.stringMatching(/^too many tenants \(limit 3\)/) });
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await send('a')).status).toBe(204);
});
