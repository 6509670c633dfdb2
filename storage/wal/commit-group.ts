/**
 * Which requests share a sync. A sync costs as much as a request, and so do the wake-ups around it; senders that wait for
 * their answers come back together. So a group is sent to disk when a turn of the event loop brought nothing more and as
 * many wait as did of late, or after a short time. A request that is alone is not held back.
 */
import type { Clock } from '../io/clock.ts';
import { nextTurn } from '../io/executor.ts';

/** How long a group may wait for those who are expected; also how long a busy event loop may hold one back. */
const GATHERING_MS = 2;

export interface CommitGroupOwner {
  /** The end of the log. */
  readonly position: () => number;
  /** Requests that have no answer yet, those on their way to disk too. */
  readonly waiting: () => number;
  /** Sends what is in the log on its way to disk. */
  readonly send: () => void;
}

interface Gathering {
  readonly sinceMs: number;
  /** Set while nothing is left to do but to wait for those who are expected. */
  stopTimer: (() => void) | undefined;
}

export class CommitGroup {
  readonly #clock: Pick<Clock, 'monotonicMs' | 'after'>;
  readonly #owner: CommitGroupOwner;
  #gathering: Gathering | undefined;
  /** The most that waited at once, until they did not come. */
  #expected = 1;

  constructor(clock: Pick<Clock, 'monotonicMs' | 'after'>, owner: CommitGroupOwner) {
    this.#clock = clock;
    this.#owner = owner;
  }

  /** Something was written that somebody waits for. */
  join(): void {
    this.#expected = Math.max(this.#expected, this.#owner.waiting());
    const gathering = this.#gathering;
    if (gathering === undefined) {
      this.#gathering = { sinceMs: this.#clock.monotonicMs(), stopTimer: undefined };
      void this.#gather(this.#gathering);
    } else if (this.#leftMs(gathering) <= 0) this.#send();
    else if (gathering.stopTimer !== undefined && this.#isWhole) void this.#gather(gathering);
  }

  get #isWhole(): boolean {
    return this.#owner.waiting() >= this.#expected;
  }

  #leftMs({ sinceMs }: Gathering): number {
    return sinceMs + GATHERING_MS - this.#clock.monotonicMs();
  }

  async #gather(gathering: Gathering): Promise<void> {
    gathering.stopTimer?.();
    gathering.stopTimer = undefined;
    for (let seen = -1; seen !== this.#owner.position() && gathering === this.#gathering; ) {
      seen = this.#owner.position();
      await nextTurn();
    }
    if (gathering !== this.#gathering) return;
    if (this.#isWhole || this.#leftMs(gathering) <= 0) this.#send();
    else gathering.stopTimer = this.#clock.after(this.#leftMs(gathering), () => this.#giveUp());
  }

  #giveUp(): void {
    this.#expected = Math.max(1, this.#owner.waiting());
    this.#send();
  }

  #send(): void {
    this.#gathering?.stopTimer?.();
    this.#gathering = undefined;
    this.#owner.send();
  }
}
