import type { LimitError, WriteOutcome } from '../../storage/index.ts';
import type { CounterMetric, MetricLabels, Metrics } from '../telemetry/metrics.ts';

/** What became of the samples that were sent: received = stored + duplicate + conflicting + rejected + dropped, for each tenant. */
export class WriteMetrics {
  readonly #received: CounterMetric;
  readonly #stored: CounterMetric;
  readonly #duplicate: CounterMetric;
  readonly #conflicting: CounterMetric;
  readonly #rejected: CounterMetric;
  readonly #dropped: CounterMetric;
  readonly #labelsOf = new Map<string, MetricLabels>();

  constructor(metrics: Metrics) {
    const labelNames = ['tenant'];
    this.#received = metrics.counter({
      name: 'samples_received_total',
      help: 'Samples in requests that were decoded.',
      labelNames,
    });
    this.#stored = metrics.counter({ name: 'samples_stored_total', help: 'Samples that are new.', labelNames });
    this.#duplicate = metrics.counter({
      name: 'samples_duplicate_total',
      help: 'Samples that were there before, with the same value; a success.',
      labelNames,
    });
    this.#conflicting = metrics.counter({
      name: 'samples_conflicting_total',
      help: 'Samples with another value than the one acknowledged before them at their timestamp, which stays.',
      labelNames,
    });
    this.#rejected = metrics.counter({
      name: 'samples_rejected_total',
      help: 'Samples that were refused, by reason.',
      labelNames: ['tenant', 'reason'],
    });
    this.#dropped = metrics.counter({
      name: 'samples_dropped_total',
      help: 'Samples that are not stored because the configuration says so; a success. By reason: relabel, ha, or shadow for those of HA replicas that are kept for a while.',
      labelNames: ['tenant', 'reason'],
    });
  }

  /** Counts the samples of a request that was refused whole for its size or for its tenant's rate. */
  countRefused(tenant: string, { reason, samples }: LimitError): void {
    if (samples === 0) return;
    this.#received.add(samples, { tenant });
    this.#rejected.add(samples, { tenant, reason });
  }

  /** Counts one request. `tenant` is '' for one that has stored nothing yet: a sender may not make metrics by naming tenants. */
  count(tenant: string, outcome: WriteOutcome): void {
    if (outcome.received === 0) return;
    let labels = this.#labelsOf.get(tenant);
    if (labels === undefined) {
      labels = { tenant };
      this.#labelsOf.set(tenant, labels);
    }
    this.#received.add(outcome.received, labels);
    this.#stored.add(outcome.stored, labels);
    if (outcome.duplicates > 0) this.#duplicate.add(outcome.duplicates, labels);
    if (outcome.conflicts > 0) this.#conflicting.add(outcome.conflicts, labels);
    for (const [reason, samples] of Object.entries(outcome.dropped)) {
      if (samples > 0) this.#dropped.add(samples, { tenant, reason });
    }
    if (outcome.rejected === 0) return;
    for (const [reason, samples] of outcome.rejectedBy) this.#rejected.add(samples, { tenant, reason });
  }
}
