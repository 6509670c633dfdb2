/**
 * Where blocks and the shipped log live for good: objects with names, in an object store or a directory. One
 * implementation for each kind of store; a name is a path without a slash in front, and what stands before a slash is
 * called a directory although most stores have none.
 */

/** What a request is made for; it is accounted under this name. */
export const BUCKET_PURPOSES = ['upload', 'ship', 'sync', 'query', 'restore'] as const;
export type BucketPurpose = (typeof BUCKET_PURPOSES)[number];

/** An object as a listing has it. */
export interface BucketObject {
  readonly name: string;
  readonly bytes: number;
  /** When it was put there, in ms since 1970; 0 if the store does not say. */
  readonly modifiedMs: number;
}

/** The content of an object that is put: a file or bytes in memory. It must not change meanwhile. */
export interface ObjectContent {
  readonly bytes: number;
  /** Exactly `length` bytes from `offset`; valid until the next call. Throws if there are fewer. */
  read(offset: number, length: number): Uint8Array;
}

/**
 * Every method rejects with StorageError: 'not-found' where it says so; 'invalid' for what will never work (no rights, no
 * such bucket, a refused name); 'unavailable' when the store did not answer as it should, after the retries that its client
 * makes; 'corrupt' if bytes arrived that are not those stored.
 */
export interface Bucket {
  /** What people call it, with its place. */
  readonly description: string;
  /** The same bucket; its requests are accounted under `purpose`. It shares connections with this one. */
  for(purpose: BucketPurpose): Bucket;
  /** All objects whose names begin with `prefix`, in name order, in pages that are never empty. */
  list(prefix: string): AsyncIterable<readonly BucketObject[]>;
  /** What stands between `prefix` and the next slash in the names that begin with `prefix`, each once, in order. */
  directories(prefix: string): Promise<string[]>;
  /** All bytes of an object. Rejects with 'not-found'. */
  get(name: string): Promise<Uint8Array>;
  /** The bytes of an object from `offset`: `length` of them, fewer only where it ends. Rejects with 'not-found'. */
  getRange(name: string, offset: number, length: number): Promise<Uint8Array>;
  /** The size of an object. Rejects with 'not-found'. */
  size(name: string): Promise<number>;
  /**
   * Puts an object, in place of one that has the name. When it resolves, the store has said that it holds these very bytes:
   * by its own checksum, or because they were read again. Until then a reader sees the old object or the new, never a part.
   */
  put(name: string, content: ObjectContent): Promise<void>;
  /** Deletes an object; none of this name is fine. */
  delete(name: string): Promise<void>;
  /** Ends its connections. Requests under way may fail. */
  close(): void;
}

/** Bytes in memory as content. */
export function bytesContent(bytes: Uint8Array): ObjectContent {
  return { bytes: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) };
}
