/** What senders said of metrics, as Prometheus shows it. Source: prometheus web/api/v1/api.go, metricMetadata. */
import type { FastifyInstance } from 'fastify';
import type { MetricMetadata } from '../../storage/index.ts';
import { tenantOfRead } from './answer.ts';
import { sendSuccess } from './envelope.ts';
import { badData } from './errors.ts';
import { requestParams } from './params.ts';
import { addRoute, readPaths } from './routes.ts';
import type { Service } from './service.ts';

type Description = Omit<MetricMetadata, 'family'>;

/** Adds /api/v1/metadata and its aliases. */
export function addMetadataRoute(app: FastifyInstance, service: Service): void {
  addRoute(app, {
    name: '/api/v1/metadata',
    methods: ['GET'],
    paths: readPaths('/api/v1/metadata'),
    errorsAs: 'json',
    respond(request, reply) {
      service.requireReady();
      const params = requestParams(request.url, '');
      const limits = { families: countParam(params, 'limit'), perFamily: countParam(params, 'limit_per_metric') };
      const families = service.database.metadata(tenantOfRead(request, service));
      return sendSuccess(reply, list(families, params.get('metric') ?? '', limits));
    },
  });
}

/** A negative limit is none, as there. */
function countParam(params: URLSearchParams, name: string): number {
  const text = params.get(name) ?? '';
  if (text === '') return -1;
  if (!/^[+-]?\d+$/.test(text) || !Number.isSafeInteger(Number(text))) throw badData(`${name} must be a number`);
  return Number(text);
}

/** Descriptions by family, in the order of their names; with a name, of that family alone. */
function list(
  families: ReadonlyMap<string, readonly MetricMetadata[]>,
  name: string,
  { families: most, perFamily }: { readonly families: number; readonly perFamily: number },
): Record<string, Description[]> {
  const names = name === '' ? [...families.keys()].sort() : [name].filter((one) => families.has(one));
  const shown = most < 0 ? names : names.slice(0, most);
  return Object.fromEntries(
    shown.map((family) => {
      const all = families.get(family) ?? [];
      const some = perFamily > 0 ? all.slice(0, perFamily) : all;
      return [family, some.map(({ type, help, unit }) => ({ type, help, unit }))];
    }),
  );
}
