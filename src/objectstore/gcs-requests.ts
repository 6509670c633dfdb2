/**
 * Requests to the JSON API of Google's Cloud Storage, by the client that the SDK logs in with. The SDK's own calls show
 * neither their tries nor what they move, and none can be ended: each here is one request, counted, and given up when it
 * stands still. Source: https://cloud.google.com/storage/docs/json_api
 */
import { Storage } from '@google-cloud/storage';
import { type GoogleAuth, PassThroughClient } from 'google-auth-library';
import type { BucketOperation, BucketPurpose, BucketWorld } from '../../storage/index.ts';
import { secretText } from '../config/secret.ts';
import type { GcsConfig } from './gcs-config.ts';
import { GcsRefusal } from './gcs-error.ts';
import { httpAgents } from './http-config.ts';
import { readBody, withIdleLimit } from './idle-limit.ts';
import { SLOWEST_BYTES_PER_MS } from './transfer-deadline.ts';

export interface GcsRequest {
  readonly operation: BucketOperation;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below the address of the API, or whole. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** How many bytes of `body` are content. */
  readonly contentBytes?: number;
  /** What is an answer beside 2xx. */
  readonly alsoStatus?: number;
}

export interface GcsAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

type GaxiosOptions = Parameters<GoogleAuth['request']>[0];

export class GcsRequests {
  /** `https://storage.googleapis.com`, or the emulator that STORAGE_EMULATOR_HOST names. */
  readonly address: string;
  readonly #client: Pick<GoogleAuth, 'request'>;
  readonly #agents: ReturnType<typeof httpAgents>;
  readonly #idleTimeoutMs: number;
  readonly #world: BucketWorld;

  constructor({ serviceAccount, http }: GcsConfig, world: BucketWorld) {
    const credentials = serviceAccount === undefined ? {} : { credentials: JSON.parse(secretText(serviceAccount)) };
    const storage = new Storage(credentials);
    this.address = storage.apiEndpoint;
    this.#client = storage.customEndpoint ? new PassThroughClient() : storage.authClient;
    this.#agents = httpAgents(http);
    this.#idleTimeoutMs = http.idleTimeoutMs;
    this.#world = world;
  }

  /** Rejects with GcsRefusal for any other status, or as the network does. */
  async send(request: GcsRequest, purpose: BucketPurpose, signal: AbortSignal): Promise<GcsAnswer> {
    const { operation, contentBytes = 0 } = request;
    const { clock, usage } = this.#world;
    let receivedBytes = 0;
    let isFailure = true;
    // Sending shows no progress: it gets the time that the slowest transfer takes.
    const limitMs = this.#idleTimeoutMs && this.#idleTimeoutMs + (request.body?.length ?? 0) / SLOWEST_BYTES_PER_MS;
    try {
      return await withIdleLimit({ clock, limitMs, signal }, async (watch) => {
        const response = await this.#client.request<AsyncIterable<Uint8Array>>(this.#options(request, watch.signal));
        watch.onProgress();
        const { status, headers, data } = response;
        const isSuccess = (status >= 200 && status < 300) || status === request.alsoStatus;
        const promised = headers.get('content-length');
        const body = await readBody(data ?? [], promised === null ? undefined : Number(promised), (bytes) => {
          watch.onProgress();
          if (operation === 'get' && status < 300) receivedBytes += bytes;
        });
        if (!isSuccess) throw new GcsRefusal(status, Buffer.from(body).toString('utf8'));
        isFailure = false;
        return { status, headers, body };
      });
    } finally {
      usage.count(purpose, operation, { isFailure, receivedBytes, sentBytes: contentBytes });
    }
  }

  close(): void {
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  #options({ method, url, headers, body }: GcsRequest, signal: AbortSignal): GaxiosOptions {
    const whole = url.startsWith('/') ? this.address + url : url;
    return {
      method,
      url: whole,
      // Not unpacked on the way: what is stored is what was put.
      headers: { 'Accept-Encoding': 'identity', ...headers },
      ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
      agent: whole.startsWith('https:') ? this.#agents.https : this.#agents.http,
      signal,
      responseType: 'stream',
      retry: false,
      validateStatus: () => true,
    };
  }
}
