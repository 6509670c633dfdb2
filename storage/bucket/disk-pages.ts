/**
 * Pages on a disk: one file of slots, as many as the budget allows, that all threads read and write without asking each
 * other. Where a page may be follows from its key; a slot says which page it holds, and a checksum whether it holds it
 * whole. So a slot that two threads write at once, a crash, or a file that somebody deletes costs a page, never an answer.
 *
 *   file   slot *              absent bytes are holes: the file takes what was written
 *   slot   crc u32 over all but itself and the stamp | stamp u32 | length of the key u16 | length of the page u32
 *          key | zero bytes up to 256 | page, up to 64 KiB
 *
 * A page may be in one of WAYS slots side by side; a new one takes the place of the one that was used longest ago. The
 * stamp is when that was, in seconds since 1970. Numbers are big-endian. Nothing is synced.
 */
import type { Clock } from '../io/clock.ts';
import type { File, FileSystem } from '../io/file-system.ts';
import { isSystemError } from '../io/system-error.ts';
import { crc32c } from '../lib/crc32c.ts';

/** What one page holds at most. */
export const PAGE_BYTES: number = 64 * 1024;

const SLOT_HEADER_BYTES = 256;
const FIXED_BYTES: number = 4 + 4 + 2 + 4;
const SLOT_BYTES: number = SLOT_HEADER_BYTES + PAGE_BYTES;
const MAX_KEY_BYTES: number = SLOT_HEADER_BYTES - FIXED_BYTES;
const WAYS = 4;

/** Free space is looked at once in so many pages that are written: 4 MiB. */
const PAGES_PER_LOOK = 64;

/** A stamp is written anew when it is older than this: most hits write nothing. */
const STAMP_AGE_S = 60;

export interface DiskPagesOptions {
  readonly fileSystem: FileSystem;
  readonly clock: Pick<Clock, 'nowMs'>;
  /** The directory that the file is in; made when it is needed. */
  readonly directory: string;
  readonly maxBytes: number;
  /** Nothing is written while less is free on the disk. */
  readonly keepFreeBytes: number;
}

export class DiskPages {
  readonly #options: DiskPagesOptions;
  readonly #sets: number;
  readonly #slot: Uint8Array = new Uint8Array(SLOT_BYTES);
  readonly #view: DataView;
  #file: File | undefined;
  #isBroken = false;
  #written = 0;
  #isShort = false;

  /** A budget below one set of slots keeps nothing. */
  constructor(options: DiskPagesOptions) {
    this.#options = options;
    this.#sets = Math.floor(options.maxBytes / (SLOT_BYTES * WAYS));
    this.#view = new DataView(this.#slot.buffer);
  }

  /** What it may take on the disk. */
  get maxBytes(): number {
    return this.#isBroken ? 0 : this.#sets * WAYS * SLOT_BYTES;
  }

  /** A copy of the page, if it is there. */
  get(key: string): Uint8Array | undefined {
    return this.#withFile((file) => {
      const at = this.#find(file, Buffer.from(key));
      if (at === undefined) return undefined;
      const length = this.#view.getUint32(10);
      const count = file.read(this.#slot, at);
      if (count < SLOT_HEADER_BYTES + length || length > PAGE_BYTES || !this.#isWhole(length)) return undefined;
      this.#restamp(file, at);
      return this.#slot.slice(SLOT_HEADER_BYTES, SLOT_HEADER_BYTES + length);
    });
  }

  put(key: string, page: Uint8Array): void {
    const name = Buffer.from(key);
    if (name.length > MAX_KEY_BYTES || page.length > PAGE_BYTES) return;
    this.#withFile((file) => {
      if (this.#isDiskShort()) return;
      const at = this.#find(file, name) ?? this.#oldest(file, name);
      this.#slot.fill(0, 0, SLOT_HEADER_BYTES);
      this.#view.setUint32(4, this.#nowS);
      this.#view.setUint16(8, name.length);
      this.#view.setUint32(10, page.length);
      this.#slot.set(name, FIXED_BYTES);
      this.#slot.set(page, SLOT_HEADER_BYTES);
      this.#view.setUint32(0, this.#checksum(page.length));
      file.write(this.#slot.subarray(0, SLOT_HEADER_BYTES + page.length), at);
    });
  }

  delete(key: string): void {
    this.#withFile((file) => {
      const at = this.#find(file, Buffer.from(key));
      if (at !== undefined) file.write(new Uint8Array(SLOT_HEADER_BYTES), at);
    });
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  get #nowS(): number {
    return Math.floor(this.#options.clock.nowMs() / 1000) % 2 ** 32;
  }

  /** A cache that the disk refuses is none: from the first error on nothing is kept. */
  #withFile<T>(work: (file: File) => T): T | undefined {
    if (this.#sets === 0 || this.#isBroken) return undefined;
    try {
      this.#file ??= this.#open();
      return work(this.#file);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      this.#isBroken = true;
      this.close();
      return undefined;
    }
  }

  #open(): File {
    const { fileSystem, directory } = this.#options;
    const path = `${directory}/pages`;
    fileSystem.makeDirectory(directory);
    const file = fileSystem.open(path, fileSystem.exists(path) ? 'update' : 'create');
    // It was larger under another budget.
    const bytes = this.#sets * WAYS * SLOT_BYTES;
    if (file.size() > bytes) file.truncate(bytes);
    return file;
  }

  #slots(name: Uint8Array): number[] {
    const first = (crc32c(name) % this.#sets) * WAYS;
    return Array.from({ length: WAYS }, (_, way) => (first + way) * SLOT_BYTES);
  }

  /** Where the slot of the page is; its header is in #slot then. */
  #find(file: File, name: Uint8Array): number | undefined {
    return this.#slots(name).find((at) => {
      const count = file.read(this.#slot.subarray(0, SLOT_HEADER_BYTES), at);
      return count === SLOT_HEADER_BYTES && this.#isOf(name);
    });
  }

  #isOf(name: Uint8Array): boolean {
    const length = this.#view.getUint16(8);
    return length === name.length && Buffer.compare(this.#slot.subarray(FIXED_BYTES, FIXED_BYTES + length), name) === 0;
  }

  /** The slot that was used longest ago; one that is empty or does not exist yet has the stamp 0. */
  #oldest(file: File, name: Uint8Array): number {
    let oldest = { at: 0, stamp: Number.POSITIVE_INFINITY };
    for (const at of this.#slots(name)) {
      const count = file.read(this.#slot.subarray(0, FIXED_BYTES), at);
      const stamp = count < FIXED_BYTES ? 0 : this.#view.getUint32(4);
      if (stamp < oldest.stamp) oldest = { at, stamp };
    }
    return oldest.at;
  }

  #restamp(file: File, at: number): void {
    const now = this.#nowS;
    if (Math.abs(now - this.#view.getUint32(4)) < STAMP_AGE_S) return;
    this.#view.setUint32(4, now);
    file.write(this.#slot.subarray(4, 8), at + 4);
  }

  #isWhole(length: number): boolean {
    return this.#view.getUint32(0) === this.#checksum(length);
  }

  #checksum(length: number): number {
    return crc32c(this.#slot.subarray(8, SLOT_HEADER_BYTES + length));
  }

  #isDiskShort(): boolean {
    const { fileSystem, directory, keepFreeBytes } = this.#options;
    if (this.#written++ % PAGES_PER_LOOK === 0) this.#isShort = fileSystem.volume(directory).freeBytes < keepFreeBytes;
    return this.#isShort;
  }
}
