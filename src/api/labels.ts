/** The names and values of labels, and the labels of series, as Prometheus' API lists them. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { StorageError } from '../../storage/index.ts';
import type { Listing } from '../read/read-job.ts';
import { sendRead, tenantOfRead } from './answer.ts';
import { badData } from './errors.ts';
import {
  invalidParam,
  labelNameParam,
  limitParam,
  partialResponseParam,
  requestParams,
  timeRangeParam,
} from './params.ts';
import { QUERY_BODY_LIMIT_BYTES } from './request-body.ts';
import { addRoute, readPaths } from './routes.ts';
import type { Service } from './service.ts';

/** Adds /api/v1/labels, /api/v1/label/<name>/values and /api/v1/series, with their aliases. */
export function addLabelRoutes(app: FastifyInstance, service: Service): void {
  const admit = (request: FastifyRequest): void => {
    service.requireReady();
    service.bodies.admit(request.raw.headers['content-length'], QUERY_BODY_LIMIT_BYTES);
  };
  addRoute(app, {
    name: '/api/v1/labels',
    methods: ['GET', 'POST'],
    paths: readPaths('/api/v1/labels'),
    errorsAs: 'json',
    admit,
    async respond(request, reply) {
      const listing = listingOf(await paramsOf(request, service), service);
      return await sendRead(
        tenantOfRead(request, service),
        { kind: 'labels', ...listing },
        { service, request, reply },
      );
    },
  });
  addRoute(app, {
    name: '/api/v1/label/:name/values',
    methods: ['GET'],
    paths: readPaths('/api/v1/label/:name/values'),
    errorsAs: 'json',
    admit,
    async respond(request, reply) {
      const name = labelNameParam((request.params as { name: string }).name);
      const listing = listingOf(requestParams(request.url, ''), service);
      const tenant = tenantOfRead(request, service);
      return await sendRead(tenant, { kind: 'values', name, ...listing }, { service, request, reply });
    },
  });
  addRoute(app, {
    name: '/api/v1/series',
    methods: ['GET', 'POST'],
    paths: readPaths('/api/v1/series'),
    errorsAs: 'json',
    admit,
    respond: (request, reply) => sendSeries(request, reply, service),
  });
}

async function sendSeries(request: FastifyRequest, reply: FastifyReply, service: Service): Promise<FastifyReply> {
  const params = await paramsOf(request, service);
  if (!params.has('match[]')) throw badData('no match[] parameter provided');
  const listing = listingOf(params, service);
  const tenant = tenantOfRead(request, service);
  try {
    return await sendRead(tenant, { kind: 'series', ...listing }, { service, request, reply });
  } catch (error) {
    // Here, and only here, Prometheus names the parameter. Nothing but a selector is left to be invalid.
    if (error instanceof StorageError && error.kind === 'invalid') throw invalidParam('match[]', error.message);
    throw error;
  }
}

function listingOf(params: URLSearchParams, service: Service): Listing & { readonly partialResponse: boolean } {
  const limit = limitParam(params);
  const range = timeRangeParam(params);
  const partialResponse = partialResponseParam(params, service.settings.partialResponse);
  return { selectors: params.getAll('match[]'), range, limit, partialResponse };
}

/** The parameters of the URL and, for POST, of the form. */
async function paramsOf(request: FastifyRequest, service: Service): Promise<URLSearchParams> {
  const isForm = request.raw.headers['content-type']?.startsWith('application/x-www-form-urlencoded') === true;
  if (request.method !== 'POST' || !isForm) return requestParams(request.url, '');
  const form = await service.bodies.read(request.raw, QUERY_BODY_LIMIT_BYTES);
  try {
    return requestParams(request.url, form.toString('utf8'));
  } finally {
    service.bodies.release(form);
  }
}
