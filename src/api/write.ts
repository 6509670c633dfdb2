/** Remote write in: the body goes to the engine as it came, and the answer waits until its samples are on disk. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { WriteOutcome } from '../../storage/index.ts';
import { refuseCrossSite } from './cross-site.ts';
import { tellDurability } from './durability.ts';
import { RequestError } from './errors.ts';
import type { Intake } from './intake.ts';
import { checkBody, checkContentType, writeEncoding } from './remote-headers.ts';
import { WRITE_BODY_LIMIT_BYTES, zstdDecoder } from './request-body.ts';
import { addRoute } from './routes.ts';
import type { Protocol, SenderFacts } from './senders.ts';
import type { Service } from './service.ts';
import { declaredBytes } from './write-limits.ts';

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
    respond(request, reply) {
      tellDurability(reply, service.settings);
      return intake.inTurn(() => respond(request, reply, service, intake));
    },
  });
}

/** Everything that can be known before the body is read. */
function admit(request: FastifyRequest, service: Service, intake: Intake): void {
  service.requireReady();
  const headers = request.raw.headers;
  refuseCrossSite(headers);
  intake.check(request, PROTOCOL, () => {
    checkContentType(headers['content-type']);
    writeEncoding(headers['content-encoding']);
    service.bodies.admit(headers['content-length'], WRITE_BODY_LIMIT_BYTES);
    intake.checkBytes(request, Number(headers['content-length'] ?? 0));
  });
}

async function respond(
  request: FastifyRequest,
  reply: FastifyReply,
  service: Service,
  intake: Intake,
): Promise<FastifyReply> {
  const from = { tenant: intake.tenantOf(request), protocol: PROTOCOL };
  const isZstd = writeEncoding(request.raw.headers['content-encoding']) === 'zstd';
  const body = await service.bodies.read(request.raw, WRITE_BODY_LIMIT_BYTES);
  try {
    const outcome = isZstd
      ? await writeZstd(request, from, body, service, intake)
      : await writeSnappy(request, from, body, intake);
    if (outcome.rejected > 0) throw new RequestError(400, outcome.message);
  } finally {
    service.bodies.release(body);
  }
  return reply.code(204).send();
}

function writeSnappy(request: FastifyRequest, from: SenderFacts, body: Buffer, intake: Intake): Promise<WriteOutcome> {
  intake.check(request, PROTOCOL, () => {
    checkBody(body, 'WriteRequest');
    intake.checkBytes(request, Math.max(body.length, declaredBytes(body)));
  });
  return intake.write(request, from, body, { compression: 'snappy' });
}

async function writeZstd(
  request: FastifyRequest,
  from: SenderFacts,
  packed: Buffer,
  { bodies }: Service,
  intake: Intake,
): Promise<WriteOutcome> {
  const body = await intake.unpack(request, PROTOCOL, packed, zstdDecoder);
  try {
    intake.check(request, PROTOCOL, () => intake.checkBytes(request, Math.max(packed.length, body.length)));
    return await intake.write(request, from, body, { compression: 'none' });
  } finally {
    bodies.release(body);
  }
}
