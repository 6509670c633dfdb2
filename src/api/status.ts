/** Whether the server is there and ready, which version it is, its metrics, and the calls that end it. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ConfigError } from '../config/config-node.ts';
import { VERSION } from '../telemetry/version.ts';
import { refuseCrossSite } from './cross-site.ts';
import { sendSuccess } from './envelope.ts';
import { RequestError } from './errors.ts';
import { addRoute, readPaths } from './routes.ts';
import { type QueueLag, queueLags } from './sender-lag.ts';
import type { SenderReport, SenderReportWithLag } from './senders.ts';
import type { Service } from './service.ts';

/** Adds /-/healthy, /-/ready and their aliases, /metrics, buildinfo, senders, walreplay, /-/quit and /-/reload. */
export function addStatusRoutes(app: FastifyInstance, service: Service): void {
  addRoute(app, {
    name: '/-/healthy',
    methods: ['GET'],
    paths: ['/-/healthy', '/health'],
    errorsAs: 'text',
    respond: (_request, reply) => reply.type(TEXT).send('Varve is healthy.\n'),
  });
  addRoute(app, {
    name: '/-/ready',
    methods: ['GET'],
    paths: ['/-/ready', '/ready'],
    errorsAs: 'text',
    respond(_request, reply) {
      service.requireWritable();
      return reply.type(TEXT).send('Varve is ready.\n');
    },
  });
  addRoute(app, {
    name: '/metrics',
    methods: ['GET'],
    paths: ['/metrics'],
    errorsAs: 'text',
    async respond(_request, reply) {
      service.requireReady();
      return reply.type(service.metrics.contentType).send(await service.metrics.text());
    },
  });
  addRoute(app, {
    name: '/api/v1/status/buildinfo',
    methods: ['GET'],
    paths: readPaths('/api/v1/status/buildinfo'),
    errorsAs: 'json',
    respond(_request, reply) {
      service.requireReady();
      return sendSuccess(reply, BUILD);
    },
  });
  addRoute(app, {
    name: '/api/v1/status/senders',
    methods: ['GET'],
    paths: readPaths('/api/v1/status/senders'),
    errorsAs: 'json',
    respond: async (_request, reply) => sendSuccess(reply, await sendersWithLag(service)),
  });
  addRoute(app, {
    name: '/api/v1/status/walreplay',
    methods: ['GET'],
    paths: readPaths('/api/v1/status/walreplay'),
    errorsAs: 'json',
    respond: (_request, reply) => sendSuccess(reply, walStatus(service)),
  });
  addLifecycleRoutes(app, service);
}

/** Segments as in Prometheus, also before the server is ready; the rest is ours. */
function walStatus({ settings, isReady, replayProgress }: Service): object {
  const { firstSegment = 0, lastSegment = 0, segment = 0, replayedBytes = 0, totalBytes = 0 } = replayProgress ?? {};
  const { walSync, walSyncIntervalMs, walAck, walAckIntervalMs } = settings;
  return {
    min: firstSegment,
    max: lastSegment,
    current: segment,
    state: isReady ? 'done' : replayProgress === undefined ? 'waiting' : 'in progress',
    replayedBytes,
    totalBytes,
    sync: walSync,
    ...(walSync === 'interval' ? { syncIntervalSeconds: walSyncIntervalMs / 1000 } : {}),
    ack: walAck,
    ...(walAck === 'bucket' ? { ackIntervalSeconds: walAckIntervalMs / 1000 } : {}),
  };
}

const TEXT = 'text/plain; charset=utf-8';

/** The senders' table; a queue stands with every sender of its tenant whose labels it has. */
async function sendersWithLag(service: Service): Promise<SenderReportWithLag[]> {
  const rows = service.senders.report();
  const tenants = [...new Set(rows.map(({ tenant }) => tenant))];
  const lags = new Map(
    await Promise.all(tenants.map(async (tenant) => [tenant, await lagsOf(tenant, service)] as const)),
  );
  return rows.map((row) => ({ ...row, queues: (lags.get(row.tenant) ?? []).filter((queue) => isOf(row, queue)) }));
}

/** The table is wanted most when not everything works: then it comes without them. */
async function lagsOf(tenant: string, service: Service): Promise<QueueLag[]> {
  try {
    return await queueLags(service.readers, tenant, service.clock.nowMs());
  } catch {
    return [];
  }
}

function isOf({ protocol, externalLabels }: SenderReport, { labels }: QueueLag): boolean {
  return protocol !== 'otlp' && Object.entries(externalLabels).every(([name, value]) => labels[name] === value);
}

/**
 * Prometheus' shape. Without `features`, by which Grafana would take this for a Mimir and offer what is not there.
 * What a release does not know of itself stays empty, as in a Prometheus that was built without it.
 */
const BUILD = {
  version: VERSION,
  revision: '',
  branch: '',
  buildUser: '',
  buildDate: '',
  goVersion: '',
} as const;

function addLifecycleRoutes(app: FastifyInstance, service: Service): void {
  const admit = (request: FastifyRequest): void => {
    if (!service.settings.lifecycleEnabled) throw new RequestError(403, 'Lifecycle API is not enabled.');
    refuseCrossSite(request.raw.headers);
  };
  addRoute(app, {
    name: '/-/quit',
    methods: ['POST', 'PUT'],
    paths: ['/-/quit'],
    errorsAs: 'text',
    admit,
    respond(_request, reply) {
      reply.raw.once('close', service.onQuit);
      return reply.type(TEXT).send('Requesting termination... Goodbye!\n');
    },
  });
  addRoute(app, {
    name: '/-/reload',
    methods: ['POST', 'PUT'],
    paths: ['/-/reload'],
    errorsAs: 'text',
    admit,
    async respond(_request, reply) {
      if (service.reload === undefined) {
        throw new RequestError(501, 'nothing to reload: there is no configuration file, and flags need a restart');
      }
      try {
        await service.reload();
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        throw new RequestError(500, `failed to reload config: ${error.message}`);
      }
      return reply.type(TEXT).send('');
    },
  });
}
