/** Debian's Prometheus, with a configuration and a data directory of its own. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePort, Program } from './program.ts';
import { TemporaryDirectory } from './temporary-directory.ts';

export interface PrometheusOptions {
  /** Its data; by default a temporary directory that goes away with it. */
  readonly directory?: string;
  readonly externalLabels?: Readonly<Record<string, string>>;
  /** Addresses to scrape every second, by job name. `self` stands for this Prometheus. */
  readonly scrape?: Readonly<Record<string, string>>;
  /** Sections of the configuration file, as Prometheus spells them. */
  readonly remoteWrite?: readonly Readonly<Record<string, unknown>>[];
  readonly remoteRead?: readonly Readonly<Record<string, unknown>>[];
  readonly storage?: Readonly<Record<string, unknown>>;
  /** Further command line flags. */
  readonly flags?: readonly string[];
}

/** One element of a query's answer. Values are Prometheus's own text. */
export interface ResultSeries {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: readonly [number, string];
  readonly values?: readonly (readonly [number, string])[];
}

/** A PromQL query: at one time, or over a range when `stepMs` is given. */
export interface PromQuery {
  readonly expression: string;
  readonly endMs: number;
  readonly startMs?: number;
  readonly stepMs?: number;
}

/** A running Prometheus. */
export class Prometheus implements AsyncDisposable {
  readonly url: string;
  readonly directory: string;
  readonly #program: Program;
  readonly #temporary: TemporaryDirectory;

  private constructor(url: string, directory: string, program: Program, temporary: TemporaryDirectory) {
    this.url = url;
    this.directory = directory;
    this.#program = program;
    this.#temporary = temporary;
  }

  /** Resolves when it is ready. */
  static async start(options: PrometheusOptions = {}): Promise<Prometheus> {
    const temporary = new TemporaryDirectory('prometheus');
    const address = `127.0.0.1:${await freePort()}`;
    const directory = options.directory ?? join(temporary.path, 'data');
    if (!existsSync(directory)) mkdirSync(directory);
    const config = join(temporary.path, 'prometheus.yml');
    writeFileSync(config, configuration(address, options));
    const program = new Program('prometheus', [
      `--config.file=${config}`,
      `--storage.tsdb.path=${directory}`,
      `--web.listen-address=${address}`,
      '--storage.tsdb.retention.time=100y',
      ...(options.flags ?? []),
    ]);
    const prometheus = new Prometheus(`http://${address}`, directory, program, temporary);
    try {
      await program.answers(`${prometheus.url}/-/ready`);
    } catch (error) {
      await prometheus[Symbol.asyncDispose]();
      throw error;
    }
    return prometheus;
  }

  get pid(): number {
    return this.#program.pid;
  }

  get output(): string {
    return this.#program.output;
  }

  /** The answer in an order of its own: by labels. Throws with Prometheus's text if the query fails. */
  async query({ expression, endMs, startMs, stepMs }: PromQuery): Promise<ResultSeries[]> {
    const form = new URLSearchParams({ query: expression });
    if (stepMs === undefined) form.set('time', String(endMs / 1000));
    else {
      form.set('start', String((startMs ?? endMs) / 1000));
      form.set('end', String(endMs / 1000));
      form.set('step', String(stepMs / 1000));
    }
    const path = stepMs === undefined ? 'query' : 'query_range';
    const response = await fetch(`${this.url}/api/v1/${path}`, { method: 'POST', body: form });
    const answer = (await response.json()) as {
      status: string;
      error?: string;
      warnings?: string[];
      data: { resultType: string; result: ResultSeries[] | [number, string] };
    };
    if (answer.status !== 'success') throw new Error(`${expression}: ${answer.error}`);
    // A remote read that fails is only a warning, with an answer that is silently too small.
    if (answer.warnings !== undefined) throw new Error(`${expression}: ${answer.warnings.join('; ')}`);
    const { resultType, result } = answer.data;
    if (resultType === 'scalar') return [{ metric: {}, value: result as [number, string] }];
    const order = (series: ResultSeries): string => JSON.stringify(Object.entries(series.metric).sort());
    return (result as ResultSeries[]).sort((a, b) => (order(a) < order(b) ? -1 : 1));
  }

  /** One of its own metrics, summed over its series; undefined if it has none of that name. */
  async metric(name: string): Promise<number | undefined> {
    return sumOfMetric(await (await fetch(`${this.url}/metrics`)).text(), name);
  }

  /** POSTs a remote-write body to its receiver. */
  async write(body: Uint8Array<ArrayBuffer>): Promise<{ status: number; text: string }> {
    const headers = { 'Content-Type': 'application/x-protobuf', 'Content-Encoding': 'snappy' };
    const response = await fetch(`${this.url}/api/v1/write`, { method: 'POST', headers, body });
    return { status: response.status, text: await response.text() };
  }

  async stop(): Promise<void> {
    await this.#program.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program.kill();
    this.#temporary[Symbol.dispose]();
  }
}

/** The sum over the series of one metric in a text exposition; undefined if there is none. */
export function sumOfMetric(exposition: string, name: string): number | undefined {
  const lines = exposition.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  if (lines.length === 0) return undefined;
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

function configuration(address: string, options: PrometheusOptions): string {
  const { externalLabels = {}, scrape = {}, remoteWrite = [], remoteRead = [], storage } = options;
  return stringify({
    global: { scrape_interval: '1s', scrape_timeout: '1s', external_labels: externalLabels },
    scrape_configs: Object.entries(scrape).map(([job, target]) => ({
      job_name: job,
      static_configs: [{ targets: [target === 'self' ? address : target] }],
    })),
    remote_write: remoteWrite,
    remote_read: remoteRead,
    ...(storage === undefined ? {} : { storage }),
  });
}
