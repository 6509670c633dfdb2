/**
 * Looks whether somebody was restored from what this process ships: then a higher epoch of its instance is in the bucket,
 * and this process must change nothing there any more.
 */
import type { Bucket } from '../bucket/bucket.ts';
import type { Clock } from '../io/clock.ts';
import { StorageError } from '../lib/errors.ts';
import { epochNames, instancePrefix } from './shipped-log.ts';

/** How long an answer of the bucket counts. */
const WATCH_INTERVAL_MS = 60_000;

/** A higher epoch was found. The message is for people, and says what to do. */
export class FencedError extends StorageError {
  override name = 'FencedError';
  constructor(message: string) {
    super('unavailable', message);
  }
}

export class EpochWatch {
  readonly #bucket: Bucket;
  readonly #instance: string;
  readonly #epoch: number;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #lower: readonly number[] = [];

  constructor(
    bucket: Bucket,
    { instance, epoch }: { readonly instance: string; readonly epoch: number },
    clock: Pick<Clock, 'monotonicMs'>,
  ) {
    this.#bucket = bucket;
    this.#instance = instance;
    this.#epoch = epoch;
    this.#clock = clock;
  }

  /** The lower epochs that were there at the last look. */
  get lower(): readonly number[] {
    return this.#lower;
  }

  /** Whether the last look is so long ago that nothing may be put any more. */
  get isDue(): boolean {
    return this.#clock.monotonicMs() - this.#lookedMs >= WATCH_INTERVAL_MS;
  }

  /** The process was paused: who knows what happened meanwhile. */
  expire(): void {
    this.#lookedMs = Number.NEGATIVE_INFINITY;
  }

  /** Looks, if that is due. Rejects as `look` does. */
  async lookIfDue(): Promise<void> {
    if (this.isDue) await this.look();
  }

  /** Rejects with FencedError if there is a higher epoch, else as the bucket does. One listing. */
  async look(): Promise<void> {
    const startedMs = this.#clock.monotonicMs();
    const epochs = epochNames(await this.#bucket.directories(instancePrefix(this.#instance)));
    const highest = Math.max(0, ...epochs);
    if (highest > this.#epoch) throw new FencedError(this.#fencedText(highest));
    this.#lower = epochs.filter((epoch) => epoch < this.#epoch);
    this.#lookedMs = startedMs;
  }

  #fencedText(highest: number): string {
    const what = `epoch ${highest} of instance ${this.#instance} is in the bucket: it was restored elsewhere, and this process (epoch ${this.#epoch}) must not go on`;
    return `${what}. Send writes to the restored one, and stop this one; its data directory still has what it accepted last`;
  }
}
