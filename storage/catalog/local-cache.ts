/**
 * The copies of uploaded blocks on this disk, as many as a budget allows. Those whose samples are oldest go first: queries
 * ask for the newest most. A copy goes only when the bucket holds the block, and when every query that may read it is over.
 */
import type { BucketThread } from '../bucket/bucket-thread.ts';
import type { BlockEvent } from './block-event.ts';
import type { Catalog } from './catalog.ts';

export interface CacheParts {
  readonly catalog: Catalog;
  readonly thread: Pick<BucketThread, 'run'>;
  /** The directory of the copies; blocks elsewhere are left where they are. */
  readonly directory: string;
  readonly budgetBytes: number;
  /** Resolves when every snapshot that was taken before now is released. */
  readonly whenSnapshotsAreGone: () => Promise<void>;
  readonly onEvent: (event: BlockEvent) => void;
}

/** In one look; the next one goes on. */
const EVICTED_AT_ONCE = 1000;

interface Copy {
  readonly ulid: string;
  readonly bytes: number;
}

export class LocalCache {
  readonly #parts: CacheParts;
  /** While the disk is nearly full, the budget is nothing. */
  isShortOfSpace = false;
  #isClosed = false;

  constructor(parts: CacheParts) {
    this.#parts = parts;
  }

  /** Keeps to the budget. */
  trim(): void {
    let over = this.#parts.catalog.localBytes() - (this.isShortOfSpace ? 0 : this.#parts.budgetBytes);
    if (over <= 0) return;
    for (const copy of this.#evictable()) {
      if (over <= 0) return;
      over -= copy.bytes;
      this.evict(copy.ulid, this.#parts.directory);
      this.#parts.onEvent({ kind: 'block-evicted', ...copy });
    }
  }

  /** From now on the block is read from the bucket, if it is there; its files go when nobody reads them any more. */
  evict(ulid: string, directory: string): void {
    const { catalog, whenSnapshotsAreGone } = this.#parts;
    catalog.removeLocal(ulid);
    void whenSnapshotsAreGone().then(() => this.#discard(ulid, directory));
  }

  /** Removes nothing more; what is left is found at the next start. */
  close(): void {
    this.#isClosed = true;
  }

  *#evictable(): Iterable<Copy> {
    const { catalog, directory } = this.#parts;
    yield* catalog
      .sql(
        `SELECT ulid, bytes FROM blocks INDEXED BY blocks_here
         WHERE local IS NOT NULL AND local = ? AND state = 'uploaded' AND missing = 0 ORDER BY max_time, ulid LIMIT ?`,
      )
      .all(directory, EVICTED_AT_ONCE) as Copy[];
  }

  /** Unless it has come back meanwhile. */
  async #discard(ulid: string, directory: string): Promise<void> {
    const { catalog, thread } = this.#parts;
    if (this.#isClosed || catalog.localDirectory(ulid) !== undefined) return;
    // What cannot be removed is found again at the next start.
    await thread.run('discard', { directory, name: ulid }).catch(() => undefined);
  }
}
