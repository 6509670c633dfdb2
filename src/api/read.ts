/** Remote read out: a Prometheus or Thanos asks for series, in samples or in chunks. */
import type { FastifyInstance } from 'fastify';
import { sendRead, tenantOfRead } from './answer.ts';
import { partialResponseParam, requestParams } from './params.ts';
import { checkBody, checkContentEncoding } from './remote-headers.ts';
import { QUERY_BODY_LIMIT_BYTES } from './request-body.ts';
import { addRoute, readPaths } from './routes.ts';
import type { Service } from './service.ts';

/** Adds POST /api/v1/read and its aliases. */
export function addReadRoutes(app: FastifyInstance, service: Service): void {
  const { haReplicaLabel } = service.settings;
  // A replica asks for its own series, which are stored without its label.
  const ignored = haReplicaLabel === undefined ? {} : { ignoredLabel: haReplicaLabel };
  addRoute(app, {
    name: '/api/v1/read',
    methods: ['POST'],
    paths: [...readPaths('/api/v1/read'), '/select/:account/prometheus'],
    errorsAs: 'text',
    admit(request) {
      service.requireReady();
      checkContentEncoding(request.raw.headers['content-encoding']);
      service.bodies.admit(request.raw.headers['content-length'], QUERY_BODY_LIMIT_BYTES);
    },
    async respond(request, reply) {
      const tenant = tenantOfRead(request, service);
      const partialResponse = partialResponseParam(requestParams(request.url, ''), service.settings.partialResponse);
      const body = await service.bodies.read(request.raw, QUERY_BODY_LIMIT_BYTES);
      try {
        checkBody(body, 'ReadRequest');
        return await sendRead(
          tenant,
          { kind: 'remote-read', body, partialResponse, ...ignored },
          { service, request, reply },
        );
      } finally {
        service.bodies.release(body);
      }
    },
  });
}
