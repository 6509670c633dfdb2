/**
 * When the log is written anew without what it does not need any more, so that it stays bounded by what is uncut plus a
 * segment. Asked after the cuts of a round and never beside them, so there is at most one checkpoint a round:
 *
 *   samples left the head since the last one ─► and there are full segments, or nothing was cut for a minute ─► write
 *
 * At a start it is due if the log of the last process says that it held more than the head needs, or if it was damaged.
 */
import type { BackgroundThread } from '../head/background-thread.ts';
import type { WindowGeneration } from '../head/head-source.ts';
import type { ActiveTenant } from '../head/head-writer.ts';
import type { Clock } from '../io/clock.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { Backoff } from '../lib/backoff.ts';
import type { Wal } from '../wal/wal.ts';

/** Cuts of many tenants come one by one: while the log has one segment, the checkpoint waits for the last of them. */
const QUIET_MS = 60_000;

export interface CheckpointerParts {
  readonly kernel: Kernel;
  readonly wal: Wal;
  readonly background: BackgroundThread;
  readonly clock: Clock;
}

export interface CheckpointerSettings {
  /** Incarnation of the log. */
  readonly generation: number;
  /** The oldest segment that the log has at the start, or the number of the first one if it has none. */
  readonly oldestSegment: number;
  /** Whether the log is worth writing anew already at the start. */
  readonly isStale: boolean;
  /** Records that a checkpoint is to hold besides what is in the head. */
  readonly extraRecords: () => Uint8Array[];
  /** `number` is the last segment that it stands for. */
  readonly onCheckpoint: (number: number, bytes: number, durationMs: number) => void;
  readonly onRetry: (message: string) => void;
}

export class HeadCheckpointer {
  readonly #parts: CheckpointerParts;
  readonly #settings: CheckpointerSettings;
  #oldestSegment: number;
  /** Since when the log holds what the head does not; undefined if it does not. */
  #cutAtMs: number | undefined;
  readonly #backoff = new Backoff();
  /** How many were written. */
  count = 0;

  constructor(parts: CheckpointerParts, settings: CheckpointerSettings) {
    this.#parts = parts;
    this.#settings = settings;
    this.#oldestSegment = settings.oldestSegment;
    if (settings.isStale) this.noteCut();
  }

  /** Everything before this segment is in the last checkpoint, as far as it is needed. */
  get oldestSegment(): number {
    return this.#oldestSegment;
  }

  /** Segments in the log, the one being written included. */
  get segments(): number {
    return this.#parts.wal.segment - this.#oldestSegment + 1;
  }

  /** Samples have left the head. */
  noteCut(): void {
    this.#cutAtMs = this.#parts.clock.monotonicMs();
  }

  get isDue(): boolean {
    const now = this.#parts.clock.monotonicMs();
    if (this.#cutAtMs === undefined || this.#lastSegment === 0 || !this.#backoff.isOver(now)) return false;
    return this.segments > 1 || now - this.#cutAtMs >= QUIET_MS;
  }

  /**
   * Writes every definition and all that is in no block. `published` are a tenant's generations that are in a block and
   * still in the head. If it fails, it is due again after a while.
   */
  async write(
    tenants: Iterable<ActiveTenant>,
    published: (tenant: string) => readonly WindowGeneration[],
  ): Promise<void> {
    const { wal, clock } = this.#parts;
    const startedMs = clock.monotonicMs();
    try {
      await wal.whenDurable(wal.position);
      const lastSegment = this.#lastSegment;
      const bytes = await this.#writeUpTo(lastSegment, tenants, published);
      this.#oldestSegment = lastSegment + 1;
      this.#cutAtMs = undefined;
      this.count++;
      this.#backoff.succeed();
      this.#settings.onCheckpoint(lastSegment, bytes, clock.monotonicMs() - startedMs);
    } catch (error) {
      this.#backoff.fail(clock.monotonicMs());
      this.#settings.onRetry(error instanceof Error ? error.message : String(error));
    }
  }

  #writeUpTo(
    lastSegment: number,
    tenants: Iterable<ActiveTenant>,
    published: (tenant: string) => readonly WindowGeneration[],
  ): Promise<number> {
    const { kernel, background } = this.#parts;
    return background.writeCheckpoint({
      tenants: Array.from(tenants, ({ handle, key }) => ({
        handle,
        key,
        published: new Map(published(key).map(({ window, generation }) => [window, generation])),
      })),
      position: { generation: this.#settings.generation, sequence: Number(kernel.nextSequence) - 1 },
      lastSegment,
      extraRecords: this.#settings.extraRecords(),
    });
  }

  /** What is in the ring or comes later goes to the segments behind this one. */
  get #lastSegment(): number {
    return this.#parts.wal.segment - 1;
  }
}
