/** Giving memory back after work that will not come again for hours. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';

let collect: (() => void) | undefined;

/**
 * Frees what this thread no longer refers to. V8 does so only when more is wanted, and a thread that has no work wants
 * nothing. Does nothing on the main thread, which it would hold up.
 */
export function collectGarbage(): void {
  if (isMainThread) return;
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
}
