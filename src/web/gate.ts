/**
 * What stands before every route, without exception: the rate limit, the headers of every answer, and authentication, in
 * the order and with the texts of Prometheus. Source: prometheus/exporter-toolkit web/handler.go.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../storage/index.ts';
import { BasicAuth, type BasicAuthOptions, type Verdict } from './basic-auth.ts';
import { TokenBucket } from './token-bucket.ts';
import type { LoadedWebConfig, WebConfigFile } from './web-config-file.ts';

export interface GateOptions extends BasicAuthOptions {
  readonly config: WebConfigFile;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** A request was answered with `status`, or with nothing if its client went away (499). */
  readonly onRefused: (status: number) => void;
}

const CLIENT_GONE = 499;
const BUSY_RETRY_AFTER_S = 1;

export class Gate {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #auth: BasicAuth;
  readonly #onRefused: (status: number) => void;
  #config: LoadedWebConfig;
  #bucket: TokenBucket | undefined;

  constructor({ config, onRefused, ...options }: GateOptions) {
    this.#clock = options.clock;
    this.#auth = new BasicAuth(options);
    this.#onRefused = onRefused;
    this.#config = config.current;
    this.#bucket = this.#newBucket();
    config.onChange((next) => {
      this.#config = next;
      this.#bucket = this.#newBucket();
    });
  }

  /** Calls `pass` for a request that may go on, in this turn if nothing has to be found out; answers any other. */
  admit(request: IncomingMessage, response: ServerResponse, pass: () => void): void {
    const { headers, users } = this.#config;
    if (this.#bucket?.take(this.#clock.monotonicMs()) === false) {
      this.#refuse(response, 429, 'Too Many Requests');
      return;
    }
    for (const [name, value] of headers) response.setHeader(name, value);
    if (users.size === 0) {
      pass();
      return;
    }
    const verdict = this.#auth.check(request, users);
    if (typeof verdict === 'string') this.#act(verdict, response, pass);
    else void verdict.then((found) => this.#act(found, response, pass));
  }

  #act(verdict: Verdict, response: ServerResponse, pass: () => void): void {
    if (response.destroyed) this.#onRefused(CLIENT_GONE);
    else if (verdict === 'admitted') pass();
    else if (verdict === 'refused') {
      response.setHeader('www-authenticate', 'Basic');
      this.#refuse(response, 401, 'Unauthorized');
    } else {
      // Not 429: a Prometheus with the right password, behind an address that others misuse, has to try again.
      response.setHeader('retry-after', BUSY_RETRY_AFTER_S);
      this.#refuse(response, 503, 'too many new passwords are being tried: try again');
    }
  }

  #refuse(response: ServerResponse, status: number, text: string): void {
    this.#onRefused(status);
    response.setHeader('content-type', 'text/plain; charset=utf-8');
    response.setHeader('x-content-type-options', 'nosniff');
    response.statusCode = status;
    response.end(`${text}\n`);
  }

  #newBucket(): TokenBucket | undefined {
    const { rateLimit } = this.#config;
    return rateLimit && new TokenBucket(rateLimit, this.#clock.monotonicMs());
  }
}
