/**
 * What queries see. A snapshot fixes the block list and which generations of the head count, so that an answer is the
 * same before, during and after a cut; what it sees of the head stays until it is released.
 */
import type { BlockPlace } from '../block/block-place.ts';
import type { TimeRange } from '../model/time-range.ts';
import type { WindowGeneration } from './head-source.ts';

/** Survives a structured clone. */
export interface Snapshot {
  readonly id: number;
  readonly tenant: string;
  readonly range: TimeRange;
  /** The tenant's handle in the kernel, 0 if it never wrote to this head. */
  readonly handle: number;
  /** The tenant's blocks that overlap the range; at one timestamp an earlier one wins. */
  readonly blocks: readonly BlockPlace[];
  /** Blocks that overlap it too and are known to be damaged: an answer is without them. */
  readonly quarantined: readonly { readonly ulid: string; readonly reason: string }[];
  /** Generations that are in a block of the list and still in the head. */
  readonly published: readonly WindowGeneration[];
}

interface Waiting {
  /** Snapshots with a lower id have to be gone. */
  readonly before: number;
  readonly resolve: () => void;
}

export class Snapshots {
  readonly #live = new Set<number>();
  readonly #waiting: Waiting[] = [];
  #nextId = 1;

  take(facts: Omit<Snapshot, 'id'>): Snapshot {
    const id = this.#nextId++;
    this.#live.add(id);
    return { id, ...facts };
  }

  /** A second release does nothing. */
  release(id: number): void {
    if (!this.#live.delete(id)) return;
    const oldest = this.#oldest();
    for (let i = this.#waiting.length - 1; i >= 0; i--) {
      const waiting = this.#waiting[i] as Waiting;
      if (oldest < waiting.before) continue;
      this.#waiting.splice(i, 1);
      waiting.resolve();
    }
  }

  /** Resolves when every snapshot that was taken before now is released. */
  async whenPresentOnesAreGone(): Promise<void> {
    const before = this.#nextId;
    if (this.#oldest() >= before) return;
    await new Promise<void>((resolve) => this.#waiting.push({ before, resolve }));
  }

  get count(): number {
    return this.#live.size;
  }

  /** Ids rise and a set keeps the order of insertion. */
  #oldest(): number {
    for (const id of this.#live) return id;
    return this.#nextId;
  }
}
