/** What an answer is made with, on a reader thread. */
import { type ChunkCodec, type SeriesSource, StorageError, type TimeRange } from '../../storage/index.ts';
import type { ContentHeaders, ReadLimits } from './read-job.ts';

export interface ReadContext {
  readonly codec: ChunkCodec;
  readonly limits: ReadLimits;
  /** The sources for each of the ranges, all as of one moment. To be called once. */
  sources(ranges: readonly TimeRange[]): Promise<SeriesSource[][]>;
  /** What the answer is without, as far as it is known by now. */
  warnings(): readonly string[];
  /** Lets other reads of the thread go on; throws if this one was cancelled. To be awaited between batches. */
  turn(): Promise<void>;
}

/** A body that is made while it is sent. Its pieces are never empty, and each belongs to whoever takes it. */
export interface Answer extends ContentHeaders {
  readonly body: AsyncGenerator<Uint8Array, void, undefined>;
}

/** Counts what an answer costs and ends it at the limit. */
export class ReadBudget {
  readonly #limits: ReadLimits;
  #samples = 0;
  #bytes = 0;

  constructor(limits: ReadLimits) {
    this.#limits = limits;
  }

  /** Throws StorageError 'limit' if the answer has become too large with these. */
  spend(samples: number, bytes: number): void {
    this.#samples += samples;
    this.#bytes += bytes;
    if (this.#samples > this.#limits.samples) {
      throw new StorageError(
        'limit',
        `exceeded sample limit (${this.#limits.samples}): ask for fewer series or less time`,
      );
    }
    if (this.#bytes > this.#limits.bytes) {
      throw new StorageError(
        'limit',
        `exceeded limit of ${this.#limits.bytes} bytes: ask for fewer series or less time`,
      );
    }
  }
}
