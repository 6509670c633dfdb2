import type { Admission } from '../kernel/kernel.ts';
import type { Labels } from '../model/labels.ts';
import type { SeriesPolicy } from '../model/series-policy.ts';
import type { HaPairs } from './ha-pairs.ts';

/** What is done with the labels of each series: of a pair the replica is taken off, then comes the policy. */
export class SeriesAdmission {
  readonly #policy: SeriesPolicy | undefined;
  readonly #pairs: HaPairs | undefined;
  /** Whose request is at work. */
  tenant = '';

  constructor(policy: SeriesPolicy | undefined, pairs: HaPairs | undefined) {
    this.#policy = policy;
    this.#pairs = pairs;
  }

  /** Of what `admit` answers now; 0 if it changes nothing. */
  get generation(): number {
    if (this.#policy !== undefined) return this.#policy.generation;
    return this.#pairs === undefined ? 0 : 1;
  }

  admit(labels: Labels): Admission {
    const { labels: shared, replica } = this.#pairs?.admit(this.tenant, labels) ?? { labels, replica: 0 };
    const stored = this.#policy === undefined ? shared : this.#policy.admit(this.tenant, shared);
    return { labels: stored, replica };
  }
}
