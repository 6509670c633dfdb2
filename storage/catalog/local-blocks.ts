/**
 * The blocks on this disk: those that were cut here and wait for their upload, those that are kept as a cache, and, where
 * no other bucket is configured, all. The directories say what is there; the catalogue learns it from them at the start.
 */
import { META_FILE } from '../block/layout.ts';
import { type BlockMeta, parseMeta } from '../block/meta.ts';
import { BlockDirectory } from '../bucket/block-directory.ts';
import type { Clock } from '../io/clock.ts';
import type { FileSystem } from '../io/file-system.ts';
import { StorageError } from '../lib/errors.ts';
import { isUlid } from '../lib/ulid.ts';
import type { Catalog } from './catalog.ts';

export interface LocalBlocksParts {
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly catalog: Catalog;
}

export class LocalBlocks {
  readonly #parts: LocalBlocksParts;
  readonly #home: BlockDirectory;
  readonly #directories: ReadonlyMap<string, BlockDirectory>;

  /** New blocks go to `home`; `others` are directories with blocks that were made under another configuration. */
  constructor(parts: LocalBlocksParts, home: string, others: readonly string[]) {
    const { fileSystem } = parts;
    const there = others.filter((path) => fileSystem.exists(path));
    this.#parts = parts;
    this.#directories = new Map([home, ...there].map((path) => [path, new BlockDirectory(fileSystem, path)]));
    this.#home = this.#directories.get(home) as BlockDirectory;
  }

  /**
   * Makes the catalogue say what is there; false if it had blocks that are not: it may have lost its last changes. `onSkipped`
   * hears of what looks like a block and cannot be read.
   */
  load(onSkipped: (message: string) => void): boolean {
    const { catalog, fileSystem } = this.#parts;
    const known = catalog.localBlocks();
    const present = new Set<string>();
    for (const directory of this.#directories.values()) {
      for (const name of directory.names()) {
        if (!isUlid(name) || present.has(name)) continue;
        const isPresent =
          known.get(name) === directory.path
            ? fileSystem.exists(`${directory.path}/${name}/${META_FILE}`)
            : this.#add(directory, name, onSkipped);
        if (isPresent) present.add(name);
      }
    }
    const gone = Array.from(known.keys()).filter((ulid) => !present.has(ulid));
    for (const ulid of gone) catalog.removeLocal(ulid);
    return gone.length === 0;
  }

  /**
   * Takes over the complete block in `directory`. When it returns, the block is durable and can be read. When it throws,
   * nothing is left of it, as far as the disk can be written.
   */
  adopt(directory: string, meta: BlockMeta): void {
    const { catalog, clock } = this.#parts;
    this.#home.adopt(directory, meta.ulid);
    try {
      catalog.addLocal(meta, this.#home.path, clock.nowMs());
    } catch (error) {
      this.#home.remove(meta.ulid);
      throw error;
    }
  }

  #add(directory: BlockDirectory, name: string, onSkipped: (message: string) => void): boolean {
    const { catalog, clock } = this.#parts;
    try {
      const meta = parseMeta(directory.meta(name), `${name}/${META_FILE}`);
      if (meta.ulid === name) {
        catalog.addLocal(meta, directory.path, clock.nowMs());
        return true;
      }
      onSkipped(`${name}/${META_FILE} is of the block ${meta.ulid}`);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      onSkipped(error.message);
    }
    return false;
  }
}
