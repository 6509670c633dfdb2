/**
 * What a thread's queries ask the bucket: opened at the first need, so many requests at a time, and no more for a moment
 * after one was not answered, because each of them costs all the retries that the store's client makes.
 */
import type { Clock } from '../io/clock.ts';
import { StorageError } from '../lib/errors.ts';
import { Gate } from '../lib/gate.ts';
import type { Bucket } from './bucket.ts';

/** With 30 ms a request this is 1000 a second. */
const REQUESTS_AT_ONCE = 32;

/** What reads that are under way hold together, until those who asked have taken what they want of it. */
const BYTES_AT_ONCE: number = 96 * 1024 * 1024;

/** After a failure nothing is asked for so long. */
const PAUSE_MS = 5000;

export class BucketReads {
  readonly #open: () => Promise<Bucket>;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  #bucket: Promise<Bucket> | undefined;
  readonly #requests = new Gate(REQUESTS_AT_ONCE);
  readonly #bytes = new Gate(BYTES_AT_ONCE);
  #failure: { readonly untilMs: number; readonly error: StorageError } | undefined;

  constructor(open: () => Promise<Bucket>, clock: Pick<Clock, 'monotonicMs'>) {
    this.#open = open;
    this.#clock = clock;
  }

  /** Runs a read that will hold so many bytes when there is room for them. */
  withRoom<T>(bytes: number, read: () => Promise<T>): Promise<T> {
    return this.#bytes.run(bytes, read);
  }

  /** Rejects as Bucket.getRange does. */
  getRange(name: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#request((bucket) => bucket.getRange(name, offset, length));
  }

  /** Rejects as Bucket.size does. */
  size(name: string): Promise<number> {
    return this.#request((bucket) => bucket.size(name));
  }

  #request<T>(ask: (bucket: Bucket) => Promise<T>): Promise<T> {
    return this.#requests.run(1, async () => {
      try {
        this.#throwIfPaused();
        return await ask(await this.#opened());
      } catch (error) {
        if (error instanceof StorageError && ['unavailable', 'invalid'].includes(error.kind))
          this.#failure ??= { untilMs: this.#clock.monotonicMs() + PAUSE_MS, error };
        throw error;
      }
    });
  }

  #throwIfPaused(): void {
    if (this.#failure === undefined) return;
    const { untilMs, error } = this.#failure;
    if (this.#clock.monotonicMs() < untilMs) throw error;
    this.#failure = undefined;
  }

  async #opened(): Promise<Bucket> {
    this.#bucket ??= this.#open();
    try {
      return await this.#bucket;
    } catch (error) {
      this.#bucket = undefined;
      throw error;
    }
  }
}
