/**
 * What an activity (executor.ts) touches of the world: the disk, time, chance, and a word of shared memory that others
 * change. A thread of its own may sleep on such a word; an activity that shares its thread has to let go of it.
 */
import { type Clock, systemClock } from './clock.ts';
import type { FileSystem } from './file-system.ts';
import { nodeFileSystem } from './node-file-system.ts';
import { type Random, systemRandom } from './random.ts';

/**
 * Waits until the executor's `notify` for `words[index]`, at most `timeoutMs`, and not at all if the word is not
 * `expected`. Blocks the thread, or returns a promise.
 */
export type Wait = (words: Int32Array, index: number, expected: number, timeoutMs: number) => void | Promise<void>;

export interface World {
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  readonly wait: Wait;
}

/** The machine, for a thread that does nothing else meanwhile. */
export const threadWorld: World = {
  fileSystem: nodeFileSystem,
  clock: systemClock,
  random: systemRandom,
  wait: (words, index, expected, timeoutMs) => void Atomics.wait(words, index, expected, timeoutMs),
};

interface Waiter {
  readonly memory: ArrayBufferLike;
  readonly index: number;
  readonly wake: () => void;
}

/**
 * Waiting among activities of one thread. It is not `Atomics.waitAsync`, which wakes after a time of its own: here who
 * is notified goes on in the next turn of the event loop, and the timeout is told by `clock`.
 */
export class InlineWaits {
  readonly #clock: Pick<Clock, 'after'>;
  readonly #waiters = new Set<Waiter>();

  constructor(clock: Pick<Clock, 'after'>) {
    this.#clock = clock;
  }

  readonly wait: Wait = async (words, index, expected, timeoutMs) => {
    if (Atomics.load(words, index) !== expected) return;
    await new Promise<void>((resolve) => {
      const stopTimer = this.#clock.after(timeoutMs, () => waiter.wake());
      const waiter: Waiter = {
        memory: words.buffer,
        index,
        wake: () => {
          stopTimer();
          if (this.#waiters.delete(waiter)) setImmediate(resolve);
        },
      };
      this.#waiters.add(waiter);
    });
  };

  notify(words: Int32Array, index: number): void {
    for (const waiter of [...this.#waiters]) {
      if (waiter.memory === words.buffer && waiter.index === index) waiter.wake();
    }
  }
}
