/**
 * A file of the log on a disk with bad sectors: what cannot be read counts as zeros, which are in no frame, and is
 * remembered. One sector costs the frames in it and not the start of the program.
 */
import type { File, FileSystem } from '../io/file-system.ts';
import { isSystemError } from '../io/system-error.ts';

/** What the system reads at once, and so what a bad sector costs. */
export const PAGE_BYTES = 4096;
const COPY_BYTES: number = 256 * PAGE_BYTES;

export class SalvagedFile {
  readonly #file: File;
  readonly #unreadable: Set<number> = new Set();

  /** Opens for reading; throws the file system's error if that fails. */
  constructor(fileSystem: FileSystem, path: string) {
    this.#file = fileSystem.open(path, 'read');
  }

  /** Offsets of pages (PAGE_BYTES, the last one to the end of the file) that could not be read so far. */
  get unreadable(): ReadonlySet<number> {
    return this.#unreadable;
  }

  size(): number {
    return this.#file.size();
  }

  /** As File.read, without its errors. */
  read(target: Uint8Array, position: number): number {
    try {
      return this.#file.read(target, position);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      return this.#readPages(target.subarray(0, Math.max(0, this.size() - position)), position);
    }
  }

  /** Writes `length` bytes from `from` on to `target` at `to`, but for the pages that cannot be read. */
  copy(from: number, length: number, target: File, to: number): void {
    const buffer = new Uint8Array(Math.min(length, COPY_BYTES));
    for (let done = 0; done < length; done += buffer.length) {
      const piece = buffer.subarray(0, Math.min(buffer.length, length - done));
      this.read(piece, from + done);
      if (this.#unreadable.size === 0) target.write(piece, to + done);
      else this.#forEachPage(piece, from + done, (page, offset) => target.write(page, offset - from + to));
    }
  }

  close(): void {
    this.#file.close();
  }

  #readPages(target: Uint8Array, position: number): number {
    this.#forEachPage(target, position, (page, offset) => {
      try {
        this.#file.read(page, offset);
      } catch (error) {
        if (!isSystemError(error)) throw error;
        this.#unreadable.add(offset - (offset % PAGE_BYTES));
      }
    });
    return target.length;
  }

  /** Calls `visit` with each page of `bytes` that is not known to be unreadable; fills the others with zeros. */
  #forEachPage(bytes: Uint8Array, position: number, visit: (page: Uint8Array, offset: number) => void): void {
    for (let from = 0; from < bytes.length; ) {
      const offset = position + from;
      const page = bytes.subarray(from, from + PAGE_BYTES - (offset % PAGE_BYTES));
      if (!this.#unreadable.has(offset - (offset % PAGE_BYTES))) visit(page, offset);
      if (this.#unreadable.has(offset - (offset % PAGE_BYTES))) page.fill(0);
      from += page.length;
    }
  }
}
