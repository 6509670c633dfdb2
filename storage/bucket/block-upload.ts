/**
 * The upload of one block: chunks, then index, then the other files, meta.json last, so that what has a meta.json is a
 * whole block for every reader. It can be begun again after any end: what is in the bucket already, verified, is not sent
 * again.
 *
 *   list <ULID>/ ─► put what is not there, each put verified by the store ─► put meta.json ─► list: all there ─► done
 */
import { CHUNKS_DIRECTORY, INDEX_FILE, META_FILE } from '../block/layout.ts';
import { type BlockFile, type BlockMeta, encodeMeta, parseMeta } from '../block/meta.ts';
import type { File, FileSystem } from '../io/file-system.ts';
import { isSystemError } from '../io/system-error.ts';
import { StorageError } from '../lib/errors.ts';
import { type Bucket, bytesContent, type ObjectContent } from './bucket.ts';

export interface UploadOrder {
  readonly meta: BlockMeta;
  /** The block's directory on this disk. */
  readonly localDirectory: string;
  /** Files that an earlier try has put; the store has verified them. */
  readonly sent: readonly string[];
  /** RFC 3339; goes into the bucket's meta.json, as Thanos writes it. */
  readonly uploadTime: string;
}

export interface UploadWorld {
  readonly bucket: Bucket;
  readonly fileSystem: FileSystem;
  /** Hears of each file that the bucket holds from now on. */
  readonly onSent: (name: string) => void;
}

export interface UploadResult {
  /** Bytes that were sent this time. */
  readonly sentBytes: number;
  /** Of the block as a whole. */
  readonly bytes: number;
}

interface WantedFile {
  readonly name: string;
  readonly bytes: number;
}

/**
 * Resolves when the bucket holds all of the block. Rejects as Bucket does, and with 'corrupt' if a file on this disk cannot
 * be read, or has not the size that the meta says.
 */
export async function uploadBlock(
  order: UploadOrder,
  { bucket, fileSystem, onSent }: UploadWorld,
): Promise<UploadResult> {
  const { meta, localDirectory } = order;
  const files = blockFiles(fileSystem, localDirectory, meta);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const there = await objectsOf(bucket, meta.ulid);
  if (isWhole(files, there) && (await isSame(bucket, meta))) return { sentBytes: 0, bytes };
  const verified = new Set(order.sent);
  let sentBytes = 0;
  for (const { name, bytes: size } of files) {
    if (verified.has(name) && there.get(name) === size) continue;
    using content = new FileContent(fileSystem, `${localDirectory}/${name}`);
    await bucket.put(`${meta.ulid}/${name}`, content);
    sentBytes += size;
    onSent(name);
  }
  const uploaded = encodeMeta(withUploadTime(meta, order.uploadTime));
  await bucket.put(`${meta.ulid}/${META_FILE}`, bytesContent(uploaded));
  sentBytes += uploaded.length;
  if (!isWhole(files, await objectsOf(bucket, meta.ulid)))
    throw new StorageError('unavailable', `${meta.ulid}: the bucket does not list all files that were put there`);
  return { sentBytes, bytes };
}

/** All files but meta.json, in the order of the upload. Blocks that Prometheus wrote do not list them. */
function blockFiles(fileSystem: FileSystem, directory: string, meta: BlockMeta): WantedFile[] {
  const segments = fileSystem.list(`${directory}/${CHUNKS_DIRECTORY}`).map(({ name }) => ({
    rel_path: `${CHUNKS_DIRECTORY}/${name}`,
  }));
  const listed: readonly BlockFile[] = meta.thanos?.files ?? [...segments, { rel_path: INDEX_FILE }];
  const files = listed
    .filter((file) => file.rel_path !== META_FILE)
    .map(({ rel_path: name, size_bytes: wanted }) => {
      const path = `${directory}/${name}`;
      using content = new FileContent(fileSystem, path);
      if (content.bytes !== (wanted ?? content.bytes))
        throw new StorageError('corrupt', `${path} has ${content.bytes} bytes, but meta.json says ${wanted}`);
      return { name, bytes: content.bytes };
    });
  const rank = (name: string): number => (name.startsWith(CHUNKS_DIRECTORY) ? 0 : name === INDEX_FILE ? 1 : 2);
  return files.sort((a, b) => rank(a.name) - rank(b.name) || (a.name < b.name ? -1 : 1));
}

/** Sizes by the names in the block. */
async function objectsOf(bucket: Bucket, ulid: string): Promise<Map<string, number>> {
  const objects = new Map<string, number>();
  for await (const page of bucket.list(`${ulid}/`))
    for (const { name, bytes } of page) objects.set(name.slice(ulid.length + 1), bytes);
  return objects;
}

function isWhole(files: readonly WantedFile[], there: ReadonlyMap<string, number>): boolean {
  return there.has(META_FILE) && files.every(({ name, bytes }) => there.get(name) === bytes);
}

/** Whether the bucket's meta.json is that of this block: then an earlier upload came to its end. */
async function isSame(bucket: Bucket, meta: BlockMeta): Promise<boolean> {
  try {
    const name = `${meta.ulid}/${META_FILE}`;
    const there = parseMeta(await bucket.get(name), name);
    return JSON.stringify(withUploadTime(there, '')) === JSON.stringify(withUploadTime(meta, ''));
  } catch (error) {
    if (error instanceof StorageError && (error.kind === 'corrupt' || error.kind === 'not-found')) return false;
    throw error;
  }
}

/** A block without a Thanos section, which Prometheus wrote, has no place for it. */
function withUploadTime(meta: BlockMeta, uploadTime: string): BlockMeta {
  return meta.thanos === undefined ? meta : { ...meta, thanos: { ...meta.thanos, upload_time: uploadTime } };
}

function ofThisDisk<T>(call: () => T): T {
  try {
    return call();
  } catch (cause) {
    if (!isSystemError(cause)) throw cause;
    throw new StorageError('corrupt', cause.message, { cause });
  }
}

/** A file as content. The bytes that `read` gives are valid until the next call. */
class FileContent implements ObjectContent {
  readonly bytes: number;
  readonly #file: File;
  #buffer: Uint8Array = new Uint8Array(0);

  /** Throws StorageError 'corrupt', here and in `read`, if this disk does not give the file: the bucket is not to blame. */
  constructor(fileSystem: FileSystem, path: string) {
    this.#file = ofThisDisk(() => fileSystem.open(path, 'read'));
    this.bytes = this.#file.size();
  }

  read(offset: number, length: number): Uint8Array {
    if (this.#buffer.length < length) this.#buffer = new Uint8Array(length);
    const bytes = this.#buffer.subarray(0, length);
    const got = ofThisDisk(() => this.#file.read(bytes, offset));
    if (got < length) throw new StorageError('corrupt', `${this.#file.path} at ${offset}: ${got} of ${length} bytes`);
    return bytes;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}
