/**
 * The service's own metrics, for /metrics. Names follow Prometheus: base units, `_total` on counters, the prefix `varve_`
 * on all that are ours. The library behind it stays in this file.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { VERSION } from './version.ts';

/** Values of a metric's labels, by name. */
export type MetricLabels = Readonly<Record<string, string | number>>;

export interface MetricOptions {
  /** Without the prefix: `http_requests_total` becomes `varve_http_requests_total`. */
  readonly name: string;
  readonly help: string;
  /** Names of the labels. Their values must be few: a tenant is fine, a path that a client chose is not. */
  readonly labelNames?: readonly string[];
}

export interface CounterMetric {
  add(amount: number, labels?: MetricLabels): void;
}
export interface GaugeMetric {
  set(value: number, labels?: MetricLabels): void;
  add(amount: number, labels?: MetricLabels): void;
}
export interface HistogramMetric {
  observe(value: number, labels?: MetricLabels): void;
}

/** Metrics of the library that promtool's linter refuses or that need undocumented calls into Node. */
const UNWANTED_DEFAULTS: readonly string[] = [
  'nodejs_active_handles',
  'nodejs_active_handles_total',
  'nodejs_active_requests',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

const PREFIX = 'varve_';

/** A registry of metrics. A name may be registered once; a second time throws. */
export class Metrics {
  readonly contentType: string;
  readonly #registry = new Registry();
  readonly #beforeScrape: (() => void)[] = [];

  /** With the metrics of the process (`process_…`, `nodejs_…`) and `varve_build_info`. */
  constructor() {
    this.contentType = this.#registry.contentType;
    collectDefaultMetrics({ register: this.#registry });
    for (const name of UNWANTED_DEFAULTS) this.#registry.removeSingleMetric(name);
    const labelNames = ['version', 'nodeversion', 'platform'];
    const build = this.gauge({
      name: 'build_info',
      help: 'Constant 1, labelled with the version of Varve.',
      labelNames,
    });
    build.set(1, { version: VERSION, nodeversion: process.version, platform: `${process.platform}-${process.arch}` });
  }

  counter(options: MetricOptions): CounterMetric {
    const counter = new Counter(this.#configuration(options));
    return { add: (amount, labels = {}) => counter.inc(labels, amount) };
  }

  gauge(options: MetricOptions): GaugeMetric {
    const gauge = new Gauge(this.#configuration(options));
    return {
      set: (value, labels = {}) => gauge.set(labels, value),
      add: (amount, labels = {}) => gauge.inc(labels, amount),
    };
  }

  /** `buckets` are upper bounds, ascending. */
  histogram(options: MetricOptions, buckets: readonly number[]): HistogramMetric {
    const histogram = new Histogram({ ...this.#configuration(options), buckets: [...buckets] });
    return { observe: (value, labels = {}) => histogram.observe(labels, value) };
  }

  /** A counter that something else counts: `read` is asked at each scrape, and gives undefined while there is no value. */
  counterFrom(options: MetricOptions, read: () => number | undefined): void {
    const counter: Counter = new Counter({
      ...this.#configuration(options),
      collect: () => {
        const value = read();
        counter.remove();
        if (value !== undefined) counter.inc(value);
      },
    });
  }

  /** A counter for each set of labels that `read` gives, with its value. */
  countersFrom(
    options: MetricOptions,
    read: () => Iterable<{ readonly labels: MetricLabels; readonly value: number }>,
  ): void {
    const counter: Counter = new Counter({
      ...this.#configuration(options),
      collect: () => {
        counter.reset();
        for (const { labels, value } of read()) counter.inc(labels, value);
      },
    });
  }

  /** A gauge that something else keeps; see counterFrom. */
  gaugeFrom(options: MetricOptions, read: () => number | undefined): void {
    const gauge: Gauge = new Gauge({
      ...this.#configuration(options),
      collect: () => {
        const value = read();
        if (value === undefined) gauge.remove();
        else gauge.set(value);
      },
    });
  }

  /** A gauge for each set of labels that `read` gives, with its value. */
  gaugesFrom(
    options: MetricOptions,
    read: () => Iterable<{ readonly labels: MetricLabels; readonly value: number }>,
  ): void {
    const gauge: Gauge = new Gauge({
      ...this.#configuration(options),
      collect: () => {
        gauge.reset();
        for (const { labels, value } of read()) gauge.set(labels, value);
      },
    });
  }

  /** Calls `callback` once before each scrape: what costs something is read there for all metrics that show it. */
  beforeScrape(callback: () => void): void {
    this.#beforeScrape.push(callback);
  }

  /** All metrics in Prometheus' text format. */
  async text(): Promise<string> {
    for (const callback of this.#beforeScrape) callback();
    return await this.#registry.metrics();
  }

  #configuration({ name, help, labelNames = [] }: MetricOptions): {
    name: string;
    help: string;
    labelNames: string[];
    registers: Registry[];
  } {
    return { name: PREFIX + name, help, labelNames: [...labelNames], registers: [this.#registry] };
  }
}
