/**
 * The one way into the kernel for everything that changes the head. A call that traps leaves the memory half-written:
 * nobody may go on with it, and the process has to end. The log brings the head back.
 */
import { StorageError } from '../lib/errors.ts';

export class KernelGuard {
  readonly #onTrap: (message: string) => void;
  #isBroken = false;

  /** `onTrap` is called once. */
  constructor(onTrap: (message: string) => void) {
    this.#onTrap = onTrap;
  }

  /** Runs calls into the kernel. A StorageError is its answer; after any other error every further run is refused. */
  run<T>(calls: () => T): T {
    if (this.#isBroken) throw new StorageError('unavailable', 'the engine has failed');
    try {
      return calls();
    } catch (error) {
      if (error instanceof StorageError) throw error;
      this.#isBroken = true;
      this.#onTrap(error instanceof Error ? (error.stack ?? error.message) : String(error));
      throw new StorageError('unavailable', 'the engine has failed', { cause: error });
    }
  }
}
