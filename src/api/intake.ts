/** What every way of writing has in common: whose samples they are, that they are counted, and who wrote first. */
import type { FastifyRequest } from 'fastify';
import type { WriteOutcome } from '../../storage/index.ts';
import { tenantOf } from '../tenants/tenant-id.ts';
import { TenantLimit } from '../tenants/tenant-limit.ts';
import { RequestError } from './errors.ts';
import { accountOf } from './routes.ts';
import type { Service } from './service.ts';
import { WriteMetrics } from './write-metrics.ts';

const MAX_TENANTS = 10_000;
const TENANTS_RETRY_AFTER_S = 60;

export class Intake {
  readonly #service: Service;
  readonly #metrics: WriteMetrics;
  readonly #tenants = new TenantLimit(MAX_TENANTS);
  #isFirst = true;

  constructor(service: Service) {
    this.#service = service;
    this.#metrics = new WriteMetrics(service.metrics);
  }

  /** Throws TenantError, or a RequestError (429) if there are too many tenants for a further one. */
  tenantOf(request: FastifyRequest): string {
    const tenant = tenantOf({ headers: request.raw.headers, account: accountOf(request) }, this.#service.settings);
    if (!this.#tenants.admits(tenant)) throw tooManyTenants();
    return tenant;
  }

  /** The name under which a tenant is counted: '' for one that has stored nothing yet, which may not make metrics by its name. */
  countedName(tenant: string): string {
    return this.#tenants.has(tenant) ? tenant : '';
  }

  /**
   * Stores a WriteRequest of remote write 1.0. Resolves when its samples are on disk; rejects with
   * StorageError, or RequestError (503) while there is no database.
   */
  async write(
    request: FastifyRequest,
    tenant: string,
    body: Uint8Array,
    compression: 'snappy' | 'none',
  ): Promise<WriteOutcome> {
    const { database, clock } = this.#service;
    const readAtMs = clock.monotonicMs();
    const outcome = await database.write(tenant, body, compression);
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

function tooManyTenants(): RequestError {
  const message = `too many tenants (limit ${MAX_TENANTS}); those that have written since the start are still accepted`;
  return new RequestError(429, message, { retryAfterS: TENANTS_RETRY_AFTER_S });
}
