/** A start with many blocks in the bucket, in the process that it is measured in: nothing else may be loaded there. */
import { join } from 'node:path';
import { BucketUsage } from '../storage/bucket/bucket-usage.ts';
import { moduleUrl } from '../storage/index.ts';
import { WINDOW_MS } from '../storage/model/time-range.ts';
import { openOnBucket } from './bucket-database.ts';

/** Of one start. */
export interface CatalogStart {
  readonly blocks: number;
  /** Until the engine can be written and read. */
  readonly openMs: number;
  /** Until every block of the bucket can be read; counted from the beginning, too. */
  readonly allMs: number;
  /** Of the process, at its highest. */
  readonly peakRssBytes: number;
  /** Of asking for the blocks of thirty days. */
  readonly selectMs: number;
  readonly selected: number;
}

/** The end of the newest block. */
export const NEWEST_MS: number = Math.floor(Date.UTC(2026, 0, 1) / WINDOW_MS) * WINDOW_MS;
const MONTH_MS = 30 * 86_400_000;

/** Opens the database of `directory`/data on the bucket in `directory`/store, and says what that took. */
export async function openCatalog(directory: string): Promise<CatalogStart> {
  const startedMs = performance.now();
  const { database, synced } = await openOnBucket(join(directory, 'data'), {
    description: 'bench',
    module: moduleUrl('../storage/bucket/directory-bucket', import.meta.url).href,
    config: { directory: join(directory, 'store') },
    usage: new BucketUsage().memory,
  });
  const openMs = performance.now() - startedMs;
  await synced;
  const allMs = performance.now() - startedMs;
  const selectedMs = performance.now();
  const snapshot = database.snapshot('a', { minTimeMs: NEWEST_MS - MONTH_MS, maxTimeMs: NEWEST_MS });
  const selectMs = performance.now() - selectedMs;
  const { blocks } = database.stats();
  const selected = snapshot.blocks.length;
  const peakRssBytes = process.resourceUsage().maxRSS * 1024;
  database.release(snapshot.id);
  await database.close();
  return { blocks, openMs, allMs, peakRssBytes, selectMs, selected };
}
