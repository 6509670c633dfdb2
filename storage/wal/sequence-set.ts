/**
 * Which sequences of the log were seen: everything up to the highest but for a few gaps. Its size is the number of
 * gaps, so it stays small however long the log is.
 */

/** Sequences from `first` to `last`, both inclusive. */
export interface SequenceGap {
  readonly first: number;
  readonly last: number;
}

export class SequenceSet {
  #last: number;
  #gaps: SequenceGap[] = [];

  /** Counts everything up to `last` as seen. */
  constructor(last: number) {
    this.#last = last;
  }

  /** The highest one seen. */
  get last(): number {
    return this.#last;
  }

  /** What is missing below the highest one, in order. */
  get gaps(): readonly SequenceGap[] {
    return this.#gaps;
  }

  /** Adds a sequence; false if it was there. */
  add(sequence: number): boolean {
    if (sequence > this.#last) {
      if (sequence > this.#last + 1) this.#gaps.push({ first: this.#last + 1, last: sequence - 1 });
      this.#last = sequence;
      return true;
    }
    const index = this.#gaps.findIndex((gap) => gap.first <= sequence && sequence <= gap.last);
    const gap = this.#gaps[index];
    if (gap === undefined) return false;
    const rest = [
      { first: gap.first, last: sequence - 1 },
      { first: sequence + 1, last: gap.last },
    ].filter(({ first, last }) => first <= last);
    this.#gaps.splice(index, 1, ...rest);
    return true;
  }
}
