/** Complete blocks in a local directory, each under its name: the default bucket, or what waits for its upload. */
import { dirname } from 'node:path';
import { DirectoryBlockFiles } from '../block/block-files.ts';
import { META_FILE } from '../block/layout.ts';
import type { FileSystem } from '../io/file-system.ts';
import { isSystemError } from '../io/system-error.ts';
import { StorageError } from '../lib/errors.ts';

export class BlockDirectory {
  readonly path: string;
  readonly #fileSystem: FileSystem;

  /** Makes the directory if it is not there. */
  constructor(fileSystem: FileSystem, path: string) {
    this.#fileSystem = fileSystem;
    this.path = path;
    fileSystem.makeDirectory(path);
    fileSystem.syncDirectory(dirname(path));
  }

  /** What is there, in name order; some of it may be no blocks. */
  names(): string[] {
    return this.#fileSystem
      .list(this.path)
      .filter((entry) => entry.isDirectory)
      .map((entry) => entry.name);
  }

  /** The bytes of a block's meta.json. Throws StorageError 'not-found'. */
  meta(name: string): Uint8Array {
    try {
      const file = this.#fileSystem.open(`${this.path}/${name}/${META_FILE}`, 'read');
      try {
        const bytes = new Uint8Array(file.size());
        return bytes.subarray(0, file.read(bytes, 0));
      } finally {
        file.close();
      }
    } catch (cause) {
      if (isSystemError(cause) && cause.code === 'ENOENT')
        throw new StorageError('not-found', `${name}/${META_FILE} is not in ${this.path}`, { cause });
      throw cause;
    }
  }

  files(name: string): DirectoryBlockFiles {
    return new DirectoryBlockFiles(this.#fileSystem, `${this.path}/${name}`);
  }

  /**
   * Takes over the complete block in `directory` as `name`. When it returns, the block is durable there and the directory is
   * gone. When it throws, both are gone, as far as the disk can be written.
   */
  adopt(directory: string, name: string): void {
    const target = `${this.path}/${name}`;
    try {
      this.#fileSystem.rename(directory, target);
      this.#fileSystem.syncDirectory(this.path);
      this.#fileSystem.syncDirectory(dirname(directory));
    } catch (error) {
      this.#discard(target);
      this.#discard(directory);
      throw error;
    }
  }

  /** Removes a block: without its meta.json, what a crash brings back of it is no block. */
  remove(name: string): void {
    this.#removeBlock(`${this.path}/${name}`);
  }

  #discard(block: string): void {
    try {
      this.#removeBlock(block);
    } catch (error) {
      if (!isSystemError(error)) throw error;
    }
  }

  #removeBlock(block: string): void {
    this.#fileSystem.remove(`${block}/${META_FILE}`);
    if (this.#fileSystem.exists(block)) this.#fileSystem.syncDirectory(block);
    this.#fileSystem.remove(block);
  }
}
