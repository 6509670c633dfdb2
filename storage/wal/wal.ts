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
import type { WalAddresses } from './committer.ts';
import type { WalThreadInit, WalThreadMessage } from './wal-thread.ts';

const addresses: WalAddresses = {
  head: L.WAL_HEAD,
  tail: L.WAL_TAIL,
  state: L.WAL_STATE,
  stop: L.WAL_STOP,
  syncs: L.WAL_SYNCS,
  segment: L.WAL_SEGMENT,
  ring: L.WAL_RING,
  ringBytes: L.WAL_RING_BYTES,
};

export interface WalOptions {
  readonly dataDirectory: string;
  readonly segmentBytes: number;
  readonly firstSegment: number;
  readonly executor: Executor;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly onFailing: (message: string) => void;
  readonly onRecovered: () => void;
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
  readonly #waiters: Waiter[] = [];
  /** Of what is not durable yet; positions rise. */
  readonly #marks: Mark[] = [];
  readonly #ended = Promise.withResolvers<void>();
  #durable = 0;
  #failure: string | undefined;
  #isEnded = false;

  constructor(memory: SharedMemory, options: WalOptions) {
    this.#memory = memory;
    this.#options = options;
    const { dataDirectory, segmentBytes, firstSegment } = options;
    const { buffer } = memory.memory;
    this.#words = new Int32Array(buffer);
    const init: WalThreadInit = { memory: buffer, addresses, dataDirectory, segmentBytes, firstSegment };
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

  /** Sends what is in the ring on its way to disk. */
  wake(): void {
    const { position } = this;
    if (position > (this.#marks.at(-1)?.position ?? this.#durable))
      this.#marks.push({ position, atMs: this.#options.clock.monotonicMs() });
    this.#options.executor.notify(this.#words, L.WAL_HEAD / 4);
  }

  /**
   * Resolves when the log is durable up to `position`. Rejects with StorageError 'unavailable' when writing fails; the
   * bytes stay queued and may still become durable.
   */
  whenDurable(position: number): Promise<void> {
    if (position <= this.#durable) return Promise.resolve();
    if (this.#failure !== undefined) return Promise.reject(unavailable(this.#failure));
    this.wake();
    return new Promise((resolve, reject) => this.#waiters.push({ position, resolve, reject }));
  }

  /** Writes what is queued, as far as the disk lets it, and ends the thread. Whoever still waits then is refused. */
  async close(): Promise<void> {
    this.#memory.storeWord(L.WAL_STOP, 1);
    this.#options.executor.notify(this.#words, L.WAL_STOP / 4);
    this.wake();
    await this.#ended.promise;
  }

  #receive(message: WalThreadMessage): void {
    if ('durable' in message) this.#advance(message.durable);
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
    let done = 0;
    // Waiters came in the order of their positions.
    while (done < this.#waiters.length && (this.#waiters[done] as Waiter).position <= this.#durable) done++;
    for (const { resolve } of this.#waiters.splice(0, done)) resolve();
    const kept = this.#marks.findIndex(({ position }) => position > this.#durable);
    this.#marks.splice(0, kept < 0 ? this.#marks.length : kept);
  }

  #fail(message: string): void {
    const isNew = this.#failure === undefined;
    this.#failure = message;
    this.#rejectWaiters(message);
    if (isNew) this.#options.onFailing(message);
  }

  #rejectWaiters(message: string): void {
    for (const { reject } of this.#waiters.splice(0)) reject(unavailable(message));
  }

  #recover(): void {
    this.#failure = undefined;
    this.#options.onRecovered();
  }
}

function unavailable(message: string): StorageError {
  return new StorageError('unavailable', `the WAL cannot be written: ${message}`);
}
