/** How the Azure SDK sends requests of one purpose: each is counted, and the content of a blob is read whole within it. */
import { Readable } from 'node:stream';
import type { HttpOperationResponse, RequestPolicyFactory, WebResource } from '@azure/storage-blob';
import type { BucketOperation, BucketPurpose, BucketWorld } from '../../storage/index.ts';
import { type HttpConfig, httpAgents } from './http-config.ts';
import { readBody, withIdleLimit } from './idle-limit.ts';

/** What all purposes share. */
export interface AzureConnections {
  readonly agents: ReturnType<typeof httpAgents>;
  readonly idleTimeoutMs: number;
}

export function azureConnections(config: HttpConfig): AzureConnections {
  return { agents: httpAgents(config), idleTimeoutMs: config.idleTimeoutMs };
}

/** Goes into the SDK's pipeline of one purpose. */
export function countedRequests(
  { agents, idleTimeoutMs }: AzureConnections,
  purpose: BucketPurpose,
  { clock, usage }: BucketWorld,
): RequestPolicyFactory {
  const send = async (request: WebResource, next: RequestPolicy): Promise<HttpOperationResponse> => {
    const operation = operationOf(request);
    let receivedBytes = 0;
    let isFailure = true;
    request.agent = request.url.startsWith('https:') ? agents.https : agents.http;
    const given = request.abortSignal as AbortSignal;
    try {
      return await withIdleLimit({ clock, limitMs: idleTimeoutMs, signal: given }, async ({ signal, onProgress }) => {
        request.abortSignal = signal;
        request.onUploadProgress = onProgress;
        const response = await next.sendRequest(request);
        onProgress();
        const isSuccess = response.status < 300;
        if (response.readableStreamBody !== undefined && isSuccess) {
          await readWhole(response, (bytes) => {
            receivedBytes += bytes;
            onProgress();
          });
        }
        isFailure = !isSuccess;
        return response;
      });
    } finally {
      usage.count(purpose, operation, { isFailure, receivedBytes, sentBytes: sentBytesOf(request, operation) });
    }
  };
  return { create: (next) => ({ sendRequest: (request) => send(request, next) }) };
}

type RequestPolicy = Parameters<RequestPolicyFactory['create']>[0];

/** Puts what has arrived in place of what arrives. */
async function readWhole(response: HttpOperationResponse, onBytes: (bytes: number) => void): Promise<void> {
  const promised = response.headers.get('content-length');
  const stream = response.readableStreamBody as unknown as AsyncIterable<Uint8Array>;
  const bytes = await readBody(stream, promised === undefined ? undefined : Number(promised), onBytes);
  response.readableStreamBody = Readable.from([bytes], { objectMode: false });
}

function operationOf({ method, url }: WebResource): BucketOperation {
  if (method === 'HEAD') return 'head';
  if (method === 'DELETE') return 'delete';
  if (method !== 'GET') return 'put';
  return new URL(url).searchParams.get('comp') === 'list' ? 'list' : 'get';
}

/** Of content; other bodies are XML, as strings. */
function sentBytesOf({ body }: WebResource, operation: BucketOperation): number {
  return operation === 'put' && body instanceof Uint8Array ? body.length : 0;
}
