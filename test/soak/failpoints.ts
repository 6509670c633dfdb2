/**
 * kill -9 under load at every call of an upload to the bucket, or of a checkpoint or a cut to the disk, again and again:
 * before it, in the middle of it, and after it. After each end the bucket is looked at as a stranger sees it, and in the end
 * everything is held against the senders' records.
 */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DurableLoad } from '../support/durable-load.ts';
import { KILL_PHASES, type KillPhase } from '../support/kill-phase.ts';
import { giveOrders, type KillingBucketConfig } from '../support/killing-bucket.ts';
import type { FileOrders } from '../support/machine-file-system.ts';
import { readStreamed } from '../support/remote-read.ts';
import { seededChance } from '../support/sim-file-system.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { Varve } from '../support/varve.ts';

/** What is under way when the process ends. */
export type Work = 'uploads' | 'checkpoints' | 'cuts';

export interface FailpointTally {
  rounds: number;
  /** By the call at which the process ended and how. */
  readonly ends: Record<string, number>;
  acknowledged: number;
  /** In the bucket, at the end of each directory. */
  blocks: number;
  readonly violations: string[];
}

/** A fresh directory now and then, so that the comparison of everything stays short. */
const ROUNDS_A_DIRECTORY = 25;
const SEGMENT_BYTES = 16 * 1024;
/** Five minutes of data a request: a block every few dozen requests. */
const SHAPE = { series: 5, samples: 10, stepMs: 30_000 };
/** So many calls after the start are ended at: those of some blocks or checkpoints, which may come among each other. */
const CALLS = 24;
/** The calls to the disk that belong to a piece of work. */
const FILE_CALLS = {
  checkpoints: String.raw`^\w+ .*/wal/checkpoint|^remove .*/wal/`,
  cuts: String.raw`^\w+ .*/blocks\b`,
} as const;
const DELAYS_MS = [0, 0, 1, 3, 10];
/** Copies make room for each other at once, so that reads go to the bucket. */
const FLAGS = ['--sync-block-duration=1s', '--storage.local-blocks=3KiB'];

export async function runFailpoints(options: {
  readonly work: Work;
  readonly rounds: number;
  readonly seed: number;
  readonly log?: (line: string) => void;
}): Promise<FailpointTally> {
  const chance = seededChance(options.seed);
  const tally: FailpointTally = { rounds: 0, ends: {}, acknowledged: 0, blocks: 0, violations: [] };
  while (tally.rounds < options.rounds && tally.violations.length === 0) {
    const rounds = Math.min(options.rounds - tally.rounds, ROUNDS_A_DIRECTORY);
    await runDirectory({ work: options.work, rounds }, tally, chance);
    options.log?.(failpointLine(tally));
  }
  return tally;
}

export function failpointLine({ rounds, ends, acknowledged, blocks, violations }: FailpointTally): string {
  const kinds = Object.keys(ends).length;
  return `${rounds} rounds (${kinds} kinds of ends), ${acknowledged} requests acknowledged, ${blocks} blocks in the bucket, ${violations.length} violations`;
}

/** What the next process is told of where it ends. */
class Orders {
  readonly bucket: KillingBucketConfig;
  readonly files: string;
  readonly #work: Work;

  constructor(directory: string, work: Work) {
    this.bucket = { directory: join(directory, 'store'), orders: join(directory, 'bucket-orders.json') };
    this.files = join(directory, 'file-orders.json');
    this.#work = work;
    this.clear();
  }

  killAt(call: number, phase: KillPhase, delayMs: number): void {
    if (this.#work === 'uploads') giveOrders(this.bucket, { killAt: { call, phase, delayMs } });
    else this.#giveFileOrders({ killAt: { calls: FILE_CALLS[this.#work], call, phase } });
  }

  clear(): void {
    giveOrders(this.bucket, {});
    this.#giveFileOrders({});
  }

  #giveFileOrders(orders: FileOrders): void {
    writeFileSync(this.files, JSON.stringify(orders));
  }
}

async function runDirectory(
  { work, rounds }: { readonly work: Work; readonly rounds: number },
  tally: FailpointTally,
  chance: () => number,
): Promise<void> {
  using temporary = new TemporaryDirectory(work);
  const orders = new Orders(temporary.path, work);
  const { bucket, files: fileOrders } = orders;
  const store = bucket.directory;
  const directory = join(temporary.path, 'data');
  const machine = { segmentBytes: SEGMENT_BYTES, bucket, fileOrders };
  await using varve = await Varve.start({ directory, machine, flags: FLAGS });
  const load = new DurableLoad(SHAPE);
  for (let round = 0; round < rounds; round++) {
    const call = 1 + (tally.rounds % CALLS);
    const phase = KILL_PHASES[Math.floor(tally.rounds / CALLS) % KILL_PHASES.length] as KillPhase;
    const delayMs = DELAYS_MS[Math.floor(chance() * DELAYS_MS.length)] as number;
    await varve.kill();
    orders.killAt(call, phase, delayMs);
    // It may end while it starts: what the last process left undone is done then.
    await varve.restart(FLAGS).catch((error: unknown) => {
      if (varve.isRunning) throw error;
    });
    // The process ends by itself.
    await load.run(varve, () => !varve.isRunning);
    await until('the end', () => !varve.isRunning);
    tally.ends[`${phase} ${call}`] = (tally.ends[`${phase} ${call}`] ?? 0) + 1;
    tally.rounds++;
    tally.violations.push(...halfBlocks(store));
    orders.clear();
    await varve.restart(FLAGS);
    tally.violations.push(...load.journal.violations(await readStreamed(varve.url, load.wholeRange)));
    if (tally.violations.length > 0) return;
  }
  await until('all to be uploaded', () =>
    readdirSync(join(directory, 'blocks')).every((name) => existsSync(join(store, name, 'meta.json'))),
  );
  tally.violations.push(...halfBlocks(store), ...doubledBlocks(store));
  tally.acknowledged += load.journal.count('acknowledged');
  tally.blocks += readdirSync(store).length;
}

interface Meta {
  readonly thanos: {
    readonly files: readonly { readonly rel_path: string; readonly size_bytes?: number }[];
    readonly extensions: { readonly varve: Record<string, unknown> };
  };
}

function metas(store: string): [string, Meta][] {
  const names = existsSync(store) ? readdirSync(store) : [];
  return names.flatMap((name) => {
    const path = join(store, name, 'meta.json');
    return existsSync(path) ? [[name, JSON.parse(readFileSync(path, 'utf8')) as Meta]] : [];
  });
}

/** Blocks that a reader of the bucket sees and that are not whole. */
function halfBlocks(store: string): string[] {
  return metas(store).flatMap(([name, { thanos }]) =>
    thanos.files
      .filter(({ rel_path, size_bytes }) => {
        const path = join(store, name, rel_path);
        return !existsSync(path) || (size_bytes !== undefined && statSync(path).size !== size_bytes);
      })
      .map(({ rel_path }) => `${name} is visible without its ${rel_path}`),
  );
}

/** Blocks of the same generation of the same window. */
function doubledBlocks(store: string): string[] {
  const seen = new Map<string, string>();
  return metas(store).flatMap(([name, { thanos }]) => {
    const { tenant, window, generation, position } = thanos.extensions.varve;
    const key = JSON.stringify([tenant, window, generation, position]);
    const other = seen.get(key);
    seen.set(key, name);
    return other === undefined ? [] : [`${name} and ${other} are the same cut ${key}`];
  });
}
