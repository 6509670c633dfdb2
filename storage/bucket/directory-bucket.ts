/** A bucket in a local directory, in Thanos's layout: Thanos reads it as `type: FILESYSTEM`. */
import { dirname } from 'node:path';
import { META_FILE } from '../block/layout.ts';
import type { FileSystem } from '../io/file-system.ts';
import { isSystemError } from '../io/system-error.ts';
import { StorageError } from '../lib/errors.ts';
import type { Bucket } from './bucket.ts';

export class DirectoryBucket implements Bucket {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;

  /** Makes the directory if it is not there. */
  constructor(fileSystem: FileSystem, directory: string) {
    this.#fileSystem = fileSystem;
    this.#directory = directory;
    fileSystem.makeDirectory(directory);
    fileSystem.syncDirectory(dirname(directory));
  }

  get description(): string {
    return `filesystem ${this.#directory}`;
  }

  async directories(): Promise<string[]> {
    return this.#fileSystem
      .list(this.#directory)
      .filter((entry) => entry.isDirectory)
      .map((entry) => entry.name);
  }

  async get(name: string): Promise<Uint8Array> {
    try {
      const file = this.#fileSystem.open(`${this.#directory}/${name}`, 'read');
      try {
        const bytes = new Uint8Array(file.size());
        return bytes.subarray(0, file.read(bytes, 0));
      } finally {
        file.close();
      }
    } catch (cause) {
      if (isSystemError(cause) && cause.code === 'ENOENT')
        throw new StorageError('not-found', `${name} is not in the bucket`, { cause });
      throw cause;
    }
  }

  async adopt(directory: string, name: string): Promise<void> {
    const target = `${this.#directory}/${name}`;
    try {
      this.#fileSystem.rename(directory, target);
      this.#fileSystem.syncDirectory(this.#directory);
      this.#fileSystem.syncDirectory(dirname(directory));
    } catch (error) {
      this.#discard(target);
      this.#discard(directory);
      throw error;
    }
  }

  /** Removes a block as far as the disk lets it: without its meta.json, what a crash brings back of it is no block. */
  #discard(block: string): void {
    try {
      this.#fileSystem.remove(`${block}/${META_FILE}`);
      if (this.#fileSystem.exists(block)) this.#fileSystem.syncDirectory(block);
      this.#fileSystem.remove(block);
    } catch (error) {
      if (!isSystemError(error)) throw error;
    }
  }
}
