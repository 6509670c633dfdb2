/**
 * What fills the gap when a replica of a pair takes another one's place: what it sent while it was not elected. See
 * ha-pairs.ts for who is elected, shadow.ts for what is kept.
 */
import type { Kernel } from '../kernel/kernel.ts';
import type { HaPairs, Replica, Switch } from './ha-pairs.ts';
import { Shadow, type ShadowRequest } from './shadow.ts';

/** A replica that was elected, and its requests that may hold what is missing, oldest first. */
export interface Gap {
  readonly replica: Replica;
  readonly requests: readonly ShadowRequest[];
}

export class HaGaps {
  readonly pairs: HaPairs;
  readonly #kernel: Kernel;
  readonly #shadow: Shadow;
  #switches: Switch[] = [];
  /** Samples out of kept requests that were stored, and that were not needed. */
  readonly totals = { stored: 0, discarded: 0 };

  /** Kept requests may take `budgetBytes`. */
  constructor(pairs: HaPairs, kernel: Kernel, budgetBytes: number) {
    this.pairs = pairs;
    this.#kernel = kernel;
    this.#shadow = new Shadow(budgetBytes);
  }

  /** Looks at who sent the request that was received last; whether there is a gap to fill before it is applied. */
  begin(): boolean {
    this.#switches.push(...this.pairs.beginRequest(this.#kernel.meetReplicas()));
    return this.#switches.length > 0;
  }

  /** After a request was applied, of which `dropped` samples came from losers: keeps it for them. How many samples are kept. */
  end(request: Omit<ShadowRequest, 'replicas' | 'samples'>, dropped: number): number {
    const { switches, losers } = this.pairs.endRequest(this.#kernel.metReplicas);
    const isKept = dropped > 0 && this.#shadow.keep({ ...request, replicas: new Set(losers), samples: dropped });
    this.#switches.push(...switches);
    this.#shadow.prune(request.receivedMs, (replica) => this.pairs.neededFromMs(replica));
    return isKept ? dropped : 0;
  }

  /** Whether there is anything for `fill` to do. */
  get isDue(): boolean {
    return this.#switches.length > 0 || this.pairs.hasRecords;
  }

  /** The gaps to fill; each is to be counted with `count`, and at the end comes `finish`. */
  take(): Gap[] {
    const gaps = this.#switches.map(({ replica, neededFromMs }) => ({
      replica,
      requests: this.#shadow.take(replica, neededFromMs),
    }));
    this.#switches = [];
    return gaps;
  }

  /** Counts what became of a request of a gap: `seen` of its samples were looked at, `stored` stored. */
  count(request: ShadowRequest, { seen, stored }: { seen: number; stored: number }): void {
    const samples = Math.max(Math.min(seen, request.samples), stored);
    request.samples -= samples;
    this.totals.stored += stored;
    this.totals.discarded += samples - stored;
  }

  finish(): void {
    this.#shadow.sweep();
  }

  get shadowBytes(): number {
    return this.#shadow.bytes;
  }

  get shadowSamples(): number {
    return this.#shadow.samples;
  }

  /** Samples that were kept, and thrown away since. */
  get discarded(): number {
    return this.totals.discarded + this.#shadow.discarded;
  }
}
