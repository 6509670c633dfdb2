/** Pages of objects of the bucket: the last used ones in this thread's memory, and more on disk for all threads. */
import { LRUCache } from 'lru-cache';
import type { DiskPages } from './disk-pages.ts';

/** A month of blocks with 1 MiB of each read ahead is 360 MiB. */
const LARGE_BYTES: number = 1024 * 1024 * 1024;

export class PageCache {
  readonly #memory: LRUCache<string, Uint8Array> | undefined;
  readonly #disk: DiskPages;

  /** `memoryBytes` may be 0: then there are those on disk only. */
  constructor(memoryBytes: number, disk: DiskPages) {
    if (memoryBytes > 0) {
      this.#memory = new LRUCache({
        maxSize: memoryBytes,
        sizeCalculation: ({ length }, key) => length + key.length + 64,
      });
    }
    this.#disk = disk;
  }

  /** Whether it keeps more than a query or two need. */
  get isLarge(): boolean {
    return this.#disk.maxBytes + (this.#memory?.maxSize ?? 0) >= LARGE_BYTES;
  }

  /** The page, which must not be changed. */
  get(key: string): Uint8Array | undefined {
    const known = this.#memory?.get(key);
    if (known !== undefined) return known;
    const page = this.#disk.get(key);
    if (page !== undefined) this.#memory?.set(key, page);
    return page;
  }

  /** Keeps the page; it must not be changed from now on. */
  put(key: string, page: Uint8Array): void {
    this.#memory?.set(key, page);
    this.#disk.put(key, page);
  }

  delete(key: string): void {
    this.#memory?.delete(key);
    this.#disk.delete(key);
  }

  close(): void {
    this.#memory?.clear();
    this.#disk.close();
  }
}
