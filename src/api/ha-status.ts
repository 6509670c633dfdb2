/** Who is elected of each HA pair, for people who look for a replica that is silent or no replica at all. */
import type { FastifyInstance } from 'fastify';
import type { HaClusterStatus } from '../../storage/index.ts';
import { sendSuccess } from './envelope.ts';
import { addRoute, readPaths } from './routes.ts';
import type { Service } from './service.ts';

/** Adds /api/v1/status/ha. */
export function addHaStatusRoute(app: FastifyInstance, service: Service): void {
  addRoute(app, {
    name: '/api/v1/status/ha',
    methods: ['GET'],
    paths: readPaths('/api/v1/status/ha'),
    errorsAs: 'json',
    respond: (_request, reply) => sendSuccess(reply, service.database.haStatus().map(reportOf)),
  });
}

/** Times are RFC 3339. */
function reportOf({ tenant, labels, elected, sinceMs, replicas }: HaClusterStatus): object {
  const pairs = Array.from({ length: labels.length / 2 }, (_, i) => [labels[2 * i], labels[2 * i + 1]]);
  return {
    tenant,
    cluster: Object.fromEntries(pairs),
    elected,
    since: new Date(sinceMs).toISOString(),
    replicas: replicas.map(({ name, seenMs, intervalMs, missingSeries }) => ({
      replica: name,
      elected: name === elected,
      lastSeen: new Date(seenMs).toISOString(),
      intervalSeconds: intervalMs / 1000,
      missingSeries,
    })),
  };
}
