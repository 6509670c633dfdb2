/**
 * What one listing of a bucket says of blocks: which directories there are, and which files are in each. Blocks lie at
 * the top (`<ULID>/…`, Thanos) or one level below (`<tenant>/<ULID>/…`, Mimir and Cortex).
 */
import { META_FILE } from '../block/layout.ts';
import { StorageError } from '../lib/errors.ts';
import { isUlid } from '../lib/ulid.ts';
import { compareUtf8 } from '../model/labels.ts';
import type { Bucket, BucketObject } from './bucket.ts';

export const DELETION_MARK_FILE = 'deletion-mark.json';

/** A directory of a block; whether it holds a whole block is another question. */
export interface ListedBlock {
  readonly ulid: string;
  /** Where it is in the bucket, without a slash at the end. */
  readonly directory: string;
  readonly bytes: number;
  /** Names in the block, and sizes. */
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** Changes when its meta.json does; undefined: it has none. */
  readonly metaVersion: string | undefined;
  readonly hasDeletionMark: boolean;
}

/** Objects that belong to no block and are not ours. */
export interface Strays {
  count: number;
  /** The first of them. */
  readonly names: string[];
}

/** So many blocks are handed on at once. */
const BATCH_BLOCKS = 100;
const NAMED_STRAYS = 10;
/** What Varve and Thanos keep beside blocks. */
const KNOWN_DIRECTORIES = ['varve/', 'debug/'];

/**
 * All blocks of the bucket, in batches, by one recursive listing. Counts in `strays` what else there is. Rejects as
 * Bucket.list does, and with 'unavailable' if the pages of the listing do not end.
 */
export async function* listBlocks(bucket: Bucket, strays: Strays): AsyncGenerator<ListedBlock[]> {
  let batch: ListedBlock[] = [];
  let open: OpenBlock | undefined;
  for await (const page of inOrder(bucket.list(''))) {
    for (const object of page) {
      const place = placeOf(object.name);
      if (place === undefined) {
        noteStray(object.name, strays);
        continue;
      }
      if (open?.directory !== place.directory) {
        if (open !== undefined) batch.push(listedBlock(open));
        open = { ...place, objects: [] };
      }
      open.objects.push({ ...object, name: object.name.slice(place.directory.length + 1) });
    }
    if (batch.length >= BATCH_BLOCKS) {
      yield batch;
      batch = [];
    }
  }
  if (open !== undefined) batch.push(listedBlock(open));
  if (batch.length > 0) yield batch;
}

interface OpenBlock {
  readonly ulid: string;
  readonly directory: string;
  readonly objects: BucketObject[];
}

/** A store that gives the same page again and again would be listed for ever. */
async function* inOrder(pages: AsyncIterable<readonly BucketObject[]>): AsyncGenerator<readonly BucketObject[]> {
  let last: string | undefined;
  for await (const page of pages) {
    const next = page.at(-1)?.name;
    if (last !== undefined && next !== undefined && compareUtf8(next, last) <= 0)
      throw new StorageError('unavailable', `the listing goes round in circles: ${next} comes after ${last}`);
    yield page;
    last = next;
  }
}

/** The block that an object belongs to. */
function placeOf(name: string): { ulid: string; directory: string } | undefined {
  const [first = '', second = ''] = name.split('/', 2);
  if (isUlid(first) && name.length > first.length) return { ulid: first, directory: first };
  if (first !== '' && isUlid(second) && name.length > first.length + second.length + 1)
    return { ulid: second, directory: `${first}/${second}` };
  return undefined;
}

function noteStray(name: string, strays: Strays): void {
  if (KNOWN_DIRECTORIES.some((directory) => name.startsWith(directory))) return;
  strays.count++;
  if (strays.names.length < NAMED_STRAYS) strays.names.push(name);
}

function listedBlock({ ulid, directory, objects }: OpenBlock): ListedBlock {
  const meta = objects.find(({ name }) => name === META_FILE);
  return {
    ulid,
    directory,
    bytes: objects.reduce((sum, { bytes }) => sum + bytes, 0),
    files: objects.map(({ name, bytes }) => ({ name, bytes })),
    metaVersion: meta === undefined ? undefined : `${meta.bytes}@${meta.modifiedMs}`,
    hasDeletionMark: objects.some(({ name }) => name === DELETION_MARK_FILE),
  };
}
