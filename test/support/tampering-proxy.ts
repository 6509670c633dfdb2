/** Stands between a client and a real store, passes everything on, and breaks what a test tells it to break. */
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

/** What to do with one request. */
export type Tampering =
  | 'pass'
  /** No answer, ever. */
  | 'hang'
  /** The store does what is asked, and the connection breaks before its answer. */
  | 'lose-answer'
  /** The request does not come to the store. */
  | { readonly status: number; readonly body: string; readonly headers?: Readonly<Record<string, string>> }
  /** The answer breaks off. */
  | { readonly cutAfterBytes: number }
  /** The answer of the store, changed. */
  | { readonly change: (answer: Answer) => Answer };

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export interface Question {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export class TamperingProxy implements AsyncDisposable {
  /** Decides on each request as it comes. */
  decide: (question: Question) => Tampering = () => 'pass';
  /** All requests so far: `GET /bucket/name`. */
  readonly questions: string[] = [];
  readonly #server: Server;
  readonly #target: number;

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((question, answer) => void this.#onRequest(question, answer));
  }

  /** In front of what listens on `target`. */
  static async start(target: number): Promise<TamperingProxy> {
    const proxy = new TamperingProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #onRequest(question: IncomingMessage, reply: ServerResponse): Promise<void> {
    const asked = { method: question.method ?? '', url: question.url ?? '', headers: question.headers };
    this.questions.push(`${asked.method} ${asked.url}`);
    const tampering = this.decide(asked);
    try {
      const body = await bodyOf(question);
      if (tampering === 'hang') return;
      if (typeof tampering === 'object' && 'status' in tampering) {
        reply.writeHead(tampering.status, {
          ...tampering.headers,
          'Content-Length': Buffer.byteLength(tampering.body),
        });
        reply.end(tampering.body);
        return;
      }
      const answer = await this.#ask(question, body);
      if (tampering === 'lose-answer') {
        reply.destroy();
        return;
      }
      const told = typeof tampering === 'object' && 'change' in tampering ? tampering.change(answer) : answer;
      reply.writeHead(told.status, { ...told.headers });
      if (typeof tampering === 'object' && 'cutAfterBytes' in tampering) {
        reply.write(told.body.subarray(0, tampering.cutAfterBytes), () => reply.destroy());
      } else {
        reply.end(told.body);
      }
    } catch {
      reply.destroy(); // The client has gone.
    }
  }

  #ask(question: IncomingMessage, body: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { method, url: path, headers } = question;
      const { expect: _, ...rest } = headers;
      const options = { host: '127.0.0.1', port: this.#target, method, path, headers: rest, agent: false };
      const asking = httpRequest(options as object, (response) => {
        bodyOf(response).then(
          (content) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: content }),
          reject,
        );
      });
      asking.once('error', reject);
      asking.end(body);
    });
  }
}

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
