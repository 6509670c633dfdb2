/** Another try after a while, for stores whose library shows no tries: there each call is one request, counted as such. */
import { type BucketWorld, StorageError } from '../../storage/index.ts';

export interface RetryPlan {
  /** The first included. */
  readonly attempts: number;
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
}

export const DEFAULT_DELAYS: Omit<RetryPlan, 'attempts'> = { firstDelayMs: 500, maxDelayMs: 20_000 };

/**
 * Resolves as `attempt` does, which is called again while it rejects with StorageError 'unavailable', after delays of half
 * to all of a time that doubles. Not after `signal`.
 */
export async function withRetries<T>(
  { attempts, firstDelayMs, maxDelayMs }: RetryPlan,
  { clock, random }: Pick<BucketWorld, 'clock' | 'random'>,
  attempt: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      const isWorthwhile = error instanceof StorageError && error.kind === 'unavailable';
      if (!isWorthwhile || tries >= attempts || signal.aborted) throw error;
    }
    const chance = new Uint16Array(1);
    random.fill(new Uint8Array(chance.buffer));
    const share = 0.5 + (chance[0] as number) / 131_072;
    const delayMs = Math.min(firstDelayMs * 2 ** (tries - 1), maxDelayMs) * share;
    await new Promise<void>((resolve) => {
      clock.after(delayMs, resolve);
    });
  }
}
