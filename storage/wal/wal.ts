/**
 * The log as the writing thread sees it: positions in the ring become durable on the log's own thread, and whoever
 * waits for one is told. Positions here count bytes since the start of the process, without wrapping.
 */
import type { Clock } from '../io/clock.ts';
import type { Executor, Port } from '../io/executor.ts';
import { moduleUrl } from '../io/executor.ts';
import * as L from '../kernel/layout.ts';
import type { SharedMemory } from '../kernel/shared-memory.ts';
import { StorageError } from '../lib/errors.ts';
import { CommitGroup } from './commit-group.ts';
import type { WalAddresses } from './committer.ts';
import type { WalThreadInit, WalThreadMessage } from './wal-thread.ts';

const addresses: WalAddresses = {
  head: L.WAL_HEAD,
  wanted: L.WAL_WANTED,
  tail: L.WAL_TAIL,
  state: L.WAL_STATE,
  stop: L.WAL_STOP,
  syncs: L.WAL_SYNCS,
  segment: L.WAL_SEGMENT,
  synced: L.WAL_SYNCED,
  floor: L.WAL_FLOOR,
  syncWanted: L.WAL_SYNC_WANTED,
  ring: L.WAL_RING,
  ringBytes: L.WAL_RING_BYTES,
};

const MIB = 1024 * 1024;

export interface WalOptions {
  readonly dataDirectory: string;
  readonly segmentBytes: number;
  readonly firstSegment: number;
  /** How long a write may be answered before it is synced; 0: it is answered after. */
  readonly syncIntervalMs: number;
  readonly executor: Executor;
  readonly clock: Pick<Clock, 'monotonicMs' | 'after'>;
  readonly onFailing: (message: string) => void;
  readonly onRecovered: () => void;
  /** Writes have to stop, or may go on, for the space that is left on the disk. */
  readonly onShortage: (message: string | undefined) => void;
  /** The thread ended by a bug: the process must not go on, and nothing becomes durable any more. */
  readonly onBroken: (message: string) => void;
}

interface Waiter {
  readonly position: number;
  readonly resolve: () => void;
  readonly reject: (error: StorageError) => void;
}

/** When the log was asked to become durable up to a position. */
interface Mark {
  readonly position: number;
  readonly atMs: number;
}

export class Wal {
  readonly #memory: SharedMemory;
  /** The words that the log's thread waits for; they stay where they are when the memory grows. */
  readonly #words: Int32Array;
  readonly #options: WalOptions;
  readonly #port: Port;
  /** Who waits for a sync, and who for what a write is answered after. */
  readonly #waiters: Waiter[] = [];
  readonly #acceptWaiters: Waiter[] = [];
  /** Of what is not durable yet; positions rise. */
  readonly #marks: Mark[] = [];
  readonly #group: CommitGroup;
  readonly #ended = Promise.withResolvers<void>();
  #durable = 0;
  /** Written, durable or not; of use only if the log does not sync at each commit. */
  #written = 0;
  #failure: string | undefined;
  #shortage: string | undefined;
  #isEnded = false;

  constructor(memory: SharedMemory, options: WalOptions) {
    this.#memory = memory;
    this.#options = options;
    const { dataDirectory, segmentBytes, firstSegment, syncIntervalMs } = options;
    const { buffer } = memory.memory;
    this.#words = new Int32Array(buffer);
    this.#group = new CommitGroup(options.clock, {
      position: () => this.position,
      waiting: () => this.#waiters.length + this.#acceptWaiters.length,
      send: () => this.#send(),
    });
    const init: WalThreadInit = {
      memory: buffer,
      addresses,
      dataDirectory,
      segmentBytes,
      firstSegment,
      syncIntervalMs,
    };
    this.#port = options.executor.start(moduleUrl('./wal-thread', import.meta.url), init);
    this.#port.onMessage((message) => this.#receive(message as WalThreadMessage));
    this.#port.onClose((error) => this.#break(error?.message ?? 'the thread of the log ended'));
  }

  /** The end of the log: what was put into the ring so far. */
  get position(): number {
    return this.#durable + ((this.#memory.loadWord(L.WAL_HEAD) - this.#durable) >>> 0);
  }

  /** Everything before this position is on disk. */
  get durable(): number {
    return this.#durable;
  }

  /** How long the oldest byte has waited that is not durable yet; 0 if there is none. */
  get notDurableMs(): number {
    const oldest = this.#marks[0];
    return oldest === undefined ? 0 : this.#options.clock.monotonicMs() - oldest.atMs;
  }

  /** Why the log cannot be written at the moment, if it cannot. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Why writes have to stop although the log can be written: the space on the disk is kept for what gives some back. */
  get shortage(): string | undefined {
    return this.#shortage;
  }

  /** Keeps so many bytes of the disk free. */
  keepFree(bytes: number): void {
    this.#memory.storeWord(L.WAL_FLOOR, Math.ceil(bytes / MIB));
  }

  /** What `keepFree` said last, in whole MiB. */
  get minFreeBytes(): number {
    return this.#memory.word(L.WAL_FLOOR) * MIB;
  }

  get syncs(): number {
    return this.#memory.word(L.WAL_SYNCS);
  }

  /** The number of the segment that is written now, or will be first. */
  get segment(): number {
    return Math.max(this.#options.firstSegment, this.#memory.loadWord(L.WAL_SEGMENT));
  }

  /** Bytes that are not durable yet. */
  get pendingBytes(): number {
    return this.position - this.#durable;
  }

  /** Sends what is in the ring on its way to disk: soon, together with what other requests add to it. */
  wake(): void {
    const { position } = this;
    if (position > (this.#marks.at(-1)?.position ?? this.#durable))
      this.#marks.push({ position, atMs: this.#options.clock.monotonicMs() });
    this.#group.join();
  }

  #send(): void {
    this.#memory.storeWord(L.WAL_WANTED, this.#memory.loadWord(L.WAL_HEAD));
    this.#options.executor.notify(this.#words, L.WAL_WANTED / 4);
  }

  /**
   * Resolves when the log is durable up to `position`. Rejects with StorageError 'unavailable' when writing fails; the
   * bytes stay queued and may still become durable.
   */
  whenDurable(position: number): Promise<void> {
    if (position <= this.#durable) return Promise.resolve();
    if (this.#options.syncIntervalMs > 0) this.#memory.storeWord(L.WAL_SYNC_WANTED, 1);
    return this.#wait(position, this.#waiters);
  }

  /**
   * Resolves when a write up to `position` may be answered: when it is durable, or, if the log syncs at intervals, when
   * it is written. Rejects as `whenDurable` does.
   */
  whenAccepted(position: number): Promise<void> {
    if (this.#options.syncIntervalMs === 0) return this.whenDurable(position);
    if (position <= this.#written) return Promise.resolve();
    return this.#wait(position, this.#acceptWaiters);
  }

  #wait(position: number, waiters: Waiter[]): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(unavailable(this.#failure));
    const durable = new Promise<void>((resolve, reject) => waiters.push({ position, resolve, reject }));
    this.wake();
    return durable;
  }

  /** Writes what is queued, as far as the disk lets it, and ends the thread. Whoever still waits then is refused. */
  async close(): Promise<void> {
    this.#memory.storeWord(L.WAL_STOP, 1);
    this.#options.executor.notify(this.#words, L.WAL_STOP / 4);
    this.#send();
    await this.#ended.promise;
  }

  #receive(message: WalThreadMessage): void {
    if ('durable' in message) this.#advance(message.durable);
    else if ('written' in message) this.#advanceWritten(message.written);
    else if ('shortage' in message) this.#changeShortage(message.shortage);
    else if ('failing' in message) this.#fail(message.failing);
    else if ('recovered' in message) this.#recover();
    else if ('stopped' in message) this.#end('it is closed');
    else this.#break(message.failed);
  }

  #break(message: string): void {
    if (this.#isEnded) return;
    this.#end(message);
    this.#options.onBroken(message);
  }

  /** Closes the port at once: the thread may end in this very turn, and that is no failure any more. */
  #end(reason: string): void {
    this.#isEnded = true;
    this.#port.close();
    this.#failure = reason;
    this.#rejectWaiters(reason);
    this.#ended.resolve();
  }

  #advance(tail: number): void {
    this.#durable += (tail - this.#durable) >>> 0;
    resolveUntil(this.#durable, this.#waiters);
    const kept = this.#marks.findIndex(({ position }) => position > this.#durable);
    this.#marks.splice(0, kept < 0 ? this.#marks.length : kept);
  }

  #advanceWritten(position: number): void {
    this.#written += (position - this.#written) >>> 0;
    resolveUntil(this.#written, this.#acceptWaiters);
  }

  #changeShortage(message: string | undefined): void {
    this.#shortage = message;
    this.#options.onShortage(message);
  }

  #fail(message: string): void {
    const isNew = this.#failure === undefined;
    this.#failure = message;
    this.#rejectWaiters(message);
    if (isNew) this.#options.onFailing(message);
  }

  #rejectWaiters(message: string): void {
    for (const waiters of [this.#waiters, this.#acceptWaiters])
      for (const { reject } of waiters.splice(0)) reject(unavailable(message));
  }

  #recover(): void {
    this.#failure = undefined;
    this.#options.onRecovered();
  }
}

/** Waiters came in the order of their positions. */
function resolveUntil(position: number, waiters: Waiter[]): void {
  let done = 0;
  while (done < waiters.length && (waiters[done] as Waiter).position <= position) done++;
  for (const { resolve } of waiters.splice(0, done)) resolve();
}

function unavailable(message: string): StorageError {
  return new StorageError('unavailable', `the WAL cannot be written: ${message}`);
}
