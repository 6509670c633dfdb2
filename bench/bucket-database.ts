/** An engine on a bucket, as benchmarks open it; loads nothing else, for what a process measures of itself. */
import {
  type BucketLocation,
  Database,
  type DatabaseOptions,
  nodeFileSystem,
  systemClock,
  systemRandom,
  workerExecutor,
} from '../storage/index.ts';

export interface BucketDatabase {
  readonly database: Database;
  /** Resolves when the bucket was listed. */
  readonly synced: Promise<void>;
}

export async function openOnBucket(
  directory: string,
  bucket: BucketLocation,
  options: Partial<DatabaseOptions> = {},
): Promise<BucketDatabase> {
  const synced = Promise.withResolvers<void>();
  const database = await Database.open({
    directory,
    catalogPath: `${directory}/catalog.sqlite`,
    bucket,
    memoryBudgetBytes: 64 * 1024 * 1024,
    externalLabels: [],
    tenantLabelName: 'tenant_id',
    defaultTenant: 'nobody',
    idleCutMs: 10_800_000,
    fileSystem: nodeFileSystem,
    clock: systemClock,
    random: systemRandom,
    executor: workerExecutor,
    onEvent: ({ kind }) => {
      if (kind === 'bucket-synced') synced.resolve();
    },
    ...options,
  });
  return { database, synced: synced.promise };
}
