/** When work that failed is tried again: after 5 s, then after twice as long each time, up to 5 min. */
const FIRST_DELAY_MS = 5_000;
const LONGEST_DELAY_MS = 300_000;

export class Backoff {
  #delayMs = 0;
  #retryAtMs = Number.NEGATIVE_INFINITY;

  /** Whether the work may be done; `nowMs` is monotonic here and below. */
  isOver(nowMs: number): boolean {
    return nowMs >= this.#retryAtMs;
  }

  /** The work has failed, again perhaps. */
  fail(nowMs: number): void {
    this.#delayMs = this.#delayMs === 0 ? FIRST_DELAY_MS : Math.min(LONGEST_DELAY_MS, this.#delayMs * 2);
    this.#retryAtMs = nowMs + this.#delayMs;
  }

  succeed(): void {
    this.#delayMs = 0;
    this.#retryAtMs = Number.NEGATIVE_INFINITY;
  }
}
