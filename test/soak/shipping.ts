/**
 * The loss of the machine, again and again: the process ends with SIGKILL at a call of shipping (a part, a checkpoint, a
 * deletion, a look for epochs), under load, and its data directory is deleted, or now and then kept. A new process with the
 * same bucket is held against the senders' records, sample by sample. What may be missing then is what the server itself
 * said was not in the bucket: that holds however slow the machine is.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DurableLoad } from '../support/durable-load.ts';
import { KILL_PHASES, type KillPhase } from '../support/kill-phase.ts';
import { giveOrders } from '../support/killing-bucket.ts';
import { sumOfMetric } from '../support/prometheus.ts';
import { readStreamed } from '../support/remote-read.ts';
import { seededChance } from '../support/sim-file-system.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { pause, until } from '../support/until.ts';
import { Varve } from '../support/varve.ts';

export interface ShippingTally {
  rounds: number;
  /** Rounds in which the directory was deleted. */
  losses: number;
  /** By the call at which the process ended, and how. */
  readonly ends: Set<string>;
  acknowledged: number;
  /** How long before its end the server had last said that all was in the bucket; the longest of all rounds that lost. */
  oldestLossMs: number;
  readonly violations: string[];
}

export interface ShippingOptions {
  /** What an answer waits for. With `local` what the server's gauge said was not in the bucket may be missing. */
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
/** How often the server is asked what is not in the bucket, and how exactly it knows that. */
const ASKED_EVERY_MS = 100;
const GAUGE_ERROR_MS = 1500;
/** A call that does not come within this time is not waited for. */
const PATIENCE_MS = 8000;
/** The directory stays in one of so many rounds. */
const KEPT_EVERY = 4;

export async function runShipping(options: ShippingOptions): Promise<ShippingTally> {
  const tally: ShippingTally = {
    rounds: 0,
    losses: 0,
    ends: new Set(),
    acknowledged: 0,
    oldestLossMs: 0,
    violations: [],
  };
  const chance = seededChance(options.seed);
  while (tally.rounds < options.rounds && tally.violations.length === 0) {
    await runBucket(options, Math.min(options.rounds - tally.rounds, ROUNDS_A_BUCKET), tally, chance);
    options.log?.(shippingLine(tally));
  }
  return tally;
}

export function shippingLine(tally: ShippingTally): string {
  const { rounds, losses, ends, acknowledged, oldestLossMs, violations } = tally;
  const loss = oldestLossMs === 0 ? '' : `, at most the last ${(oldestLossMs / 1000).toFixed(1)} s given up`;
  return `${rounds} rounds (${losses} machines lost, ${ends.size} kinds of ends), ${acknowledged} requests acknowledged${loss}, ${violations.length} violations`;
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
  /** What was acknowledged before is in the bucket. */
  let safeMs = performance.now();
  for (let round = 0; round < rounds; round++) {
    const call = 1 + Math.floor(chance() * CALLS);
    const phase = KILL_PHASES[tally.rounds % KILL_PHASES.length] as KillPhase;
    const delayMs = DELAYS_MS[Math.floor(chance() * DELAYS_MS.length)] as number;
    giveOrders(bucket, { killAt: { call, phase, delayMs, purpose: 'ship' } });
    await varve.kill();
    if (await startsUnlessKilled(varve, flags)) {
      const watch = watchSafeMs(varve);
      await loadUntilKilled(load, varve);
      safeMs = Math.max(safeMs, await watch);
    }
    const endedMs = performance.now();
    tally.ends.add(`${phase} ${call}`);
    tally.rounds++;
    const isLost = tally.rounds % KEPT_EVERY !== 0;
    if (isLost) {
      rmSync(directory, { recursive: true });
      tally.losses++;
      if (ack === 'local') {
        load.journal.forgive(safeMs);
        tally.oldestLossMs = Math.max(tally.oldestLossMs, endedMs - safeMs);
      }
    }
    giveOrders(bucket, {});
    await varve.restart(flags);
    tally.violations.push(...load.journal.violations(await readStreamed(varve.url, load.wholeRange)));
    if (tally.violations.length > 0) break;
    // What came back from the bucket is there.
    if (isLost) safeMs = performance.now();
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

/**
 * Asks the server again and again what of the log is not in the bucket. Resolves when it answers no more, with the time
 * before which everything that was acknowledged is there, by its last answer; 0 if it had shipped nothing by then.
 */
async function watchSafeMs(varve: Varve): Promise<number> {
  let safeMs = 0;
  for (;;) {
    const askedMs = performance.now();
    const answer = await fetch(`${varve.url}/metrics`)
      .then((response) => response.text())
      .catch(() => undefined);
    if (answer === undefined) return safeMs;
    const hasShipped = (sumOfMetric(answer, 'varve_wal_last_ship_timestamp_seconds') ?? 0) > 0;
    const ageMs = 1000 * (sumOfMetric(answer, 'varve_wal_not_shipped_seconds') ?? 0);
    if (hasShipped) safeMs = askedMs - ageMs - GAUGE_ERROR_MS;
    await pause(ASKED_EVERY_MS);
  }
}
