/** Reads of blocks in a bucket: what is asked of it, and what an answer is when it fails. */
import { compressSync } from 'snappy';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ReadAnswer } from '../../../src/read/pending-read.ts';
import type { ReadJob } from '../../../src/read/read-job.ts';
import { ReaderPool } from '../../../src/read/reader-pool.ts';
import { inlineExecutor, StorageError, systemRandom } from '../../../storage/index.ts';
import type { PlainSeries } from '../../support/blocks.ts';
import { BlocksDatabase, ulidOf } from '../../support/blocks-database.ts';
import { EVER } from '../../support/memory-source.ts';
import { ReadRequest } from '../../support/protocol.ts';
import { type AnsweredSeries, decodeSamples, decodeStreamed } from '../../support/read-answers.ts';
import { SimFileSystem } from '../../support/sim-file-system.ts';
import { SimClock } from '../../support/sim-machine.ts';
import { until } from '../../support/until.ts';

const SAMPLES = 0;
const STREAMED = 1;

let directory = 0;
let database: BlocksDatabase;
let clock: SimClock;
const pools: ReaderPool[] = [];

beforeEach(() => {
  database = new BlocksDatabase(new SimFileSystem(), `/data-${++directory}`);
  clock = new SimClock(1_700_000_000_000);
});

afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close();
});

/** A reader thread that has just been started: nothing is in its memory. */
function start(): ReaderPool {
  const executor = inlineExecutor({ fileSystem: database.fileSystem, clock, random: systemRandom });
  const pool = new ReaderPool(database, { threads: 1 }, { executor, clock });
  pools.push(pool);
  return pool;
}

/** `count` series of a metric with one chunk each. */
function metric(name: string, count: number, startMs = 0): PlainSeries[] {
  return Array.from({ length: count }, (_, i) => ({
    labels: ['__name__', name, 'i', String(i).padStart(5, '0')],
    chunks: [
      [
        [startMs, i],
        [startMs + 10, i + 0.5],
      ],
    ],
  }));
}

function readJob(type: number, name = 'up', more: Partial<ReadJob> = {}, label = '__name__'): ReadJob {
  const matchers = [
    { type: 2, name: '__name__', value: '.+' },
    { type: 0, name: label, value: name },
  ];
  const queries = [{ startTimestampMs: 0, endTimestampMs: 1_000_000, matchers }];
  const body = compressSync(ReadRequest.encode({ queries, acceptedResponseTypes: [type] }).finish());
  return { kind: 'remote-read', body, ...more } as ReadJob;
}

async function bytesOf({ body }: ReadAnswer): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return Buffer.concat(pieces);
}

interface Outcome {
  readonly series: AnsweredSeries[];
  readonly warnings: readonly string[];
}

async function read(pool: ReaderPool, job: ReadJob = readJob(SAMPLES)): Promise<Outcome> {
  const answer = await pool.run('t', job);
  const bytes = await bytesOf(answer);
  const isStreamed = answer.contentEncoding === undefined;
  const [series = []] = isStreamed ? decodeStreamed(bytes, 1) : decodeSamples(bytes);
  return { series, warnings: answer.warnings };
}

const labelsOf = ({ series }: Outcome): string[] => series.map(({ labels }) => labels.join(' '));

async function json(pool: ReaderPool, job: ReadJob): Promise<{ data: unknown; warnings?: string[] }> {
  return JSON.parse(String(await bytesOf(await pool.run('t', job)))) as { data: unknown; warnings?: string[] };
}

const names: ReadJob = { kind: 'labels', selectors: [], range: EVER, limit: 0 };

test('a first touch takes at most 7 requests a block, with the header at most 4, and a warm one none', async () => {
  for (const n of [1, 2, 3]) database.addBlock(n, [...metric('other', 700), ...metric('up', 1000, n * 1000)]);
  const { watch } = database;
  const pool = start();
  const first = await read(pool);
  expect(first.series).toHaveLength(1000);
  expect(first.series[7]?.samples.map(([time]) => time)).toEqual([1000, 1010, 2000, 2010, 3000, 3010]);
  expect(new Set(watch.requests.map(({ purpose }) => purpose))).toEqual(new Set(['query']));
  const cold = watch.takeCounts();
  expect(cold.size).toBe(3);
  for (const count of cold.values()) expect(count).toBeLessThanOrEqual(7);

  expect(await read(pool)).toEqual(first);
  expect(await read(pool, readJob(STREAMED))).toEqual(first);
  expect(watch.takeCounts()).toEqual(new Map());
  // Another thread, or a restart: the pages on the disk are everybody's.
  expect(await read(start())).toEqual(first);
  expect(watch.takeCounts()).toEqual(new Map());

  database.fileSystem.remove(database.cache.directory);
  expect(await read(start())).toEqual(first);
  const withHeader = watch.takeCounts();
  expect(withHeader.size).toBe(3);
  for (const count of withHeader.values()) expect(count).toBeLessThanOrEqual(4);
});

test('many blocks are asked at the same time, and not all at once', async () => {
  for (let n = 0; n < 100; n++) database.addBlock(n, metric('up', 1, n * 100));
  database.watch.before = () => Promise.resolve();
  expect((await read(start())).series[0]?.samples).toHaveLength(200);
  expect(database.watch.mostAtOnce).toBe(32);
  expect(database.watch.opened).toBe(1);
});

test('a block here is read here, and in the bucket when its directory has gone', async () => {
  const place = database.addBlock(1, metric('up', 3));
  database.places = [{ ...place, localDirectory: database.path(1) }];
  const pool = start();
  expect((await read(pool)).series).toHaveLength(3);
  expect(database.watch.takeCounts()).toEqual(new Map());
  database.places = [{ ...place, localDirectory: '/evicted' }];
  expect((await read(start())).series).toHaveLength(3);
  expect(database.watch.takeCounts().size).toBe(1);
});

test('the same series in blocks of two clusters are two series, and a matcher finds either', async () => {
  for (const [n, cluster] of ['eu', 'us'].entries())
    database.addBlock(n, metric('up', 2), { thanosLabels: { cluster, tenant_id: 't' } });
  const pool = start();
  for (const type of [SAMPLES, STREAMED]) {
    expect(labelsOf(await read(pool, readJob(type)))).toEqual([
      '__name__ up cluster eu i 00000',
      '__name__ up cluster eu i 00001',
      '__name__ up cluster us i 00000',
      '__name__ up cluster us i 00001',
    ]);
    expect(labelsOf(await read(pool, readJob(type, 'us', {}, 'cluster')))).toEqual([
      '__name__ up cluster us i 00000',
      '__name__ up cluster us i 00001',
    ]);
  }
  expect(await json(pool, { ...names, kind: 'values', name: 'cluster' })).toEqual({
    status: 'success',
    data: ['eu', 'us'],
  });
});

test.each([
  ['the index header', 'index', 12],
  ['a postings list', 'index', -200],
  ['a chunk', 'chunks/000001', 20],
])('damage in %s leaves the block out, with a warning, once looked at', async (_, name, at) => {
  database.addBlock(1, metric('up', 2, 100));
  const broken = database.addBlock(2, metric('up', 2, 200));
  const size = broken.meta.thanos?.files?.find(({ rel_path }) => rel_path === name)?.size_bytes ?? 0;
  database.damage(2, name, at < 0 ? size + at : at);
  const pool = start();
  const { series, warnings } = await read(pool, readJob(STREAMED));
  expect(series.map(({ samples }) => samples.map(([time]) => time))).toEqual([
    [100, 110],
    [100, 110],
  ]);
  expect(warnings).toEqual([expect.stringContaining(`block ${ulidOf(2)} could not be read: ${ulidOf(2)}/${name}`)]);
  expect(database.quarantined.map(({ ulid }) => ulid)).toEqual([ulidOf(2)]);
  database.watch.takeCounts();
  expect((await read(pool)).warnings).toEqual(warnings);
  expect(database.watch.takeCounts().has(ulidOf(2))).toBe(false);
  await expect(read(pool, readJob(SAMPLES, 'up', { partialResponse: false }))).rejects.toMatchObject({
    kind: 'corrupt',
  });
  await until('the reads to end', () => database.held.size === 0);
});

test('bytes that were damaged on the way or in a cache are fetched once again', async () => {
  database.addBlock(1, metric('up', 2));
  let flips = 1;
  database.watch.after = ({ name }, bytes) => {
    if (!name.endsWith('000001') || flips-- <= 0) return bytes;
    const damaged = bytes.slice();
    damaged[20] = (damaged[20] as number) ^ 1;
    return damaged;
  };
  expect(await read(start())).toMatchObject({ warnings: [], series: [{}, {}] });
  expect(database.quarantined).toEqual([]);
});

test('with the bucket down, what is here is answered with a warning, or not at all if that was asked for', async () => {
  database.addBlock(1, metric('up', 1, 100));
  const place = database.addBlock(2, metric('up', 1, 200));
  database.places = [
    database.places[0] as (typeof database.places)[number],
    { ...place, localDirectory: database.path(2) },
  ];
  database.watch.before = () => {
    throw new StorageError('unavailable', 'the store is down');
  };
  const pool = start();
  for (const type of [SAMPLES, STREAMED]) {
    const { series, warnings } = await read(pool, readJob(type));
    expect(series.map(({ samples }) => samples.map(([time]) => time))).toEqual([[200, 210]]);
    expect(warnings).toEqual([`partial response: block ${ulidOf(1)} could not be read: the store is down`]);
  }
  expect(await json(pool, names)).toEqual({
    status: 'success',
    data: ['__name__', 'i'],
    warnings: [`partial response: block ${ulidOf(1)} could not be read: the store is down`],
  });
  await expect(read(pool, readJob(SAMPLES, 'up', { partialResponse: false }))).rejects.toMatchObject({
    kind: 'unavailable',
    message: 'the store is down',
  });
  expect(database.watch.requests).toHaveLength(1); // Not asked again at once.
  expect(database.quarantined).toEqual([]);
  database.watch.before = () => {};
  clock.advance(5000);
  expect((await read(pool)).series[0]?.samples).toHaveLength(4);
});

test('a block that was deleted meanwhile is looked for anew, and read where it is now', async () => {
  database.addBlock(1, metric('up', 2));
  database.places = [];
  const before = database.addBlock(2, metric('up', 2, 200));
  database.fileSystem.remove(database.path(2));
  database.onRefresh = () => {
    database.places = [{ ...before, meta: { ...before.meta, ulid: ulidOf(1) }, bucketDirectory: ulidOf(1) }];
  };
  const { series, warnings } = await read(start());
  expect([series.length, warnings, database.refreshes]).toEqual([2, [], 1]);
  expect(database.held.size).toBe(0);
});

test('one that is not found again is left out, or fails the read', async () => {
  database.addBlock(1, metric('up', 2));
  database.addBlock(2, metric('up', 2));
  database.fileSystem.remove(database.path(2));
  const pool = start();
  const { series, warnings } = await read(pool);
  expect([series.length, warnings.length, database.refreshes]).toEqual([2, 1, 1]);
  await expect(read(pool, readJob(SAMPLES, 'up', { partialResponse: false }))).rejects.toMatchObject({
    kind: 'not-found',
  });
  expect(database.refreshes).toBe(2);
  await until('the reads to end', () => database.held.size === 0);
});

test('an answer that has begun ends visibly broken when a block fails', async () => {
  // Two batches of chunks and more than one piece between threads.
  const wide = (n: number): PlainSeries[] =>
    Array.from({ length: 600 }, (_, i) => ({
      labels: ['__name__', 'up', 'i', String(i).padStart(5, '0'), 'text', 'x'.repeat(2000)],
      chunks: [[[n, i]]],
    }));
  database.cache = { ...database.cache, memoryBytes: 0, diskBytes: 0 };
  database.addBlock(1, wide(100));
  const at = (database.places[0]?.meta.thanos?.files?.[0]?.size_bytes ?? 0) - 10;
  database.damage(1, 'chunks/000001', at);
  const answer = await start().run('t', readJob(STREAMED));
  expect(answer.warnings).toEqual([]);
  await expect(bytesOf(answer)).rejects.toMatchObject({ kind: 'corrupt' });
  expect(database.quarantined.map(({ ulid }) => ulid)).toEqual([ulidOf(1)]);
});

test('downsampled blocks are not mixed into raw answers, and are missed only where there is no raw one', async () => {
  database.addBlock(1, metric('up', 1, 100), { minTimeMs: 0, maxTimeMs: 200 });
  database.addBlock(2, metric('up', 1, 150), { minTimeMs: 0, maxTimeMs: 200, resolutionMs: 300_000 });
  const pool = start();
  expect(await read(pool)).toMatchObject({ series: [{ samples: [[100, 0n], expect.anything()] }], warnings: [] });
  database.addBlock(3, metric('up', 1, 350), { minTimeMs: 200, maxTimeMs: 400, resolutionMs: 3_600_000 });
  const { series, warnings } = await read(pool);
  expect(series[0]?.samples).toHaveLength(2);
  expect(warnings).toEqual([expect.stringMatching(new RegExp(`downsampled blocks are not read.*: ${ulidOf(3)}$`))]);
});

test('everything that is kept here can be deleted between reads', async () => {
  database.addBlock(1, metric('up', 3));
  const pool = start();
  const first = await read(pool);
  database.fileSystem.remove(database.cache.directory);
  database.fileSystem.remove(database.cache.headersDirectory);
  expect(await read(pool)).toEqual(first);
  expect(await read(start())).toEqual(first);
});

test('without caches, and on a disk that cannot be written, answers are the same', async () => {
  database.addBlock(1, metric('up', 300));
  const first = await read(start());
  database.cache = { ...database.cache, memoryBytes: 0, diskBytes: 0, headersDirectory: '/nowhere' };
  const { fileSystem } = database;
  const makeDirectory = fileSystem.makeDirectory.bind(fileSystem);
  fileSystem.makeDirectory = (path) => {
    if (path === '/nowhere') throw Object.assign(new Error('read-only'), { code: 'EROFS', syscall: 'mkdir' });
    makeDirectory(path);
  };
  expect(await read(start())).toEqual(first);
});
