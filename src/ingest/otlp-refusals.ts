/** What of a request was refused by name, and why, in words for its sender. */

const TEXTS = {
  delta: 'delta temporality is not accepted: send cumulative',
  'no-temporality': 'neither cumulative nor delta',
  'exponential-range': 'a scale below -4, or buckets beyond 2^31: no native histogram has them',
  'unknown-kind': 'no gauge, sum, histogram or summary in it',
  'metric-name': 'nothing is left of the metric name without special characters',
  'label-name': 'nothing is left of an attribute key without special characters',
  'no-time': 'no time',
  'no-value': 'neither a value nor the flag that there is none',
  'labels-too-long': 'a label set of more than 65536 bytes',
  'too-large': 'too many series for one data point or one request: send smaller batches',
} as const;

export type RefusalReason = keyof typeof TEXTS;

/** Of the names in a message. */
const SHOWN_METRICS = 3;
const SHOWN_CHARACTERS = 80;

interface Refused {
  dataPoints: number;
  /** The first few. */
  readonly metrics: Set<string>;
  hasMore: boolean;
}

export class Refusals {
  readonly #reasons = new Map<RefusalReason, Refused>();

  /** In all. */
  get dataPoints(): number {
    let sum = 0;
    for (const { dataPoints } of this.#reasons.values()) sum += dataPoints;
    return sum;
  }

  /** Data points by reason. */
  get byReason(): ReadonlyMap<RefusalReason, number> {
    return new Map([...this.#reasons].map(([reason, { dataPoints }]) => [reason, dataPoints]));
  }

  /** Counts data points of a metric; none where something else is refused that its sender should know of. */
  add(reason: RefusalReason, metric: string, dataPoints: number): void {
    let refused = this.#reasons.get(reason);
    if (refused === undefined) {
      refused = { dataPoints: 0, metrics: new Set(), hasMore: false };
      this.#reasons.set(reason, refused);
    }
    refused.dataPoints += dataPoints;
    const shown = metric.length > SHOWN_CHARACTERS ? `${metric.slice(0, SHOWN_CHARACTERS)}…` : metric;
    if (refused.metrics.size < SHOWN_METRICS) refused.metrics.add(shown);
    else if (!refused.metrics.has(shown)) refused.hasMore = true;
  }

  /** One line, '' if nothing was refused. */
  text(): string {
    const lines = [...this.#reasons].map(([reason, { dataPoints, metrics, hasMore }]) => {
      const named = [...metrics].map((metric) => JSON.stringify(metric)).join(', ');
      return `${dataPoints} data ${dataPoints === 1 ? 'point' : 'points'} of ${named}${hasMore ? ', …' : ''}: ${TEXTS[reason]}`;
    });
    return lines.length === 0 ? '' : `refused ${lines.join('; ')}`;
  }
}
