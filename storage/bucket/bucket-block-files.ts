/**
 * The files of a block in the bucket, read by ranges of whole pages that are kept: what was read once is not asked for
 * again while the caches have it. Pages that are missing side by side come with one request.
 */
import type { BlockFiles, SparseReads } from '../block/block-files.ts';
import { concurrently } from '../lib/concurrently.ts';
import type { BucketReads } from './bucket-reads.ts';
import { PAGE_BYTES } from './disk-pages.ts';
import type { PageCache } from './page-cache.ts';

/**
 * A request takes about 30 ms to its first byte, in which a connection brings some MiB; but bytes are shared by all
 * connections, and requests are not. As Thanos has it.
 */
const BUCKET_GAP_BYTES: number = 512 * 1024;
/** An answer comes in batches; a block's share of each is small, and this much of it comes with one request. */
const AHEAD_BYTES: number = 1024 * 1024;
/** One request brings at most so much; a longer read is several, side by side. */
const REQUEST_PAGES: number = (16 * 1024 * 1024) / PAGE_BYTES;
const READS_AT_ONCE = 8;

/** What was asked of the bucket and has not come yet, by page: who wants the same waits for it. */
export type PendingPages = Map<string, Promise<Uint8Array>>;

export interface BucketBlockPlace {
  readonly ulid: string;
  /** Without a slash at its end. */
  readonly directory: string;
  /** The sizes of files, as far as they are known: nothing is asked for behind the end of one. */
  readonly bytesOf: (name: string) => number | undefined;
}

export class BucketBlockFiles implements BlockFiles {
  readonly gapBytes: number = BUCKET_GAP_BYTES;
  readonly readsAtOnce: number = READS_AT_ONCE;
  readonly aheadBytes: number;
  readonly sparse: SparseReads = {
    read: (name, offset, length) => this.#readOnce(name, offset, length),
    recall: (name, key) => this.#recall(name, key),
    keep: (name, key, bytes) => this.#keep(name, key, bytes),
  };
  readonly #place: BucketBlockPlace;
  readonly #bucket: BucketReads;
  readonly #cache: PageCache;
  readonly #pending: PendingPages;
  /** Pages that were used since `forgetPages`, for when they turn out to be damaged. */
  readonly #used = new Set<string>();

  /** `pending` belongs to all blocks of the thread. */
  constructor(place: BucketBlockPlace, bucket: BucketReads, cache: PageCache, pending: PendingPages) {
    this.#place = place;
    this.#bucket = bucket;
    this.#cache = cache;
    this.#pending = pending;
    // What is fetched ahead and forgotten before it is read would be fetched again and again.
    this.aheadBytes = cache.isLarge ? AHEAD_BYTES : 0;
  }

  /** Rejects as Bucket.getRange does. */
  async read(name: string, offset: number, length: number, aheadEnd = 0): Promise<Uint8Array> {
    const fileEnd = this.#place.bytesOf(name) ?? Number.POSITIVE_INFINITY;
    const end = Math.min(offset + length, fileEnd);
    if (end <= offset) return new Uint8Array(0);
    const ahead = Math.max(end, Math.min(aheadEnd, fileEnd));
    return await this.#bucket.withRoom(ahead - offset, () => this.#read(name, offset, length, { end, ahead }));
  }

  async #read(
    name: string,
    offset: number,
    length: number,
    { end, ahead }: { end: number; ahead: number },
  ): Promise<Uint8Array> {
    const first = Math.floor(offset / PAGE_BYTES);
    const pages = await this.#pages(name, first, {
      wanted: Math.ceil(end / PAGE_BYTES) - first,
      ahead: Math.ceil(ahead / PAGE_BYTES) - first,
    });
    const bytes = new Uint8Array(length);
    let filled = 0;
    for (const [i, page] of pages.entries()) {
      const skipped = i === 0 ? offset - first * PAGE_BYTES : 0;
      const part = page.subarray(skipped, skipped + length - filled);
      bytes.set(part, filled);
      filled += part.length;
      if (page.length < PAGE_BYTES) break; // The file ends here.
    }
    return bytes.subarray(0, filled);
  }

  /** Rejects as Bucket.size does. */
  async size(name: string): Promise<number> {
    return this.#place.bytesOf(name) ?? (await this.#bucket.size(`${this.#place.directory}/${name}`));
  }

  /** Drops what the caches have of the pages that were used: the next read fetches them again. */
  forgetPages(): void {
    for (const key of this.#used) this.#cache.delete(key);
    this.#used.clear();
  }

  /** The pages that are wanted; with some of them missing, those ahead are fetched too. */
  async #pages(
    name: string,
    first: number,
    { wanted, ahead }: { wanted: number; ahead: number },
  ): Promise<Uint8Array[]> {
    const pages: (Uint8Array | Promise<Uint8Array>)[] = [];
    const missing: { from: number; to: number }[] = [];
    for (let i = 0; i < wanted || (i < ahead && missing.length > 0); i++) {
      const key = this.#key(name, first + i);
      this.#used.add(key);
      const known = this.#pending.get(key) ?? this.#cache.get(key);
      if (known !== undefined) {
        pages[i] = known;
        if (known instanceof Uint8Array && known.length < PAGE_BYTES) break; // The file ends in it.
        continue;
      }
      const last = missing.at(-1);
      if (last !== undefined && last.to === i && i - last.from < REQUEST_PAGES) last.to = i + 1;
      else if (i < wanted) missing.push({ from: i, to: i + 1 });
      else break; // Nothing is asked for ahead alone.
    }
    await concurrently(missing, READS_AT_ONCE, async ({ from, to }) => {
      const fetched = await this.#fetch(name, first + from, to - from);
      for (const [i, page] of fetched.entries()) pages[from + i] = page;
    });
    return await Promise.all(pages.slice(0, wanted));
  }

  /** So many pages by one request; others that want one of them meanwhile wait for it. */
  async #fetch(name: string, first: number, count: number): Promise<Uint8Array[]> {
    const keys = Array.from({ length: count }, (_, i) => this.#key(name, first + i));
    const path = `${this.#place.directory}/${name}`;
    const fetching = this.#bucket.getRange(path, first * PAGE_BYTES, count * PAGE_BYTES).then((bytes) =>
      // Copies: a page that stays in the cache must not keep all the others there.
      keys.map((_, i) => bytes.slice(i * PAGE_BYTES, (i + 1) * PAGE_BYTES)),
    );
    keys.forEach((key, i) => {
      const page = fetching.then((pages) => pages[i] as Uint8Array);
      page.catch(() => {}); // Who asked for it hears of it below.
      this.#pending.set(key, page);
    });
    try {
      const pages = await fetching;
      keys.forEach((key, i) => void this.#cache.put(key, pages[i] as Uint8Array));
      return pages;
    } finally {
      for (const key of keys) this.#pending.delete(key);
    }
  }

  async #readOnce(name: string, offset: number, length: number): Promise<Uint8Array> {
    const { directory, bytesOf } = this.#place;
    const wanted = Math.min(length, (bytesOf(name) ?? Number.POSITIVE_INFINITY) - offset);
    if (wanted <= 0) return new Uint8Array(0);
    return await this.#bucket.withRoom(wanted, () => this.#bucket.getRange(`${directory}/${name}`, offset, wanted));
  }

  /** In pages; the last one is the first that is not full. */
  #keep(name: string, key: string, bytes: Uint8Array): void {
    for (let i = 0; i * PAGE_BYTES <= bytes.length; i++) {
      const pageKey = this.#key(`${name}~${key}`, i);
      this.#used.add(pageKey);
      this.#cache.put(pageKey, bytes.slice(i * PAGE_BYTES, (i + 1) * PAGE_BYTES));
    }
  }

  #recall(name: string, key: string): Uint8Array | undefined {
    const pages: Uint8Array[] = [];
    let page: Uint8Array | undefined;
    do {
      const pageKey = this.#key(`${name}~${key}`, pages.length);
      this.#used.add(pageKey);
      page = this.#cache.get(pageKey);
      if (page === undefined) return undefined;
      pages.push(page);
    } while (page.length === PAGE_BYTES);
    return Buffer.concat(pages);
  }

  /** By the block's name: wherever it lies, its files never change. */
  #key(name: string, page: number): string {
    return `${this.#place.ulid}/${name}#${page}`;
  }
}
