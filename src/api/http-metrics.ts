import type { FastifyInstance } from 'fastify';
import type { CounterMetric, HistogramMetric, MetricLabels, Metrics } from '../telemetry/metrics.ts';

/** From one commit of the WAL to a slow remote read. */
const DURATION_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** As in Prometheus and nginx: the client closed the connection before it had its answer. */
const CLIENT_GONE = 499;
const NO_ROUTE = 'none';

/** Requests by route and code, and how long they took. */
export class HttpMetrics {
  readonly #requests: CounterMetric;
  readonly #durations: HistogramMetric;
  readonly #labelsOf = new Map<string, Map<number, MetricLabels>>();
  readonly #routeLabelsOf = new Map<string, MetricLabels>();

  constructor(metrics: Metrics) {
    this.#requests = metrics.counter({
      name: 'http_requests_total',
      help: 'HTTP requests by route and status code; 499 is a client that went away.',
      labelNames: ['handler', 'code'],
    });
    this.#durations = metrics.histogram(
      {
        name: 'http_request_duration_seconds',
        help: 'From the request line to the last byte of the answer.',
        labelNames: ['handler'],
      },
      DURATION_BUCKETS_S,
    );
  }

  /** Counts every request of the app, after its answer. Call it before routes are added. */
  watch(app: FastifyInstance): void {
    app.addHook('onResponse', (request, reply, done) => {
      const route = request.routeOptions.config.routeName ?? NO_ROUTE;
      const labels = this.#labels(route, reply.raw.statusCode);
      this.#requests.add(1, labels);
      this.#durations.observe(reply.elapsedTime / 1000, this.#routeLabels(route));
      done();
    });
  }

  /** Counts a request that got no answer. */
  countGone(route: string | undefined): void {
    this.#requests.add(1, this.#labels(route ?? NO_ROUTE, CLIENT_GONE));
  }

  /** Counts what came to no route, with the status it was answered. */
  countUnrouted(status: number): void {
    this.#requests.add(1, this.#labels(NO_ROUTE, status));
  }

  #routeLabels(handler: string): MetricLabels {
    let labels = this.#routeLabelsOf.get(handler);
    if (labels === undefined) {
      labels = { handler };
      this.#routeLabelsOf.set(handler, labels);
    }
    return labels;
  }

  #labels(handler: string, code: number): MetricLabels {
    let byCode = this.#labelsOf.get(handler);
    if (byCode === undefined) {
      byCode = new Map();
      this.#labelsOf.set(handler, byCode);
    }
    let labels = byCode.get(code);
    if (labels === undefined) {
      labels = { handler, code };
      byCode.set(code, labels);
    }
    return labels;
  }
}
