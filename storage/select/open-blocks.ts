/**
 * Blocks that a thread has open, as many as fit the memory given for the headers of their indexes; the least used ones are
 * closed. A block is read in its directory on this disk, if it has one, else in the bucket.
 */
import { LRUCache } from 'lru-cache';
import { DirectoryBlockFiles } from '../block/block-files.ts';
import type { BlockPlace } from '../block/block-place.ts';
import { BlockReader } from '../block/block-reader.ts';
import type { IndexHeaders } from '../block/index-headers.ts';
import { fileBytes } from '../block/meta.ts';
import { BucketBlockFiles, type PendingPages } from '../bucket/bucket-block-files.ts';
import type { BucketReads } from '../bucket/bucket-reads.ts';
import type { PageCache } from '../bucket/page-cache.ts';
import type { FileSystem } from '../io/file-system.ts';
import { isSystemError } from '../io/system-error.ts';
import { CorruptionError, StorageError } from '../lib/errors.ts';
import type { Labels } from '../model/labels.ts';
import { BlockError } from './block-faults.ts';

/** Where blocks in the bucket are read, and what is kept of them. */
export interface RemoteBlocks {
  readonly bucket: BucketReads;
  readonly cache: PageCache;
  readonly headers: IndexHeaders;
}

interface OpenBlock {
  readonly reader: BlockReader;
  /** Drops what this disk or memory has of a block in the bucket. */
  forget(): void;
}

/** Blocks whose files stay open, each two or three: all threads together stay far below what a process may open. */
const OPEN_DIRECTORIES = 128;

export class OpenBlocks {
  readonly #fileSystem: FileSystem;
  readonly #remote: RemoteBlocks | undefined;
  readonly #opening = new Map<string, Promise<OpenBlock>>();
  readonly #blocks: LRUCache<string, OpenBlock>;
  readonly #pending: PendingPages = new Map();
  /** Files that were closed are opened again by who is still reading: see DirectoryBlockFiles. */
  readonly #directories = new LRUCache<string, DirectoryBlockFiles>({
    max: OPEN_DIRECTORIES,
    dispose: (files) => files.close(),
  });

  constructor(maxBytes: number, fileSystem: FileSystem, remote: RemoteBlocks | undefined) {
    this.#fileSystem = fileSystem;
    this.#remote = remote;
    this.#blocks = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: ({ reader }) => Math.max(1, reader.byteSize),
      dispose: (_, ulid) => void this.#directories.delete(ulid),
    });
  }

  /**
   * Opens the block, if it is not open, and asks it. Rejects with BlockError if it cannot be read: after damaged bytes were
   * fetched once again where they came from a cache, and after the bucket was tried where the directory is gone.
   */
  async ask<T>(place: BlockPlace, externalLabels: Labels, question: (reader: BlockReader) => Promise<T>): Promise<T> {
    try {
      return await question(await this.#reader(place, externalLabels));
    } catch (error) {
      const { localDirectory, ...elsewhere } = place;
      const isGone = isSystemError(error) && error.code === 'ENOENT';
      const isCached = error instanceof CorruptionError && localDirectory === undefined;
      if (!(isCached || (isGone && elsewhere.bucketDirectory !== undefined))) throw blockError(place, error);
      this.#blocks.peek(place.meta.ulid)?.forget();
      this.#blocks.delete(place.meta.ulid);
      if (isCached) this.#remote?.headers.remove(place.meta.ulid);
      try {
        return await question(await this.#reader(elsewhere, externalLabels));
      } catch (second) {
        throw blockError(place, second);
      }
    }
  }

  async #reader(place: BlockPlace, externalLabels: Labels): Promise<BlockReader> {
    const { ulid } = place.meta;
    const known = this.#blocks.get(ulid);
    if (known !== undefined) {
      this.#directories.get(ulid); // For its place in the order of use.
      return known.reader;
    }
    let opening = this.#opening.get(ulid);
    if (opening === undefined) {
      opening = this.#open(place, externalLabels).finally(() => this.#opening.delete(ulid));
      this.#opening.set(ulid, opening);
      void opening.then((block) => this.#blocks.set(ulid, block)).catch(() => {});
    }
    return (await opening).reader;
  }

  async #open({ meta, localDirectory, bucketDirectory }: BlockPlace, externalLabels: Labels): Promise<OpenBlock> {
    if (localDirectory !== undefined) {
      const files = new DirectoryBlockFiles(this.#fileSystem, localDirectory);
      this.#directories.set(meta.ulid, files);
      return { reader: await BlockReader.open(files, meta, externalLabels), forget: () => {} };
    }
    if (bucketDirectory === undefined || this.#remote === undefined)
      throw new BlockError('unavailable', meta.ulid, 'it lies in a bucket, and none is configured (--objstore.config)');
    const { bucket, cache, headers } = this.#remote;
    const place = {
      ulid: meta.ulid,
      directory: bucketDirectory,
      bytesOf: (name: string) => fileBytes(meta, name),
    };
    const files = new BucketBlockFiles(place, bucket, cache, this.#pending);
    try {
      return {
        reader: await BlockReader.open(files, meta, externalLabels, headers),
        forget: () => files.forgetPages(),
      };
    } catch (error) {
      if (error instanceof CorruptionError) files.forgetPages();
      throw error;
    }
  }
}

/** What came of the block's bytes or of where they lie; any other error, as a limit, is none of the block. */
function blockError({ meta: { ulid } }: BlockPlace, error: unknown): unknown {
  if (error instanceof BlockError) return error;
  if (isSystemError(error)) {
    const kind = error.code === 'ENOENT' ? 'not-found' : 'unavailable';
    return new BlockError(kind, ulid, error.message, { cause: error });
  }
  if (!(error instanceof StorageError)) return error;
  switch (error.kind) {
    case 'corrupt':
    case 'not-found':
    case 'unavailable':
      return new BlockError(error.kind, ulid, error.message, { cause: error });
    case 'invalid': // The bucket refuses us: no rights, no such bucket.
      return new BlockError('unavailable', ulid, error.message, { cause: error });
    default:
      return error;
  }
}
