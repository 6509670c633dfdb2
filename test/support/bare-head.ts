/** A head with its log on a simulated machine, without cuts: for tests of its parts. */
import { HeadWriter } from '../../storage/head/head-writer.ts';
import { KernelGuard } from '../../storage/head/kernel-guard.ts';
import { Kernel } from '../../storage/kernel/kernel.ts';
import { Wal } from '../../storage/wal/wal.ts';
import type { SimMachine } from './sim-machine.ts';

export class BareHead {
  readonly kernel: Kernel = new Kernel({ budgetBytes: 256 * 1024 * 1024, seed: 1 });
  readonly traps: string[] = [];
  readonly broken: string[] = [];
  readonly guard: KernelGuard = new KernelGuard((message) => void this.traps.push(message));
  readonly wal: Wal;
  readonly writer: HeadWriter;

  /** The log goes to `/data`, which is there. */
  constructor({ executor, clock }: Pick<SimMachine, 'executor' | 'clock'>, syncIntervalMs = 0) {
    this.kernel.continueLog(1n, 1);
    this.wal = new Wal(this.kernel.memory, {
      dataDirectory: '/data',
      segmentBytes: 1024 * 1024,
      firstSegment: 1,
      syncIntervalMs,
      executor,
      clock,
      onFailing: () => undefined,
      onRecovered: () => undefined,
      onShortage: () => undefined,
      onBroken: (message) => void this.broken.push(message),
    });
    this.writer = new HeadWriter(this.kernel, this.guard, this.wal, clock);
  }
}
