/** Blocks that turned out to be damaged: queries leave them alone for some hours, so that one costs each no second look. */
import type { Clock } from '../io/clock.ts';

/** Long enough to be seen, short enough that a repaired block comes back without a restart. */
const QUARANTINE_MS = 6 * 3_600_000;

export interface QuarantinedBlock {
  readonly ulid: string;
  /** What was found, with file and offset. */
  readonly reason: string;
}

export class Quarantine {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #blocks = new Map<string, { readonly reason: string; readonly untilMs: number }>();

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  /** Returns false if the block is in it already. */
  add(ulid: string, reason: string): boolean {
    if (this.reasonFor(ulid) !== undefined) return false;
    this.#blocks.set(ulid, { reason, untilMs: this.#clock.monotonicMs() + QUARANTINE_MS });
    return true;
  }

  /** Why the block is not to be read; undefined if it may be. */
  reasonFor(ulid: string): string | undefined {
    const found = this.#blocks.get(ulid);
    if (found === undefined || found.untilMs > this.#clock.monotonicMs()) return found?.reason;
    this.#blocks.delete(ulid);
    return undefined;
  }

  /** The blocks that are in it now. */
  list(): QuarantinedBlock[] {
    return [...this.#blocks.keys()].flatMap((ulid) => {
      const reason = this.reasonFor(ulid);
      return reason === undefined ? [] : [{ ulid, reason }];
    });
  }
}
