/** Waiting for a condition instead of for a time. */

/**
 * Polls `condition` until it gives something truthy, and returns that. An error of `condition` counts as "not yet".
 * Throws after `timeoutMs` with `what` and the last error.
 */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  { timeoutMs = 30_000, everyMs = 50 }: { timeoutMs?: number; everyMs?: number } = {},
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs;
  let lastError: unknown;
  do {
    try {
      const answer = await condition();
      if (answer) return answer;
    } catch (error) {
      lastError = error;
    }
    await pause(everyMs);
  } while (performance.now() < deadline);
  throw new Error(`waited ${timeoutMs} ms for ${what}`, { cause: lastError });
}

/** Lets other things happen for a while; for polling and load pacing only, never for "long enough". */
export function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
