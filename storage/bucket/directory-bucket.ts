/** A bucket in a local directory: what Thanos calls `type: FILESYSTEM`. */
import { dirname } from 'node:path';
import type { DirectoryEntry, File, FileSystem } from '../io/file-system.ts';
import { isSystemError } from '../io/system-error.ts';
import { StorageError } from '../lib/errors.ts';
import type { Bucket, BucketObject, BucketPurpose, ObjectContent } from './bucket.ts';
import type { OpenBucket } from './bucket-location.ts';
import { type BucketOperation, BucketUsage, type RequestUsage } from './bucket-usage.ts';
import { checkedName } from './object-name.ts';

/** An object is written under this name beside its own, synced and renamed. */
const TEMPORARY_SUFFIX = '.varve-tmp';
const PAGE_OBJECTS = 1000;
const COPY_BYTES = 4 * 1024 * 1024;

/** Opens the directory that `config` names; see BucketLocation. */
export const openBucket: OpenBucket = (config, { fileSystem, usage }) => {
  const { directory } = config as { readonly directory: string };
  return Promise.resolve(new DirectoryBucket(fileSystem, directory, { usage }));
};

interface DirectoryBucketSettings {
  readonly usage?: BucketUsage;
  readonly purpose?: BucketPurpose;
  /** What is known of it already. */
  readonly durable?: Set<string>;
}

export class DirectoryBucket implements Bucket {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  readonly #usage: BucketUsage;
  readonly #purpose: BucketPurpose;
  /** Directories whose names are on disk. */
  readonly #durable: Set<string>;

  /** Makes the directory if it is not there. */
  constructor(
    fileSystem: FileSystem,
    directory: string,
    { usage = new BucketUsage(), purpose = 'sync', durable = new Set() }: DirectoryBucketSettings = {},
  ) {
    this.#fileSystem = fileSystem;
    this.#directory = directory;
    this.#usage = usage;
    this.#purpose = purpose;
    this.#durable = durable;
    fileSystem.makeDirectory(directory);
    fileSystem.syncDirectory(dirname(directory));
    durable.add(directory);
  }

  get description(): string {
    return `filesystem ${this.#directory}`;
  }

  for(purpose: BucketPurpose): Bucket {
    return new DirectoryBucket(this.#fileSystem, this.#directory, {
      usage: this.#usage,
      purpose,
      durable: this.#durable,
    });
  }

  async *list(prefix: string): AsyncIterable<readonly BucketObject[]> {
    const above = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    let page: BucketObject[] = [];
    for (const object of this.#objectsIn(above)) {
      if (!object.name.startsWith(prefix)) continue;
      page.push(object);
      if (page.length < PAGE_OBJECTS) continue;
      this.#usage.count(this.#purpose, 'list');
      yield page;
      page = [];
    }
    this.#usage.count(this.#purpose, 'list');
    if (page.length > 0) yield page;
  }

  async directories(prefix: string): Promise<string[]> {
    return this.#run('list', () => {
      const above = prefix.slice(0, prefix.lastIndexOf('/') + 1);
      const names = this.#entries(above)
        .filter(({ isDirectory, name }) => isDirectory && `${above}${name}`.startsWith(prefix))
        .map(({ name }) => `${above}${name}`.slice(prefix.length));
      return { result: names };
    });
  }

  async get(name: string): Promise<Uint8Array> {
    return await this.getRange(name, 0, Number.MAX_SAFE_INTEGER);
  }

  async getRange(name: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#run('get', () => {
      const result = this.#withFile(name, (file) => {
        const bytes = new Uint8Array(Math.max(0, Math.min(length, file.size() - offset)));
        return bytes.subarray(0, file.read(bytes, offset));
      });
      return { result, receivedBytes: result.length };
    });
  }

  async size(name: string): Promise<number> {
    return this.#run('head', () => ({ result: this.#withFile(name, (file) => file.size()) }));
  }

  async put(name: string, content: ObjectContent): Promise<void> {
    this.#run('put', () => {
      const path = this.#path(name);
      const directory = dirname(path);
      this.#makeDirectory(directory);
      const temporary = `${path}${TEMPORARY_SUFFIX}`;
      try {
        // One that could not be synced may have been left there: that file is not to be written again.
        this.#fileSystem.remove(temporary);
        this.#write(temporary, content);
        this.#fileSystem.rename(temporary, path);
        this.#fileSystem.syncDirectory(directory);
      } catch (error) {
        this.#discard(temporary);
        throw error;
      }
      return { result: undefined, sentBytes: content.bytes };
    });
  }

  async delete(name: string): Promise<void> {
    this.#run('delete', () => {
      const path = this.#path(name);
      this.#fileSystem.remove(path);
      // A store has no empty directories.
      for (let directory = dirname(path); directory !== this.#directory; directory = dirname(directory)) {
        if (this.#fileSystem.list(directory).length > 0 || !this.#fileSystem.exists(directory)) break;
        this.#durable.delete(directory);
        this.#fileSystem.remove(directory);
      }
      return { result: undefined };
    });
  }

  close(): void {}

  *#objectsIn(directory: string): Generator<BucketObject> {
    // In the order of the names of objects, of which a directory's all go on with a slash.
    const keyed = this.#entries(directory).map((entry) => ({
      entry,
      key: entry.isDirectory ? `${entry.name}/` : entry.name,
    }));
    keyed.sort((a, b) => (a.key < b.key ? -1 : 1));
    for (const { entry, key } of keyed) {
      if (entry.isDirectory) yield* this.#objectsIn(`${directory}${key}`);
      else if (!key.endsWith(TEMPORARY_SUFFIX)) yield* this.#object(`${directory}${key}`);
    }
  }

  /** What is directly in a directory, whose name ends with a slash or is empty; nothing if it is none. */
  #entries(directory: string): DirectoryEntry[] {
    try {
      return this.#fileSystem.list(directory === '' ? this.#directory : `${this.#directory}/${directory.slice(0, -1)}`);
    } catch (error) {
      if (isSystemError(error) && error.code === 'ENOTDIR') return [];
      throw error;
    }
  }

  /** Nothing if it was deleted meanwhile. */
  *#object(name: string): Generator<BucketObject> {
    try {
      yield this.#withFile(name, (file) => ({ name, bytes: file.size(), modifiedMs: file.modifiedMs() }));
    } catch (error) {
      if (!(error instanceof StorageError && error.kind === 'not-found')) throw error;
    }
  }

  #write(path: string, content: ObjectContent): void {
    const file = this.#fileSystem.open(path, 'create');
    try {
      for (let offset = 0; offset < content.bytes; offset += COPY_BYTES)
        file.write(content.read(offset, Math.min(COPY_BYTES, content.bytes - offset)), offset);
      file.sync();
    } finally {
      file.close();
    }
  }

  /** Makes a directory, its missing parents, and the names of all of them durable. One that is there may not be so yet. */
  #makeDirectory(directory: string): void {
    if (this.#durable.has(directory) && this.#fileSystem.exists(directory)) return;
    this.#makeDirectory(dirname(directory));
    this.#fileSystem.makeDirectory(directory);
    this.#fileSystem.syncDirectory(dirname(directory));
    this.#durable.add(directory);
  }

  #withFile<T>(name: string, work: (file: File) => T): T {
    try {
      const file = this.#fileSystem.open(this.#path(name), 'read');
      try {
        return work(file);
      } finally {
        file.close();
      }
    } catch (cause) {
      if (isSystemError(cause) && ['ENOENT', 'ENOTDIR', 'EISDIR'].includes(cause.code ?? ''))
        throw new StorageError('not-found', `${name} is not in the bucket`, { cause });
      throw cause;
    }
  }

  #path(name: string): string {
    return `${this.#directory}/${checkedName(name)}`;
  }

  #discard(path: string): void {
    try {
      this.#fileSystem.remove(path);
    } catch (error) {
      if (!isSystemError(error)) throw error;
    }
  }

  /** Counts a call, and makes an error of the disk one of a bucket. */
  #run<T>(operation: BucketOperation, call: () => { readonly result: T } & RequestUsage): T {
    try {
      const { result, ...usage } = call();
      this.#usage.count(this.#purpose, operation, usage);
      return result;
    } catch (cause) {
      this.#usage.count(this.#purpose, operation, { isFailure: true });
      if (cause instanceof StorageError || !isSystemError(cause)) throw cause;
      throw new StorageError('unavailable', `${this.description}: ${cause.message}`, { cause });
    }
  }
}
