/**
 * When the head is cut, and the protocol of a cut. On a tenant's own data time: a window is cut when the head spans
 * more than 3 h, with the late generations of older windows; a tenant that is silent is cut whole.
 *
 *   seal in the log, durable ─► block written ─► in the bucket and the block list ─► older snapshots gone
 *     ─► samples leave the head ─► checkpoint ─► segments leave the log
 *
 * A crash at any point loses nothing: before the block is in the bucket the log brings the samples back and they are cut
 * again; from then on the replay leaves out what the block's meta.json says it covers.
 */
import type { BlockMeta } from '../block/meta.ts';
import type { BlockList } from '../bucket/block-list.ts';
import type { Bucket } from '../bucket/bucket.ts';
import type { BackgroundAnswer, BackgroundJob } from '../head/background.ts';
import type { CutOrder } from '../head/cut-block.ts';
import type { WindowGeneration } from '../head/head-source.ts';
import type { ActiveTenant, HeadWriter } from '../head/head-writer.ts';
import type { Snapshots } from '../head/snapshots.ts';
import type { Clock } from '../io/clock.ts';
import { nextTurn, type Port } from '../io/executor.ts';
import type { Kernel } from '../kernel/kernel.ts';
import * as L from '../kernel/layout.ts';
import type { UlidGenerator } from '../lib/ulid.ts';
import { WINDOW_MS } from '../model/time-range.ts';
import type { Wal } from '../wal/wal.ts';

/** A window is cut this long, in data time, after it ended: with it the head spans 3 h. */
const CUT_DELAY_MS = WINDOW_MS / 2;
const LOOK_INTERVAL_MS = 1000;
/** Rows that a sealed generation is taken out of in one turn of the event loop: a fraction of a millisecond. */
const ROWS_PER_TURN = 2048;
/** A disk that refuses a block is tried again after this. */
const RETRY_DELAY_MS = 5000;

export interface CutterParts {
  readonly kernel: Kernel;
  readonly wal: Wal;
  readonly writer: HeadWriter;
  readonly bucket: Bucket;
  readonly blocks: BlockList;
  readonly snapshots: Snapshots;
  readonly background: Port;
  readonly clock: Clock;
  readonly ulids: UlidGenerator;
}

export interface CutterSettings {
  /** Who cuts: goes into the blocks' meta.json, so that a replay knows its own. */
  readonly instance: string;
  readonly epoch: number;
  readonly idleCutMs: number;
  readonly generation: number;
  /** The oldest segment that the log has at the start. */
  readonly oldestSegment: number;
  readonly thanosLabels: (tenant: string) => Readonly<Record<string, string>>;
  readonly onCut: (tenant: string, meta: BlockMeta, durationMs: number) => void;
  readonly onCheckpoint: (bytes: number, durationMs: number) => void;
  readonly onRetry: (what: string, message: string) => void;
}

interface DueWindow {
  readonly tenant: ActiveTenant;
  readonly window: number;
}

/** A sealed generation on its way out of the head. */
interface Cut extends WindowGeneration {
  /** Everything that the log has of it comes before this sequence. */
  readonly position: number;
  /** Whether its block is in the block list. */
  isPublished: boolean;
}

export class HeadCutter {
  readonly #parts: CutterParts;
  readonly #settings: CutterSettings;
  /** By tenant: its cuts come one after the other. */
  readonly #cuts = new Map<string, Cut>();
  readonly #answers = new Map<number, (answer: BackgroundAnswer) => void>();
  readonly #stopLooking: () => void;
  #nextJob = 1;
  #round: Promise<void> | undefined;
  #isClosed = false;
  #retryAtMs = 0;
  /** The oldest segment that the log still needs. */
  #oldestSegment: number;
  readonly totals = { cuts: 0, checkpoints: 0 };

  constructor(parts: CutterParts, settings: CutterSettings) {
    this.#parts = parts;
    this.#settings = settings;
    this.#oldestSegment = settings.oldestSegment;
    parts.background.onMessage((message) => this.#receive(message as BackgroundAnswer));
    this.#stopLooking = parts.clock.every(LOOK_INTERVAL_MS, () => this.#look());
  }

  /** A tenant's generations that are in the block list and not yet out of the head. */
  published(tenant: string): readonly WindowGeneration[] {
    const cut = this.#cuts.get(tenant);
    return cut?.isPublished ? [cut] : [];
  }

  /** Segments in the log, the one being written included. */
  get segments(): number {
    return Math.max(0, this.#parts.wal.segment - this.#oldestSegment + 1);
  }

  /** Ends after the step at work; what is sealed and not yet in the bucket is cut after the next start. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopLooking();
    await this.#round;
  }

  #look(): void {
    this.#writeSecondDefinitions();
    if (this.#round !== undefined || this.#parts.clock.monotonicMs() < this.#retryAtMs) return;
    const due = this.#dueWindows();
    if (due.length === 0) return;
    this.#round = this.#cutAll(due)
      .catch((error: Error) => {
        this.#retryAtMs = this.#parts.clock.monotonicMs() + RETRY_DELAY_MS;
        this.#settings.onRetry('cut', error.message);
      })
      .finally(() => {
        this.#round = undefined;
      });
  }

  /** Every definition is in the log twice, in different commits: one damaged record orphans no series. */
  #writeSecondDefinitions(): void {
    const { kernel, wal } = this.#parts;
    if (wal.pendingBytes > 0 || kernel.rowsDefinedTwice === kernel.rowCount) return;
    while (kernel.hasRingRoom && !kernel.redefine(kernel.rowCount));
    wal.wake();
  }

  #dueWindows(): DueWindow[] {
    const { writer, clock } = this.#parts;
    const now = clock.monotonicMs();
    return [...writer.tenants].flatMap((tenant) =>
      this.#dueOf(tenant, now - tenant.lastWriteMs >= this.#settings.idleCutMs),
    );
  }

  /** The windows of a tenant to cut now, oldest first: all if it is idle, else those that are old enough. */
  #dueOf(tenant: ActiveTenant, isIdle: boolean): DueWindow[] {
    const unfinished = this.#cuts.get(tenant.key);
    if (unfinished !== undefined) return [{ tenant, window: unfinished.window }];
    const { memory } = this.#parts.kernel;
    const newestMs = Number(BigInt.asIntN(64, memory.long(tenant.handle + L.TENANT_NEWEST)));
    const sealedUntilMs = Number(memory.long(tenant.handle + L.TENANT_SEALED_UNTIL));
    const isDue = (window: number): boolean => isIdle || newestMs >= (window + 1) * WINDOW_MS + CUT_DELAY_MS;
    const windows = this.#heldWindows(tenant).filter(isDue);
    // Late samples alone are no reason: they wait for the next regular cut, or there would be a block for each of them.
    const isRegular = isIdle || windows.some((window) => (window + 1) * WINDOW_MS > sealedUntilMs);
    return isRegular ? windows.sort((a, b) => a - b).map((window) => ({ tenant, window })) : [];
  }

  /** The windows of a tenant whose open generation holds samples. */
  #heldWindows(tenant: ActiveTenant): number[] {
    const { memory } = this.#parts.kernel;
    const count = memory.word(tenant.handle + L.TENANT_WINDOWS);
    const slots = memory.word(tenant.handle + L.TENANT_WINDOW_SLOTS);
    const windows: number[] = [];
    for (let i = 0; i < count; i++) {
      const slot = slots + i * L.WINDOW_BYTES;
      if (memory.word(slot + L.WINDOW_TOUCHED) !== 0) windows.push(memory.word(slot + L.WINDOW_NUMBER));
    }
    return windows;
  }

  async #cutAll(due: readonly DueWindow[]): Promise<void> {
    for (const { tenant, window } of due) {
      if (this.#isClosed) return;
      await this.#cut(tenant, window);
    }
    // What is still held was written since; it is in the segments that stay.
    if (!this.#isClosed && this.segments > 1) await this.#checkpoint();
  }

  async #cut(tenant: ActiveTenant, window: number): Promise<void> {
    const { kernel, bucket, blocks, snapshots, clock } = this.#parts;
    const startedMs = clock.monotonicMs();
    const cut = this.#cuts.get(tenant.key) ?? (await this.#seal(tenant, window));
    const order = await this.#order(tenant, cut);
    const answer = await this.#run({ kind: 'cut', order });
    if (answer.kind !== 'cut') throw new Error('the background thread answered another job');
    if (answer.meta !== undefined) {
      await bucket.adopt(answer.directory, order.ulid);
      // In one turn: a snapshot sees the samples either in the block or in the head.
      blocks.add(answer.meta);
      cut.isPublished = true;
      this.totals.cuts++;
      this.#settings.onCut(tenant.key, answer.meta, clock.monotonicMs() - startedMs);
    }
    await snapshots.whenPresentOnesAreGone();
    await this.#dropFromHead(tenant, cut);
    kernel.release(tenant.handle, window);
    this.#cuts.delete(tenant.key);
  }

  /** Closes the open generation for new samples. */
  async #seal(tenant: ActiveTenant, window: number): Promise<Cut> {
    const { kernel, wal } = this.#parts;
    while (!kernel.hasRingRoom) await wal.whenDurable(wal.position);
    const position = Number(kernel.nextSequence);
    const generation = kernel.seal(tenant.handle, window);
    if (generation === 0) throw new Error(`window ${window} of tenant ${tenant.key} cannot be sealed`);
    const cut = { window, generation, position, isPublished: false };
    this.#cuts.set(tenant.key, cut);
    return cut;
  }

  /** Says in the log which block the generation becomes, and that everything before it is of that generation. */
  async #order(tenant: ActiveTenant, { window, generation, position }: Cut): Promise<CutOrder> {
    const { kernel, wal, ulids, clock } = this.#parts;
    const { instance, epoch, thanosLabels } = this.#settings;
    const ulid = ulids.next(clock.nowMs());
    const coverage = { instance, epoch, tenant: tenant.key, window, generation, position };
    while (!kernel.hasRingRoom) await wal.whenDurable(wal.position);
    kernel.log(sealRecord({ ...coverage, ulid }));
    await wal.whenDurable(wal.position);
    return { ulid, tenant: tenant.handle, coverage, thanosLabels: thanosLabels(tenant.key) };
  }

  async #dropFromHead(tenant: ActiveTenant, { window, generation }: Cut): Promise<void> {
    const { kernel } = this.#parts;
    const { memory } = kernel;
    let left = memory.loadWord(tenant.handle + L.TENANT_ROWS + L.LIST_COUNT);
    let segment = memory.word(tenant.handle + L.TENANT_ROWS + L.LIST_FIRST);
    while (left > 0) {
      const count = Math.min(left, memory.word(segment + L.SEGMENT_CAPACITY));
      for (let index = 0; index < count; index += ROWS_PER_TURN) {
        kernel.dropFromSegment(segment, index, Math.min(ROWS_PER_TURN, count - index), window, generation);
        await nextTurn();
      }
      left -= count;
      segment = memory.word(segment + L.SEGMENT_NEXT);
    }
  }

  async #checkpoint(): Promise<void> {
    const { kernel, wal, writer, clock } = this.#parts;
    const startedMs = clock.monotonicMs();
    await wal.whenDurable(wal.position);
    const lastSegment = wal.segment - 1;
    const tenants = [...writer.tenants].map(({ handle, key }) => ({
      handle,
      key,
      published: new Map(this.published(key).map(({ window, generation }) => [window, generation])),
    }));
    const position = { generation: this.#settings.generation, sequence: Number(kernel.nextSequence) - 1 };
    const answer = await this.#run({ kind: 'checkpoint', tenants, position, lastSegment });
    if (answer.kind !== 'checkpoint') throw new Error('the background thread answered another job');
    this.#oldestSegment = lastSegment + 1;
    this.totals.checkpoints++;
    this.#settings.onCheckpoint(answer.bytes, clock.monotonicMs() - startedMs);
  }

  #run(job: DistributiveOmit<BackgroundJob, 'id'>): Promise<BackgroundAnswer> {
    const id = this.#nextJob++;
    return new Promise((resolve, reject) => {
      this.#answers.set(id, (answer) => {
        if (answer.kind === 'failed') reject(new Error(answer.message));
        else resolve(answer);
      });
      this.#parts.background.post({ id, ...job });
    });
  }

  #receive(answer: BackgroundAnswer): void {
    const take = this.#answers.get(answer.id);
    this.#answers.delete(answer.id);
    take?.(answer);
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** The record of a seal: 3 | JSON of what is sealed, at which position, and the block that it becomes. */
function sealRecord(seal: object): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(seal));
  const record = new Uint8Array(1 + text.length);
  record[0] = L.RECORD_SEAL;
  record.set(text, 1);
  return record;
}
