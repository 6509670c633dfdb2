import type { Labels } from '../../storage/index.ts';

/**
 * A label set while rules change it: what was given, what was set since in the order of the setting, and what was
 * removed. The order decides which of two labels that become one wins. Source: Prometheus, model/labels.Builder.
 */
export class LabelBuilder {
  readonly #given: ReadonlyMap<string, string>;
  readonly #set = new Map<string, string>();
  readonly #removed = new Set<string>();

  constructor(labels: Labels) {
    const given = new Map<string, string>();
    for (let i = 0; i < labels.length; i += 2) given.set(labels[i] as string, labels[i + 1] as string);
    this.#given = given;
  }

  /** '' for a label that is not there. */
  get(name: string): string {
    return this.#set.get(name) ?? (this.#removed.has(name) ? '' : (this.#given.get(name) ?? ''));
  }

  /** Sets a label, or removes it if the value is ''. */
  set(name: string, value: string): void {
    if (value === '') this.remove(name);
    else this.#set.set(name, value);
  }

  remove(name: string): void {
    this.#set.delete(name);
    this.#removed.add(name);
  }

  /** The labels as they are now; later changes do not show in it. */
  entries(): [name: string, value: string][] {
    const kept = [...this.#given].filter(([name]) => !this.#removed.has(name) && !this.#set.has(name));
    return [...kept, ...this.#set];
  }
}
