/**
 * How a thread opens the bucket: a module to load there, and what it is given. So the engine needs to know no store, a
 * store's client is loaded only where it is configured, and each thread has connections of its own.
 */
import type { World } from '../io/world.ts';
import type { Bucket } from './bucket.ts';
import { BucketUsage } from './bucket-usage.ts';

/** Survives a structured clone; `usage` is shared. */
export interface BucketLocation {
  /** What people call the bucket, with its place; another bucket has another one. The same as that of the bucket. */
  readonly description: string;
  /** The URL of a module that exports `openBucket` (OpenBucket). */
  readonly module: string;
  readonly config: unknown;
  readonly usage: SharedArrayBuffer;
}

/** `config` is what the location says. Rejects with StorageError as the methods of a bucket do. */
export type OpenBucket = (config: unknown, world: BucketWorld) => Promise<Bucket>;

export type BucketWorld = Omit<World, 'wait'> & { readonly usage: BucketUsage };

const loaded = new Map<string, Promise<{ readonly openBucket: OpenBucket }>>();

/** The module is loaded once a thread. */
export async function openBucketAt(
  { module, config, usage }: BucketLocation,
  world: Omit<World, 'wait'>,
): Promise<Bucket> {
  let loading = loaded.get(module);
  if (loading === undefined) {
    loading = import(module) as Promise<{ readonly openBucket: OpenBucket }>;
    loaded.set(module, loading);
  }
  const { openBucket } = await loading;
  return await openBucket(config, { ...world, usage: new BucketUsage(usage) });
}
