/** Lets work through whose weights together stay below a limit; what is heavier than all of it goes alone. First come, first served. */
export class Gate {
  readonly #limit: number;
  #weight = 0;
  readonly #waiting: { readonly weight: number; readonly enter: () => void }[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  async run<T>(weight: number, work: () => Promise<T>): Promise<T> {
    if (this.#waiting.length > 0 || !this.#fits(weight))
      await new Promise<void>((enter) => void this.#waiting.push({ weight, enter }));
    else this.#weight += weight;
    try {
      return await work();
    } finally {
      this.#weight -= weight;
      this.#admit();
    }
  }

  #fits(weight: number): boolean {
    return this.#weight === 0 || this.#weight + weight <= this.#limit;
  }

  /** Who is let in has its weight counted at once. */
  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.weight); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#weight += next.weight;
      next.enter();
    }
  }
}
