/** The longest that one call may take, with all tries, by what it moves: a store that drips does not hold a thread for ever. */
import { type Clock, StorageError } from '../../storage/index.ts';

const LEAST_MS = 300_000;
/** What counts for more, or for an object of unknown size; a part of an upload has at most as much. */
const MOST_BYTES = 1024 * 1024 * 1024;
/** 64 KiB/s: a slower transfer is given up. */
export const SLOWEST_BYTES_PER_MS = 65.536;

/** Resolves as `work` does; `bytes` are what it moves at most, Infinity if that is unknown. When time is up, `signal` aborts it, and what it rejects with becomes 'unavailable'. */
export async function withDeadline<T>(
  clock: Pick<Clock, 'after'>,
  bytes: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limitMs = LEAST_MS + Math.min(bytes, MOST_BYTES) / SLOWEST_BYTES_PER_MS;
  const controller = new AbortController();
  const stopTimer = clock.after(limitMs, () => controller.abort());
  try {
    return await work(controller.signal);
  } catch (cause) {
    if (!controller.signal.aborted) throw cause;
    throw new StorageError('unavailable', `not done after ${Math.round(limitMs / 1000)} s`, { cause });
  } finally {
    stopTimer();
  }
}
