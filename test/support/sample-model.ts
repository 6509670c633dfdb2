/** What a database may and must hold, as a map: the oracle of its simulation. Values are bits. */
import { bitsOf, type LabelPairs, labelText, type SeriesMap } from './series.ts';

export interface ModelSample {
  readonly labels: LabelPairs;
  readonly timestampMs: number;
  readonly value: number | bigint;
}

interface Expected {
  /** One of these may be there. */
  readonly values: Set<bigint>;
  /** Whether one of them was acknowledged. */
  isPromised: boolean;
}

/** Of one tenant. */
export class SampleModel {
  readonly #series = new Map<string, Map<number, Expected>>();

  /** A request with these samples is on its way: from now on they may be there. */
  send(samples: readonly ModelSample[]): void {
    for (const { labels, timestampMs, value } of samples) {
      const series = this.#at(labelText(labels));
      const expected = series.get(timestampMs) ?? { values: new Set(), isPromised: false };
      // The first one that was acknowledged stays.
      if (!expected.isPromised) expected.values.add(bitsOf(value));
      series.set(timestampMs, expected);
    }
  }

  /** The request was acknowledged. */
  acknowledge(samples: readonly ModelSample[]): void {
    for (const { labels, timestampMs } of samples) {
      (this.#at(labelText(labels)).get(timestampMs) as Expected).isPromised = true;
    }
  }

  get promised(): number {
    let count = 0;
    for (const series of this.#series.values()) for (const { isPromised } of series.values()) if (isPromised) count++;
    return count;
  }

  /** What is wrong with an answer about all of the tenant, for people; empty if nothing is. */
  faults(answer: SeriesMap): string[] {
    const faults: string[] = [];
    for (const [labels, { timestamps, bits }] of answer) {
      timestamps.forEach((timestampMs, i) => {
        const values = this.#series.get(labels)?.get(timestampMs)?.values;
        if (values?.has(bits[i] as bigint) !== true)
          faults.push(`${labels} @${timestampMs}: ${bits[i]}, expected ${[...(values ?? ['nothing'])].join(' or ')}`);
        if (i > 0 && timestampMs <= (timestamps[i - 1] as number))
          faults.push(`${labels} @${timestampMs}: not in order`);
      });
    }
    for (const [labels, series] of this.#series) {
      const there = new Set(answer.get(labels)?.timestamps);
      for (const [timestampMs, { isPromised }] of series)
        if (isPromised && !there.has(timestampMs)) faults.push(`${labels} @${timestampMs}: lost`);
    }
    return faults;
  }

  /**
   * After a restart nothing is in the balance any more: what is there stays, what is not does not come. If the machine may be
   * lost, only what was acknowledged is sure to stay.
   */
  settle(answer: SeriesMap, isLossy = false): void {
    const before = new Map(this.#series);
    this.#series.clear();
    for (const [labels, { timestamps, bits }] of answer) {
      timestamps.forEach((timestampMs, i) => {
        const isPromised = !isLossy || before.get(labels)?.get(timestampMs)?.isPromised === true;
        this.#at(labels).set(timestampMs, { values: new Set([bits[i] as bigint]), isPromised });
      });
    }
  }

  #at(labels: string): Map<number, Expected> {
    let series = this.#series.get(labels);
    if (series === undefined) {
      series = new Map();
      this.#series.set(labels, series);
    }
    return series;
  }
}
