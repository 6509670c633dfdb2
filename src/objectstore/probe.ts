/** Whether the configured bucket answers, asked once at the start. */
import {
  type BucketLocation,
  type Clock,
  type Executor,
  moduleUrl,
  StorageError,
  type StorageErrorKind,
} from '../../storage/index.ts';

/** What the activity posts; survives a structured clone. */
export type ProbeAnswer =
  | { readonly isThere: true }
  | { readonly isThere: false; readonly kind: StorageErrorKind; readonly message: string };

/** A start waits no longer for a store that may be down. */
const PATIENCE_MS = 5000;

/** Resolves when the bucket could be listed. Rejects with StorageError as a bucket does, 'unavailable' after 5 s. */
export function probeBucket(
  location: BucketLocation,
  { executor, clock }: { readonly executor: Executor; readonly clock: Pick<Clock, 'after'> },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const port = executor.start(moduleUrl('./probe-activity', import.meta.url), location);
    const end = (settle: () => void): void => {
      stopTimer();
      port.close();
      settle();
    };
    const stopTimer = clock.after(PATIENCE_MS, () =>
      end(() => reject(new StorageError('unavailable', `no answer from the bucket within ${PATIENCE_MS / 1000} s`))),
    );
    port.onMessage((message) => {
      const answer = message as ProbeAnswer;
      end(() => (answer.isThere ? resolve() : reject(new StorageError(answer.kind, answer.message))));
    });
    port.onClose((error) =>
      end(() => reject(error ?? new StorageError('unavailable', 'the probe of the bucket ended'))),
    );
  });
}
