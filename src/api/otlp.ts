/** OTLP metrics in, over HTTP: translated to remote write, part by part, and from there the way of every write. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { workerExecutor } from '../../storage/index.ts';
import { exportResponse } from '../ingest/otlp-answer.ts';
import type { OtlpBody, OtlpRefusals } from '../ingest/otlp-messages.ts';
import { type OpenTranslation, OtlpTooLargeError, OtlpTranslator } from '../ingest/otlp-translator.ts';
import type { CounterMetric } from '../telemetry/metrics.ts';
import { refuseCrossSite } from './cross-site.ts';
import { tellDurability } from './durability.ts';
import type { Intake } from './intake.ts';
import { MEDIA_TYPES, otlpEncoding, requireOtlpFormat } from './otlp-headers.ts';
import { tooLarge, WRITE_BODY_LIMIT_BYTES } from './request-body.ts';
import { addRoute } from './routes.ts';
import type { Protocol } from './senders.ts';
import type { Service } from './service.ts';

const PROTOCOL: Protocol = 'otlp';

/** Those of Prometheus, Mimir and VictoriaMetrics, and the endpoint of Thanos as it is written down. */
const OTLP_PATHS: readonly string[] = [
  '/api/v1/otlp/v1/metrics',
  '/otlp/v1/metrics',
  '/opentelemetry/v1/metrics',
  '/api/v1/otlp',
];

/** Adds POST /api/v1/otlp/v1/metrics and its aliases. */
export function addOtlpRoutes(app: FastifyInstance, service: Service, intake: Intake): void {
  const writes = new OtlpWrites(service, intake);
  app.addHook('onClose', () => writes.close());
  addRoute(app, {
    name: '/api/v1/otlp/v1/metrics',
    methods: ['POST'],
    paths: OTLP_PATHS,
    errorsAs: 'otlp',
    admit: (request) => writes.admit(request),
    respond(request, reply) {
      tellDurability(reply, service.settings);
      return intake.inTurn(() => writes.respond(request, reply));
    },
  });
}

/** What a request was not stored of. */
interface Rejected {
  dataPoints: number;
  readonly messages: string[];
}

class OtlpWrites {
  readonly #service: Service;
  readonly #intake: Intake;
  readonly #refused: CounterMetric;
  readonly #translator = new OtlpTranslator(workerExecutor);

  constructor(service: Service, intake: Intake) {
    this.#service = service;
    this.#intake = intake;
    this.#refused = service.metrics.counter({
      name: 'otlp_data_points_refused_total',
      help: 'Data points of OTLP requests that could not become samples, by reason.',
      labelNames: ['tenant', 'reason'],
    });
  }

  /** Ends the thread that translates. */
  close(): void {
    this.#translator.close();
  }

  /** Everything that can be known before the body is read. */
  admit(request: FastifyRequest): void {
    this.#service.requireReady();
    const headers = request.raw.headers;
    refuseCrossSite(headers);
    this.#intake.check(request, PROTOCOL, () => {
      requireOtlpFormat(headers['content-type']);
      otlpEncoding(headers['content-encoding']);
      this.#service.bodies.admit(headers['content-length'], WRITE_BODY_LIMIT_BYTES);
      this.#intake.checkBytes(request, Number(headers['content-length'] ?? 0));
    });
  }

  async respond(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { bodies } = this.#service;
    const { headers } = request.raw;
    const tenant = this.#intake.tenantOf(request);
    const format = requireOtlpFormat(headers['content-type']);
    const bytes = await bodies.read(request.raw, WRITE_BODY_LIMIT_BYTES);
    const { length } = bytes;
    try {
      const translation = await this.#begin(request, {
        bytes,
        format,
        encoding: otlpEncoding(headers['content-encoding']),
      });
      try {
        const rejected = await this.#store(request, tenant, translation);
        const response = exportResponse(rejected.dataPoints, rejected.messages.join('; '), format);
        return reply.code(200).type(MEDIA_TYPES[format]).send(response);
      } finally {
        translation.close();
      }
    } finally {
      bodies.release({ length });
    }
  }

  /** What is refused before anything of it is stored stands in the row of the request's sender. */
  async #begin(request: FastifyRequest, body: OtlpBody): Promise<OpenTranslation> {
    const translation = await this.#intake.wait(request, PROTOCOL, async () => {
      try {
        return await this.#translator.begin(body, WRITE_BODY_LIMIT_BYTES);
      } catch (error) {
        throw error instanceof OtlpTooLargeError ? tooLarge(WRITE_BODY_LIMIT_BYTES) : error;
      }
    });
    try {
      this.#intake.check(request, PROTOCOL, () => this.#intake.checkBytes(request, translation.bytes));
    } catch (error) {
      translation.close();
      throw error;
    }
    return translation;
  }

  /**
   * What is good of the request is on disk when this resolves. If it rejects half-way, the sender repeats all of it, and
   * what was stored already is a success again.
   */
  async #store(request: FastifyRequest, tenant: string, translation: OpenTranslation): Promise<Rejected> {
    const { bodies } = this.#service;
    const rejected: Rejected = { dataPoints: 0, messages: [] };
    // The rate of its tenant decides about a request once: refused half-way it would be charged anew each time it comes.
    let isAdmitted = false;
    for (;;) {
      const part = await translation.next();
      if (!('body' in part)) return this.#finish(rejected, tenant, part);
      const { body, dataPoints } = part;
      bodies.hold(body);
      try {
        const outcome = await this.#intake.write(request, { tenant, protocol: PROTOCOL }, body, {
          compression: 'none',
          isAdmitted,
        });
        isAdmitted = true;
        if (outcome.rejected === 0) continue;
        // Of a point with several samples the engine refuses nearly always all or none; it counts samples.
        rejected.dataPoints += Math.min(outcome.rejected, dataPoints);
        rejected.messages.push(outcome.message);
      } finally {
        bodies.release(body);
      }
    }
  }

  #finish(rejected: Rejected, tenant: string, { dataPoints, byReason, text }: OtlpRefusals): Rejected {
    if (text !== '') rejected.messages.unshift(text);
    rejected.dataPoints += dataPoints;
    const counted = this.#intake.countedName(tenant);
    for (const [reason, count] of byReason) this.#refused.add(count, { tenant: counted, reason });
    return rejected;
  }
}
