import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { type SenderFacts, type SenderReportWithLag, Senders } from '../../../src/api/senders.ts';
import { writeRequest } from '../../support/remote-write.ts';
import { HEADERS_V2, writeRequestV2 } from '../../support/remote-write-v2.ts';
import { serve, serveDatabase, write } from './serve.ts';

const UP = [['__name__', 'up']] as const;
const T: SenderFacts = { tenant: 't', protocol: 'remote-write-1.0' };
const U: SenderFacts = { tenant: 'u', protocol: 'remote-write-1.0' };

async function reports(url: string): Promise<SenderReportWithLag[]> {
  const response = await fetch(`${url}/api/v1/status/senders`);
  const { status, data } = (await response.json()) as { status: string; data: SenderReportWithLag[] };
  expect([response.status, status]).toEqual([200, 'success']);
  return data;
}

test('nobody has written yet', async () => {
  await using api = await serve();
  expect(await reports(api.url)).toEqual([]);
});

test('each sender has a row: what it sent, what became of it, and why something was refused last', async () => {
  await using api = await serveDatabase();
  const nowMs = Date.now();
  const good = writeRequest([{ labels: UP, samples: [[nowMs, 1]] }]);
  const conflict = writeRequest([{ labels: UP, samples: [[nowMs, 2]] }]);
  const mixed = writeRequest([
    { labels: [['job', 'nameless']], samples: [[nowMs, 1]] },
    { labels: UP, samples: [[nowMs - 1, 1]] },
  ]);
  const one = { headers: { 'user-agent': 'Prometheus/3.7.3' } };
  const other = { headers: { 'user-agent': 'Alloy/1', 'x-scope-orgid': 'team' } };
  for (const body of [good, good, conflict, mixed]) await write(api.url, body, one);
  expect((await write(api.url, Buffer.from('broken'), one)).status).toBe(400);
  await write(api.url, good, other);

  const [latest, first, ...rest] = await reports(api.url);
  expect(rest).toEqual([]);
  expect(latest).toMatchObject({ userAgent: 'Alloy/1', tenant: 'team', requests: 1, stored: 1, lastRejection: '' });
  expect(latest).not.toHaveProperty('lastRejectionTime');
  expect(first).toMatchObject({
    address: '127.0.0.1',
    userAgent: 'Prometheus/3.7.3',
    protocol: 'remote-write-1.0',
    tenant: 'default-tenant',
    requests: 5,
    failedRequests: 1,
    received: 5,
    stored: 2,
    duplicates: 1,
    conflicts: 1,
    rejected: { 'missing-name': 1 },
  });
  expect(first?.lastRejection).toMatch(/snappy/);
  expect(Date.parse(first?.lastRejectionTime ?? '')).toBeGreaterThanOrEqual(nowMs - 1);
  expect(Date.parse(first?.firstSeen ?? '')).toBeLessThanOrEqual(Date.parse(first?.lastSeen ?? ''));
  expect(first?.samplesPerSecond).toBeGreaterThan(0);
});

test('what all series of a sender have stands in its row, and its queues with the lag that its own metrics tell', async () => {
  await using api = await serveDatabase();
  const nowMs = Date.now();
  const external = [
    ['cluster', 'eu'],
    ['instance', 'prom:9090'],
  ] as const;
  const own = (name: string, value: number, ...more: (readonly [string, string])[]) => ({
    labels: [['__name__', name], ...external, ...more] as const,
    samples: [[nowMs - 1000, value]] as const,
  });
  const queue = [
    ['remote_name', 'varve'],
    ['url', 'http://varve/api/v1/write'],
  ] as const;
  const body = writeRequest([
    own('up', 1),
    own('prometheus_remote_storage_highest_timestamp_in_seconds', 1_700_000_100),
    own('prometheus_remote_storage_queue_highest_sent_timestamp_seconds', 1_700_000_070.5, ...queue),
  ]);
  expect((await write(api.url, body, { headers: { 'user-agent': 'Prometheus/3.7.3' } })).status).toBe(204);
  const other = writeRequest([{ labels: [...UP, ['cluster', 'us']], samples: [[nowMs, 1]] }]);
  expect((await write(api.url, other, { headers: { 'user-agent': 'vmagent' } })).status).toBe(204);
  expect(await reports(api.url)).toMatchObject([
    { userAgent: 'vmagent', externalLabels: { cluster: 'us' }, queues: [] },
    {
      userAgent: 'Prometheus/3.7.3',
      externalLabels: Object.fromEntries(external),
      queues: [{ labels: Object.fromEntries([...external, ...queue]), lagSeconds: 29.5 }],
    },
  ]);
});

test('what is refused by its headers is in the row of its sender, too', async () => {
  await using api = await serveDatabase();
  const headers = { 'content-type': 'application/x-protobuf;proto=unheard.of' };
  expect((await write(api.url, Buffer.from('x'), { headers })).status).toBe(415);
  expect(await reports(api.url)).toMatchObject([
    { requests: 1, failedRequests: 1, received: 0, lastRejection: expect.stringContaining('unheard.of') },
  ]);
});

test('a sender of remote write 2.0 has a row of its own, with what is wrong in its requests and its external labels', async () => {
  await using api = await serveDatabase();
  const samples = [[Date.now(), 1]] as const;
  const labels = [...UP, ['cluster', 'eu']] as const;
  const body = writeRequestV2([{ labels, samples }, { labels: [...labels, ['job', 'a']], samples }, { labels }]);
  const headers = { ...HEADERS_V2, 'user-agent': 'Prometheus/3.7.3' };
  expect((await write(api.url, body, { headers })).status).toBe(400);
  expect((await write(api.url, Buffer.from('x'), { headers })).status).toBe(400);
  expect(await reports(api.url)).toMatchObject([
    {
      protocol: 'remote-write-2.0',
      requests: 2,
      failedRequests: 1,
      received: 2,
      stored: 2,
      rejected: {},
      externalLabels: { cluster: 'eu' },
      lastRejection: expect.stringContaining('snappy'),
    },
  ]);
});

test('a row says how far the newest sample that was stored is ahead of the clock', () => {
  const nowMs = 1_000_000;
  const senders = new Senders({ nowMs: () => nowMs });
  const skew = (): number | undefined => senders.report()[0]?.clockSkewSeconds;
  const sender = senders.of(requestOf('a'), T);
  sender.count(OUTCOME);
  expect(skew()).toBeUndefined();
  sender.count({ ...OUTCOME, newestMs: nowMs - 2500 });
  expect(skew()).toBe(-2.5);
  sender.count({ ...OUTCOME, newestMs: nowMs + 300_000 });
  sender.count({ ...OUTCOME, stored: 0 });
  expect(skew()).toBe(300);
});

/** A request on a connection of its own, as far as it matters here. */
function requestOf(userAgent: string, socket: object = { remoteAddress: '10.0.0.1' }): IncomingMessage {
  return { socket, headers: { 'user-agent': userAgent } } as unknown as IncomingMessage;
}

const OUTCOME = {
  received: 500,
  stored: 500,
  written: { samples: 0, histograms: 0, exemplars: 0 },
  newestMs: undefined,
  duplicates: 0,
  conflicts: 0,
  rejected: 0,
  dropped: { relabel: 0, ha: 0, shadow: 0 },
  newSeries: 0,
  message: '',
  rejectedBy: new Map<string, number>(),
};

test('the rate is right for a young sender and an old one, and fades when it falls silent', () => {
  let nowMs = 1_000_000;
  const senders = new Senders({ nowMs: () => nowMs });
  const rate = (): number => senders.report()[0]?.samplesPerSecond ?? Number.NaN;
  const send = (seconds: number): void => {
    for (let i = 0; i < seconds; i++) {
      nowMs += 1000;
      senders.of(requestOf('a'), T).count(OUTCOME);
    }
  };
  senders.of(requestOf('a'), T).count({ ...OUTCOME, received: 0, stored: 0 });
  send(5);
  expect(rate()).toBeGreaterThan(480);
  expect(rate()).toBeLessThan(520);
  send(600);
  expect(rate()).toBeGreaterThan(490);
  expect(rate()).toBeLessThan(510);
  nowMs += 60_000;
  expect(rate()).toBeLessThan(200);
  nowMs += 3_600_000;
  expect(rate()).toBe(0);
});

test('a thousand rows are kept, and those who wrote last stay', () => {
  let nowMs = 0;
  const senders = new Senders({ nowMs: () => nowMs++ });
  for (let i = 0; i < 3000; i++) {
    senders.of(requestOf(`sender ${i}`), T).count(OUTCOME);
    senders.of(requestOf('steady'), T).count(OUTCOME);
  }
  const rows = senders.report();
  expect(rows.length).toBe(1000);
  expect(rows[0]).toMatchObject({ userAgent: 'steady', requests: 3000 });
  expect(rows[1]?.userAgent).toBe('sender 2999');
});

test('a connection that another sender uses next counts for that one, and a row that made room is made again', () => {
  const senders = new Senders({ nowMs: () => 0 });
  const socket = { remoteAddress: '10.0.0.2' };
  senders.of(requestOf('a', socket), T).count(OUTCOME);
  senders.of(requestOf('b', socket), T).count(OUTCOME);
  senders.of(requestOf('b', socket), U).count(OUTCOME);
  expect(senders.report().map(({ userAgent, tenant }) => `${userAgent} ${tenant}`)).toEqual(['b u', 'b t', 'a t']);
  for (let i = 0; i < 1000; i++) senders.of(requestOf(`sender ${i}`), T);
  senders.of(requestOf('b', socket), U).count(OUTCOME);
  expect(senders.report()[0]).toMatchObject({ address: '10.0.0.2', userAgent: 'b', tenant: 'u', requests: 1 });
});

test('what a sender says of itself is cut', () => {
  const senders = new Senders({ nowMs: () => 0 });
  const sender = senders.of(requestOf('x'.repeat(10_000)), T);
  sender.countFailed(new Error('y'.repeat(10_000)));
  const [row] = senders.report();
  expect(row?.userAgent.length).toBe(200);
  expect(row?.lastRejection.length).toBe(1000);
});
