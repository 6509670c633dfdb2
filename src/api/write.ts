/** Remote write in: the body goes to the engine as it came, and the answer waits until its samples are on disk. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { refuseCrossSite } from './cross-site.ts';
import { RequestError } from './errors.ts';
import type { Intake } from './intake.ts';
import { checkBody, checkContentEncoding, checkContentType } from './remote-headers.ts';
import { WRITE_BODY_LIMIT_BYTES } from './request-body.ts';
import { addRoute } from './routes.ts';
import type { Protocol } from './senders.ts';
import type { Service } from './service.ts';

const PROTOCOL: Protocol = 'remote-write-1.0';

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

/** Adds POST /api/v1/write and its aliases. */
export function addWriteRoutes(app: FastifyInstance, service: Service, intake: Intake): void {
  addRoute(app, {
    name: '/api/v1/write',
    methods: ['POST'],
    paths: WRITE_PATHS,
    errorsAs: 'text',
    admit: (request) => admit(request, service, intake),
    respond: (request, reply) => respond(request, reply, service, intake),
  });
}

/** Everything that can be known before the body is read. */
function admit(request: FastifyRequest, service: Service, intake: Intake): void {
  service.requireReady();
  const headers = request.raw.headers;
  refuseCrossSite(headers);
  intake.check(request, PROTOCOL, () => {
    checkContentType(headers['content-type']);
    checkContentEncoding(headers['content-encoding']);
    service.bodies.admit(headers['content-length'], WRITE_BODY_LIMIT_BYTES);
  });
}

async function respond(
  request: FastifyRequest,
  reply: FastifyReply,
  { bodies }: Service,
  intake: Intake,
): Promise<FastifyReply> {
  const tenant = intake.tenantOf(request);
  const body = await bodies.read(request.raw, WRITE_BODY_LIMIT_BYTES);
  try {
    intake.check(request, PROTOCOL, () => checkBody(body, 'WriteRequest'));
    const outcome = await intake.write(request, { tenant, protocol: PROTOCOL }, body, 'snappy');
    if (outcome.rejected > 0) throw new RequestError(400, outcome.message);
  } finally {
    bodies.release(body);
  }
  return reply.code(204).send();
}
