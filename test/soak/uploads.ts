/**
 * kill -9 at every call of an upload, again and again: before it, in the middle of it, after it, and a little later, under
 * load. After each end the bucket is looked at as a stranger sees it, and in the end everything is held against the
 * senders' records.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DurableLoad } from '../support/durable-load.ts';
import { giveOrders, KILL_PHASES } from '../support/killing-bucket.ts';
import { readStreamed } from '../support/remote-read.ts';
import { seededChance } from '../support/sim-file-system.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { Varve } from '../support/varve.ts';

export interface UploadTally {
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
/** List, chunks, index, meta.json, list: those of some blocks, whose calls come among each other. */
const CALLS = 24;
const DELAYS_MS = [0, 0, 1, 3, 10];
/** Copies make room for each other at once, so that reads go to the bucket. */
const FLAGS = ['--sync-block-duration=1s', '--storage.local-blocks=3KiB'];

export async function runUploads(options: {
  readonly rounds: number;
  readonly seed: number;
  readonly log?: (line: string) => void;
}): Promise<UploadTally> {
  const chance = seededChance(options.seed);
  const tally: UploadTally = { rounds: 0, ends: {}, acknowledged: 0, blocks: 0, violations: [] };
  while (tally.rounds < options.rounds && tally.violations.length === 0) {
    await runDirectory(Math.min(options.rounds - tally.rounds, ROUNDS_A_DIRECTORY), tally, chance);
    options.log?.(uploadLine(tally));
  }
  return tally;
}

export function uploadLine({ rounds, ends, acknowledged, blocks, violations }: UploadTally): string {
  const kinds = Object.keys(ends).length;
  return `${rounds} rounds (${kinds} kinds of ends), ${acknowledged} requests acknowledged, ${blocks} blocks in the bucket, ${violations.length} violations`;
}

async function runDirectory(rounds: number, tally: UploadTally, chance: () => number): Promise<void> {
  using temporary = new TemporaryDirectory('uploads');
  const store = join(temporary.path, 'store');
  const bucket = { directory: store, orders: join(temporary.path, 'orders.json') };
  giveOrders(bucket, {});
  const directory = join(temporary.path, 'data');
  await using varve = await Varve.start({ directory, machine: { segmentBytes: SEGMENT_BYTES, bucket }, flags: FLAGS });
  const load = new DurableLoad(SHAPE);
  for (let round = 0; round < rounds; round++) {
    const call = 1 + (tally.rounds % CALLS);
    const phase = KILL_PHASES[Math.floor(tally.rounds / CALLS) % KILL_PHASES.length] as (typeof KILL_PHASES)[number];
    const delayMs = DELAYS_MS[Math.floor(chance() * DELAYS_MS.length)] as number;
    giveOrders(bucket, { killAt: { call, phase, delayMs } });
    await varve.kill();
    await varve.restart(FLAGS);
    // The process ends by itself.
    await load.run(varve, () => !varve.isRunning);
    await until('the end', () => !varve.isRunning);
    tally.ends[`${phase} ${call}`] = (tally.ends[`${phase} ${call}`] ?? 0) + 1;
    tally.rounds++;
    tally.violations.push(...halfBlocks(store));
    giveOrders(bucket, {});
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
