/**
 * How the AWS SDK sends requests of one purpose: each try is counted as it is billed, and the body of an object is read
 * whole within the try, so that the SDK's retries also cover a connection that breaks in the middle.
 */
import { Readable } from 'node:stream';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { BucketOperation, BucketPurpose, BucketUsage } from '../../storage/index.ts';
import { type HttpConfig, httpAgents } from './http-config.ts';
import { readBody } from './idle-limit.ts';

type Handler = Pick<
  NodeHttpHandler,
  'handle' | 'metadata' | 'destroy' | 'updateHttpClientConfig' | 'httpHandlerConfigs'
>;
type Handle = NodeHttpHandler['handle'];
type Request = Parameters<Handle>[0];

/** Connections that all purposes share. */
export function s3Connections(config: HttpConfig): NodeHttpHandler {
  const { http, https } = httpAgents(config);
  return new NodeHttpHandler({
    httpAgent: http,
    httpsAgent: https,
    connectionTimeout: config.connectTimeoutMs,
    socketTimeout: config.idleTimeoutMs,
  });
}

/** The content of an object that has arrived whole, in the shape that the SDK hands on. */
export class WholeBody extends Readable {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    super({ read: () => {} });
    this.bytes = bytes;
    this.push(bytes);
    this.push(null);
  }
}

export class CountedRequests implements Handler {
  readonly metadata: Handler['metadata'];
  readonly #connections: NodeHttpHandler;
  readonly #purpose: BucketPurpose;
  readonly #usage: BucketUsage;

  constructor(connections: NodeHttpHandler, purpose: BucketPurpose, usage: BucketUsage) {
    this.#connections = connections;
    this.#purpose = purpose;
    this.#usage = usage;
    this.metadata = connections.metadata;
  }

  readonly handle: Handle = async (request, options) => {
    const operation = operationOf(request);
    const sentBytes = request.body instanceof Uint8Array && operation === 'put' ? request.body.length : 0;
    let receivedBytes = 0;
    let isFailure = true;
    try {
      const { response } = await this.#connections.handle(request, options);
      const isSuccess = response.statusCode < 300;
      if (operation === 'get' && isSuccess) {
        const promised = response.headers['content-length'];
        const bytes = await readBody(
          response.body,
          promised === undefined ? undefined : Number(promised),
          (arrived) => {
            receivedBytes += arrived;
          },
        );
        response.body = new WholeBody(bytes);
      }
      isFailure = !isSuccess;
      return { response };
    } finally {
      this.#usage.count(this.#purpose, operation, { isFailure, receivedBytes, sentBytes });
    }
  };

  updateHttpClientConfig(...settings: Parameters<Handler['updateHttpClientConfig']>): void {
    this.#connections.updateHttpClientConfig(...settings);
  }

  httpHandlerConfigs(): ReturnType<Handler['httpHandlerConfigs']> {
    return this.#connections.httpHandlerConfigs();
  }

  destroy(): void {
    this.#connections.destroy();
  }
}

function operationOf({ method, query }: Request): BucketOperation {
  if (method === 'HEAD') return 'head';
  if (method === 'DELETE') return 'delete';
  if (method !== 'GET') return 'put';
  // An object is asked for by its path alone; a listing by what it should have.
  return query === undefined || Object.keys(query).every((name) => name === 'x-id') ? 'get' : 'list';
}
