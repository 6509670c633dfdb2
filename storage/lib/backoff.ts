/** When work that failed is tried again: after 5 s, then after twice as long each time, up to 5 min unless told otherwise. */
const FIRST_DELAY_MS = 5_000;
const LONGEST_DELAY_MS = 300_000;
/** The share of a delay that chance takes off it, so that many who failed together do not come back together. */
const JITTER = 0.5;

export class Backoff {
  readonly #firstMs: number;
  readonly #longestMs: number;
  readonly #chance: () => number;
  #delayMs = 0;
  #retryAtMs = Number.NEGATIVE_INFINITY;

  /** `chance` gives numbers in [0, 1); without it the delays are not jittered. */
  constructor({
    firstMs = FIRST_DELAY_MS,
    longestMs = LONGEST_DELAY_MS,
    chance = () => 0,
  }: { firstMs?: number; longestMs?: number; chance?: () => number } = {}) {
    this.#firstMs = firstMs;
    this.#longestMs = longestMs;
    this.#chance = chance;
  }

  /** Whether the work may be done; `nowMs` is monotonic here and below. */
  isOver(nowMs: number): boolean {
    return nowMs >= this.#retryAtMs;
  }

  /** The work has failed, again perhaps. */
  fail(nowMs: number): void {
    this.#delayMs = Math.min(this.#longestMs, this.#delayMs === 0 ? this.#firstMs : this.#delayMs * 2);
    this.#retryAtMs = nowMs + this.#delayMs * (1 - JITTER * this.#chance());
  }

  succeed(): void {
    this.#delayMs = 0;
    this.#retryAtMs = Number.NEGATIVE_INFINITY;
  }
}
