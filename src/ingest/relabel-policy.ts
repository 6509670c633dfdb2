import type { Labels, SeriesPolicy } from '../../storage/index.ts';
import { type RelabelRule, relabel } from './relabel.ts';

/** Relabelling as the engine asks for it; its rules may change while it is in use. */
export class RelabelPolicy implements SeriesPolicy {
  #rules: readonly RelabelRule[];
  #generation = 1;

  constructor(rules: readonly RelabelRule[]) {
    this.#rules = rules;
  }

  get generation(): number {
    return this.#generation;
  }

  /** For all series from now on, those that are known too. */
  use(rules: readonly RelabelRule[]): void {
    this.#rules = rules;
    this.#generation++;
  }

  admit(_tenant: string, labels: Labels): Labels | undefined {
    return this.#rules.length === 0 ? labels : relabel(labels, this.#rules);
  }
}
