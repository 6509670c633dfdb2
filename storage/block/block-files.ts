/** Where a block's files are read from: a local directory here, ranged reads of a bucket elsewhere. */
import type { File, FileSystem } from '../io/file-system.ts';

/** The files of one block by their paths in it (layout.ts), and what it costs to read them. */
export interface BlockFiles {
  /** So many unwanted bytes between two wanted places are cheaper than another read. */
  readonly gapBytes: number;
  /** Reads that are worth making at the same time. */
  readonly readsAtOnce: number;
  /** How far ahead of what is read it pays to fetch what will be read soon; 0: it does not. */
  readonly aheadBytes: number;
  /**
   * The bytes of a file from `offset`; fewer than `length` only where the file ends. They are the caller's. `aheadEnd`: if
   * something has to be fetched, what lies before this place is fetched too, and kept for the next read.
   */
  read(name: string, offset: number, length: number, aheadEnd?: number): Promise<Uint8Array>;
  /** The size of a file in bytes. */
  size(name: string): Promise<number>;
  /** For long ranges of which little is wanted; undefined where there is nothing to gain. */
  readonly sparse?: SparseReads;
}

/** Long ranges of which only some pieces are wanted, and these pieces again. */
export interface SparseReads {
  /** As BlockFiles.read, but nothing of it is kept. */
  read(name: string, offset: number, length: number): Promise<Uint8Array>;
  /** What was kept of a file under this key, if it still is. It must not be changed. */
  recall(name: string, key: string): Uint8Array | undefined;
  /** Keeps bytes that are not changed from now on. */
  keep(name: string, key: string, bytes: Uint8Array): void;
}

/** A system call takes as long as the copy of some 16 KiB that the machine has in memory. */
const LOCAL_GAP_BYTES: number = 16 * 1024;

/** A block's directory on a file system. Files are opened when first read and stay open until `close`. */
export class DirectoryBlockFiles implements BlockFiles {
  readonly gapBytes: number = LOCAL_GAP_BYTES;
  /** Calls of the file system block: more at once only hold more memory. */
  readonly readsAtOnce = 1;
  readonly aheadBytes = 0;
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  readonly #files = new Map<string, File>();

  constructor(fileSystem: FileSystem, directory: string) {
    this.#fileSystem = fileSystem;
    this.#directory = directory;
  }

  async read(name: string, offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    return bytes.subarray(0, this.#open(name).read(bytes, offset));
  }

  async size(name: string): Promise<number> {
    return this.#open(name).size();
  }

  /** Closes all files; a later read opens them anew. */
  close(): void {
    for (const file of this.#files.values()) file.close();
    this.#files.clear();
  }

  #open(name: string): File {
    let file = this.#files.get(name);
    if (file === undefined) {
      file = this.#fileSystem.open(`${this.#directory}/${name}`, 'read');
      this.#files.set(name, file);
    }
    return file;
  }
}
