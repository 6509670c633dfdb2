/** A request that stands still is given up, however long it may take while it moves. */
import type { Clock } from '../../storage/index.ts';

/** What a request is told by, and tells. */
export interface Watch {
  /** Aborted when time is up, or by the signal that was given. */
  readonly signal: AbortSignal;
  /** Something has come, or gone. */
  readonly onProgress: () => void;
}

/** Resolves as `work` does; rejects with an ETIMEDOUT if that does not progress for `limitMs` (0: waits for ever). */
export async function withIdleLimit<T>(
  {
    clock,
    limitMs,
    signal,
  }: { readonly clock: Pick<Clock, 'after'>; readonly limitMs: number; readonly signal: AbortSignal },
  work: (watch: Watch) => Promise<T>,
): Promise<T> {
  const idle = new AbortController();
  let stopTimer = (): void => {};
  const onProgress = (): void => {
    stopTimer();
    if (limitMs > 0) stopTimer = clock.after(limitMs, () => idle.abort());
  };
  onProgress();
  try {
    return await work({ signal: AbortSignal.any([signal, idle.signal]), onProgress });
  } catch (cause) {
    if (!idle.signal.aborted) throw cause;
    throw Object.assign(new Error(`nothing came for ${(limitMs / 1000).toFixed(1)} s`, { cause }), {
      code: 'ETIMEDOUT',
    });
  } finally {
    stopTimer();
  }
}

/** The whole of a body. Rejects with an ECONNRESET if it is not as long as the store has said. */
export async function readBody(
  body: AsyncIterable<Uint8Array>,
  promisedBytes: number | undefined,
  onBytes: (bytes: number) => void,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.length;
    onBytes(chunk.length);
  }
  if (promisedBytes === undefined || promisedBytes === length) return Buffer.concat(chunks, length);
  throw Object.assign(new Error(`${length} bytes came of ${promisedBytes}`), { code: 'ECONNRESET' });
}
