/**
 * The long runs, each with a small form in the suite.
 *
 *   npm run soak -- power-cuts [--rounds 200] [--unsynced]
 *   npm run soak -- kills [--rounds 200]
 *   npm run soak -- uploads|checkpoints|cuts [--rounds 100] [--seed 1]
 *   npm run soak -- outage [--hours 24]
 *   npm run soak -- shipping [--rounds 100] [--seed 1]
 *   npm run soak -- machine-loss [--series 100000] [--steps 100]
 *   npm run soak -- full-disk [--rounds 20]
 *   npm run soak -- fuzz [--bodies 10000000] [--seed 1]
 *   npm run soak -- mutants [--bodies 400000]
 *   npm run soak -- wal-flips
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { machine } from '../../bench/usage.ts';
import { type CrashOptions, crashLine, runCrashes } from './crashes.ts';
import { failpointLine, runFailpoints, type Work } from './failpoints.ts';
import { runFullDisk } from './full-disk.ts';
import { runFuzz } from './fuzz.ts';
import { loseMachine } from './machine-loss.ts';
import { runMutants } from './mutants.ts';
import { outageLine, runOutage } from './outage.ts';
import { runShipping, shippingLine } from './shipping.ts';
import { flipBytes, writeLog } from './wal-flips.ts';

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    unsynced: { type: 'boolean', default: false },
    bodies: { type: 'string' },
    hours: { type: 'string' },
    series: { type: 'string' },
    steps: { type: 'string' },
    seed: { type: 'string', default: '1' },
  },
});

async function crashes(kind: CrashOptions['kind']): Promise<boolean> {
  const { unsynced } = values;
  const rounds = Number(values.rounds ?? 200);
  const tally = await runCrashes({ kind, rounds, isUnsynced: unsynced, log: print });
  for (const violation of tally.violations.slice(0, 20)) print(`  ${violation}`);
  for (const damage of tally.damages.slice(0, 20)) print(`  ${damage}`);
  print(`${kind}${unsynced ? ' without sync' : ''}: ${crashLine(tally)}`);
  // Without syncs a run that finds nothing shows that it cannot find anything.
  return unsynced === tally.violations.length > 0;
}

async function fullDisk(): Promise<boolean> {
  const { violations, slowestMs } = await runFullDisk(Number(values.rounds ?? 20), print);
  for (const violation of violations) print(`  ${violation}`);
  return violations.length === 0 && slowestMs < 5000;
}

/** Half of the rounds with each promise. */
async function shipping(): Promise<boolean> {
  const rounds = Math.ceil(Number(values.rounds ?? 100) / 2);
  let isKept = true;
  for (const ack of ['bucket', 'local'] as const) {
    const tally = await runShipping({ ack, rounds, seed: Number(values.seed), log: print });
    for (const violation of tally.violations.slice(0, 20)) print(`  ${violation}`);
    print(`shipping with ack ${ack}: ${shippingLine(tally)}`);
    isKept &&= tally.violations.length === 0;
  }
  return isKept;
}

/** Without options the two sizes that are promised: 100 000 series within a minute, a million within five. */
async function machineLoss(): Promise<boolean> {
  const { series, steps = '100' } = values;
  const sizes =
    series === undefined
      ? [
          { series: 100_000, steps: 100, within: 60 },
          { series: 1_000_000, steps: 12, within: 300 },
        ]
      : [{ series: Number(series), steps: Number(steps), within: 300 }];
  let isKept = true;
  for (const { within, ...size } of sizes) {
    const loss = await loseMachine(size, print);
    const ready = `ready after ${loss.readySeconds.toFixed(1)} s, promised ${within} s`;
    print(`machine-loss: ${loss.series} series, ${loss.shippedBytes} bytes shipped; ${ready}`);
    print(`  ${loss.restoredSamples} of ${loss.samples} samples are there`);
    isKept &&= loss.readySeconds <= within && loss.restoredSamples === loss.samples;
  }
  return isKept;
}

function fuzz(): Promise<boolean> {
  const bodies = Number(values.bodies ?? 10_000_000);
  return runFuzz({ bodies, seed: Number(values.seed), threads: availableParallelism(), log: print });
}

/** Each byte with all bits changed, and with each of them. */
const MASKS = [0xff, 1, 2, 4, 8, 16, 32, 64, 128];

async function walFlips(): Promise<boolean> {
  const log = await writeLog();
  const tally = flipBytes(log, Array(log.bytes).keys(), MASKS, ({ flips }) => {
    if (flips % (MASKS.length * 2000) === 0) print(`${flips} flips`);
  });
  for (const violation of tally.violations.slice(0, 20)) print(`  ${violation}`);
  print(
    `wal-flips: ${log.bytes} bytes of ${log.segments} segments and a checkpoint, ${log.places.length} records; ${tally.flips} flips, ${tally.hits} of them hit a record, ${tally.unnoticed} unnoticed, ${tally.violations.length} violations`,
  );
  return tally.violations.length === 0 && tally.unnoticed === 0;
}

async function failpoints(work: Work): Promise<boolean> {
  const { rounds = '100', seed } = values;
  const tally = await runFailpoints({ work, rounds: Number(rounds), seed: Number(seed), log: print });
  for (const violation of tally.violations.slice(0, 20)) print(`  ${violation}`);
  print(`${work}: ${failpointLine(tally)}`);
  return tally.violations.length === 0;
}

/** Of data, as fast as it is taken. */
async function outage(): Promise<boolean> {
  const tally = await runOutage(Number(values.hours ?? 24));
  for (const violation of tally.violations.slice(0, 20)) print(`  ${violation}`);
  print(`outage: ${outageLine(tally)}`);
  return tally.violations.length === 0 && tally.drainSeconds <= 600;
}

const RUNS: Readonly<Record<string, () => Promise<boolean>>> = {
  'power-cuts': () => crashes('power-cut'),
  kills: () => crashes('kill'),
  uploads: () => failpoints('uploads'),
  checkpoints: () => failpoints('checkpoints'),
  cuts: () => failpoints('cuts'),
  outage,
  shipping,
  'machine-loss': machineLoss,
  'full-disk': fullDisk,
  fuzz,
  mutants: async () => runMutants(Number(values.bodies ?? 400_000), print),
  'wal-flips': walFlips,
};

const run = RUNS[positionals[0] ?? ''];
if (run === undefined) {
  print(`usage: npm run soak -- ${Object.keys(RUNS).join('|')} [options]`);
  process.exit(2);
}
print(machine());
process.exit((await run()) ? 0 : 1);
