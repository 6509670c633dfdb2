/** What every way of writing has in common: whose samples they are, their and their sender's counts, who wrote first. */
import type { Transform } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { LimitError, type WriteOptions, type WriteOutcome } from '../../storage/index.ts';
import { tenantOf } from '../tenants/tenant-id.ts';
import { TenantLimit } from '../tenants/tenant-limit.ts';
import { RequestError } from './errors.ts';
import { WRITE_BODY_LIMIT_BYTES } from './request-body.ts';
import { accountOf } from './routes.ts';
import type { Protocol, SenderFacts } from './senders.ts';
import type { Service } from './service.ts';
import { WriteLimits } from './write-limits.ts';
import { WriteMetrics } from './write-metrics.ts';

const TENANTS_RETRY_AFTER_S = 60;

export class Intake {
  readonly #service: Service;
  readonly #metrics: WriteMetrics;
  readonly #tenants: TenantLimit;
  readonly #limits: WriteLimits;
  #isFirst = true;

  constructor(service: Service) {
    this.#service = service;
    this.#metrics = new WriteMetrics(service.metrics);
    this.#limits = new WriteLimits(service.limits);
    this.#tenants = new TenantLimit(service.maxTenants);
  }

  /** Throws TenantError, or a RequestError (429) if there are too many tenants for a further one. */
  tenantOf(request: FastifyRequest): string {
    const tenant = this.#namedTenant(request);
    if (!this.#tenants.admits(tenant)) throw tooManyTenants(this.#tenants.maxTenants);
    return tenant;
  }

  #namedTenant(request: FastifyRequest): string {
    return tenantOf({ headers: request.raw.headers, account: accountOf(request) }, this.#service.settings);
  }

  /** Works on a request when it is its turn: a configured number is worked on at the same time. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#limits.gate.run(work);
  }

  /** Throws LimitError if a body of so many bytes, packed or not, is more than its tenant may send. */
  checkBytes(request: FastifyRequest, bytes: number): void {
    this.#limits.checkBytes(this.#namedTenant(request), bytes);
  }

  /** Looks at a request; what that throws is thrown on, and stands in the row of the request's sender. */
  check<T>(request: FastifyRequest, protocol: Protocol, look: () => T): T {
    try {
      return look();
    } catch (error) {
      this.#countFailed(request, protocol, error);
      throw error;
    }
  }

  /** A body without its packing, to be released; what the decoder refuses stands in the row of the request's sender. */
  unpack(request: FastifyRequest, protocol: Protocol, body: Buffer, decoder: () => Transform): Promise<Buffer> {
    return this.wait(request, protocol, () => this.#service.bodies.unpack(body, decoder, WRITE_BODY_LIMIT_BYTES));
  }

  /** As `check`, for what takes its time. */
  async wait<T>(request: FastifyRequest, protocol: Protocol, look: () => Promise<T>): Promise<T> {
    try {
      return await look();
    } catch (error) {
      this.#countFailed(request, protocol, error);
      throw error;
    }
  }

  #countFailed(request: FastifyRequest, protocol: Protocol, error: unknown): void {
    this.#service.senders.of(request.raw, { tenant: this.#namedTenant(request), protocol }).countFailed(error);
  }

  /** The name under which a tenant is counted: '' for one that has stored nothing yet, which may not make metrics by its name. */
  countedName(tenant: string): string {
    return this.#tenants.has(tenant) ? tenant : '';
  }

  /**
   * Stores a request of remote write. Resolves when its samples are on disk; rejects with
   * StorageError, or RequestError (503) while there is no database.
   */
  async write(
    request: FastifyRequest,
    from: SenderFacts,
    body: Uint8Array,
    options: WriteOptions,
  ): Promise<WriteOutcome> {
    const { database, clock, senders } = this.#service;
    const { tenant } = from;
    const sender = senders.of(request.raw, from);
    const readAtMs = clock.monotonicMs();
    const outcome = await database.write(tenant, body, options).catch((error: unknown) => {
      sender.countFailed(error);
      if (error instanceof LimitError) this.#metrics.countRefused(this.countedName(tenant), error);
      throw error;
    });
    sender.count(outcome);
    sender.look(body, options);
    if (outcome.rejected < outcome.received) this.#tenants.add(tenant);
    this.#metrics.count(this.countedName(tenant), outcome);
    if (this.#isFirst && outcome.received > 0)
      this.#reportFirst(request, tenant, outcome, clock.monotonicMs() - readAtMs);
    return outcome;
  }

  #reportFirst(request: FastifyRequest, tenant: string, outcome: WriteOutcome, durableAfterMs: number): void {
    this.#isFirst = false;
    this.#service.onFirstWrite({
      remoteAddress: request.raw.socket.remoteAddress ?? '',
      userAgent: request.raw.headers['user-agent'] ?? '',
      tenant,
      outcome,
      durableAfterMs,
    });
  }
}

function tooManyTenants(limit: number): RequestError {
  const message = `too many tenants (limit ${limit}); those that have written since the start are still accepted`;
  return new RequestError(429, message, { retryAfterS: TENANTS_RETRY_AFTER_S });
}
