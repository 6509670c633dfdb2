/**
 * What an activity (executor.ts) touches of the world: the disk, time, chance, and a word of shared memory that others
 * change. A thread of its own may sleep on such a word; an activity that shares its thread has to let go of it.
 */
import { type Clock, systemClock } from './clock.ts';
import type { FileSystem } from './file-system.ts';
import { nodeFileSystem } from './node-file-system.ts';
import { type Random, systemRandom } from './random.ts';

/**
 * Waits until `words[index]` is notified, at most `timeoutMs`, and not at all if it is not `expected`. Blocks the
 * thread, or returns a promise.
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

/** Lets the thread go on with other work; the timeout is told by `clock`. */
export function inlineWait(clock: Pick<Clock, 'after'>): Wait {
  return async (words, index, expected, timeoutMs) => {
    const { async, value: notified } = Atomics.waitAsync(words, index, expected);
    if (!async) return;
    let stopTimer = (): void => {};
    const elapsed = new Promise<void>((resolve) => {
      stopTimer = clock.after(timeoutMs, resolve);
    });
    await Promise.race([notified, elapsed]);
    stopTimer();
  };
}
