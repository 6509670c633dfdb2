/** The ship thread (ship-thread.ts) as the engine sees it: how far the log is in the bucket, and who waits for that. */
import type { BucketLocation } from '../bucket/bucket-location.ts';
import type { Clock } from '../io/clock.ts';
import { type Executor, moduleUrl, type Port } from '../io/executor.ts';
import * as L from '../kernel/layout.ts';
import { StorageError } from '../lib/errors.ts';
import { ShipBacklog, type TenantBacklog, type TenantLog } from './ship-backlog.ts';
import type { ShipMessage, ShipOrder, ShipThreadInit } from './ship-thread.ts';
import type { EpochMarker } from './shipped-log.ts';
import type { ShipCounts } from './shipper.ts';

/** What an answer to a write waits for: the log on this disk, or in the bucket too. */
export type WalAck = 'local' | 'bucket';

/** How the log goes to the bucket. */
export interface ShipSettings {
  /** Between two shipments; 0: nothing is shipped. */
  readonly intervalMs: number;
  readonly ack: WalAck;
}

export interface WalShippingOptions {
  readonly location: BucketLocation;
  readonly settings: ShipSettings;
  readonly memory: SharedArrayBuffer;
  readonly dataDirectory: string;
  /** The first segment that this process writes. */
  readonly firstSegment: number;
  readonly marker: EpochMarker;
  readonly executor: Executor;
  readonly clock: Pick<Clock, 'monotonicMs' | 'nowMs' | 'after' | 'every'>;
  /** The end of the log, in bytes since the start of the process. */
  readonly position: () => number;
  /** In an order that never changes: new ones come last. */
  readonly tenants: () => Iterable<TenantLog>;
  /** The names of own blocks that are not in the bucket. */
  readonly blocksNotUploaded: () => readonly string[];
  readonly onFailing: (message: string) => void;
  readonly onRecovered: () => void;
  /** A higher epoch is in the bucket: this process must accept and change nothing any more. */
  readonly onFenced: (reason: string) => void;
  /** The thread ended by a bug: the process must not go on. */
  readonly onBroken: (message: string) => void;
}

export interface ShipStats {
  /** Age of the oldest record that is not in the bucket; 0 if there is none, or nothing is shipped. To the second. */
  readonly notShippedSeconds: number;
  /** Of the log, also of what an earlier process left. */
  readonly notShippedBytes: number;
  readonly shippedParts: number;
  readonly shippedCheckpoints: number;
  readonly shippedBytes: number;
  /** When all that was durable was in the bucket, since 1970; 0: not since the start. */
  readonly lastShipSeconds: number;
  readonly shipFailing: number;
  readonly fenced: number;
}

export const NOT_SHIPPING: ShipStats = {
  notShippedSeconds: 0,
  notShippedBytes: 0,
  shippedParts: 0,
  shippedCheckpoints: 0,
  shippedBytes: 0,
  lastShipSeconds: 0,
  shipFailing: 0,
  fenced: 0,
};

/** How long a write waits for the bucket before it is refused, and the longest that a stop waits for the last shipment. */
const ACK_PATIENCE_MS = 10_000;
const STOP_PATIENCE_MS = 10_000;
const LOOK_INTERVAL_MS = 1000;
const MAX_HELD = 16;

interface Waiter {
  readonly position: number;
  readonly resolve: () => void;
  readonly reject: (error: StorageError) => void;
  readonly sinceMs: number;
}

/** A checkpoint of this disk, and the blocks that have to be in the bucket before it. */
interface HeldCheckpoint {
  readonly number: number;
  readonly blocks: readonly string[];
}

export class WalShipping {
  readonly #options: WalShippingOptions;
  readonly #backlog: ShipBacklog;
  readonly #port: Port;
  readonly #stopLooking: () => void;
  /** In the order of their positions. */
  readonly #waiters: Waiter[] = [];
  readonly #held: HeldCheckpoint[] = [];
  readonly #checkpointWaiters: { readonly number: number; readonly resolve: () => void }[] = [];
  readonly #stopped = Promise.withResolvers<void>();
  #checkpoint = -1;
  #counts: ShipCounts = { parts: 0, checkpoints: 0, bytes: 0, deleted: 0 };
  #behindBytes = 0;
  #lastShipMs = 0;
  #failure: string | undefined;
  #fenced: string | undefined;
  #isEnded = false;

  constructor(options: WalShippingOptions) {
    const { location, settings, memory, dataDirectory, firstSegment, marker, executor, clock } = options;
    const init: ShipThreadInit = {
      location,
      memory,
      addresses: { tail: L.WAL_TAIL, synced: L.WAL_SYNCED },
      dataDirectory,
      firstSegment,
      marker,
      intervalMs: settings.intervalMs,
    };
    this.#options = options;
    this.#backlog = new ShipBacklog(options);
    this.#port = executor.start(moduleUrl('./ship-thread', import.meta.url), init);
    this.#port.onMessage((message) => this.#receive(message as ShipMessage));
    this.#port.onClose((error) => this.#break(error?.message ?? 'the ship thread ended'));
    this.#stopLooking = clock.every(LOOK_INTERVAL_MS, () => this.#look());
  }

  /** Why this process must not go on, if it must not. */
  get fenced(): string | undefined {
    return this.#fenced;
  }

  /** Why no write can be accepted now, before anything of it is stored; undefined if one can. */
  get refusal(): string | undefined {
    if (this.#fenced !== undefined) return this.#fenced;
    const { ack } = this.#options.settings;
    if (ack === 'local' || this.#failure === undefined || this.#backlog.ageMs < ACK_PATIENCE_MS) return undefined;
    return `${this.#failure}: the WAL is not in the bucket since ${Math.round(this.#backlog.ageMs / 1000)} s (--wal.ack=bucket)`;
  }

  /**
   * Resolves when everything before `position` is in the bucket, which it is on disk already. Rejects with StorageError
   * 'unavailable' if that takes too long: it goes there all the same.
   */
  whenShipped(position: number): Promise<void> {
    if (position <= this.#backlog.shipped) return Promise.resolve();
    const { refusal } = this;
    if (refusal !== undefined || this.#isEnded)
      return Promise.reject(new StorageError('unavailable', refusal ?? 'the server is shutting down'));
    const sinceMs = this.#options.clock.monotonicMs();
    return new Promise((resolve, reject) => this.#waiters.push({ position, resolve, reject, sinceMs }));
  }

  /** A checkpoint was written here. It goes to the bucket after the blocks that are not there yet. */
  noteCheckpoint(number: number): void {
    // Of many that wait, the newest takes the place of the one before it: it needs all blocks that that one does.
    if (this.#held.length === MAX_HELD) this.#held.pop();
    this.#held.push({ number, blocks: this.#options.blocksNotUploaded() });
    this.#release();
  }

  /** Resolves when the bucket has this checkpoint or a newer one; rejects if a higher epoch is found first. */
  async whenCheckpointShipped(number: number): Promise<void> {
    if (this.#checkpoint < number && this.#fenced === undefined)
      await new Promise<void>((resolve) => this.#checkpointWaiters.push({ number, resolve }));
    if (this.#fenced !== undefined) throw new StorageError('invalid', this.#fenced);
  }

  stats(): ShipStats {
    const { settings } = this.#options;
    if (settings.intervalMs === 0) return { ...NOT_SHIPPING, fenced: this.#fenced === undefined ? 0 : 1 };
    return {
      notShippedSeconds: this.#backlog.ageMs / 1000,
      notShippedBytes: Math.max(this.#behindBytes, this.#backlog.bytes),
      shippedParts: this.#counts.parts,
      shippedCheckpoints: this.#counts.checkpoints,
      shippedBytes: this.#counts.bytes,
      lastShipSeconds: this.#lastShipMs / 1000,
      shipFailing: this.#failure === undefined ? 0 : 1,
      fenced: this.#fenced === undefined ? 0 : 1,
    };
  }

  /** What of each tenant's records is not in the bucket; none of them if nothing is shipped. */
  tenantBacklogs(): TenantBacklog[] {
    return this.#options.settings.intervalMs === 0 ? [] : this.#backlog.ofTenants();
  }

  /** Ships what is durable, within a bounded time, and ends the thread. Whoever still waits then is refused. */
  async close(): Promise<void> {
    this.#stopLooking();
    this.#post({ stop: true });
    const stopTimer = this.#options.clock.after(STOP_PATIENCE_MS, this.#stopped.resolve);
    await this.#stopped.promise;
    stopTimer();
    this.#end('the server is shutting down');
  }

  #post(order: ShipOrder): void {
    if (!this.#isEnded) this.#port.post(order);
  }

  #receive(message: ShipMessage): void {
    if ('shipped' in message) this.#advance(message.shipped);
    else if ('counts' in message) {
      this.#counts = message.counts;
      this.#behindBytes = message.behindBytes;
    } else if ('checkpoint' in message) this.#advanceCheckpoint(message.checkpoint);
    else if ('failing' in message) this.#fail(message.failing);
    else if ('recovered' in message) this.#recover();
    else if ('fenced' in message) this.#fence(message.fenced);
    else if ('stopped' in message) this.#stopped.resolve();
    else this.#break(message.failed);
  }

  #advance(position: number): void {
    this.#backlog.advance(position);
    this.#lastShipMs = this.#options.clock.nowMs();
    let done = 0;
    while (done < this.#waiters.length && (this.#waiters[done] as Waiter).position <= position) done++;
    for (const { resolve } of this.#waiters.splice(0, done)) resolve();
  }

  #advanceCheckpoint(number: number): void {
    this.#checkpoint = number;
    for (const waiter of this.#checkpointWaiters.filter((one) => one.number <= number)) waiter.resolve();
  }

  #fail(message: string): void {
    const isNew = this.#failure === undefined;
    this.#failure = message;
    if (isNew) this.#options.onFailing(message);
  }

  #recover(): void {
    this.#failure = undefined;
    this.#options.onRecovered();
  }

  #fence(reason: string): void {
    this.#fenced = reason;
    this.#rejectWaiters(reason, this.#waiters.length);
    for (const { resolve } of this.#checkpointWaiters.splice(0)) resolve();
    this.#options.onFenced(reason);
  }

  #look(): void {
    this.#backlog.mark();
    this.#release();
    const now = this.#options.clock.monotonicMs();
    const late = this.#waiters.filter(({ sinceMs }) => now - sinceMs >= ACK_PATIENCE_MS).length;
    const why = this.#failure === undefined ? '' : `: ${this.#failure}`;
    this.#rejectWaiters(
      `the samples are on disk, but were not in the bucket within ${ACK_PATIENCE_MS / 1000} s (--wal.ack=bucket)${why}`,
      late,
    );
  }

  /** Lets checkpoints go whose blocks are in the bucket. */
  #release(): void {
    if (this.#held.length === 0) return;
    const pending = new Set(this.#options.blocksNotUploaded());
    const free = this.#held.findLastIndex(({ blocks }) => !blocks.some((ulid) => pending.has(ulid)));
    if (free < 0) return;
    this.#post({ release: (this.#held[free] as HeldCheckpoint).number });
    this.#held.splice(0, free + 1);
  }

  #rejectWaiters(message: string, count: number): void {
    for (const { reject } of this.#waiters.splice(0, count)) reject(new StorageError('unavailable', message));
  }

  #break(message: string): void {
    if (this.#isEnded) return;
    this.#end(message);
    this.#options.onBroken(message);
  }

  #end(reason: string): void {
    this.#isEnded = true;
    this.#stopLooking();
    this.#stopped.resolve();
    this.#port.close();
    this.#rejectWaiters(reason, this.#waiters.length);
  }
}
