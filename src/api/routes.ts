/** How a route is added: its paths, its methods, and 405 for every other method. */
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify';
import type { ErrorForm } from './envelope.ts';
import { RequestError } from './errors.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route's name in metrics. */
    routeName?: string;
    /** How its errors are written. */
    errorsAs?: ErrorForm;
  }
}

type Method = 'GET' | 'POST' | 'PUT';

export interface Route {
  /** In metrics; the first path if that says it. */
  readonly name: string;
  readonly methods: readonly Method[];
  /** In find-my-way's notation; a slash at the end makes no difference. */
  readonly paths: readonly string[];
  readonly errorsAs: ErrorForm;
  /** Looks at the request's headers before its body is read; throws to refuse it. */
  readonly admit?: (request: FastifyRequest, reply: FastifyReply) => void;
  /** Answers by `reply.send`, or by returning what is to be sent; throws for anything else. */
  readonly respond: (request: FastifyRequest, reply: FastifyReply) => unknown;
}

const ALL_METHODS: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE'];

/** Adds a route with its aliases. GET answers HEAD too; any other method gets 405 and `Allow`. */
export function addRoute(app: FastifyInstance, route: Route): void {
  const config = { routeName: route.name, errorsAs: route.errorsAs };
  const admit = route.admit;
  const answered: readonly HTTPMethods[] = route.methods.includes('GET') ? [...route.methods, 'HEAD'] : route.methods;
  const allow = answered.join(', ');
  for (const url of route.paths) {
    app.route({
      method: [...route.methods],
      url,
      config,
      ...(admit === undefined
        ? {}
        : {
            onRequest: (request, reply, done) => {
              admit(request, reply);
              done();
            },
          }),
      handler: route.respond,
    });
    app.route({
      method: ALL_METHODS.filter((method) => !answered.includes(method)),
      url,
      config,
      onRequest: (request, _reply, done) => done(methodNotAllowed(request.method, allow)),
      handler: () => undefined,
    });
  }
}

function methodNotAllowed(method: string, allow: string): RequestError {
  return new RequestError(405, `method ${method} is not allowed here: use ${allow}`, { headers: { allow } });
}

/** `path` and the same below `/prometheus` and `/select/<account>/prometheus`, as VictoriaMetrics has them. */
export function readPaths(path: string): readonly string[] {
  return [path, `/prometheus${path}`, `/select/:account/prometheus${path}`];
}

/** The `<account>` of a path that has one. */
export function accountOf(request: FastifyRequest): string | undefined {
  return (request.params as { account?: string }).account;
}
