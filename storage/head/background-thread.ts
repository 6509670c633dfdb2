/**
 * The background thread of the head (background.ts) as the thread sees it that gives it work. It begins with the first job:
 * until then its 20 MB are not needed.
 */
import { type Executor, moduleUrl, type Port } from '../io/executor.ts';
import { StorageError } from '../lib/errors.ts';
import type { BackgroundAnswer, BackgroundInit, BackgroundJob, CheckpointOrder, CutResult } from './background.ts';
import type { CutOrder } from './cut-block.ts';

interface Waiting {
  readonly resolve: (result: never) => void;
  readonly reject: (error: StorageError) => void;
}

export interface BackgroundParts {
  readonly executor: Executor;
  /** Hears of a thread that ended by itself: the engine must not go on without it. */
  readonly onBroken: (message: string) => void;
}

export class BackgroundThread {
  readonly #init: BackgroundInit;
  readonly #parts: BackgroundParts;
  #port: Port | undefined;
  readonly #waiting = new Map<number, Waiting>();
  #nextJob = 1;
  #isClosed = false;

  constructor(init: BackgroundInit, parts: BackgroundParts) {
    this.#init = init;
    this.#parts = parts;
  }

  /** Writes the block of a sealed generation. Rejects with StorageError 'unavailable' if that failed: nothing is left. */
  cut(order: CutOrder): Promise<CutResult> {
    return this.#run((id) => ({ id, kind: 'cut', order }));
  }

  /** Writes a checkpoint and resolves with its size. Rejects as `cut` does. */
  async writeCheckpoint(order: CheckpointOrder): Promise<number> {
    const { bytes } = await this.#run<{ readonly bytes: number }>((id) => ({ id, kind: 'checkpoint', order }));
    return bytes;
  }

  /** Ends the thread; what it was at is given up. */
  close(): void {
    this.#isClosed = true;
    this.#port?.close();
    this.#rejectAll('the engine is closed');
  }

  #run<Result>(job: (id: number) => BackgroundJob): Promise<Result> {
    if (this.#isClosed) return Promise.reject(new StorageError('unavailable', 'the engine is closed'));
    const id = this.#nextJob++;
    const port = this.#port ?? this.#begin();
    return new Promise<Result>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      port.post(job(id));
    });
  }

  #begin(): Port {
    const { executor, onBroken } = this.#parts;
    const port = executor.start(moduleUrl('./background', import.meta.url), this.#init);
    port.onMessage((message) => this.#receive(message as BackgroundAnswer));
    port.onClose((error) => {
      const message = error?.message ?? 'the background thread ended';
      this.#rejectAll(message);
      onBroken(message);
    });
    this.#port = port;
    return port;
  }

  #receive(answer: BackgroundAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ('failure' in answer) waiting?.reject(new StorageError('unavailable', answer.failure));
    else waiting?.resolve(answer.result as never);
  }

  #rejectAll(message: string): void {
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of all) reject(new StorageError('unavailable', message));
  }
}
