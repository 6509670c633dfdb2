/**
 * A query over blocks in a bucket, asked twice in a process of its own, as a reader thread of the server answers it: remote
 * read in chunks. The bucket is a directory that counts what it is asked, and can take longer to answer.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { compressSync } from 'snappy';
import type { ReadJob } from '../src/read/read-job.ts';
import { ReaderPool } from '../src/read/reader-pool.ts';
import {
  type Database,
  inlineExecutor,
  nodeFileSystem,
  systemClock,
  systemRandom,
  type TimeRange,
} from '../storage/index.ts';
import { ReadRequest } from '../test/support/protocol.ts';
import { decodeFrames } from '../test/support/read-answers.ts';
import { type BucketWatch, watchedLocation, watchOf } from '../test/support/watched-bucket.ts';
import { openOnBucket } from './bucket-database.ts';

export interface QueryOrder {
  readonly dataDirectory: string;
  readonly bucketDirectory: string;
  readonly cacheDiskBytes: number;
  readonly tenant: string;
  readonly range: TimeRange;
  /** Names and values that have to be equal. */
  readonly labels: Readonly<Record<string, string>>;
  /** What each request takes longer. */
  readonly delayMs: number;
}

/** What one query cost. */
export interface QueryCost {
  readonly requests: number;
  readonly bytes: number;
  readonly blocksTouched: number;
  /** Of the block that was asked most. */
  readonly mostRequestsOfBlock: number;
  readonly wallMs: number;
  readonly cpuMs: number;
}

export interface QueryResult {
  /** Blocks that the range reaches. */
  readonly blocks: number;
  readonly series: number;
  readonly chunks: number;
  readonly answerBytes: number;
  /** Of the process after both, at its highest. */
  readonly peakRssBytes: number;
  /** With what the process was started with in its caches on disk, and once more. */
  readonly first: QueryCost;
  readonly second: QueryCost;
}

const STREAMED_XOR_CHUNKS = 1;
/** What the server gives all of its readers by default. */
const CACHE_MEMORY_BYTES = 256 * 1024 * 1024;

export async function runQuery(order: QueryOrder): Promise<QueryResult> {
  const { tenant, bucketDirectory, delayMs } = order;
  const database = await openSynced(order);
  const blocks = countBlocks(database, order);
  const watch = watchOf(bucketDirectory);
  watch.before = () => (delayMs === 0 ? undefined : sleep(delayMs));
  const executor = inlineExecutor({ fileSystem: nodeFileSystem, clock: systemClock, random: systemRandom });
  const pool = new ReaderPool(database, { threads: 1 }, { executor });
  // Starts the reader; no block reaches into this range.
  await bodyOf(pool, tenant, { kind: 'labels', selectors: [], range: { minTimeMs: 0, maxTimeMs: 1 }, limit: 0 });
  const first = await ask(pool, order, watch);
  const second = await ask(pool, order, watch);
  const peakRssBytes = process.resourceUsage().maxRSS * 1024;
  if (!first.answer.equals(second.answer)) throw new Error('the second answer is another one');
  const frames = decodeFrames(first.answer);
  await pool.close();
  await database.close();
  return {
    blocks,
    series: new Set(frames.map(({ labels }) => labels.join('\0'))).size,
    chunks: frames.reduce((sum, { chunks }) => sum + chunks.length, 0),
    answerBytes: first.answer.length,
    peakRssBytes,
    first: first.cost,
    second: second.cost,
  };
}

async function openSynced({ dataDirectory, bucketDirectory, cacheDiskBytes }: QueryOrder): Promise<Database> {
  const queryCache = { memoryBytes: CACHE_MEMORY_BYTES, diskBytes: cacheDiskBytes };
  const { database, synced } = await openOnBucket(dataDirectory, watchedLocation(bucketDirectory), { queryCache });
  await synced;
  return database;
}

function countBlocks(database: Database, { tenant, range }: QueryOrder): number {
  const snapshot = database.snapshot(tenant, range);
  database.release(snapshot.id);
  return snapshot.blocks.length;
}

async function ask(
  pool: ReaderPool,
  { tenant, labels, range }: QueryOrder,
  watch: BucketWatch,
): Promise<{ cost: QueryCost; answer: Buffer }> {
  let bytes = 0;
  watch.after = (_, part) => {
    bytes += part.length;
    return part;
  };
  watch.takeCounts();
  const matchers = Object.entries(labels).map(([name, value]) => ({ type: 0, name, value }));
  // Both ends of a query are inclusive there.
  const query = { startTimestampMs: range.minTimeMs, endTimestampMs: range.maxTimeMs - 1, matchers };
  const request = ReadRequest.encode({ queries: [query], acceptedResponseTypes: [STREAMED_XOR_CHUNKS] }).finish();
  const job = { kind: 'remote-read', body: compressSync(request) as Buffer, partialResponse: false } as const;
  const startedMs = performance.now();
  const cpuBefore = process.cpuUsage();
  const answer = await bodyOf(pool, tenant, job);
  const { user, system } = process.cpuUsage(cpuBefore);
  const wallMs = performance.now() - startedMs;
  const counts = [...watch.takeCounts().values()];
  const cost = {
    requests: counts.reduce((sum, count) => sum + count, 0),
    bytes,
    blocksTouched: counts.length,
    mostRequestsOfBlock: Math.max(0, ...counts),
    wallMs,
    cpuMs: (user + system) / 1000,
  };
  return { cost, answer };
}

async function bodyOf(pool: ReaderPool, tenant: string, job: ReadJob): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of (await pool.run(tenant, job)).body) pieces.push(piece);
  return Buffer.concat(pieces);
}
