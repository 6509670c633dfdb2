/**
 * The postings of a block while it is written: collects which series has which label pair, then sorts by counting.
 * Pairs and symbols are numbers and everything lies in typed arrays: 8 bytes for each label of each series, while maps
 * of arrays would take ten times that.
 *
 *   values      pairOfValue[value symbol] ─► pair ─ nextPair ─► pair of another name with the same value ─► …
 *   while added occurrences = the pairs of series 0, of series 1 …; labelCounts, refs = one for each series
 *   then        refs of pair p = sorted[starts[p] … starts[p + 1])
 */

const NO_PAIR = 0xffffffff;

/** Receives each pair in the order of its name, then of its value. `refs` is valid during the call. */
export type VisitPair = (name: number, value: number, refs: Uint32Array) => void;

export class PairPostings {
  readonly #symbolCount: number;
  readonly #pairOfValue: Uint32Array;
  #pairNames = new Uint32Array(1024);
  #pairValues = new Uint32Array(1024);
  #pairSizes = new Uint32Array(1024);
  #nextPair = new Uint32Array(1024);
  #pairCount = 0;
  #occurrences = new Uint32Array(16_384);
  #occurrenceCount = 0;
  #labelCounts = new Uint32Array(1024);
  #refs = new Uint32Array(1024);
  #seriesCount = 0;

  /** Label names and values are numbers below `symbolCount`. */
  constructor(symbolCount: number) {
    this.#symbolCount = symbolCount;
    this.#pairOfValue = new Uint32Array(symbolCount).fill(NO_PAIR);
  }

  get pairCount(): number {
    return this.#pairCount;
  }

  /** All series, in the order added. A view, valid until the next `add`. */
  get refs(): Uint32Array {
    return this.#refs.subarray(0, this.#seriesCount);
  }

  /** `labels` are flat pairs of symbol numbers. Refs must ascend. */
  add(ref: number, labels: ArrayLike<number>): void {
    const end = this.#occurrenceCount + labels.length / 2;
    if (end > this.#occurrences.length) this.#occurrences = grown(this.#occurrences, end);
    for (let i = 0; i < labels.length; i += 2) {
      const pair = this.#pair(labels[i] as number, labels[i + 1] as number);
      this.#occurrences[this.#occurrenceCount++] = pair;
      this.#pairSizes[pair] = (this.#pairSizes[pair] as number) + 1;
    }
    if (this.#seriesCount === this.#refs.length) {
      this.#refs = grown(this.#refs, this.#seriesCount + 1);
      this.#labelCounts = grown(this.#labelCounts, this.#seriesCount + 1);
    }
    this.#refs[this.#seriesCount] = ref;
    this.#labelCounts[this.#seriesCount++] = labels.length / 2;
  }

  /** Visits all pairs with their series. */
  visit(visitPair: VisitPair): void {
    const starts = this.#starts();
    const sorted = this.#sorted(starts);
    for (const key of this.#sortedKeys()) {
      const name = Math.floor(key / this.#symbolCount);
      const value = key % this.#symbolCount;
      const pair = this.#pair(name, value);
      visitPair(name, value, sorted.subarray(starts[pair] as number, starts[pair + 1] as number));
    }
  }

  /** The number of a pair, new or not. A value belongs to one name nearly always, so the chain is one step long. */
  #pair(name: number, value: number): number {
    for (let pair = this.#pairOfValue[value] as number; pair !== NO_PAIR; pair = this.#nextPair[pair] as number) {
      if (this.#pairNames[pair] === name) return pair;
    }
    const pair = this.#pairCount++;
    if (pair === this.#pairNames.length) {
      this.#pairNames = grown(this.#pairNames, pair + 1);
      this.#pairValues = grown(this.#pairValues, pair + 1);
      this.#pairSizes = grown(this.#pairSizes, pair + 1);
      this.#nextPair = grown(this.#nextPair, pair + 1);
    }
    this.#pairNames[pair] = name;
    this.#pairValues[pair] = value;
    this.#nextPair[pair] = this.#pairOfValue[value] as number;
    this.#pairOfValue[value] = pair;
    return pair;
  }

  /** Where each pair's refs begin in the sorted list; one more at the end. */
  #starts(): Uint32Array {
    const starts = new Uint32Array(this.#pairCount + 1);
    for (let pair = 0; pair < this.#pairCount; pair++) {
      starts[pair + 1] = (starts[pair] as number) + (this.#pairSizes[pair] as number);
    }
    return starts;
  }

  /** The refs of all pairs, pair by pair. Series come in ascending order, so each pair's list ascends. */
  #sorted(starts: Uint32Array): Uint32Array {
    const next = starts.slice();
    const sorted = new Uint32Array(this.#occurrenceCount);
    let occurrence = 0;
    for (let series = 0; series < this.#seriesCount; series++) {
      const ref = this.#refs[series] as number;
      const end = occurrence + (this.#labelCounts[series] as number);
      for (; occurrence < end; occurrence++) {
        const pair = this.#occurrences[occurrence] as number;
        const at = next[pair] as number;
        sorted[at] = ref;
        next[pair] = at + 1;
      }
    }
    return sorted;
  }

  /** name · symbolCount + value of each pair, ascending: exact below 2^53, that is up to 94 million symbols. */
  #sortedKeys(): Float64Array {
    const keys = new Float64Array(this.#pairCount);
    for (let pair = 0; pair < this.#pairCount; pair++) {
      keys[pair] = (this.#pairNames[pair] as number) * this.#symbolCount + (this.#pairValues[pair] as number);
    }
    return keys.sort();
  }
}

function grown(array: Uint32Array<ArrayBuffer>, needed: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(Math.max(needed, array.length * 2));
  larger.set(array);
  return larger;
}
