/** Reads of a real database, on real threads. */
import { compressSync } from 'snappy';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ReadAnswer } from '../../../src/read/pending-read.ts';
import type { ReadJob } from '../../../src/read/read-job.ts';
import { ReaderPool } from '../../../src/read/reader-pool.ts';
import { Database, nodeFileSystem, systemClock, systemRandom, workerExecutor } from '../../../storage/index.ts';
import { type BitSample, bitsOf, EVER } from '../../support/memory-source.ts';
import { ReadRequest } from '../../support/protocol.ts';
import { decodeSamples, decodeStreamed } from '../../support/read-answers.ts';
import { writeRequest } from '../../support/remote-write.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';

const HOUR_MS = 3_600_000;
const STALE = 0x7ff0000000000002n;

let temporary: TemporaryDirectory;
let database: Database;
let pool: ReaderPool;

beforeEach(async () => {
  temporary = new TemporaryDirectory('reads');
  database = await Database.open({
    directory: temporary.path,
    memoryBudgetBytes: 256 * 1024 * 1024,
    externalLabels: ['cluster', 'eu'],
    tenantLabelName: 'tenant_id',
    defaultTenant: 'default-tenant',
    idleCutMs: 3 * HOUR_MS,
    fileSystem: nodeFileSystem,
    clock: systemClock,
    random: systemRandom,
    executor: workerExecutor,
    onEvent: (event) => {
      if (event.kind === 'failed') throw new Error(event.message);
    },
  });
  pool = new ReaderPool(database, { threads: 2 });
});

afterEach(async () => {
  await pool.close();
  await database.close();
  temporary[Symbol.dispose]();
});

async function bytesOf({ body }: ReadAnswer): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return Buffer.concat(pieces);
}

function readRequest(startTimestampMs: number, endTimestampMs: number, type: number): ReadJob {
  const matchers = [
    { type: 2, name: '__name__', value: 'load.*' },
    { type: 0, name: 'cluster', value: 'eu' },
  ];
  const request = { queries: [{ startTimestampMs, endTimestampMs, matchers }], acceptedResponseTypes: [type] };
  return { kind: 'remote-read', body: compressSync(ReadRequest.encode(request).finish()) };
}

/** Both forms of the answer hold what the model holds, ends included. */
async function expectAnswers(model: ReadonlyMap<string, BitSample[]>, fromMs: number, toMs: number): Promise<void> {
  const expected = [...model].map(([host, samples]) => ({
    labels: ['__name__', 'load', 'cluster', 'eu', 'host', host],
    samples: samples.filter(([time]) => time >= fromMs && time <= toMs),
  }));
  const [asSamples, streamed] = await Promise.all([
    pool.run('t', readRequest(fromMs, toMs, 0)).then(bytesOf),
    pool.run('t', readRequest(fromMs, toMs, 1)).then(bytesOf),
  ]);
  expect(decodeSamples(asSamples)).toEqual([expected]);
  expect(decodeStreamed(streamed, 1)).toEqual([expected]);
}

test('what was acknowledged is read at once, bits included, in both forms, while the head is cut and after', async () => {
  const startMs = Math.floor((systemClock.nowMs() - 12 * HOUR_MS) / (2 * HOUR_MS)) * 2 * HOUR_MS;
  const model = new Map<string, BitSample[]>(['a', 'b', 'c'].map((host) => [host, []]));
  const odd = [STALE, bitsOf(-0), 0x7ff8000000000abcn];
  for (let minute = 0; minute < 11 * 60; minute += 5) {
    const series = [...model].map(([host, samples]) => {
      const added = Array.from(
        { length: 5 },
        (_, i): BitSample => [startMs + (minute + i) * 60_000, odd[(minute + i) % 11] ?? bitsOf(minute * 1.1 + i)],
      );
      samples.push(...added);
      return {
        labels: [
          ['__name__', 'load'],
          ['host', host],
        ] as const,
        samples: added,
      };
    });
    const outcome = await database.write('t', writeRequest(series));
    expect(outcome.stored).toBe(15);
    if (minute % 60 === 0 && minute > 30) await expectAnswers(model, startMs + 30 * 60_000, startMs + minute * 60_000);
  }
  await until('a cut', () => database.stats().cuts > 0);
  await expectAnswers(model, startMs, startMs + 11 * HOUR_MS);
  expect(database.stats().snapshots).toBe(0);
});

test('a tenant sees its own labels only, with the external ones', async () => {
  const now = systemClock.nowMs();
  const write = (tenant: string, ...names: string[]) =>
    database.write(
      tenant,
      writeRequest(names.map((name) => ({ labels: [['__name__', name]] as const, samples: [[now, 1]] }))),
    );
  await Promise.all([write('one', 'x', 'y'), write('two', 'z')]);
  const list = async (tenant: string, job: Partial<ReadJob>): Promise<unknown> => {
    const answer = await pool.run(tenant, { selectors: [], range: EVER, limit: 0, ...job } as ReadJob);
    return JSON.parse(String(await bytesOf(answer))).data;
  };
  expect(await list('one', { kind: 'values', name: '__name__' })).toEqual(['x', 'y']);
  expect(await list('two', { kind: 'labels' })).toEqual(['__name__', 'cluster']);
  expect(await list('two', { kind: 'series', selectors: ['{cluster="eu"}'] })).toEqual([
    { __name__: 'z', cluster: 'eu' },
  ]);
  expect(await list('nobody', { kind: 'labels' })).toEqual([]);
});
