/**
 * The loss of the machine, again and again: the process ends with SIGKILL at a call of shipping (a part, a checkpoint, a
 * deletion, a look for epochs), under load, and its data directory is deleted, or now and then kept. A new process with the
 * same bucket is held against the senders' records, sample by sample.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DurableLoad } from '../support/durable-load.ts';
import { KILL_PHASES, type KillPhase } from '../support/kill-phase.ts';
import { giveOrders } from '../support/killing-bucket.ts';
import { readStreamed } from '../support/remote-read.ts';
import { seededChance } from '../support/sim-file-system.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { Varve } from '../support/varve.ts';

export interface ShippingTally {
  rounds: number;
  /** Rounds in which the directory was deleted. */
  losses: number;
  /** By the call at which the process ended, and how. */
  readonly ends: Set<string>;
  acknowledged: number;
  readonly violations: string[];
}

export interface ShippingOptions {
  /** What an answer waits for. With `local` the last ship interval may be missing. */
  readonly ack: 'local' | 'bucket';
  readonly rounds: number;
  readonly seed: number;
  readonly log?: (line: string) => void;
}

/** A fresh bucket now and then, so that the comparison of everything stays short. */
const ROUNDS_A_BUCKET = 20;
const SEGMENT_BYTES = 16 * 1024;
/** Five minutes of data a request: a block and a checkpoint every few dozen requests. */
const SHAPE = { series: 5, samples: 10, stepMs: 30_000 };
/** The first ones are of the start: two listings, marker, checkpoint, deletions. */
const CALLS = 40;
const DELAYS_MS = [0, 0, 1, 5, 50];
const SHIP_INTERVAL_MS = 400;
/** What a shipment under load takes, at most. */
const SHIPMENT_MS = 600;
/** A call that does not come within this time is not waited for. */
const PATIENCE_MS = 8000;
/** The directory stays in one of so many rounds. */
const KEPT_EVERY = 4;

export async function runShipping(options: ShippingOptions): Promise<ShippingTally> {
  const tally: ShippingTally = { rounds: 0, losses: 0, ends: new Set(), acknowledged: 0, violations: [] };
  const chance = seededChance(options.seed);
  while (tally.rounds < options.rounds && tally.violations.length === 0) {
    await runBucket(options, Math.min(options.rounds - tally.rounds, ROUNDS_A_BUCKET), tally, chance);
    options.log?.(shippingLine(tally));
  }
  return tally;
}

export function shippingLine({ rounds, losses, ends, acknowledged, violations }: ShippingTally): string {
  return `${rounds} rounds (${losses} machines lost, ${ends.size} kinds of ends), ${acknowledged} requests acknowledged, ${violations.length} violations`;
}

async function runBucket(
  { ack }: ShippingOptions,
  rounds: number,
  tally: ShippingTally,
  chance: () => number,
): Promise<void> {
  using temporary = new TemporaryDirectory('shipping');
  const bucket = { directory: join(temporary.path, 'store'), orders: join(temporary.path, 'orders.json') };
  giveOrders(bucket, {});
  const directory = join(temporary.path, 'data');
  const flags = [
    '--restore',
    '--sync-block-duration=1s',
    `--wal.ack=${ack}`,
    '--wal.ack-interval=20ms',
    `--wal.ship-interval=${SHIP_INTERVAL_MS}ms`,
  ];
  await using varve = await Varve.start({ directory, machine: { segmentBytes: SEGMENT_BYTES, bucket }, flags });
  const load = new DurableLoad(SHAPE);
  for (let round = 0; round < rounds; round++) {
    const call = 1 + Math.floor(chance() * CALLS);
    const phase = KILL_PHASES[tally.rounds % KILL_PHASES.length] as KillPhase;
    const delayMs = DELAYS_MS[Math.floor(chance() * DELAYS_MS.length)] as number;
    giveOrders(bucket, { killAt: { call, phase, delayMs, purpose: 'ship' } });
    await varve.kill();
    if (await startsUnlessKilled(varve, flags)) await loadUntilKilled(load, varve);
    const endedMs = performance.now();
    tally.ends.add(`${phase} ${call}`);
    tally.rounds++;
    if (tally.rounds % KEPT_EVERY !== 0) {
      rmSync(directory, { recursive: true });
      tally.losses++;
      if (ack === 'local') load.journal.forgive(endedMs - SHIP_INTERVAL_MS - SHIPMENT_MS);
    }
    giveOrders(bucket, {});
    await varve.restart(flags);
    tally.violations.push(...load.journal.violations(await readStreamed(varve.url, load.wholeRange)));
    if (tally.violations.length > 0) break;
  }
  tally.acknowledged += load.journal.count('acknowledged');
}

/** False if the process was killed before it was ready. */
async function startsUnlessKilled(varve: Varve, flags: readonly string[]): Promise<boolean> {
  try {
    await varve.restart(flags);
    return true;
  } catch (error) {
    if (varve.isRunning) throw error;
    return false;
  }
}

async function loadUntilKilled(load: DurableLoad, varve: Varve): Promise<void> {
  const untilMs = performance.now() + PATIENCE_MS;
  await load.run(varve, () => !varve.isRunning || performance.now() > untilMs);
  if (varve.isRunning && performance.now() > untilMs) await varve.kill();
  await until('the end', () => !varve.isRunning);
}
