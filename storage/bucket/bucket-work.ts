/**
 * The bucket's thread: an activity (storage/io/executor.ts) that uploads blocks, lists the bucket and reads small objects,
 * several jobs at once. The other end is bucket-thread.ts.
 */
import type { Port } from '../io/executor.ts';
import { isSystemError } from '../io/system-error.ts';
import type { World } from '../io/world.ts';
import { StorageError, type StorageErrorKind } from '../lib/errors.ts';
import { BlockDirectory } from './block-directory.ts';
import { type ListedBlock, listBlocks, type Strays } from './block-listing.ts';
import { type UploadOrder, type UploadResult, uploadBlock } from './block-upload.ts';
import type { Bucket } from './bucket.ts';
import { type BucketLocation, openBucketAt } from './bucket-location.ts';

/** An object that was asked for. */
export type ReadObject =
  | { readonly name: string; readonly bytes: Uint8Array }
  | { readonly name: string; readonly kind: StorageErrorKind; readonly message: string };

export interface BucketJobs {
  readonly upload: { readonly order: UploadOrder; readonly progress: string; readonly result: UploadResult };
  readonly list: { readonly order: undefined; readonly progress: ListedBlock[]; readonly result: Strays };
  readonly read: { readonly order: readonly string[]; readonly progress: never; readonly result: ReadObject[] };
  /** A block's directory on this disk that nobody needs any more. */
  readonly discard: {
    readonly order: { readonly directory: string; readonly name: string };
    readonly progress: never;
    readonly result: undefined;
  };
}

export type BucketJob = {
  readonly [Kind in keyof BucketJobs]: {
    readonly id: number;
    readonly kind: Kind;
    readonly order: BucketJobs[Kind]['order'];
  };
}[keyof BucketJobs];

export type BucketAnswer =
  | { readonly id: number; readonly progress: unknown }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly failure: { readonly kind: StorageErrorKind; readonly message: string } };

/** The same one, by what its requests are made for. */
interface Buckets {
  readonly upload: Bucket;
  readonly sync: Bucket;
}

/** Requests for small objects that are on their way at once. */
const READS_AT_ONCE = 16;

export function run(port: Port, location: BucketLocation, world: World): void {
  let opening: Promise<Buckets> | undefined;
  const buckets = async (): Promise<Buckets> => {
    opening ??= openBucketAt(location, world).then((bucket) => ({
      upload: bucket.for('upload'),
      sync: bucket.for('sync'),
    }));
    try {
      return await opening;
    } catch (error) {
      opening = undefined;
      throw error;
    }
  };
  port.onMessage((message) => {
    const job = message as BucketJob;
    const answer = (content: object): void => port.post({ id: job.id, ...content });
    void work(job, buckets, world, (progress) => answer({ progress })).then(
      (result) => answer({ result }),
      (error: unknown) => answer({ failure: failureOf(error) }),
    );
  });
}

async function work(
  job: BucketJob,
  buckets: () => Promise<Buckets>,
  { fileSystem }: World,
  onProgress: (progress: unknown) => void,
): Promise<unknown> {
  switch (job.kind) {
    case 'upload':
      return await uploadBlock(job.order, { bucket: (await buckets()).upload, fileSystem, onSent: onProgress });
    case 'list': {
      const strays: Strays = { count: 0, names: [] };
      for await (const blocks of listBlocks((await buckets()).sync, strays)) onProgress(blocks);
      return strays;
    }
    case 'read':
      return await readAll((await buckets()).sync, job.order);
    case 'discard':
      return new BlockDirectory(fileSystem, job.order.directory).remove(job.order.name);
  }
}

/** In the order of the names. */
async function readAll(bucket: Bucket, names: readonly string[]): Promise<ReadObject[]> {
  const objects: ReadObject[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < names.length) {
      const at = next++;
      const name = names[at] as string;
      try {
        objects[at] = { name, bytes: await bucket.get(name) };
      } catch (error) {
        objects[at] = { name, ...failureOf(error) };
      }
    }
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, worker));
  return objects;
}

function failureOf(error: unknown): { kind: StorageErrorKind; message: string } {
  if (error instanceof StorageError) return { kind: error.kind, message: error.message };
  if (isSystemError(error)) return { kind: 'unavailable', message: error.message };
  return { kind: 'unavailable', message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}
