/**
 * The thread of the log: an activity (storage/io/executor.ts) that does nothing but commit, so that no other work of
 * the process delays an acknowledgement. It sleeps on the word that says up to where the log is wanted on disk, and takes
 * all that is there when it wakes.
 */
import type { Port } from '../io/executor.ts';
import type { World } from '../io/world.ts';
import { WalCommitter, type WalCommitterOptions } from './committer.ts';

/** Structured-clonable; `memory` is shared with the sender. */
export type WalThreadInit = Omit<WalCommitterOptions, 'fileSystem'> & {
  readonly memory: SharedArrayBuffer;
  /** How long a record may be written and not synced; 0: each commit syncs. */
  readonly syncIntervalMs: number;
};

export type WalThreadMessage =
  /** Everything before this position (bytes mod 2^32) is on disk. */
  | { readonly durable: number }
  /** Everything before this position is written, and will be on disk after the interval. */
  | { readonly written: number }
  /** Writes have to stop: the disk has too little space left; undefined: they may go on. Sent at each change. */
  | { readonly shortage: string | undefined }
  /** A write or sync failed; it is tried again until it works. Sent at each failed try. */
  | { readonly failing: string }
  /** Follows the first `durable` after `failing`. */
  | { readonly recovered: true }
  /** The stop word was set, and all that could be written is. The last message. */
  | { readonly stopped: true }
  /** A bug: the thread ends. The last message. */
  | { readonly failed: string };

const RETRY_INTERVAL_MS = 250;
/** Bounds how late a stop is seen by a thread that nobody wakes. */
const IDLE_WAIT_MS = 200;

/** Resolves after the stop word was set to 1 (notify the wanted word too, to be heard at once), or after a bug. */
export async function run(port: Port, init: WalThreadInit, world: World): Promise<void> {
  const post = (message: WalThreadMessage): void => port.post(message);
  try {
    const committer = new WalCommitter({ ...init, fileSystem: world.fileSystem });
    await new CommitLoop(committer, init, world, post).run();
    committer.close();
    post({ stopped: true });
  } catch (error) {
    post({ failed: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}

class CommitLoop {
  readonly #committer: WalCommitter;
  readonly #init: WalThreadInit;
  readonly #words: Int32Array;
  readonly #world: World;
  readonly #post: (message: WalThreadMessage) => void;
  /** Since when something is written and not synced. */
  #unsyncedSinceMs: number | undefined;
  #shortage: string | undefined;

  constructor(committer: WalCommitter, init: WalThreadInit, world: World, post: (message: WalThreadMessage) => void) {
    this.#committer = committer;
    this.#init = init;
    this.#words = new Int32Array(init.memory);
    this.#world = world;
    this.#post = post;
  }

  async run(): Promise<void> {
    const words = this.#words;
    const { addresses } = this.#init;
    for (;;) {
      // Loaded before the commit: what is asked for after it is seen by the commit, or makes the wait return at once.
      const stop = Atomics.load(words, addresses.stop >> 2) === 1;
      const wanted = Atomics.load(words, addresses.wanted >> 2);
      const sync = stop || this.#isSyncDue();
      const outcome = this.#committer.commit(sync);
      if (outcome === undefined) {
        if (stop) return;
        const hasMoreToMake = this.#growSpares();
        if (!hasMoreToMake) await this.#world.wait(words, addresses.wanted >> 2, wanted, this.#idleMs());
      } else if ('failing' in outcome) {
        this.#unsyncedSinceMs = undefined;
        this.#post({ failing: outcome.failing });
        if (stop) return;
        await this.#world.wait(words, addresses.stop >> 2, 0, RETRY_INTERVAL_MS);
      } else {
        this.#tell(outcome, sync);
        // What came meanwhile is not asked for yet: the next group is not whole.
        const hasMoreToMake = this.#growSpares();
        if (!hasMoreToMake && !stop) await this.#world.wait(words, addresses.wanted >> 2, wanted, this.#idleMs());
      }
    }
  }

  #isSyncDue(): boolean {
    const { syncIntervalMs, addresses } = this.#init;
    if (syncIntervalMs === 0) return true;
    if (Atomics.exchange(this.#words, addresses.syncWanted >> 2, 0) === 1) return true;
    return this.#unsyncedMs() >= syncIntervalMs || this.#committer.unsyncedBytes >= addresses.ringBytes / 2;
  }

  #unsyncedMs(): number {
    return this.#unsyncedSinceMs === undefined ? 0 : this.#world.clock.monotonicMs() - this.#unsyncedSinceMs;
  }

  #tell({ durable, recovered }: { durable: number; recovered: boolean }, isSynced: boolean): void {
    if (this.#init.syncIntervalMs > 0) this.#post({ written: this.#committer.written });
    // A segment that was full may have been synced in any case.
    this.#post({ durable });
    if (isSynced) this.#unsyncedSinceMs = undefined;
    else this.#unsyncedSinceMs ??= this.#world.clock.monotonicMs();
    if (recovered) this.#post({ recovered: true });
  }

  #growSpares(): boolean {
    const hasMoreToMake = this.#committer.growSpares();
    const { shortage } = this.#committer;
    if ((shortage === undefined) !== (this.#shortage === undefined)) this.#post({ shortage });
    this.#shortage = shortage;
    return hasMoreToMake;
  }

  #idleMs(): number {
    if (this.#unsyncedSinceMs === undefined) return IDLE_WAIT_MS;
    return Math.min(IDLE_WAIT_MS, Math.max(1, this.#init.syncIntervalMs - this.#unsyncedMs()));
  }
}
