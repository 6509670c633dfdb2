import { compressSync } from 'snappy';
import { afterEach, expect, test } from 'vitest';
import type { ReadAnswer } from '../../../src/read/pending-read.ts';
import { CREDIT_BYTES, type ReadJob } from '../../../src/read/read-job.ts';
import { ReaderPool, type ReaderPoolComponents, type ReaderPoolSettings } from '../../../src/read/reader-pool.ts';
import { inlineExecutor, nodeFileSystem, systemClock, systemRandom, workerExecutor } from '../../../storage/index.ts';
import { MemoryDatabase } from '../../support/memory-reader.ts';
import { bitsOf, EVER, type MemorySeries } from '../../support/memory-source.ts';
import { ReadRequest } from '../../support/protocol.ts';
import { decodeSamples, decodeStreamed } from '../../support/read-answers.ts';
import { until } from '../../support/until.ts';

const activity = new URL('../../support/memory-reader.ts', import.meta.url);
const onThisThread = inlineExecutor({ fileSystem: nodeFileSystem, clock: systemClock, random: systemRandom });
const STALE = 0x7ff0000000000002n;

const small: MemorySeries = {
  labels: ['__name__', 'up'],
  chunks: [
    [
      [1000, STALE],
      [2000, bitsOf(1)],
    ],
  ],
};
/** An answer of 8 MB: more than a reader sends ahead. */
const large: MemorySeries[] = Array.from({ length: 80 }, (_, i) => ({
  labels: ['__name__', 'wide', 'i', String(i).padStart(3, '0'), 'text', 'x'.repeat(100_000)],
  chunks: [[[1000, bitsOf(i)]]],
}));
const tenants = { a: [{ series: [small] }], b: [{ series: [] }], wide: [{ series: large }] };

/** Timers that run when the test says so. */
class HeldClock {
  readonly timers: Set<() => void> = new Set();

  after(_delayMs: number, callback: () => void): () => void {
    this.timers.add(callback);
    return () => void this.timers.delete(callback);
  }

  fire(): void {
    for (const callback of [...this.timers]) {
      this.timers.delete(callback);
      callback();
    }
  }
}

const pools: ReaderPool[] = [];
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close();
});

function open(settings: Partial<ReaderPoolSettings> = {}, components: Partial<ReaderPoolComponents> = {}) {
  const database = new MemoryDatabase(tenants);
  const executor = onThisThread;
  const pool = new ReaderPool(database, { threads: 1, ...settings }, { executor, activity, ...components });
  pools.push(pool);
  return { database, pool };
}

function readRequest(type: number): ReadJob {
  const matchers = [{ type: 2, name: '__name__', value: '.+' }];
  const query = { startTimestampMs: 0, endTimestampMs: 5000, matchers };
  const request = { queries: [query, { ...query, startTimestampMs: 2000 }], acceptedResponseTypes: [type] };
  return { kind: 'remote-read', body: compressSync(ReadRequest.encode(request).finish()) };
}

const names: ReadJob = { kind: 'labels', selectors: [], range: EVER, limit: 0 };
const wideSeries: ReadJob = { kind: 'series', selectors: ['wide'], range: EVER, limit: 0 };

async function bytesOf({ body }: ReadAnswer): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return Buffer.concat(pieces);
}

test.each([
  ['on the caller’s thread', onThisThread, 1],
  ['on threads of their own', workerExecutor, 2],
])('reads of all kinds are answered %s, and no snapshot is kept', async (_, executor, threads) => {
  const { database, pool } = open({ threads }, { executor });
  const labels = ['__name__', 'up'];
  const expected = [
    [
      {
        labels,
        samples: [
          [1000, STALE],
          [2000, bitsOf(1)],
        ],
      },
    ],
    [{ labels, samples: [[2000, bitsOf(1)]] }],
  ];
  const [samples, streamed, listed, values, series] = await Promise.all([
    pool.run('a', readRequest(0)),
    pool.run('a', readRequest(1)),
    pool.run('a', names),
    pool.run('a', { ...names, kind: 'values', name: '__name__' }),
    pool.run('a', { ...names, kind: 'series', selectors: ['up'] }),
  ]);
  expect([samples.contentType, samples.contentEncoding]).toEqual(['application/x-protobuf', 'snappy']);
  expect(decodeSamples(await bytesOf(samples))).toEqual(expected);
  expect(decodeStreamed(await bytesOf(streamed), 2)).toEqual(expected);
  expect(String(await bytesOf(listed))).toBe('{"status":"success","data":["__name__"]}');
  expect(String(await bytesOf(values))).toBe('{"status":"success","data":["up"]}');
  expect(String(await bytesOf(series))).toBe('{"status":"success","data":[{"__name__":"up"}]}');
  expect(String(await bytesOf(await pool.run('b', names)))).toBe('{"status":"success","data":[]}');
  expect(database.held.size).toBe(0);
  expect(pool.stats()).toEqual({ threads, running: 0, queued: 0, restarts: 0 });
});

test('each query of a request gets a snapshot of its own range', async () => {
  const { database, pool } = open();
  const ranges: unknown[] = [];
  const take = database.snapshot.bind(database);
  database.snapshot = (tenant, range) => {
    ranges.push(range);
    return take(tenant, range);
  };
  await bytesOf(await pool.run('a', readRequest(1)));
  expect(ranges).toEqual([
    { minTimeMs: 0, maxTimeMs: 5001 },
    { minTimeMs: 2000, maxTimeMs: 5001 },
  ]);
});

test('a request that is refused rejects with the kind and the message of the refusal', async () => {
  const { database, pool } = open();
  const refused = pool.run('a', { ...names, selectors: ['{}'] });
  await expect(refused).rejects.toMatchObject({
    name: 'StorageError',
    kind: 'invalid',
    message: expect.stringContaining('match[]'),
  });
  await expect(pool.run('unreadable', names)).rejects.toMatchObject({
    kind: 'unavailable',
    message: 'no snapshot of this tenant',
  });
  await until('the read to end', () => pool.stats().running === 0);
  expect(database.held.size).toBe(0);
});

test('a reader waits for a slow client, and meanwhile answers others', async () => {
  const { database, pool } = open();
  const slow = await pool.run('wide', wideSeries);
  expect(String(await bytesOf(await pool.run('a', names)))).toContain('__name__');
  expect([pool.stats().running, database.held.size]).toEqual([1, 1]);
  const bytes = await bytesOf(slow);
  expect(bytes.length).toBeGreaterThan(CREDIT_BYTES + 3_000_000);
  expect(JSON.parse(String(bytes)).data.length).toBe(80);
  expect([pool.stats().running, database.held.size]).toEqual([0, 0]);
});

test('leaving the body early ends the read and gives its snapshot back', async () => {
  const { database, pool } = open();
  const { body } = await pool.run('wide', wideSeries);
  for await (const piece of body) {
    expect(piece.length).toBeGreaterThan(0);
    break;
  }
  await until('the read to end', () => pool.stats().running === 0);
  expect(database.held.size).toBe(0);
});

test('an aborted read ends wherever it is', async () => {
  const { database, pool } = open({ concurrency: 1 });
  const before = AbortSignal.abort();
  await expect(pool.run('a', names, { signal: before })).rejects.toMatchObject({ kind: 'closed' });
  const running = new AbortController();
  const answer = await pool.run('wide', wideSeries, { signal: running.signal });
  const queued = new AbortController();
  const waiting = pool.run('a', names, { signal: queued.signal });
  queued.abort();
  await expect(waiting).rejects.toMatchObject({ kind: 'closed' });
  expect(pool.stats().queued).toBe(0);
  running.abort();
  await expect(bytesOf(answer)).rejects.toMatchObject({ kind: 'closed', message: 'the read was cancelled' });
  const atOnce = new AbortController();
  const starting = pool.run('a', names, { signal: atOnce.signal });
  atOnce.abort();
  await expect(starting).rejects.toMatchObject({ kind: 'closed' });
  await until('the read to end', () => pool.stats().running === 0);
  expect(database.held.size).toBe(0);
});

test('more reads than may run wait for their turn, and more than may wait are refused', async () => {
  const { pool } = open({ concurrency: 1, queueLength: 1 });
  const first = await pool.run('wide', wideSeries);
  const second = pool.run('a', names);
  await expect(pool.run('a', names)).rejects.toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining('too many at once'),
  });
  expect(pool.stats()).toMatchObject({ running: 1, queued: 1 });
  await bytesOf(first);
  expect(String(await bytesOf(await second))).toContain('__name__');
});

test('a read that waits too long for its turn is refused', async () => {
  const clock = new HeldClock();
  const { pool } = open({ concurrency: 1, queueMs: 7000 }, { clock });
  const first = await pool.run('wide', wideSeries);
  const taken = first.body[Symbol.asyncIterator]();
  await taken.next();
  const second = pool.run('a', names);
  const [queueTimer] = [...clock.timers].slice(-1);
  queueTimer?.();
  await expect(second).rejects.toMatchObject({ kind: 'unavailable', message: 'no reader was free for 7 s' });
  expect(pool.stats()).toMatchObject({ running: 1, queued: 0 });
});

test.each([0, 1])('a client that stops taking after %d pieces is given up', async (pieces) => {
  const clock = new HeldClock();
  const { database, pool } = open({ stallMs: 60_000 }, { clock });
  let stalls = 0;
  const { body } = await pool.run('wide', wideSeries, { onStall: () => stalls++ });
  const iterator = body[Symbol.asyncIterator]();
  for (let i = 0; i < pieces; i++) expect((await iterator.next()).done).toBe(false);
  clock.fire();
  expect(stalls).toBe(1);
  await expect(iterator.next()).rejects.toMatchObject({
    kind: 'unavailable',
    message: 'the client took nothing of its answer for 60 s',
  });
  await until('the read to end', () => pool.stats().running === 0);
  expect([database.held.size, clock.timers.size]).toEqual([0, 0]);
});

test('an answer that was made but not taken does not look complete after a stall', async () => {
  const clock = new HeldClock();
  const { pool } = open({}, { clock });
  const { body } = await pool.run('a', names);
  await until('the read to end', () => pool.stats().running === 0);
  clock.fire();
  await expect(body[Symbol.asyncIterator]().next()).rejects.toMatchObject({ kind: 'unavailable' });
});

test('a thread that dies fails its reads only, gives their snapshots back and is replaced', async () => {
  const { database, pool } = open({}, { executor: workerExecutor });
  const half = await pool.run('wide', wideSeries);
  await expect(pool.run('deadly', names)).rejects.toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining('thread ended'),
  });
  await expect(bytesOf(half)).rejects.toMatchObject({ kind: 'unavailable' });
  expect([database.held.size, pool.stats().restarts, pool.stats().threads]).toEqual([0, 1, 1]);
  expect(database.readers).toBe(1);
  expect(String(await bytesOf(await pool.run('a', names)))).toContain('__name__');
});

test('a thread that cannot start fails the reads given to it, and the next read tries again', async () => {
  const missing = new URL('missing.ts', activity);
  const { database, pool } = open({}, { executor: workerExecutor, activity: missing });
  await expect(pool.run('a', names)).rejects.toMatchObject({ kind: 'unavailable' });
  expect(pool.stats()).toMatchObject({ threads: 0, running: 0 });
  expect(database.readers).toBe(0);
  await expect(pool.run('a', names)).rejects.toMatchObject({ kind: 'unavailable' });
});

test('closing fails what runs and what waits, and gives every snapshot back', async () => {
  const { database, pool } = open({ concurrency: 1 });
  const running = await pool.run('wide', wideSeries);
  const waiting = pool.run('a', names);
  const refusals = Promise.all([
    expect(bytesOf(running)).rejects.toMatchObject({ kind: 'closed' }),
    expect(waiting).rejects.toMatchObject({ kind: 'closed' }),
  ]);
  await pool.close();
  await refusals;
  expect([database.held.size, database.readers]).toEqual([0, 0]);
  await expect(pool.run('a', names)).rejects.toMatchObject({ kind: 'closed' });
});
