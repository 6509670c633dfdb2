/** Gaps of which so many are remembered. */
const REMEMBERED = 8;
/** Requests of one scrape come in quick succession: what lies between them is no interval. */
const BURST_MS = 1000;

/**
 * How often a sender sends, observed from its requests: the longest pause between two of them, of the last ones. The
 * very longest does not count, because one outage is no interval.
 */
export class ObservedInterval {
  #gapsMs: number[] = [];

  note(gapMs: number): void {
    if (gapMs >= BURST_MS) this.#gapsMs = [...this.#gapsMs, gapMs].slice(-REMEMBERED);
  }

  /** 0 while nothing is known. */
  get ms(): number {
    const longest = this.#gapsMs.toSorted((a, b) => b - a);
    return longest[1] ?? longest[0] ?? 0;
  }
}
