/**
 * Every series' definition is in the log twice, in different commits, so that one damaged record orphans no samples.
 * The kernel writes the first copy with the first sample; the second follows when the first is durable.
 */
import type { Kernel } from '../kernel/kernel.ts';
import type { Wal } from '../wal/wal.ts';
import type { KernelGuard } from './kernel-guard.ts';

export class SecondDefinitions {
  readonly #kernel: Kernel;
  readonly #wal: Wal;
  readonly #guard: KernelGuard;
  /** So many of the rows ever made have their first definitions before the position. */
  #defined = { rows: 0, position: 0 };

  constructor(kernel: Kernel, wal: Wal, guard: KernelGuard) {
    this.#kernel = kernel;
    this.#wal = wal;
    this.#guard = guard;
  }

  /** Puts into the log what is due, as far as its ring has room. To be called every now and then. */
  write(): void {
    const kernel = this.#kernel;
    const { rows, position } = this.#defined;
    if (position > this.#wal.durable) return;
    if (((rows - kernel.rowsDefinedTwice) | 0) > 0) {
      this.#guard.run(() => {
        while (kernel.hasRingRoom && !kernel.redefine(rows));
      });
      this.#wal.wake();
    }
    this.#defined = { rows: kernel.rowsMade, position: this.#wal.position };
  }
}
