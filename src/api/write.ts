/** Remote write in: the body goes to the engine as it came, and the answer waits until its samples are on disk. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Database, WriteOutcome } from '../../storage/index.ts';
import { tenantOf } from '../tenants/tenant-id.ts';
import { TenantLimit } from '../tenants/tenant-limit.ts';
import { refuseCrossSite } from './cross-site.ts';
import { RequestError } from './errors.ts';
import { checkBody, checkContentEncoding, checkContentType } from './remote-headers.ts';
import { WRITE_BODY_LIMIT_BYTES } from './request-body.ts';
import { accountOf, addRoute } from './routes.ts';
import type { Service } from './service.ts';
import { WriteMetrics } from './write-metrics.ts';

/** Those of Prometheus, Thanos, Mimir, Cortex and VictoriaMetrics: who moves here changes the host and nothing else. */
const WRITE_PATHS: readonly string[] = [
  '/api/v1/write',
  '/api/v1/receive',
  '/api/v1/push',
  '/api/prom/push',
  '/prometheus/api/v1/write',
  '/insert/:account/prometheus/api/v1/write',
  '/insert/:account/prometheus',
];

const MAX_TENANTS = 10_000;
const TENANTS_RETRY_AFTER_S = 60;

/** Adds POST /api/v1/write and its aliases. */
export function addWriteRoutes(app: FastifyInstance, service: Service): void {
  const writes = new Writes(service);
  addRoute(app, {
    name: '/api/v1/write',
    methods: ['POST'],
    paths: WRITE_PATHS,
    errorsAs: 'text',
    admit: (request) => writes.admit(request),
    respond: (request, reply) => writes.respond(request, reply),
  });
}

class Writes {
  readonly #service: Service;
  readonly #metrics: WriteMetrics;
  readonly #tenants = new TenantLimit(MAX_TENANTS);
  #isFirst = true;

  constructor(service: Service) {
    this.#service = service;
    this.#metrics = new WriteMetrics(service.metrics);
  }

  /** Everything that can be known before the body is read. */
  admit(request: FastifyRequest): void {
    this.#service.requireReady();
    const headers = request.raw.headers;
    refuseCrossSite(headers);
    try {
      checkContentType(headers['content-type']);
      checkContentEncoding(headers['content-encoding']);
      this.#service.bodies.admit(headers['content-length'], WRITE_BODY_LIMIT_BYTES);
    } catch (error) {
      this.#service.senders.of(request.raw, this.#tenantOf(request)).countFailed(error);
      throw error;
    }
  }

  async respond(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { database, bodies, clock, senders } = this.#service;
    const tenant = this.#tenantOf(request);
    if (!this.#tenants.admits(tenant)) throw tooManyTenants();
    const body = await bodies.read(request.raw, WRITE_BODY_LIMIT_BYTES);
    const sender = senders.of(request.raw, tenant);
    try {
      const readAtMs = clock.monotonicMs();
      const outcome = await storeBody(database, tenant, body).catch((error: unknown) => {
        sender.countFailed(error);
        throw error;
      });
      sender.count(outcome);
      if (outcome.rejected < outcome.received) this.#tenants.add(tenant);
      this.#metrics.count(this.#tenants.has(tenant) ? tenant : '', outcome);
      if (this.#isFirst && outcome.received > 0)
        this.#reportFirst(request, tenant, outcome, clock.monotonicMs() - readAtMs);
      if (outcome.rejected > 0) throw new RequestError(400, outcome.message);
    } finally {
      bodies.release(body);
    }
    return reply.code(204).send();
  }

  #tenantOf(request: FastifyRequest): string {
    return tenantOf({ headers: request.raw.headers, account: accountOf(request) }, this.#service.settings);
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

async function storeBody(database: Database, tenant: string, body: Buffer): Promise<WriteOutcome> {
  checkBody(body, 'WriteRequest');
  return database.write(tenant, body);
}

function tooManyTenants(): RequestError {
  const message = `too many tenants (limit ${MAX_TENANTS}); those that have written since the start are still accepted`;
  return new RequestError(429, message, { retryAfterS: TENANTS_RETRY_AFTER_S });
}
