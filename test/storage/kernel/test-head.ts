/** A head of its own for the kernel's tests: the kernel on its memory, the log taken out of the ring, all of it read. */
import type { HeadItem } from '../../../storage/head/head-item.ts';
import { HeadView } from '../../../storage/head/head-view.ts';
import { rowPieces } from '../../../storage/head/row-pieces.ts';
import { Kernel, type KernelSettings, type Outcome, type Protocol } from '../../../storage/kernel/kernel.ts';
import * as L from '../../../storage/kernel/layout.ts';
import { frameAt } from '../../../storage/wal/frame.ts';
import { decodeXorChunk } from '../../support/oracle/xor-decoder.ts';

export const WINDOW_MS = 7_200_000;
/** A Friday, at the start of a window. */
export const START_MS: number = 1_763_625_600_000 - (1_763_625_600_000 % WINDOW_MS);
const TENANT = 'default-tenant';

/** An arena above 2 GiB: addresses are negative where a signed number is taken for one. */
export const HIGH_ARENA: number = 2 ** 31 + 4096 * 16;

export interface LogFrame {
  readonly sequence: number;
  readonly generation: number;
  readonly payload: Uint8Array;
}

/** Samples of a series as the head shows them: bits and generation by time. */
export type ShownSeries = Map<number, { readonly bits: bigint; readonly generation: number }>;

export class TestHead {
  readonly kernel: Kernel;
  readonly view: HeadView;
  readonly tenant: number;
  /** What the log got. */
  readonly frames: LogFrame[] = [];

  constructor(settings: Partial<KernelSettings> = {}) {
    this.kernel = new Kernel({ budgetBytes: 256 * 1024 * 1024, seed: 7, ...settings });
    this.view = new HeadView(this.kernel.memory.memory, 1);
    this.tenant = this.kernel.tenant(TENANT);
  }

  /** Receives and applies a body; the log is taken out of the ring as a committer would. */
  write(
    body: Uint8Array,
    latestMs: number,
    tenant: number = this.tenant,
    protocol: Protocol = 'v1',
  ): { status: number; outcome: Outcome } {
    this.kernel.receive(tenant, body, { protocol });
    for (;;) {
      const status = this.kernel.apply(tenant, latestMs);
      this.takeLog();
      if (status !== L.APPLIED_PART) return { status, outcome: this.kernel.outcome() };
    }
  }

  /** Moves the frames out of the ring; throws if one is not valid. */
  takeLog(): LogFrame[] {
    const { memory } = this.kernel;
    const head = memory.loadWord(L.WAL_HEAD);
    const tail = memory.loadWord(L.WAL_TAIL);
    const used = (head - tail) >>> 0;
    if (used > L.WAL_RING_BYTES) throw new Error(`${used} bytes in a ring of ${L.WAL_RING_BYTES}`);
    const start = tail % L.WAL_RING_BYTES;
    const first = Math.min(used, L.WAL_RING_BYTES - start);
    const bytes = Buffer.concat([
      memory.bytes(L.WAL_RING + start, first).slice(),
      memory.bytes(L.WAL_RING, used - first).slice(),
    ]);
    const taken: LogFrame[] = [];
    for (let at = 0; at < bytes.length; ) {
      const frame = frameAt(bytes, at);
      if (frame === undefined || !('payload' in frame)) throw new Error(`no frame at ${at} of ${bytes.length}`);
      taken.push(frame);
      at += L.FRAME_HEADER_BYTES + frame.payload.length;
    }
    memory.storeWord(L.WAL_TAIL, head);
    this.frames.push(...taken);
    return taken;
  }

  /** Takes a sealed generation out of every row and frees it. */
  dropSealed(window: number, generation: number, tenant: number = this.tenant): void {
    for (const { segment, index, count } of rowPieces(this.kernel.memory, tenant, 1000))
      this.kernel.dropFromSegment(segment, index, count, window, generation);
    this.kernel.release(tenant, window);
  }

  /** Marks the rows of a tenant that hold nothing, all defined twice; returns how many there are. */
  markEmpty(tenant: number = this.tenant): number {
    while (!this.kernel.redefine(this.kernel.rowsMade)) this.takeLog();
    this.takeLog();
    let marked = 0;
    for (const { segment, index, count } of rowPieces(this.kernel.memory, tenant, 1000))
      marked += this.kernel.markEmpty(segment, index, count);
    return marked;
  }

  /** Lets the dead series of all tenants go; `between` runs after each step, `beforeFree` when nothing leads to them. */
  collect(
    tenants: readonly number[] = [this.tenant],
    { work = 1000, between, beforeFree }: { work?: number; between?: () => void; beforeFree?: () => void } = {},
  ): void {
    for (const tenant of tenants) {
      this.markEmpty(tenant);
      while (!this.kernel.collect(tenant, work)) between?.();
    }
    this.kernel.sealRetired();
    beforeFree?.();
    while (this.kernel.freeRetired(work) > 0) between?.();
  }

  /** The items that the head shows of a tenant, by labels; throws where they are not in order or in the wrong window. */
  items(tenant: number = this.tenant): Map<string, HeadItem[]> {
    const shown = new Map<string, HeadItem[]>();
    for (const row of this.view.list(tenant + L.TENANT_ROWS)) {
      const items = this.view.items(row, () => true);
      items.forEach(({ timeMs, window }, i) => {
        if (Math.floor(timeMs / WINDOW_MS) !== window) throw new Error('an item is in the wrong window');
        if (i > 0 && timeMs < (items[i - 1] as HeadItem).timeMs) throw new Error('items are not sorted');
      });
      shown.set(keyOfLabels(this.view.labels(row)), items);
    }
    return shown;
  }

  /** The start timestamps of floats that have one, by labels and time: what their generation says of their time. */
  starts(tenant: number = this.tenant): Map<string, Map<number, number>> {
    const items = this.items(tenant);
    const shown = new Map<string, Map<number, number>>();
    for (const [key, samples] of this.content(tenant)) {
      const told = (items.get(key) ?? []).filter(({ kind }) => kind === L.KIND_START);
      const starts = new Map<number, number>();
      for (const [time, { generation }] of [...samples].sort(([a], [b]) => a - b)) {
        const last = told.findLast(({ timeMs, ...item }) => timeMs <= time && item.generation === generation);
        const isOfWindow = last !== undefined && last.window === Math.floor(time / WINDOW_MS);
        const start = isOfWindow ? Number(Buffer.from(last.bytes).readBigInt64LE()) : 0;
        if (start !== 0) starts.set(time, start);
      }
      if (starts.size > 0) shown.set(key, starts);
    }
    return shown;
  }

  /** All that the head shows of a tenant, by labels; throws where a chunk contradicts itself or another. */
  content(tenant: number = this.tenant): Map<string, ShownSeries> {
    const shown = new Map<string, ShownSeries>();
    for (const row of this.view.list(tenant + L.TENANT_ROWS)) {
      const key = keyOfLabels(this.view.labels(row));
      if (shown.has(key)) throw new Error(`two rows of ${key}`);
      shown.set(key, readRow(this.view, row));
    }
    return shown;
  }
}

/** As the model spells labels. */
function keyOfLabels(labels: readonly string[]): string {
  return JSON.stringify(Array.from({ length: labels.length / 2 }, (_, i) => [labels[i * 2], labels[i * 2 + 1]]));
}

/** The samples of a row, whose chunks must be sound and share no timestamp. */
export function readRow(view: HeadView, row: number): ShownSeries {
  const samples: ShownSeries = new Map();
  for (const { minTimeMs, maxTimeMs, bytes, window, generation } of view.chunks(row, () => true)) {
    const { timestamps, bits } = decodeXorChunk(bytes);
    if (timestamps.length === 0 || timestamps.length > L.CHUNK_SAMPLES) throw new Error('a chunk of wrong size');
    if (timestamps[0] !== minTimeMs || timestamps.at(-1) !== maxTimeMs) throw new Error('wrong times of a chunk');
    timestamps.forEach((time, i) => {
      if (Math.floor(time / WINDOW_MS) !== window) throw new Error('a chunk crosses its window');
      if (i > 0 && time <= (timestamps[i - 1] as number)) throw new Error('a chunk is not sorted');
      if (samples.has(time)) throw new Error(`two samples at ${time}`);
      samples.set(time, { bits: bits[i] as bigint, generation });
    });
  }
  return samples;
}
