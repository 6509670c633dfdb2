/** Sends a load to a server, step after step, and measures the server. Runs in a process of its own. */
import { Agent, request } from 'node:http';
import { cpuSeconds } from '../usage.ts';
import { LoadReader } from './load-file.ts';

export interface SendOptions {
  readonly loadFile: string;
  /** Where to send. */
  readonly url: string;
  /** The server's process. */
  readonly pid: number;
  readonly steps: number;
  readonly requestsPerStep: number;
  readonly connections: number;
}

/** What sending took. The first step, in which every series is new, is apart from the others. */
export interface Measurement {
  readonly firstStepCpuSeconds: number;
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  readonly latencyP50Ms: number;
  readonly latencyP99Ms: number;
  readonly bodyBytes: number;
  /** Requests that were not answered 2xx, and why the first was not. */
  readonly errors: number;
  readonly firstError: string;
}

/** Sends the whole load. A step is read before its time runs, and the next one begins when all of it is answered. */
export async function send(options: SendOptions): Promise<Measurement> {
  const { pid, steps, requestsPerStep } = options;
  using load = new LoadReader(options.loadFile);
  const sender = new Sender(options.url, options.connections);
  const cpuAtStart = cpuSeconds(pid);
  await sender.sendStep(load.next(requestsPerStep));
  const cpuAfterFirst = cpuSeconds(pid);
  sender.latenciesMs.length = 0;
  let wallMs = 0;
  for (let step = 1; step < steps; step++) {
    const bodies = load.next(requestsPerStep);
    const start = performance.now();
    await sender.sendStep(bodies);
    wallMs += performance.now() - start;
  }
  const latencies = Float64Array.from(sender.latenciesMs).sort();
  const quantile = (q: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * q))] ?? NaN;
  return {
    firstStepCpuSeconds: cpuAfterFirst - cpuAtStart,
    cpuSeconds: cpuSeconds(pid) - cpuAfterFirst,
    wallSeconds: wallMs / 1000,
    latencyP50Ms: quantile(0.5),
    latencyP99Ms: quantile(0.99),
    bodyBytes: sender.bodyBytes,
    errors: sender.errors,
    firstError: sender.firstError,
  };
}

/** Posts bodies over a few connections and counts what becomes of them. */
export class Sender {
  readonly latenciesMs: number[] = [];
  bodyBytes = 0;
  errors = 0;
  firstError = '';
  readonly #url: string;
  readonly #connections: number;
  readonly #agent: Agent;

  constructor(url: string, connections: number) {
    this.#url = url;
    this.#connections = connections;
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  /** Sends the bodies, one at a time on each connection. */
  async sendStep(bodies: readonly Buffer[]): Promise<void> {
    let next = 0;
    const connection = async (): Promise<void> => {
      while (next < bodies.length) await this.#post(bodies[next++] as Buffer);
    };
    await Promise.all(Array.from({ length: this.#connections }, connection));
  }

  #post(body: Buffer): Promise<void> {
    const headers = {
      'Content-Type': 'application/x-protobuf',
      'Content-Encoding': 'snappy',
      'Content-Length': body.length,
      'User-Agent': 'varve-bench',
      'X-Prometheus-Remote-Write-Version': '0.1.0',
    };
    const start = performance.now();
    this.bodyBytes += body.length;
    return new Promise((resolve) => {
      const fail = (reason: string): void => {
        this.errors++;
        this.firstError ||= reason.slice(0, 200);
        resolve();
      };
      const call = request(this.#url, { method: 'POST', agent: this.#agent, headers }, (response) => {
        let text = '';
        response.on('data', (bytes: Buffer) => {
          text += bytes.toString('utf8');
        });
        response.on('end', () => {
          this.latenciesMs.push(performance.now() - start);
          const status = response.statusCode ?? 0;
          if (status >= 200 && status < 300) resolve();
          else fail(`${status} ${text}`);
        });
      });
      call.on('error', (error) => fail(String(error)));
      call.end(body);
    });
  }
}
