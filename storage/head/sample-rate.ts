/** How fast samples come: a tenant may send those of so many seconds at once, and what it takes beyond it owes. */
const BURST_SECONDS = 10;

export class SampleRate {
  #credit: number | undefined;
  #filledMs = 0;

  /**
   * Seconds until a further request is taken; 0 if that is now. Where there is credit left a request is taken whole, however
   * large: one that is larger than any credit would never be. `nowMs` is monotonic.
   */
  waitSeconds(perSecond: number, nowMs: number): number {
    const most = perSecond * BURST_SECONDS;
    this.#credit = Math.min(most, (this.#credit ?? most) + ((nowMs - this.#filledMs) / 1000) * perSecond);
    this.#filledMs = nowMs;
    return this.#credit > 0 ? 0 : Math.max(1, Math.ceil(-this.#credit / perSecond));
  }

  /** Charges samples that were taken; a negative number gives back. */
  take(samples: number): void {
    this.#credit = (this.#credit ?? 0) - samples;
  }
}
