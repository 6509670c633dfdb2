/** Remote write in: the body goes to the engine as it came, and the answer waits until its samples are on disk. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { WriteOutcome } from '../../storage/index.ts';
import { refuseCrossSite } from './cross-site.ts';
import { tellDurability } from './durability.ts';
import { RequestError } from './errors.ts';
import type { Intake } from './intake.ts';
import { announcedProtocol, checkBody, writeEncoding, writeProtocol } from './remote-headers.ts';
import { WRITE_BODY_LIMIT_BYTES, zstdDecoder } from './request-body.ts';
import { addRoute } from './routes.ts';
import type { Protocol, SenderFacts } from './senders.ts';
import type { Service } from './service.ts';
import { declaredBytes } from './write-limits.ts';
import { tellWritten } from './written-headers.ts';

type Version = 'v1' | 'v2';
const PROTOCOLS: Readonly<Record<Version, Protocol>> = { v1: 'remote-write-1.0', v2: 'remote-write-2.0' };
const MESSAGES = { v1: 'WriteRequest', v2: 'Request' } as const;

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
    admit(request, reply) {
      // On every answer, also to what is refused before its body is read.
      if (versionOf(request) === 'v2') tellWritten(reply);
      admit(request, service, intake);
    },
    respond(request, reply) {
      tellDurability(reply, service.settings);
      return intake.inTurn(() => respond(request, reply, service, intake));
    },
  });
}

/** That of the request's Content-Type; what is refused for it is taken as 1.0. */
function versionOf(request: FastifyRequest): Version {
  return announcedProtocol(request.raw.headers['content-type']) ?? 'v1';
}

function protocolOf(request: FastifyRequest): Protocol {
  return PROTOCOLS[versionOf(request)];
}

/** Everything that can be known before the body is read. */
function admit(request: FastifyRequest, service: Service, intake: Intake): void {
  service.requireReady();
  const headers = request.raw.headers;
  refuseCrossSite(headers);
  intake.check(request, protocolOf(request), () => {
    writeProtocol(headers['content-type']);
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
  const from = { tenant: intake.tenantOf(request), protocol: protocolOf(request) };
  const isZstd = writeEncoding(request.raw.headers['content-encoding']) === 'zstd';
  const body = await service.bodies.read(request.raw, WRITE_BODY_LIMIT_BYTES);
  try {
    const outcome = isZstd
      ? await writeZstd(request, from, body, service, intake)
      : await writeSnappy(request, from, body, intake);
    if (versionOf(request) === 'v2') tellWritten(reply, outcome.written);
    if (outcome.message !== '') throw new RequestError(400, outcome.message);
  } finally {
    // A decoder that was stopped half-way may still be reading, on its own thread.
    if (isZstd) service.bodies.release(body);
    else service.bodies.free(body);
  }
  return reply.code(204).send();
}

function writeSnappy(request: FastifyRequest, from: SenderFacts, body: Buffer, intake: Intake): Promise<WriteOutcome> {
  const protocol = versionOf(request);
  intake.check(request, from.protocol, () => {
    checkBody(body, MESSAGES[protocol]);
    intake.checkBytes(request, Math.max(body.length, declaredBytes(body)));
  });
  return intake.write(request, from, body, { compression: 'snappy', protocol });
}

async function writeZstd(
  request: FastifyRequest,
  from: SenderFacts,
  packed: Buffer,
  { bodies }: Service,
  intake: Intake,
): Promise<WriteOutcome> {
  const body = await intake.unpack(request, from.protocol, packed, zstdDecoder);
  try {
    intake.check(request, from.protocol, () => intake.checkBytes(request, Math.max(packed.length, body.length)));
    return await intake.write(request, from, body, { compression: 'none', protocol: versionOf(request) });
  } finally {
    bodies.release(body);
  }
}
