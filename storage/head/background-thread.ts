/** The background thread of the head (background.ts) as the thread sees it that gives it work. */
import { type Executor, moduleUrl, type Port } from '../io/executor.ts';
import { StorageError } from '../lib/errors.ts';
import type { BackgroundAnswer, BackgroundInit, BackgroundJob, CheckpointOrder, CutResult } from './background.ts';
import type { CutOrder } from './cut-block.ts';

interface Waiting {
  readonly resolve: (result: never) => void;
  readonly reject: (error: StorageError) => void;
}

export class BackgroundThread {
  readonly #port: Port;
  readonly #waiting = new Map<number, Waiting>();
  #nextJob = 1;

  /** `onBroken` hears of a thread that ended by itself: the engine must not go on without it. */
  constructor(executor: Executor, init: BackgroundInit, onBroken: (message: string) => void) {
    this.#port = executor.start(moduleUrl('./background', import.meta.url), init);
    this.#port.onMessage((message) => this.#receive(message as BackgroundAnswer));
    this.#port.onClose((error) => {
      const message = error?.message ?? 'the background thread ended';
      this.#rejectAll(message);
      onBroken(message);
    });
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
    this.#port.close();
    this.#rejectAll('the engine is closed');
  }

  #run<Result>(job: (id: number) => BackgroundJob): Promise<Result> {
    const id = this.#nextJob++;
    return new Promise<Result>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#port.post(job(id));
    });
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
