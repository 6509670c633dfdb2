/**
 * The reader threads, seen from the main thread: starts them, gives each read to the one with the least to do, and takes
 * the snapshots that a read sees. Main decodes nothing and runs no loop over series; it passes bytes on.
 */
import { availableParallelism } from 'node:os';
import {
  type Clock,
  type Database,
  type Executor,
  moduleUrl,
  type Port,
  type ReaderInit,
  StorageError,
  systemClock,
  workerExecutor,
} from '../../storage/index.ts';
import { PendingRead, type ReadAnswer } from './pending-read.ts';
import { DEFAULT_READ_LIMITS, type FromReader, type ReadJob, type ReadLimits, type ToReader } from './read-job.ts';
import type { ReaderActivityInit } from './reader-activity.ts';

/** What readers need of a database. */
export type ReadableDatabase = Pick<
  Database,
  'snapshot' | 'release' | 'readerInit' | 'releaseReader' | 'refreshBlocks' | 'quarantine'
>;

export interface ReaderPoolSettings {
  /** Threads; one core is left to the writer. */
  readonly threads: number;
  /** Reads at work at a time, over all threads. */
  readonly concurrency: number;
  /** Reads that wait for their turn; one more is refused with StorageError 'unavailable'. */
  readonly queueLength: number;
  /** How long a read waits for its turn. */
  readonly queueMs: number;
  /** How long a client may take nothing of its answer. */
  readonly stallMs: number;
  readonly limits: ReadLimits;
}

export const DEFAULT_READER_POOL_SETTINGS: ReaderPoolSettings = {
  threads: Math.min(4, Math.max(1, availableParallelism() - 1)),
  concurrency: 10,
  queueLength: 100,
  queueMs: 30_000,
  stallMs: 60_000,
  limits: DEFAULT_READ_LIMITS,
};

export interface ReaderPoolComponents {
  readonly executor: Executor;
  readonly clock: Pick<Clock, 'after'>;
  /** The module that runs on a reader thread; exports `run(port, init: ReaderActivityInit)`. */
  readonly activity: URL;
}

export interface ReadOptions {
  /** Aborting ends the read, wherever it is. */
  readonly signal?: AbortSignal;
  /** Called when the client has taken nothing for too long and the read was given up: cut its connection. */
  readonly onStall?: () => void;
}

/** Plain numbers for metrics. */
export interface ReaderPoolStats {
  readonly threads: number;
  readonly running: number;
  readonly queued: number;
  /** Threads that ended by themselves and were replaced. */
  readonly restarts: number;
}

/** One place for a thread. `port` is undefined after a thread has died young: then the next read starts another. */
interface Slot {
  port: Port | undefined;
  /** What the thread was started with. */
  init: ReaderInit | undefined;
  isReady: boolean;
  readonly reads: Map<number, PendingRead>;
}

interface QueuedRead {
  readonly read: PendingRead;
  readonly stopTimer: () => void;
}

export class ReaderPool {
  readonly #database: ReadableDatabase;
  readonly #settings: ReaderPoolSettings;
  readonly #components: ReaderPoolComponents;
  readonly #slots: Slot[];
  readonly #queue: QueuedRead[] = [];
  #running = 0;
  #restarts = 0;
  #nextId = 1;
  #isClosed = false;

  /** Starts the threads. `database` has to outlive the pool. */
  constructor(
    database: ReadableDatabase,
    settings: Partial<ReaderPoolSettings> = {},
    components: Partial<ReaderPoolComponents> = {},
  ) {
    this.#database = database;
    this.#settings = { ...DEFAULT_READER_POOL_SETTINGS, ...settings };
    this.#components = {
      executor: workerExecutor,
      clock: systemClock,
      activity: moduleUrl('./reader-activity', import.meta.url),
      ...components,
    };
    this.#slots = Array.from({ length: this.#settings.threads }, () => ({
      port: undefined,
      init: undefined,
      isReady: false,
      reads: new Map(),
    }));
    for (const slot of this.#slots) this.#startThread(slot);
  }

  /**
   * Runs one read on a tenant's samples as they are now. Resolves with the first bytes of the answer; what is refused
   * before rejects with a StorageError: 'invalid' or 'limit' for the request, 'unavailable' if there is too much to do.
   * The body has to be iterated, or the read aborted.
   */
  run(tenant: string, job: ReadJob, { signal, onStall }: ReadOptions = {}): Promise<ReadAnswer> {
    if (this.#isClosed) return Promise.reject(new StorageError('closed', 'the readers are closed'));
    if (signal?.aborted) return Promise.reject(aborted());
    if (this.#running >= this.#settings.concurrency && this.#queue.length >= this.#settings.queueLength) {
      const message = `${this.#running} reads are running and ${this.#queue.length} wait: too many at once`;
      return Promise.reject(new StorageError('unavailable', message));
    }
    const { clock } = this.#components;
    const read: PendingRead = new PendingRead(this.#nextId++, tenant, job, {
      clock,
      stallMs: this.#settings.stallMs,
      onTaken: (bytes) => this.#post(read, { type: 'credit', id: read.id, bytes }),
      onCancel: (error) => this.#cancel(read, error),
      onStall: onStall ?? (() => undefined),
    });
    signal?.addEventListener('abort', () => this.#cancel(read, aborted()), { once: true });
    const stopTimer = clock.after(this.#settings.queueMs, () => {
      this.#cancel(read, new StorageError('unavailable', `no reader was free for ${this.#settings.queueMs / 1000} s`));
    });
    this.#queue.push({ read, stopTimer });
    this.#startQueued();
    return read.answer;
  }

  stats(): ReaderPoolStats {
    return {
      threads: this.#slots.filter(({ port }) => port !== undefined).length,
      running: this.#running,
      queued: this.#queue.length,
      restarts: this.#restarts,
    };
  }

  /** Fails what is running or waiting and ends the threads. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const closed = new StorageError('closed', 'the readers are closing');
    for (const { read, stopTimer } of this.#queue.splice(0)) {
      stopTimer();
      read.fail(closed);
    }
    for (const slot of this.#slots) {
      slot.port?.close();
      this.#endThread(slot);
      for (const read of slot.reads.values()) this.#finish(slot, read, closed);
    }
  }

  #startQueued(): void {
    while (this.#running < this.#settings.concurrency) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      next.stopTimer();
      const slot = this.#slots.reduce((least, slot) => (slot.reads.size < least.reads.size ? slot : least));
      if (slot.port === undefined) this.#startThread(slot);
      slot.reads.set(next.read.id, next.read);
      this.#running++;
      this.#start(next.read);
    }
  }

  #start(read: PendingRead): void {
    const { job } = read;
    if (job.kind !== 'remote-read') {
      this.#post(read, { type: 'start', id: read.id, job });
      return;
    }
    // A clone of a view would copy all of the buffer behind it.
    const body = new Uint8Array(job.body);
    this.#post(read, { type: 'start', id: read.id, job: { ...job, body } }, [body.buffer]);
  }

  #startThread(slot: Slot): void {
    const { executor, activity } = this.#components;
    slot.init = this.#database.readerInit();
    const init: ReaderActivityInit = { reader: slot.init, limits: this.#settings.limits };
    const port = executor.start(activity, init);
    slot.port = port;
    slot.isReady = false;
    port.onMessage((message) => this.#receive(slot, message as FromReader));
    port.onClose((error) => {
      if (slot.port === port) this.#replaceThread(slot, error);
    });
  }

  #endThread(slot: Slot): void {
    slot.port = undefined;
    if (slot.init !== undefined) this.#database.releaseReader(slot.init);
    slot.init = undefined;
  }

  #replaceThread(slot: Slot, cause: Error | undefined): void {
    this.#endThread(slot);
    const error = new StorageError('unavailable', `a reader thread ended: ${cause?.message ?? 'without a reason'}`, {
      cause,
    });
    for (const read of slot.reads.values()) this.#finish(slot, read, error);
    if (this.#isClosed) return;
    this.#restarts++;
    // One that died before it was ready would die again, and again.
    if (slot.isReady) this.#startThread(slot);
    this.#startQueued();
  }

  #receive(slot: Slot, message: FromReader): void {
    if (message.type === 'ready') {
      slot.isReady = true;
      return;
    }
    if (message.type === 'corrupt') {
      this.#database.quarantine(message.ulid, message.message);
      return;
    }
    const read = slot.reads.get(message.id);
    if (read === undefined) return;
    switch (message.type) {
      case 'ranges':
        read.ranges = message.ranges;
        this.#takeSnapshots(read);
        break;
      case 'stale':
        void this.#renewSnapshots(slot, read);
        break;
      case 'chunk':
        read.push(message.head, message.bytes);
        break;
      case 'end':
        read.end(message.head);
        this.#finish(slot, read);
        this.#startQueued();
        break;
      case 'error':
        this.#finish(slot, read, new StorageError(message.kind, message.message));
        this.#startQueued();
        break;
    }
  }

  /** All in one turn: every query of a request sees the same moment. */
  #takeSnapshots(read: PendingRead): void {
    if (read.isSettled) return; // Cancelled; the reader will say so.
    const snapshots: PendingRead['snapshots'][number][] = [];
    read.snapshots = snapshots;
    try {
      for (const range of read.ranges) snapshots.push(this.#database.snapshot(read.tenant, range));
    } catch (error) {
      this.#cancel(
        read,
        error instanceof StorageError ? error : new StorageError('corrupt', String(error), { cause: error }),
      );
      return;
    }
    this.#post(read, { type: 'snapshots', id: read.id, snapshots });
  }

  /** A block has gone that the snapshots have: takes others, when it is known what is there instead. */
  async #renewSnapshots(slot: Slot, read: PendingRead): Promise<void> {
    for (const { id } of read.snapshots) this.#database.release(id);
    read.snapshots = [];
    await this.#database.refreshBlocks();
    if (slot.reads.has(read.id)) this.#takeSnapshots(read);
  }

  /** The reader touches nothing of the read any more, or is dead. */
  #finish(slot: Slot, read: PendingRead, error?: StorageError): void {
    if (!slot.reads.delete(read.id)) return;
    this.#running--;
    for (const { id } of read.snapshots) this.#database.release(id);
    if (error !== undefined) read.fail(error);
  }

  /** Fails the read now. Its snapshots stay until the reader has answered. */
  #cancel(read: PendingRead, error: StorageError): void {
    const isDone = read.isSettled;
    read.fail(error);
    if (isDone) return;
    const queued = this.#queue.findIndex((one) => one.read === read);
    if (queued >= 0) this.#queue.splice(queued, 1)[0]?.stopTimer();
    else this.#post(read, { type: 'cancel', id: read.id });
  }

  #post(read: PendingRead, message: ToReader, transfer?: readonly ArrayBuffer[]): void {
    this.#slots.find(({ reads }) => reads.has(read.id))?.port?.post(message, transfer);
  }
}

function aborted(): StorageError {
  return new StorageError('closed', 'the read was cancelled');
}
