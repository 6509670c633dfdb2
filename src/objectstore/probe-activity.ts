/** The activity that looks at the bucket once, on a thread of its own: a store's client is not loaded on the main thread. */
import { type BucketLocation, openBucketAt, type Port, StorageError, type World } from '../../storage/index.ts';
import type { ProbeAnswer } from './probe.ts';

/** Called by the executor on the new thread; posts one ProbeAnswer. */
export async function run(port: Port, location: BucketLocation, world: World): Promise<void> {
  port.post(await look(location, world));
}

async function look(location: BucketLocation, world: World): Promise<ProbeAnswer> {
  try {
    const bucket = await openBucketAt(location, world);
    // One page of what is few.
    for await (const _ of bucket.list('varve/')) break;
    bucket.close();
    return { isThere: true };
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return { isThere: false, kind: error.kind, message: error.message };
  }
}
