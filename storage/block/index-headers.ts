/**
 * The headers of the indexes of blocks that may lie in a bucket (storage/index/index-header.ts), each in a file of this
 * disk named by its block. All of them can be deleted at any time: one that is missing or damaged is made anew.
 */

import { TOC_BYTES } from '../index/format.ts';
import { encodeIndexHeader, type IndexContents, IndexHeader, readContents } from '../index/index-header.ts';
import type { FileSystem } from '../io/file-system.ts';
import { isSystemError } from '../io/system-error.ts';
import { StorageError } from '../lib/errors.ts';
import type { BlockFiles } from './block-files.ts';
import { INDEX_FILE } from './layout.ts';

/** What a header is made of; see `IndexHeader.fromIndex`. */
interface IndexParts {
  readonly contents: IndexContents;
  readonly front: Uint8Array;
  readonly table: Uint8Array;
}

export class IndexHeaders {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;

  /** The directory is made when the first header is kept. */
  constructor(fileSystem: FileSystem, directory: string) {
    this.#fileSystem = fileSystem;
    this.#directory = directory;
  }

  /** The header of the block, from its file, or made from the index and kept. Rejects as `loadIndexHeader`. */
  async open(ulid: string, files: BlockFiles, indexBytes: number | undefined): Promise<IndexHeader> {
    const kept = this.#read(ulid);
    if (kept !== undefined) return kept;
    const parts = await readParts(ulid, files, indexBytes);
    const header = headerOf(ulid, parts); // First: what is damaged is not kept.
    this.#keep(ulid, parts);
    return header;
  }

  /** Makes the header of a block whose files are here, as when it was just written. Rejects as `loadIndexHeader`. */
  async make(ulid: string, files: BlockFiles): Promise<void> {
    this.#keep(ulid, await readParts(ulid, files, undefined));
  }

  /** The block is no more. A header that the disk does not let go costs some space. */
  remove(ulid: string): void {
    try {
      this.#fileSystem.remove(this.#path(ulid));
    } catch (error) {
      if (!isSystemError(error)) throw error;
    }
  }

  #path(ulid: string): string {
    return `${this.#directory}/${ulid}`;
  }

  #read(ulid: string): IndexHeader | undefined {
    try {
      const file = this.#fileSystem.open(this.#path(ulid), 'read');
      try {
        const bytes = new Uint8Array(file.size());
        return IndexHeader.decode(`index-headers/${ulid}`, bytes.subarray(0, file.read(bytes, 0)));
      } finally {
        file.close();
      }
    } catch (error) {
      // Not there, not readable, damaged, or of a newer version: the index itself knows all of it.
      if (isSystemError(error) || error instanceof StorageError) return undefined;
      throw error;
    }
  }

  /** A disk that cannot be written costs requests, not answers. Not synced: a torn one is found by its checksums. */
  #keep(ulid: string, { contents, front, table }: IndexParts): void {
    const path = this.#path(ulid);
    const temporary = `${path}.tmp`;
    try {
      this.#fileSystem.makeDirectory(this.#directory);
      const file = this.#fileSystem.open(temporary, 'create');
      try {
        file.write(encodeIndexHeader(contents, front, table), 0);
      } finally {
        file.close();
      }
      this.#fileSystem.rename(temporary, path);
    } catch (error) {
      if (!isSystemError(error)) throw error;
    }
  }
}

/**
 * The header of a block's index, by ranges of the file. `indexBytes` is the size of the file, if it is known: else it is asked
 * for. Rejects with CorruptionError and what `files` reject with.
 */
export async function loadIndexHeader(
  ulid: string,
  files: BlockFiles,
  indexBytes: number | undefined,
): Promise<IndexHeader> {
  return headerOf(ulid, await readParts(ulid, files, indexBytes));
}

function headerOf(ulid: string, { contents, front, table }: IndexParts): IndexHeader {
  return IndexHeader.fromIndex(`${ulid}/${INDEX_FILE}`, contents, front, table);
}

async function readParts(ulid: string, files: BlockFiles, indexBytes: number | undefined): Promise<IndexParts> {
  const size = indexBytes ?? (await files.size(INDEX_FILE));
  const toc = await files.read(INDEX_FILE, Math.max(0, size - TOC_BYTES), TOC_BYTES);
  const contents = readContents(`${ulid}/${INDEX_FILE}`, size, toc);
  const [front, table] = await Promise.all([
    files.read(INDEX_FILE, 0, contents.series),
    files.read(INDEX_FILE, contents.postingsTable, size - TOC_BYTES - contents.postingsTable),
  ]);
  return { contents, front, table };
}
