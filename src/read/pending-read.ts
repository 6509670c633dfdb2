/** One read as the main thread sees it: what has arrived of its answer, and who is waiting for more. */
import { type Clock, type Snapshot, StorageError, type TimeRange } from '../../storage/index.ts';
import type { AnswerHead, ReadJob } from './read-job.ts';

/** An answer whose body is still being made. */
export interface ReadAnswer extends AnswerHead {
  /**
   * Can be iterated once; taking a piece lets the reader make more. Throws StorageError if the read fails half-way.
   * Leaving the loop early cancels the read.
   */
  readonly body: AsyncIterable<Uint8Array, void, undefined>;
}

/** What a read needs of the pool. */
export interface PendingReadOptions {
  readonly clock: Pick<Clock, 'after'>;
  /** The client has taken so many bytes. */
  readonly onTaken: (bytes: number) => void;
  /** Nobody wants the rest; fails the read with `error` and stops the reader. */
  readonly onCancel: (error: StorageError) => void;
  /** A client that takes nothing for so long is given up: `onStall` is called after the read was cancelled. */
  readonly stallMs: number;
  readonly onStall: () => void;
}

export class PendingRead {
  readonly id: number;
  readonly tenant: string;
  readonly job: ReadJob;
  /** Held for the read until the reader says that it is done. */
  snapshots: readonly Snapshot[] = [];
  /** What they are of. */
  ranges: readonly TimeRange[] = [];
  readonly #options: PendingReadOptions;
  readonly #answer = Promise.withResolvers<ReadAnswer>();
  readonly #pieces: Uint8Array[] = [];
  #hasAnswer = false;
  #isEnded = false;
  #error: StorageError | undefined;
  #wake: (() => void) | undefined;
  #stopStallTimer: (() => void) | undefined;

  constructor(id: number, tenant: string, job: ReadJob, options: PendingReadOptions) {
    this.id = id;
    this.tenant = tenant;
    this.job = job;
    this.#options = options;
  }

  /** Resolves with the first bytes of the answer, or rejects if there are none to come. */
  get answer(): Promise<ReadAnswer> {
    return this.#answer.promise;
  }

  /** Whether the outcome is decided; what is left to take may still be there. */
  get isSettled(): boolean {
    return this.#isEnded || this.#error !== undefined;
  }

  push(head: AnswerHead, bytes: Uint8Array): void {
    if (this.isSettled) return;
    this.#pieces.push(bytes);
    this.#begin(head);
    this.#wakeTaker();
  }

  end(head: AnswerHead): void {
    if (this.isSettled) return;
    this.#isEnded = true;
    this.#begin(head);
    this.#wakeTaker();
  }

  /** The read fails here: what was not taken yet is dropped, and whoever waits or comes back for more gets the error. */
  fail(error: StorageError): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#pieces.length = 0;
    this.#stopStallTimer?.();
    if (!this.#hasAnswer) this.#answer.reject(error);
    this.#wakeTaker();
  }

  #begin(head: AnswerHead): void {
    if (this.#hasAnswer) return;
    this.#hasAnswer = true;
    // Not a generator: its `return` would wait for a `next` that waits for the reader.
    const iterator: AsyncIterator<Uint8Array, void, undefined> = {
      next: () => this.#next(),
      return: () => this.#leave(),
    };
    this.#answer.resolve({ ...head, body: { [Symbol.asyncIterator]: () => iterator } });
  }

  async #next(): Promise<IteratorResult<Uint8Array, void>> {
    this.#stopStallTimer?.();
    while (this.#pieces.length === 0 && !this.isSettled) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#error !== undefined) throw this.#error;
    const value = this.#pieces.shift();
    if (value === undefined) return { done: true, value };
    this.#options.onTaken(value.length);
    this.#startStallTimer();
    return { done: false, value };
  }

  async #leave(): Promise<IteratorResult<Uint8Array, void>> {
    this.#options.onCancel(new StorageError('closed', 'the client left before the end of its answer'));
    return { done: true, value: undefined };
  }

  #wakeTaker(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    if (wake !== undefined) wake();
    // Nobody waits: the client has stopped taking, or has not begun.
    else if (this.#stopStallTimer === undefined && this.#pieces.length > 0) this.#startStallTimer();
  }

  /** Runs while the client is away: from when there is something to take until it comes for more. */
  #startStallTimer(): void {
    const { clock, stallMs, onCancel, onStall } = this.#options;
    const stop = clock.after(stallMs, () => {
      onCancel(new StorageError('unavailable', `the client took nothing of its answer for ${stallMs / 1000} s`));
      onStall();
    });
    this.#stopStallTimer = () => {
      this.#stopStallTimer = undefined;
      stop();
    };
  }
}
