/**
 * When dead series leave the head, so that it does not grow with series that come and go. Asked after the cuts of a
 * round and never beside them: then nobody reads the head but queries, and those hold snapshots.
 *
 *   mark      rows that hold nothing, when many may be dead ─► enough of them?
 *   wait      until a checkpoint stands for all segments that have samples of them: the replay needs their definitions
 *   collect   those that still hold nothing leave the index, step by step between the writes
 *   free      their memory, when the snapshots from before are gone
 */
import type { ActiveTenant, HeadWriter } from '../head/head-writer.ts';
import { rowPieces } from '../head/row-pieces.ts';
import type { Snapshots } from '../head/snapshots.ts';
import { nextTurn } from '../io/executor.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Wal } from '../wal/wal.ts';
import type { HeadCheckpointer } from './head-checkpointer.ts';

/** It is worth while when this share of the series may be dead, and so many at least. */
const DEAD_SHARE = 0.1;
const DEAD_AT_LEAST = 1000;
/** What is done in one turn of the event loop: a fraction of a millisecond each. */
const ROWS_PER_TURN = 2048;
const WORK_PER_TURN = 20_000;
const PIECES_PER_TURN = 4096;

export interface CollectorParts {
  readonly kernel: Kernel;
  readonly wal: Pick<Wal, 'segment'>;
  readonly writer: HeadWriter;
  readonly snapshots: Snapshots;
  readonly checkpointer: Pick<HeadCheckpointer, 'oldestSegment'>;
}

/** Rows that held nothing when they were looked at. */
interface Marked {
  readonly tenants: readonly ActiveTenant[];
  /** What the log has of them is in segments up to this one. */
  readonly lastSegment: number;
}

export class HeadCollector {
  readonly #parts: CollectorParts;
  readonly #deadAtLeast: number;
  /** Rows that may have died since they were looked at: those of tenants that were cut. */
  #rowsCut: number;
  /** What the log has of rows that hold nothing is in segments up to this one. */
  #lastSegment: number;
  /** Of those made up to here it is known whether they held something; later ones may never have got a sample. */
  #rowsSeen = 0;
  #marked: Marked | undefined;
  /** What to free: nothing known; snapshots may still see it; nobody does. */
  #retired: 'unknown' | 'seen' | 'unseen' = 'unknown';
  #isClosed = false;
  /** How many series have left. */
  count = 0;

  /** After a start it is not known of any row whether it holds something. */
  constructor(parts: CollectorParts, deadAtLeast: number = DEAD_AT_LEAST) {
    this.#parts = parts;
    this.#deadAtLeast = deadAtLeast;
    this.#rowsCut = parts.kernel.rowCount;
    this.#lastSegment = parts.wal.segment - 1;
  }

  /** Samples of some of these rows have left the head, which the log has in segments up to the given one. */
  noteCut(rows: number, lastSegment: number): void {
    this.#rowsCut += rows;
    this.#lastSegment = Math.max(lastSegment, this.#lastSegment);
  }

  get isDue(): boolean {
    return this.#canFree || this.#canCollect || this.#canMark;
  }

  /** Looks for rows that hold nothing, if many of them may. */
  async mark(): Promise<void> {
    if (!this.#canMark) return;
    const { kernel, writer } = this.#parts;
    this.#rowsCut = 0;
    this.#rowsSeen = kernel.rowsMade;
    const lastSegment = this.#lastSegment;
    const tenants: ActiveTenant[] = [];
    let rows = 0;
    let sinceTurn = 0;
    for (const tenant of writer.tenants) {
      let ofTenant = 0;
      for (const { segment, index, count } of rowPieces(kernel.memory, tenant.handle, ROWS_PER_TURN)) {
        ofTenant += await writer.between(() => kernel.markEmpty(segment, index, count));
        sinceTurn += count;
        if (sinceTurn < ROWS_PER_TURN) continue;
        sinceTurn = 0;
        await nextTurn();
        if (this.#isClosed) return;
      }
      if (ofTenant > 0) tenants.push(tenant);
      rows += ofTenant;
    }
    if (rows >= this.#enough) this.#marked = { tenants, lastSegment };
  }

  /** Lets dead series go that the log needs no more, and frees what nobody sees any more. */
  async work(): Promise<void> {
    if (this.#canFree) await this.#free();
    if (this.#canCollect) await this.#collect();
    if (this.#canFree) await this.#free();
  }

  /** Ends the work at the next turn. */
  close(): void {
    this.#isClosed = true;
  }

  get #enough(): number {
    return Math.max(this.#deadAtLeast, this.#parts.kernel.rowCount * DEAD_SHARE);
  }

  get #canMark(): boolean {
    const made = (this.#parts.kernel.rowsMade - this.#rowsSeen) >>> 0;
    return this.#marked === undefined && this.#rowsCut + made >= this.#enough;
  }

  get #canCollect(): boolean {
    return this.#marked !== undefined && this.#parts.checkpointer.oldestSegment > this.#marked.lastSegment;
  }

  get #canFree(): boolean {
    return this.#retired === 'unseen' || (this.#retired === 'unknown' && this.#parts.kernel.hasRetired);
  }

  async #collect(): Promise<void> {
    const { kernel, writer } = this.#parts;
    for (const { handle } of this.#marked?.tenants ?? []) {
      for (let isDone = false; !isDone; ) {
        const before = kernel.rowCount;
        isDone = await writer.between(() => kernel.collect(handle, WORK_PER_TURN));
        this.count += before - kernel.rowCount;
        await nextTurn();
        if (this.#isClosed) return;
      }
    }
    this.#marked = undefined;
  }

  /** Asks first who may see what is retired. */
  async #free(): Promise<void> {
    const { kernel, snapshots, writer } = this.#parts;
    if (this.#retired === 'unknown') {
      await writer.between(() => kernel.sealRetired());
      this.#retired = 'seen';
      void snapshots.whenPresentOnesAreGone().then(() => {
        this.#retired = 'unseen';
      });
      return;
    }
    for (let left = 1; left > 0; await nextTurn()) {
      if (this.#isClosed) return;
      left = await writer.between(() => kernel.freeRetired(PIECES_PER_TURN));
    }
    this.#retired = 'unknown';
  }
}
