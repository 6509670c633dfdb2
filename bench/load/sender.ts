/** Sends a load to a server, step after step, and measures the server. Runs in a process of its own. */
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSeconds, residentBytes } from '../usage.ts';
import { LoadReader } from './load-file.ts';
import { randomNumbers } from './random-numbers.ts';
import type { Protocol } from './source.ts';

export interface SendOptions {
  readonly loadFile: string;
  /** Where to send. */
  readonly url: string;
  /** The server's process. */
  readonly pid: number;
  /** Steps that are sent before the measurement, and those that are measured. */
  readonly stepsAhead: number;
  readonly stepsMeasured: number;
  readonly requestsPerStep: number;
  readonly connections: number;
  /** Requests a second of each connection, at times of their own; 0: the next one as soon as the last is answered. */
  readonly rate: number;
  readonly protocol: Protocol;
  /** After so many steps the load waits until the server rests, and its memory is looked at; undefined: never. */
  readonly stepsPerLook?: number;
}

/** How a sender sends. */
export type SenderOptions = Pick<SendOptions, 'url' | 'connections' | 'rate' | 'protocol'>;

/** What sending took; of all but the errors only in the steps that are measured. */
export interface Measurement {
  readonly firstStepCpuSeconds: number;
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  readonly latencyP50Ms: number;
  readonly latencyP99Ms: number;
  readonly bodyBytes: number;
  /** Bytes, at each look. */
  readonly residentAtLooks: readonly number[];
  /** Requests that were not answered 2xx, and why the first was not. */
  readonly errors: number;
  readonly firstError: string;
}

/** Sends the whole load. A step is read before its time runs, and the next one begins when all of it is answered. */
export async function send(options: SendOptions): Promise<Measurement> {
  const { pid, stepsAhead, stepsMeasured, requestsPerStep, stepsPerLook } = options;
  using load = new LoadReader(options.loadFile);
  const sender = new Sender(options);
  const cpuAtStart = cpuSeconds(pid);
  await sender.sendStep(load.next(requestsPerStep));
  const cpuAfterFirst = cpuSeconds(pid);
  for (let step = 1; step < stepsAhead; step++) await sender.sendStep(load.next(requestsPerStep));
  const cpuAhead = cpuSeconds(pid);
  sender.latenciesMs.length = 0;
  let wallMs = 0;
  const residentAtLooks: number[] = [];
  for (let step = 0; step < stepsMeasured; step++) {
    const bodies = load.next(requestsPerStep);
    const start = performance.now();
    await sender.sendStep(bodies);
    wallMs += performance.now() - start;
    if (stepsPerLook === undefined || (step + 2) % stepsPerLook !== 0) continue;
    await rest(pid);
    residentAtLooks.push(residentBytes(pid).now);
  }
  const latencies = Float64Array.from(sender.latenciesMs).sort();
  const quantile = (q: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * q))] ?? NaN;
  return {
    firstStepCpuSeconds: cpuAfterFirst - cpuAtStart,
    cpuSeconds: cpuSeconds(pid) - cpuAhead,
    wallSeconds: wallMs / 1000,
    latencyP50Ms: quantile(0.5),
    latencyP99Ms: quantile(0.99),
    bodyBytes: sender.bodyBytes,
    residentAtLooks,
    errors: sender.errors,
    firstError: sender.firstError,
  };
}

const REST_MS = 2000;
const REST_SHARE = 0.05;
const MOST_RESTS = 60;

/** Until the server does next to nothing for a while: its work beside the requests has caught up with them. */
async function rest(pid: number): Promise<void> {
  for (let i = 0; i < MOST_RESTS; i++) {
    const before = cpuSeconds(pid);
    await sleep(REST_MS);
    if (cpuSeconds(pid) - before < (REST_MS / 1000) * REST_SHARE) return;
  }
}

/** Posts bodies over a few connections and counts what becomes of them. */
export class Sender {
  readonly latenciesMs: number[] = [];
  bodyBytes = 0;
  errors = 0;
  firstError = '';
  readonly #options: SenderOptions;
  readonly #agent: Agent;
  readonly #random = randomNumbers(1);

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.connections });
  }

  /** Sends the bodies, one at a time on each connection. */
  async sendStep(bodies: readonly Buffer[]): Promise<void> {
    const { connections, rate } = this.#options;
    if (rate > 0) return await this.#sendAtRate(bodies, (connections * rate) / 1000);
    let next = 0;
    const connection = async (): Promise<void> => {
      while (next < bodies.length) await this.#post(bodies[next++] as Buffer);
    };
    await Promise.all(Array.from({ length: connections }, connection));
  }

  /** Each body at a random moment of the time that the step has, whatever became of the others. */
  async #sendAtRate(bodies: readonly Buffer[], perMs: number): Promise<void> {
    const stepMs = bodies.length / perMs;
    const atTime = async (body: Buffer): Promise<void> => {
      await sleep(this.#random() * stepMs);
      await this.#post(body);
    };
    await Promise.all([sleep(stepMs), ...bodies.map(atTime)]);
  }

  #post(body: Buffer): Promise<void> {
    const isV1 = this.#options.protocol === 'v1';
    const headers = {
      'Content-Type': isV1 ? 'application/x-protobuf' : 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
      'Content-Encoding': 'snappy',
      'Content-Length': body.length,
      'User-Agent': 'varve-bench',
      'X-Prometheus-Remote-Write-Version': isV1 ? '0.1.0' : '2.0.0',
    };
    const start = performance.now();
    this.bodyBytes += body.length;
    return new Promise((resolve) => {
      const fail = (reason: string): void => {
        this.errors++;
        this.firstError ||= reason.slice(0, 200);
        resolve();
      };
      const call = request(this.#options.url, { method: 'POST', agent: this.#agent, headers }, (response) => {
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
