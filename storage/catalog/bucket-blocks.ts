/** The blocks' way to the bucket and back: uploads, syncs and the copies on this disk, each at its time. */
import type { BucketLocation } from '../bucket/bucket-location.ts';
import { BucketThread } from '../bucket/bucket-thread.ts';
import type { Clock } from '../io/clock.ts';
import type { Executor } from '../io/executor.ts';
import type { Random } from '../io/random.ts';
import { Backoff } from '../lib/backoff.ts';
import type { BlockEvent } from './block-event.ts';
import { BlockSync } from './block-sync.ts';
import { BlockUploader } from './block-uploader.ts';
import { BucketHealth } from './bucket-health.ts';
import type { Catalog } from './catalog.ts';
import { LocalCache } from './local-cache.ts';

/** Undefined ones have their defaults. */
export interface BucketSettings {
  /** How often the bucket is looked at; default: 15 min. */
  readonly syncIntervalMs?: number;
  /** Bytes of uploaded blocks that are kept on this disk; default: 10 GiB. */
  readonly localBlocksBytes?: number;
}

export interface BucketBlocksParts {
  readonly catalog: Catalog;
  readonly location: BucketLocation;
  /** Of the blocks on this disk. */
  readonly directory: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly executor: Executor;
  readonly whenSnapshotsAreGone: () => Promise<void>;
  readonly onEvent: (event: BlockEvent) => void;
  /** The bucket has the block no more. */
  readonly onVanished: (ulid: string) => void;
}

/** Counters count from the start of the process. */
export interface BucketStats {
  /** Blocks that are on this disk only, and since when the oldest is. */
  readonly backlogBlocks: number;
  readonly backlogBytes: number;
  readonly backlogSeconds: number;
  /** 1 while the bucket does not answer as it should. */
  readonly bucketFailing: number;
  /** Since 1970; 0: none since the start. */
  readonly lastSyncSeconds: number;
  readonly lastUploadSeconds: number;
  readonly uploads: number;
  readonly uploadedBytes: number;
  readonly syncs: number;
  readonly evictions: number;
}

const SYNC_INTERVAL_MS = 15 * 60_000;
const LOCAL_BLOCKS_BYTES = 10 * 2 ** 30;
const LOOK_INTERVAL_MS = 1000;
/** Between the end of a sync and the beginning of the next one. */
const LEAST_BETWEEN_SYNCS_MS = 5000;
const LONGEST_SYNC_DELAY_MS = 60_000;
/** How long a stop waits for uploads. */
const STOP_PATIENCE_MS = 3000;

export class BucketBlocks {
  readonly #parts: BucketBlocksParts;
  readonly #thread: BucketThread;
  readonly #health: BucketHealth;
  readonly #uploader: BlockUploader;
  readonly #sync: BlockSync;
  readonly #cache: LocalCache;
  readonly #syncIntervalMs: number;
  readonly #syncBackoff: Backoff;
  #stopLooking: () => void = () => {};
  #syncing: Promise<void> | undefined;
  /** When the last sync ended, by the monotonic clock. */
  #syncedMs = Number.NEGATIVE_INFINITY;
  #isDue = true;
  #isClosed = false;
  readonly #closing = Promise.withResolvers<void>();
  readonly #totals = { uploads: 0, uploadedBytes: 0, syncs: 0, evictions: 0 };
  #lastSyncMs = 0;

  constructor(parts: BucketBlocksParts, settings: BucketSettings = {}) {
    const { executor, location, catalog, directory, whenSnapshotsAreGone } = parts;
    const onEvent = (event: BlockEvent): void => this.#report(event);
    const shared = { ...parts, thread: new BucketThread(executor, location), onEvent };
    this.#parts = parts;
    this.#thread = shared.thread;
    this.#health = new BucketHealth(onEvent);
    this.#syncIntervalMs = settings.syncIntervalMs ?? SYNC_INTERVAL_MS;
    this.#syncBackoff = new Backoff({ longestMs: LONGEST_SYNC_DELAY_MS });
    this.#cache = new LocalCache({
      catalog,
      thread: shared.thread,
      directory,
      budgetBytes: settings.localBlocksBytes ?? LOCAL_BLOCKS_BYTES,
      whenSnapshotsAreGone,
      onEvent,
    });
    this.#uploader = new BlockUploader({ ...shared, health: this.#health, onUploaded: () => this.#cache.trim() });
    this.#sync = new BlockSync({ ...shared, onDeleted: (ulid, from) => this.#cache.evict(ulid, from) });
  }

  start(): void {
    this.#stopLooking = this.#parts.clock.every(LOOK_INTERVAL_MS, () => this.#look());
    this.#look();
  }

  /** Begins no upload any more. */
  leaveAlone(): void {
    this.#uploader.stop();
  }

  /** A block was cut. */
  noteNew(): void {
    this.#uploader.look();
  }

  setShortOfSpace(isShort: boolean): void {
    this.#cache.isShortOfSpace = isShort;
    if (isShort) this.#cache.trim();
  }

  /** Resolves after a sync that began after this call; of several calls at once, one sync comes. */
  async refresh(): Promise<void> {
    // That one may have begun too early.
    await this.#syncing?.catch(() => undefined);
    this.#syncing ??= this.#syncWhenAllowed();
    await this.#syncing;
  }

  /** Resolves after a sync, or when the time is over. That it failed is reported. */
  async refreshInTime(ms: number): Promise<void> {
    await Promise.race([this.refresh().catch(() => undefined), this.#pause(ms)]);
  }

  stats(): BucketStats {
    const { catalog, clock } = this.#parts;
    const backlog = catalog.backlog();
    return {
      backlogBlocks: backlog.blocks,
      backlogBytes: backlog.bytes,
      backlogSeconds: backlog.blocks === 0 ? 0 : Math.max(0, clock.nowMs() - backlog.oldestMs) / 1000,
      bucketFailing: this.#health.isFailing ? 1 : 0,
      lastSyncSeconds: this.#lastSyncMs / 1000,
      lastUploadSeconds: this.#uploader.lastSuccessMs / 1000,
      ...this.#totals,
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopLooking();
    this.#closing.resolve();
    this.#uploader.stop();
    this.#cache.close();
    const patience = Promise.withResolvers<void>();
    const stopTimer = this.#parts.clock.after(STOP_PATIENCE_MS, patience.resolve);
    await Promise.race([this.#uploader.whenIdle(), patience.promise]);
    stopTimer();
    this.#thread.close();
    await this.#uploader.whenIdle();
    await this.#syncing?.catch(() => undefined);
  }

  #look(): void {
    const now = this.#parts.clock.monotonicMs();
    this.#uploader.look();
    this.#isDue ||= now - this.#syncedMs >= this.#syncIntervalMs;
    if (!this.#isDue || this.#syncing !== undefined || !this.#syncBackoff.isOver(now)) return;
    this.#syncing = this.#syncWhenAllowed();
    // Why it failed was reported.
    this.#syncing.catch(() => undefined);
  }

  async #syncWhenAllowed(): Promise<void> {
    const { clock } = this.#parts;
    try {
      const waitMs = this.#syncedMs + LEAST_BETWEEN_SYNCS_MS - clock.monotonicMs();
      if (waitMs > 0) await this.#pause(waitMs);
      await this.#sync.run();
      this.#isDue = false;
      this.#syncBackoff.succeed();
      this.#totals.syncs++;
      this.#lastSyncMs = clock.nowMs();
      this.#health.noteSuccess();
    } catch (error) {
      this.#syncBackoff.fail(clock.monotonicMs());
      if (!this.#isClosed) this.#health.noteFailure(error instanceof Error ? error.message : String(error));
      throw error;
    } finally {
      this.#syncedMs = clock.monotonicMs();
      this.#syncing = undefined;
    }
    // What vanished is uploaded again.
    this.#uploader.look();
    this.#cache.trim();
  }

  /** Ends early when the engine is closed. */
  async #pause(ms: number): Promise<void> {
    const over = Promise.withResolvers<void>();
    const stopTimer = this.#parts.clock.after(ms, over.resolve);
    await Promise.race([over.promise, this.#closing.promise]);
    stopTimer();
  }

  #report(event: BlockEvent): void {
    if (event.kind === 'block-uploaded') {
      this.#totals.uploads++;
      this.#totals.uploadedBytes += event.sentBytes;
    } else if (event.kind === 'block-evicted') this.#totals.evictions++;
    this.#parts.onEvent(event);
  }
}
