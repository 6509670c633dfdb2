/**
 * The protocol of a cut, and the rounds in which tenants are cut. On a tenant's own data time: a window is cut when the
 * head spans more than 3 h, with the late generations of older windows; a tenant that is silent is cut whole, and so
 * are all when memory is short.
 *
 *   seal in the log, durable ─► block written ─► durable and in the catalogue ─► older snapshots gone
 *     ─► samples leave the head ─► checkpoint ─► segments leave the log ─► dead series leave the head
 *
 * A crash at any point loses nothing: before the block is durable the log brings the samples back and they are cut
 * again; from then on the replay leaves out what the block's meta.json says it covers. A cut that fails is taken up
 * where it was, later and later; meanwhile the other tenants are cut.
 */
import type { BlockMeta } from '../block/meta.ts';
import type { Blocks } from '../catalog/blocks.ts';
import type { BackgroundThread } from '../head/background-thread.ts';
import type { CutOrder } from '../head/cut-block.ts';
import type { WindowGeneration } from '../head/head-source.ts';
import type { ActiveTenant, HeadWriter } from '../head/head-writer.ts';
import type { KernelGuard } from '../head/kernel-guard.ts';
import type { MetadataStore } from '../head/metadata-store.ts';
import { rowPieces } from '../head/row-pieces.ts';
import type { Snapshots } from '../head/snapshots.ts';
import type { Clock } from '../io/clock.ts';
import { nextTurn } from '../io/executor.ts';
import type { Kernel } from '../kernel/kernel.ts';
import * as L from '../kernel/layout.ts';
import { Backoff } from '../lib/backoff.ts';
import type { Wal } from '../wal/wal.ts';
import { dueWindows } from './due-windows.ts';
import type { HeadCheckpointer } from './head-checkpointer.ts';
import type { HeadCollector } from './head-collector.ts';

const LOOK_INTERVAL_MS = 1000;
/** Rows that a sealed generation is taken out of in one turn of the event loop: a fraction of a millisecond. */
const ROWS_PER_TURN = 2048;
/** After so many it is looked anew who is due, and whether the log needs a checkpoint. */
const TENANTS_PER_ROUND = 32;
/** When less of the memory budget is free, everything is cut: this share, and more than the kernel keeps for one series. */
const SHORT_SHARE = 0.1;
const SHORT_BYTES = 4 * 1024 * 1024;

export interface CutterParts {
  readonly kernel: Kernel;
  readonly guard: KernelGuard;
  readonly wal: Wal;
  readonly writer: HeadWriter;
  readonly blocks: Pick<Blocks, 'adopt'>;
  readonly snapshots: Snapshots;
  readonly background: BackgroundThread;
  readonly checkpointer: HeadCheckpointer;
  readonly collector: HeadCollector;
  readonly metadata: MetadataStore;
  readonly clock: Clock;
}

export interface CutterSettings {
  /** Who cuts: goes into the blocks' meta.json, so that a replay knows its own. */
  readonly instance: string;
  readonly epoch: number;
  readonly idleCutMs: number;
  /** Each greater than all before it: of blocks with a sample at the same time, the one made first wins. */
  readonly nextUlid: () => string;
  readonly thanosLabels: (tenant: string) => Readonly<Record<string, string>>;
  readonly onCut: (tenant: string, meta: BlockMeta, durationMs: number) => void;
  readonly onRetry: (message: string) => void;
}

interface DueTenant {
  readonly tenant: ActiveTenant;
  /** Oldest first. */
  readonly windows: readonly number[];
}

/** A sealed generation on its way out of the head. */
interface Cut extends WindowGeneration {
  /** Everything that the log has of it comes before this sequence. */
  readonly position: number;
  /** Whether its block, if there was anything to put into one, is in the catalogue. */
  isPublished: boolean;
  /** ... and in segments of it up to this one. */
  lastSegment: number;
}

export class HeadCutter {
  readonly #parts: CutterParts;
  readonly #settings: CutterSettings;
  /** By tenant: its cuts come one after the other. */
  readonly #cuts = new Map<string, Cut>();
  /** By tenant: those whose last cut failed. */
  readonly #backoffs = new Map<string, Backoff>();
  readonly #closing = Promise.withResolvers<void>();
  readonly #stopLooking: () => void;
  #round: Promise<void> | undefined;
  #isClosed = false;
  /** What the head held after it was last cut for want of memory. */
  #usedAfterPressure = 0;
  /** How many blocks were made. */
  count = 0;

  constructor(parts: CutterParts, settings: CutterSettings) {
    this.#parts = parts;
    this.#settings = settings;
    this.#stopLooking = parts.clock.every(LOOK_INTERVAL_MS, () => this.#look());
  }

  /** A tenant's generations that are in a block of the catalogue and not yet out of the head. */
  published(tenant: string): readonly WindowGeneration[] {
    const cut = this.#cuts.get(tenant);
    return cut?.isPublished ? [cut] : [];
  }

  /** Ends after the step at work; what is sealed and not yet in a block is cut after the next start. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopLooking();
    this.#closing.resolve();
    this.#parts.collector.close();
    await this.#round;
  }

  #look(): void {
    if (this.#round !== undefined) return;
    const isPressed = this.#isPressed;
    const due = this.#dueTenants(isPressed);
    const { checkpointer, collector } = this.#parts;
    if (due.length === 0 && !checkpointer.isDue && !collector.isDue) return;
    this.#round = this.#runRound(due.slice(0, TENANTS_PER_ROUND)).finally(() => {
      this.#round = undefined;
      if (isPressed) this.#usedAfterPressure = this.#parts.kernel.usedBytes;
      if (due.length > TENANTS_PER_ROUND && !this.#isClosed) this.#look();
    });
  }

  /** Tenants with something to cut; those that write come first, the silent ones have time. */
  #dueTenants(isPressed: boolean): DueTenant[] {
    const { kernel, writer, clock } = this.#parts;
    const now = clock.monotonicMs();
    const writing: DueTenant[] = [];
    const silent: DueTenant[] = [];
    for (const tenant of writer.tenants) {
      if (this.#backoffs.get(tenant.key)?.isOver(now) === false) continue;
      const begun = this.#cuts.get(tenant.key);
      const isIdle = now - tenant.lastWriteMs >= this.#settings.idleCutMs;
      const isWhole = isIdle || isPressed;
      const windows = begun === undefined ? dueWindows(kernel.memory, tenant.handle, isWhole) : [begun.window];
      if (windows.length > 0) (isIdle ? silent : writing).push({ tenant, windows });
    }
    return [...writing, ...silent];
  }

  /**
   * The head is nearly at its budget, where writes are refused and data time would stand still for ever; and as much has
   * come since it was last cut for that as makes blocks worth while.
   */
  get #isPressed(): boolean {
    const { usedBytes, budgetBytes } = this.#parts.kernel;
    const short = Math.max(budgetBytes * SHORT_SHARE, SHORT_BYTES);
    return budgetBytes - usedBytes < short && usedBytes - this.#usedAfterPressure >= budgetBytes * SHORT_SHARE;
  }

  async #runRound(due: readonly DueTenant[]): Promise<void> {
    const { writer, checkpointer, collector } = this.#parts;
    const failures: string[] = [];
    for (const { tenant, windows } of due) {
      try {
        for (const window of windows) if (!this.#isClosed) await this.#cut(tenant, window);
        this.#backoffs.delete(tenant.key);
      } catch (error) {
        this.#postpone(tenant);
        failures.push(`tenant ${tenant.key}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    if (failures.length > 0) {
      const others = failures.length === 1 ? '' : ` (and ${failures.length - 1} more)`;
      this.#settings.onRetry(`${failures[0]}${others}`);
    }
    if (!this.#isClosed) await collector.mark();
    if (!this.#isClosed && checkpointer.isDue) await checkpointer.write(writer.tenants, (key) => this.published(key));
    if (!this.#isClosed) await collector.work();
  }

  #postpone({ key }: ActiveTenant): void {
    const backoff = this.#backoffs.get(key) ?? new Backoff();
    backoff.fail(this.#parts.clock.monotonicMs());
    this.#backoffs.set(key, backoff);
  }

  /** Cuts a window, or goes on with the cut of it that did not come to its end. */
  async #cut(tenant: ActiveTenant, window: number): Promise<void> {
    const { kernel, snapshots, checkpointer, collector } = this.#parts;
    const cut = this.#cuts.get(tenant.key) ?? (await this.#seal(tenant, window));
    if (!cut.isPublished) await this.#publish(tenant, cut);
    // Queries may hold a snapshot for as long as they like; a stop does not wait for them.
    await Promise.race([snapshots.whenPresentOnesAreGone(), this.#closing.promise]);
    if (this.#isClosed) return;
    await this.#dropFromHead(tenant, cut);
    this.#cuts.delete(tenant.key);
    checkpointer.noteCut();
    const rows = kernel.memory.loadWord(tenant.handle + L.TENANT_ROWS + L.LIST_COUNT);
    collector.noteCut(rows, cut.lastSegment);
  }

  /** Closes the open generation for new samples. */
  async #seal(tenant: ActiveTenant, window: number): Promise<Cut> {
    const { kernel, guard } = this.#parts;
    const position = Number(kernel.nextSequence);
    const generation = guard.run(() => kernel.seal(tenant.handle, window));
    if (generation === 0) throw new Error(`window ${window} of tenant ${tenant.key} cannot be sealed`);
    const cut = { window, generation, position, isPublished: false, lastSegment: 0 };
    this.#cuts.set(tenant.key, cut);
    return cut;
  }

  /** Makes the block of a sealed generation and lets the catalogue have it. */
  async #publish(tenant: ActiveTenant, cut: Cut): Promise<void> {
    const { background, blocks, clock, wal } = this.#parts;
    const startedMs = clock.monotonicMs();
    const order = await this.#order(tenant, cut);
    cut.lastSegment = wal.segment;
    const { directory, meta } = await background.cut(order);
    // In one turn: a snapshot sees the samples either in the block or in the head.
    if (meta !== undefined) blocks.adopt(directory, meta);
    cut.isPublished = true;
    if (meta === undefined) return;
    this.count++;
    this.#settings.onCut(tenant.key, meta, clock.monotonicMs() - startedMs);
  }

  /** Says in the log which block the generation becomes, and that everything before it is of that generation. */
  async #order(tenant: ActiveTenant, { window, generation, position }: Cut): Promise<CutOrder> {
    const { kernel, guard, wal, metadata } = this.#parts;
    const { instance, epoch, nextUlid, thanosLabels } = this.#settings;
    const ulid = nextUlid();
    const coverage = { instance, epoch, tenant: tenant.key, window, generation, position };
    while (!kernel.hasRingRoom) await wal.whenDurable(wal.position);
    guard.run(() => kernel.log(sealRecord({ ...coverage, ulid })));
    await wal.whenDurable(wal.position);
    return {
      ulid,
      tenant: tenant.handle,
      coverage,
      thanosLabels: thanosLabels(tenant.key),
      metadata: metadata.of(tenant.key),
    };
  }

  async #dropFromHead(tenant: ActiveTenant, { window, generation }: Cut): Promise<void> {
    const { kernel, guard } = this.#parts;
    for (const { segment, index, count } of rowPieces(kernel.memory, tenant.handle, ROWS_PER_TURN)) {
      guard.run(() => kernel.dropFromSegment(segment, index, count, window, generation));
      await nextTurn();
    }
    guard.run(() => kernel.release(tenant.handle, window));
  }
}

/** The record of a seal: 3 | JSON of what is sealed, at which position, and the block that it becomes. */
export function sealRecord(seal: object): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(seal));
  const record = new Uint8Array(1 + text.length);
  record[0] = L.RECORD_SEAL;
  record.set(text, 1);
  return record;
}
