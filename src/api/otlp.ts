/** OTLP metrics in, over HTTP: translated to remote write, part by part, and from there the way of every write. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { exportResponse, type OtlpFormat } from '../ingest/otlp-answer.ts';
import { transcodeJson } from '../ingest/otlp-json.ts';
import { MetricsTranslation } from '../ingest/otlp-metrics.ts';
import { EXPORT_REQUEST } from '../ingest/otlp-schema.ts';
import type { CounterMetric } from '../telemetry/metrics.ts';
import { refuseCrossSite } from './cross-site.ts';
import { tellDurability } from './durability.ts';
import type { Intake } from './intake.ts';
import { decoderOf, MEDIA_TYPES, requireOtlpFormat } from './otlp-headers.ts';
import { WRITE_BODY_LIMIT_BYTES } from './request-body.ts';
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

  constructor(service: Service, intake: Intake) {
    this.#service = service;
    this.#intake = intake;
    this.#refused = service.metrics.counter({
      name: 'otlp_data_points_refused_total',
      help: 'Data points of OTLP requests that could not become samples, by reason.',
      labelNames: ['tenant', 'reason'],
    });
  }

  /** Everything that can be known before the body is read. */
  admit(request: FastifyRequest): void {
    this.#service.requireReady();
    const headers = request.raw.headers;
    refuseCrossSite(headers);
    this.#intake.check(request, PROTOCOL, () => {
      requireOtlpFormat(headers['content-type']);
      decoderOf(headers['content-encoding']);
      this.#service.bodies.admit(headers['content-length'], WRITE_BODY_LIMIT_BYTES);
      this.#intake.checkBytes(request, Number(headers['content-length'] ?? 0));
    });
  }

  async respond(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { bodies } = this.#service;
    const tenant = this.#intake.tenantOf(request);
    const format = requireOtlpFormat(request.raw.headers['content-type']);
    const message = await this.#readMessage(request, format);
    try {
      const rejected = await this.#store(request, tenant, message);
      const response = exportResponse(rejected.dataPoints, rejected.messages.join('; '), format);
      return reply.code(200).type(MEDIA_TYPES[format]).send(response);
    } finally {
      bodies.release(message);
    }
  }

  /** The body in its protobuf form; to be released. */
  async #readMessage(request: FastifyRequest, format: OtlpFormat): Promise<Uint8Array> {
    const { bodies } = this.#service;
    const { raw } = request;
    let body = await bodies.read(raw, WRITE_BODY_LIMIT_BYTES);
    const decoder = decoderOf(raw.headers['content-encoding']);
    if (decoder !== undefined) {
      const packed = body;
      try {
        body = await this.#intake.unpack(request, PROTOCOL, packed, decoder);
      } finally {
        bodies.release(packed);
      }
    }
    if (format === 'protobuf') return body;
    try {
      const message = this.#intake.check(request, PROTOCOL, () =>
        transcodeJson(body, EXPORT_REQUEST, WRITE_BODY_LIMIT_BYTES),
      );
      bodies.hold(message);
      return message;
    } finally {
      bodies.release(body);
    }
  }

  /**
   * What is good of the request is on disk when this resolves. If it rejects half-way, the sender repeats all of it, and
   * what was stored already is a success again.
   */
  async #store(request: FastifyRequest, tenant: string, message: Uint8Array): Promise<Rejected> {
    const { bodies } = this.#service;
    const rejected: Rejected = { dataPoints: 0, messages: [] };
    const translation = this.#intake.check(request, PROTOCOL, () => {
      this.#intake.checkBytes(request, message.length);
      return new MetricsTranslation(message);
    });
    // The rate of its tenant decides about a request once: refused half-way it would be charged anew each time it comes.
    let isAdmitted = false;
    for (const { body, dataPoints } of translation.batches()) {
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
    const { refusals } = translation;
    const refusedText = refusals.text();
    if (refusedText !== '') rejected.messages.unshift(refusedText);
    rejected.dataPoints += refusals.dataPoints;
    const counted = this.#intake.countedName(tenant);
    for (const [reason, dataPoints] of refusals.byReason) this.#refused.add(dataPoints, { tenant: counted, reason });
    return rejected;
  }
}
