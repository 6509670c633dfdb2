/** How many writes are worked on at the same time: the others wait for their turn, in the order in which they came. */
export class WriteGate {
  #limit = 0;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** From now on; 0: as many as come. */
  setLimit(limit: number): void {
    this.#limit = limit;
    this.#letIn();
  }

  /** Runs `work` when it is its turn. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isFull) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    try {
      return await work();
    } finally {
      this.#running--;
      this.#letIn();
    }
  }

  get #isFull(): boolean {
    return this.#limit > 0 && this.#running >= this.#limit;
  }

  #letIn(): void {
    for (let next = this.#waiting[0]; next !== undefined && !this.#isFull; next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#running++;
      next();
    }
  }
}
