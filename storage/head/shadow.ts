import type { WriteFormat } from '../kernel/kernel.ts';
import type { Replica } from './ha-pairs.ts';

/** A request of which samples were dropped, because a replica that sent them is not elected. */
export interface ShadowRequest {
  readonly tenant: string;
  readonly body: Uint8Array;
  readonly format: WriteFormat;
  /** On the wall clock. */
  readonly receivedMs: number;
  /** Those that were not elected, and whose samples have not been looked at again. */
  readonly replicas: Set<Replica>;
  /** Samples that were dropped and that nothing else has become of yet. */
  samples: number;
}

/** Older requests are not needed: by then the replica is elected, or the other one sends. */
const KEPT_MS = 600_000;

/**
 * The last requests of replicas that are not elected, as they came, inside a budget: when one is elected, they hold what
 * the other one failed to send.
 */
export class Shadow {
  readonly #budgetBytes: number;
  /** Oldest first. */
  #requests: ShadowRequest[] = [];
  /** Bytes that are held. */
  bytes = 0;
  /** Samples that were thrown away without being needed. */
  discarded = 0;

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes;
  }

  /** Samples that are held. */
  get samples(): number {
    return this.#requests.reduce((sum, request) => sum + request.samples, 0);
  }

  /** Keeps a copy of the body; false if there is no room for it, however much else is thrown away. */
  keep(request: ShadowRequest): boolean {
    const { body } = request;
    if (body.length > this.#budgetBytes) return false;
    while (this.bytes + body.length > this.#budgetBytes) this.#discardOldest();
    // Not body.slice(): that of a Buffer is a view.
    this.#requests.push({ ...request, body: new Uint8Array(body) });
    this.bytes += body.length;
    return true;
  }

  /** Throws away what nobody needs any more: what is old, and what came before its time of being needed. */
  prune(nowMs: number, neededFromMs: (replica: Replica) => number): void {
    for (let oldest = this.#requests[0]; oldest !== undefined; oldest = this.#requests[0]) {
      const { receivedMs, replicas } = oldest;
      const isNeeded = [...replicas].some((replica) => receivedMs >= neededFromMs(replica));
      if (isNeeded && nowMs - receivedMs < KEPT_MS) return;
      this.#discardOldest();
    }
  }

  /** The requests of a replica from a time on, oldest first. The others of it count as thrown away unless another needs them. */
  take(replica: Replica, fromMs: number): ShadowRequest[] {
    const taken = this.#requests.filter(({ replicas, receivedMs }) => replicas.has(replica) && receivedMs >= fromMs);
    for (const { replicas } of this.#requests) replicas.delete(replica);
    return taken;
  }

  /** After `take`: throws away what nobody needs any more. */
  sweep(): void {
    const done = this.#requests.filter(({ replicas }) => replicas.size === 0);
    this.#requests = this.#requests.filter(({ replicas }) => replicas.size > 0);
    for (const request of done) this.#discard(request);
  }

  #discardOldest(): void {
    const oldest = this.#requests.shift();
    if (oldest !== undefined) this.#discard(oldest);
  }

  #discard({ body, samples }: ShadowRequest): void {
    this.bytes -= body.length;
    this.discarded += samples;
  }
}
