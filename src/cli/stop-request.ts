import type { Log } from '../telemetry/log.ts';
import { EXIT } from './exit-codes.ts';

/** Waits for the first reason to stop. The second signal does not wait any more. */
export class StopRequest {
  /** Resolves with the reason. */
  readonly made: Promise<string>;
  readonly #make: (reason: string) => void;
  readonly #log: Log;
  #isMade = false;

  constructor(log: Log) {
    const { promise, resolve } = Promise.withResolvers<string>();
    this.made = promise;
    this.#make = resolve;
    this.#log = log;
  }

  /** Listens to SIGTERM and SIGINT for the rest of the process's life. */
  listenToSignals(): void {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => this.#onSignal(signal));
  }

  make(reason: string): void {
    this.#isMade = true;
    this.#make(reason);
  }

  #onSignal(signal: string): void {
    if (!this.#isMade) {
      this.make(signal);
      return;
    }
    this.#log.warn('stopping without waiting for open requests', { signal });
    process.exit(EXIT.failure);
  }
}
