/**
 * Who writes: one row for each address, user agent, protocol and tenant, for people who look for a sender that lags, fails
 * or should not be there. Bounded: the rows of those who wrote longest ago make room.
 */
import type { IncomingMessage } from 'node:http';
import { LRUCache } from 'lru-cache';
import { uncompressSync } from 'snappy';
import { type Clock, LimitError, type WriteFormat, type WriteOutcome } from '../../storage/index.ts';
import { inBoth, type SharedLabels, sharedLabels } from '../ingest/shared-labels.ts';
import type { QueueLag } from './sender-lag.ts';

const MAX_SENDERS = 1000;
const SHOWN_CHARACTERS = 200;
const MESSAGE_CHARACTERS = 1000;
/** The time over which a rate forgets. */
const RATE_MS = 60_000;
/** A body is looked into this often, if it is not larger than this: a fraction of a millisecond of work. */
const LOOK_EVERY_MS = 60_000;
const LOOK_BYTES = 256 * 1024;

/** How the samples came. */
export type Protocol = 'remote-write-1.0' | 'remote-write-2.0' | 'otlp';

/** What a sender is told by besides its address and user agent. */
export interface SenderFacts {
  readonly tenant: string;
  readonly protocol: Protocol;
}

/** A row as the API shows it. Times are RFC 3339, counts are samples unless their name says otherwise. */
export interface SenderReport {
  readonly address: string;
  readonly userAgent: string;
  readonly protocol: string;
  readonly tenant: string;
  readonly firstSeen: string;
  readonly lastSeen: string;
  readonly requests: number;
  /** Requests that were refused whole: nothing of them was stored. */
  readonly failedRequests: number;
  /** Over about the last minute. */
  readonly samplesPerSecond: number;
  readonly received: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly conflicts: number;
  /** As configured: by relabelling, or as what a replica sends that is not elected. */
  readonly dropped: number;
  readonly rejected: Readonly<Record<string, number>>;
  /** Why samples or a whole request were refused last; '' if none ever was. */
  readonly lastRejection: string;
  readonly lastRejectionTime?: string;
  /**
   * How far the newest sample of the last request that stored any was ahead of our clock: a little behind is usual, ahead
   * is a wrong clock, and much behind a sender that catches up or whose clock is wrong.
   */
  readonly clockSkewSeconds?: number;
  /** What all its series have, as far as it was looked: the sender's external labels, and what else never differs. */
  readonly externalLabels: Readonly<Record<string, string>>;
}

/** A row with what the sender's own metrics say of it, where it ships them. */
export interface SenderReportWithLag extends SenderReport {
  readonly queues: readonly QueueLag[];
}

interface Identity extends SenderFacts {
  readonly address: string;
  readonly userAgent: string;
}

/** The row of one sender. Its calls are on the way of every write, and only count. */
class Sender {
  readonly identity: Identity;
  readonly #clock: Pick<Clock, 'nowMs'>;
  readonly #firstSeenMs: number;
  readonly #rejected = new Map<string, number>();
  #lastSeenMs: number;
  #requests = 0;
  #failedRequests = 0;
  #received = 0;
  #stored = 0;
  #duplicates = 0;
  #conflicts = 0;
  #dropped = 0;
  #lastRejection = '';
  #lastRejectionMs = 0;
  #sharedLabels: SharedLabels | undefined;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #aheadMs: number | undefined;
  /** Samples of late, each worth e^(−age / RATE_MS). */
  #recentSamples = 0;

  constructor(identity: Identity, clock: Pick<Clock, 'nowMs'>) {
    this.identity = identity;
    this.#clock = clock;
    this.#firstSeenMs = clock.nowMs();
    this.#lastSeenMs = this.#firstSeenMs;
  }

  /** Counts a request that was decoded. */
  count(outcome: WriteOutcome): void {
    this.#see(outcome.received);
    this.#received += outcome.received;
    this.#stored += outcome.stored;
    this.#duplicates += outcome.duplicates;
    this.#conflicts += outcome.conflicts;
    this.#dropped += outcome.dropped.relabel + outcome.dropped.ha + outcome.dropped.shadow;
    if (outcome.newestMs !== undefined) this.#aheadMs = outcome.newestMs - this.#lastSeenMs;
    if (outcome.message === '') return;
    for (const [reason, samples] of outcome.rejectedBy) {
      this.#rejected.set(reason, (this.#rejected.get(reason) ?? 0) + samples);
    }
    this.#reject(outcome.message);
  }

  /** Counts a request that was refused whole. */
  countFailed(error: unknown): void {
    const samples = error instanceof LimitError ? error.samples : 0;
    this.#see(samples);
    this.#failedRequests++;
    if (error instanceof LimitError && samples > 0) {
      this.#received += samples;
      this.#rejected.set(error.reason, (this.#rejected.get(error.reason) ?? 0) + samples);
    }
    this.#reject(error instanceof Error ? error.message : String(error));
  }

  /** Now and then, looks into a body that the engine took. */
  look(body: Uint8Array, { compression, protocol }: WriteFormat): void {
    if (this.#lastSeenMs - this.#lookedMs < LOOK_EVERY_MS || body.length > LOOK_BYTES) return;
    this.#lookedMs = this.#lastSeenMs;
    const message = compression !== 'none' ? (uncompressSync(Buffer.from(body)) as Buffer) : body;
    const labels = sharedLabels(message, protocol);
    if (labels !== undefined) this.#sharedLabels = inBoth(this.#sharedLabels, labels);
  }

  report(): SenderReport {
    const nowMs = this.#clock.nowMs();
    return {
      ...this.identity,
      firstSeen: new Date(this.#firstSeenMs).toISOString(),
      lastSeen: new Date(this.#lastSeenMs).toISOString(),
      requests: this.#requests,
      failedRequests: this.#failedRequests,
      samplesPerSecond: this.#rate(nowMs),
      received: this.#received,
      stored: this.#stored,
      duplicates: this.#duplicates,
      conflicts: this.#conflicts,
      dropped: this.#dropped,
      rejected: Object.fromEntries(this.#rejected),
      lastRejection: this.#lastRejection,
      ...(this.#lastRejectionMs === 0 ? {} : { lastRejectionTime: new Date(this.#lastRejectionMs).toISOString() }),
      ...(this.#aheadMs === undefined ? {} : { clockSkewSeconds: this.#aheadMs / 1000 }),
      externalLabels: Object.fromEntries(this.#sharedLabels ?? []),
    };
  }

  #see(samples: number): void {
    const nowMs = this.#clock.nowMs();
    this.#requests++;
    this.#recentSamples = this.#recentSamples * decay(nowMs - this.#lastSeenMs) + samples;
    this.#lastSeenMs = nowMs;
  }

  #reject(message: string): void {
    this.#lastRejection = message.slice(0, MESSAGE_CHARACTERS);
    this.#lastRejectionMs = this.#lastSeenMs;
  }

  /** Weighs what came by all the weight that the time since the first request has: a young sender's rate is right, too. */
  #rate(nowMs: number): number {
    const recent = this.#recentSamples * decay(nowMs - this.#lastSeenMs);
    const weightMs = RATE_MS * (1 - decay(Math.max(nowMs - this.#firstSeenMs, 1000)));
    return Math.round((recent / weightMs) * 1000 * 100) / 100;
  }
}

/** What is left of 1 after a time; a clock that was set back changes nothing. */
function decay(elapsedMs: number): number {
  return elapsedMs <= 0 ? 1 : Math.exp(-elapsedMs / RATE_MS);
}

/** What a connection said last; the next request nearly always says the same, and then no key has to be made. */
interface Seen extends SenderFacts {
  readonly userAgent: string;
  readonly key: string;
}

export class Senders {
  readonly #clock: Pick<Clock, 'nowMs'>;
  readonly #rows = new LRUCache<string, Sender>({ max: MAX_SENDERS });
  readonly #seenOn = new WeakMap<object, Seen>();

  constructor(clock: Pick<Clock, 'nowMs'>) {
    this.#clock = clock;
  }

  /** The row of the sender of a request, which now is the last to make room for others. */
  of({ socket, headers }: IncomingMessage, { tenant, protocol }: SenderFacts): Sender {
    const userAgent = headers['user-agent'] ?? '';
    let seen = this.#seenOn.get(socket);
    if (seen?.tenant !== tenant || seen.userAgent !== userAgent || seen.protocol !== protocol) {
      seen = { tenant, protocol, userAgent, key: JSON.stringify([socket.remoteAddress, userAgent, tenant, protocol]) };
      this.#seenOn.set(socket, seen);
    }
    return this.#rows.get(seen.key) ?? this.#add(seen, socket.remoteAddress ?? '');
  }

  /** Every sender, the one that wrote last first. */
  report(): SenderReport[] {
    // The order of the cache is that of its use.
    return [...this.#rows.values()].map((sender) => sender.report());
  }

  #add({ tenant, protocol, userAgent, key }: Seen, address: string): Sender {
    const identity = { address, userAgent: userAgent.slice(0, SHOWN_CHARACTERS), protocol, tenant };
    const sender = new Sender(identity, this.#clock);
    this.#rows.set(key, sender);
    return sender;
  }
}
