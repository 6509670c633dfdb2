/** The bucket's thread (bucket-work.ts) as the thread sees it that gives it work. */
import { type Executor, moduleUrl, type Port } from '../io/executor.ts';
import { StorageError } from '../lib/errors.ts';
import type { BucketLocation } from './bucket-location.ts';
import type { BucketAnswer, BucketJobs } from './bucket-work.ts';

interface Waiting {
  readonly resolve: (result: never) => void;
  readonly reject: (error: StorageError) => void;
  readonly onProgress: (progress: never) => void;
}

export class BucketThread {
  readonly #executor: Executor;
  readonly #location: BucketLocation;
  readonly #waiting = new Map<number, Waiting>();
  #port: Port | undefined;
  #nextJob = 1;
  #isClosed = false;

  /** The thread is started with its first job, and anew if it ended by itself. */
  constructor(executor: Executor, location: BucketLocation) {
    this.#executor = executor;
    this.#location = location;
  }

  /**
   * Does a job; `onProgress` hears of its steps before it resolves. Rejects with StorageError, 'unavailable' if the thread
   * ended meanwhile, 'closed' after `close`.
   */
  run<Kind extends keyof BucketJobs>(
    kind: Kind,
    order: BucketJobs[Kind]['order'],
    onProgress: (progress: BucketJobs[Kind]['progress']) => void = () => {},
  ): Promise<BucketJobs[Kind]['result']> {
    if (this.#isClosed) return Promise.reject(new StorageError('closed', 'the engine is closed'));
    const id = this.#nextJob++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject, onProgress });
      this.#port ??= this.#start();
      this.#port.post({ id, kind, order });
    });
  }

  /** Ends the thread; what it was at is given up. */
  close(): void {
    this.#isClosed = true;
    this.#port?.close();
    this.#rejectAll(new StorageError('closed', 'the engine is closed'));
  }

  #start(): Port {
    const port = this.#executor.start(moduleUrl('./bucket-work', import.meta.url), this.#location);
    port.onMessage((message) => this.#receive(message as BucketAnswer));
    port.onClose((error) => {
      this.#port = undefined;
      this.#rejectAll(new StorageError('unavailable', error?.message ?? 'the thread of the bucket ended'));
    });
    return port;
  }

  #receive(answer: BucketAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    if (waiting === undefined) return;
    if ('progress' in answer) {
      waiting.onProgress(answer.progress as never);
      return;
    }
    this.#waiting.delete(answer.id);
    if ('failure' in answer) waiting.reject(new StorageError(answer.failure.kind, answer.failure.message));
    else waiting.resolve(answer.result as never);
  }

  #rejectAll(error: StorageError): void {
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of all) reject(error);
  }
}
