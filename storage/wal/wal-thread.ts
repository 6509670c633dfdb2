/**
 * The thread of the log: an activity (storage/io/executor.ts) that does nothing but commit, so that no other work of
 * the process delays an acknowledgement. It sleeps on the head word, which the main thread notifies after it advanced.
 */
import type { Port } from '../io/executor.ts';
import type { Wait, World } from '../io/world.ts';
import { WalCommitter, type WalCommitterOptions } from './committer.ts';

/** Structured-clonable; `memory` is shared with the sender. */
export type WalThreadInit = Omit<WalCommitterOptions, 'fileSystem'> & { readonly memory: SharedArrayBuffer };

export type WalThreadMessage =
  /** Everything before this position (bytes mod 2^32) is on disk. */
  | { readonly durable: number }
  /** A write or sync failed; it is tried again until it works. Sent at each failed try. */
  | { readonly failing: string }
  /** Follows the first `durable` after `failing`. */
  | { readonly recovered: true }
  /** The stop word was set, and all that could be written is. The last message. */
  | { readonly stopped: true }
  /** A bug: the thread ends. The last message. */
  | { readonly failed: string };

const RETRY_INTERVAL_MS = 250;
/** Bounds how late a stop is seen by a thread that nobody wakes. */
const IDLE_WAIT_MS = 200;

/** Resolves after the stop word was set to 1 (notify the head word too, to be heard at once), or after a bug. */
export async function run(port: Port, init: WalThreadInit, { fileSystem, wait }: World): Promise<void> {
  const post = (message: WalThreadMessage): void => port.post(message);
  try {
    const committer = new WalCommitter({ ...init, fileSystem });
    await commitUntilStopped(committer, init, wait, post);
    committer.close();
    post({ stopped: true });
  } catch (error) {
    post({ failed: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}

async function commitUntilStopped(
  committer: WalCommitter,
  { memory, addresses }: WalThreadInit,
  wait: Wait,
  post: (message: WalThreadMessage) => void,
): Promise<void> {
  const words = new Int32Array(memory);
  for (;;) {
    // Loaded before the commit: what arrives after it is seen by the commit, or makes the wait return at once.
    const stop = Atomics.load(words, addresses.stop >> 2) === 1;
    const head = Atomics.load(words, addresses.head >> 2);
    const outcome = committer.commit();
    if (outcome === undefined) {
      if (stop) return;
      await wait(words, addresses.head >> 2, head, IDLE_WAIT_MS);
    } else if ('failing' in outcome) {
      post({ failing: outcome.failing });
      if (stop) return;
      await wait(words, addresses.stop >> 2, 0, RETRY_INTERVAL_MS);
    } else {
      post({ durable: outcome.durable });
      if (outcome.recovered) post({ recovered: true });
      committer.growSpare();
    }
  }
}
