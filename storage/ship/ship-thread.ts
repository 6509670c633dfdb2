/**
 * The ship thread: an activity (storage/io/executor.ts) with its own connections to the bucket. It looks at the log on
 * this disk at least once a second, ships at the interval that it is told, and tells how far it is. It never makes the
 * log wait. The other end is wal-shipping.ts.
 */
import type { Bucket } from '../bucket/bucket.ts';
import { type BucketLocation, openBucketAt } from '../bucket/bucket-location.ts';
import type { Port } from '../io/executor.ts';
import { isSystemError } from '../io/system-error.ts';
import type { World } from '../io/world.ts';
import { Backoff } from '../lib/backoff.ts';
import { StorageError } from '../lib/errors.ts';
import { FencedError } from './epoch-watch.ts';
import { type ShipCounts, Shipper, type ShipperOptions } from './shipper.ts';

/** Structured-clonable; `memory` is shared with the log. */
export type ShipThreadInit = Omit<ShipperOptions, 'bucket'> & {
  readonly location: BucketLocation;
  readonly memory: SharedArrayBuffer;
  /** Byte addresses of the log's words (storage/wal/committer.ts). */
  readonly addresses: { readonly tail: number; readonly synced: number };
  /** 0: nothing is shipped, and the thread only looks for a higher epoch. */
  readonly intervalMs: number;
};

export type ShipOrder =
  /** The blocks that were cut before this checkpoint are in the bucket. */
  | { readonly release: number }
  /** Ship what is there now, and end. */
  | { readonly stop: true };

export type ShipMessage =
  /** Everything before this position of the log (bytes since the start of the process) is in the bucket. */
  | { readonly shipped: number }
  /** After each round that did something or failed. */
  | { readonly counts: ShipCounts; readonly behindBytes: number }
  /** The bucket has this checkpoint, and needs nothing older. */
  | { readonly checkpoint: number }
  /** The bucket does not take it; it is tried again. Sent at each failed try. */
  | { readonly failing: string }
  /** Follows the first round that went well after `failing`. */
  | { readonly recovered: true }
  /** A higher epoch is in the bucket: the thread changes nothing there any more. */
  | { readonly fenced: string }
  /** It was told to stop, and everything is shipped that could be. The last message. */
  | { readonly stopped: true }
  /** A bug: the thread ends. The last message. */
  | { readonly failed: string };

/** How often the log on this disk is looked at. */
const LOOK_INTERVAL_MS = 1000;
/** Who did not look for so long was paused: the process, or its machine. */
const PAUSE_MS = 5000;
/** A store that is back is noticed within this time: the log must not wait long. */
const LONGEST_RETRY_MS = 30_000;

/** Resolves after `stop`, or after a bug. */
export async function run(port: Port, init: ShipThreadInit, world: World): Promise<void> {
  const post = (message: ShipMessage): void => port.post(message);
  try {
    const loop = new ShipLoop(init, world, post);
    port.onMessage((order) => loop.order(order as ShipOrder));
    await loop.run();
    post({ stopped: true });
  } catch (error) {
    post({ failed: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}

class ShipLoop {
  /** Both undefined until the bucket could be opened. */
  #bucket: Bucket | undefined;
  #shipper: Shipper | undefined;
  readonly #init: ShipThreadInit;
  readonly #words: Int32Array;
  readonly #synced: BigUint64Array;
  readonly #world: World;
  readonly #post: (message: ShipMessage) => void;
  readonly #backoff: Backoff;
  readonly #tidyBackoff: Backoff;
  /** What the log has on disk, in bytes since the start. */
  #durable = 0;
  #lookedMs: number;
  #shipped = -1;
  #shippedAtMs = Number.NEGATIVE_INFINITY;
  #tidying: Promise<void> | undefined;
  #released = -1;
  #toldCheckpoint = -1;
  #isFailing = false;
  #isFenced = false;
  #isStopping = false;
  #bug: Error | undefined;
  #wake: () => void = () => {};

  constructor(init: ShipThreadInit, world: World, post: (message: ShipMessage) => void) {
    const chance = (): number => chanceOf(world);
    this.#init = init;
    this.#lookedMs = world.clock.monotonicMs();
    this.#words = new Int32Array(init.memory);
    this.#synced = new BigUint64Array(init.memory, init.addresses.synced, 1);
    this.#world = world;
    this.#post = post;
    this.#backoff = new Backoff({ firstMs: LOOK_INTERVAL_MS, longestMs: LONGEST_RETRY_MS, chance });
    this.#tidyBackoff = new Backoff({ chance });
  }

  order(order: ShipOrder): void {
    if ('release' in order) this.#released = order.release;
    else this.#isStopping = true;
    this.#wake();
  }

  async run(): Promise<void> {
    // A request to the bucket may take long: a segment that comes and goes meanwhile must be seen.
    const stopLooking = this.#world.clock.every(LOOK_INTERVAL_MS, () => this.#guard(() => this.#look()));
    try {
      await this.#rounds();
    } finally {
      stopLooking();
      this.#shipper?.close();
      this.#bucket?.close();
    }
  }

  async #rounds(): Promise<void> {
    while (!this.#isStopping && !this.#isFenced) {
      if (this.#isShipDue) await this.#attempt(() => this.#ship(), this.#backoff);
      this.#tidy();
      if (this.#bug !== undefined) throw this.#bug;
      if (!this.#isStopping && !this.#isFenced) await this.#sleep(this.#waitMs);
    }
    if (!this.#isFenced && this.#isShipping) await this.#attempt(() => this.#ship(), this.#backoff);
    while (this.#isFenced && !this.#isStopping) await this.#sleep(LOOK_INTERVAL_MS);
  }

  get #isShipping(): boolean {
    return this.#init.intervalMs > 0;
  }

  get #waitMs(): number {
    return this.#isShipping ? Math.min(LOOK_INTERVAL_MS, this.#init.intervalMs) : LOOK_INTERVAL_MS;
  }

  get #isShipDue(): boolean {
    const now = this.#world.clock.monotonicMs();
    return this.#backoff.isOver(now) && now - this.#shippedAtMs >= this.#init.intervalMs;
  }

  /** The tail first: where the log is synced up to is then at least as far. */
  #look(): void {
    const now = this.#world.clock.monotonicMs();
    if (now - this.#lookedMs >= PAUSE_MS) this.#shipper?.expireWatch();
    this.#lookedMs = now;
    const tail = Atomics.load(this.#words, this.#init.addresses.tail >> 2);
    const synced = Atomics.load(this.#synced, 0);
    this.#durable += (tail - this.#durable) >>> 0;
    this.#shipper?.look({ segment: Number(synced >> 32n), offset: Number(synced & 0xffffffffn) });
  }

  /** A disk that cannot be read now is looked at again. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!isSystemError(error)) this.#bug ??= error instanceof Error ? error : new Error(String(error));
    }
  }

  async #ship(): Promise<void> {
    this.#shipper ??= await this.#open();
    const shipper = this.#shipper;
    if (!this.#isShipping) return await shipper.lookForHigherEpoch();
    this.#look();
    const until = this.#durable;
    await shipper.ship();
    this.#shippedAtMs = this.#world.clock.monotonicMs();
    if (!shipper.isWhole || until <= this.#shipped) return;
    this.#shipped = until;
    this.#post({ shipped: until });
  }

  async #open(): Promise<Shipper> {
    const bucket = await openBucketAt(this.#init.location, this.#world);
    this.#bucket = bucket;
    return new Shipper({ ...this.#init, bucket: bucket.for('ship') }, this.#world);
  }

  /** Beside the rounds: a checkpoint may take long. */
  #tidy(): void {
    const shipper = this.#shipper;
    if (!this.#isShipping || this.#isFenced || this.#tidying !== undefined || shipper === undefined) return;
    shipper.release(this.#released);
    if (!this.#tidyBackoff.isOver(this.#world.clock.monotonicMs()) || !shipper.isTidyDue) return;
    this.#tidying = this.#attempt(() => shipper.tidy(), this.#tidyBackoff)
      .catch((error: Error) => {
        this.#bug = error;
      })
      .finally(() => {
        this.#tidying = undefined;
        this.#wake();
      });
  }

  /** Works, and tells what came of it. Rejects only for a bug. */
  async #attempt(work: () => Promise<void>, backoff: Backoff): Promise<void> {
    try {
      const before = this.#shipper?.counts;
      await work();
      backoff.succeed();
      if (backoff === this.#backoff && this.#isFailing) this.#post({ recovered: true });
      if (backoff === this.#backoff) this.#isFailing = false;
      if (changed(before, this.#shipper?.counts)) this.#tell();
    } catch (error) {
      if (error instanceof FencedError) {
        this.#isFenced = true;
        this.#post({ fenced: error.message });
        return;
      }
      if (!(error instanceof StorageError || isSystemError(error))) throw error;
      backoff.fail(this.#world.clock.monotonicMs());
      this.#isFailing ||= backoff === this.#backoff;
      this.#post({ failing: error.message });
      this.#guard(() => this.#shipper?.letGo());
      this.#tell();
    }
  }

  #tell(): void {
    if (this.#shipper === undefined) return;
    const { counts, behindBytes, checkpoint } = this.#shipper;
    this.#post({ counts, behindBytes });
    if (checkpoint > this.#toldCheckpoint) this.#post({ checkpoint });
    this.#toldCheckpoint = checkpoint;
  }

  async #sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const stopTimer = this.#world.clock.after(ms, resolve);
      this.#wake = () => {
        stopTimer();
        resolve();
      };
    });
  }
}

function changed(before: ShipCounts | undefined, after: ShipCounts | undefined): boolean {
  return (['parts', 'checkpoints', 'deleted'] as const).some((count) => before?.[count] !== after?.[count]);
}

function chanceOf({ random }: World): number {
  const bytes = new Uint8Array(4);
  random.fill(bytes);
  return new DataView(bytes.buffer).getUint32(0) / 2 ** 32;
}
