/**
 * The fuzz on all threads: random bodies, half of them changed before they are packed, into the kernel and its oracles.
 *
 *   node test/soak/fuzz.ts --bodies 10000000 --seed 1 --threads 2
 */
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import type { FuzzTally } from './fuzz-run.ts';

const PROGRESS_EVERY_MS = 30_000;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      bodies: { type: 'string', default: '10000000' },
      seed: { type: 'string', default: '1' },
      threads: { type: 'string', default: '2' },
    },
  });
  const threads = Number(values.threads);
  const bodies = Math.ceil(Number(values.bodies) / threads);
  const tallies: FuzzTally[] = [];
  const progress = setInterval(() => process.stdout.write(`${line(tallies)}\n`), PROGRESS_EVERY_MS);
  try {
    await Promise.all(
      Array.from({ length: threads }, (_, i) => run(Number(values.seed) + i, bodies, (tally) => (tallies[i] = tally))),
    );
    process.stdout.write(`${line(tallies)}\nno difference\n`);
  } catch (error) {
    process.stdout.write(`${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  } finally {
    clearInterval(progress);
  }
}

function run(seed: number, bodies: number, onProgress: (tally: FuzzTally) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('fuzz-thread.ts', import.meta.url), { workerData: { seed, bodies } });
    worker.on('message', onProgress);
    worker.on('error', reject);
    worker.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a thread ended with ${code}`))));
  });
}

function line(tallies: readonly FuzzTally[]): string {
  const sum = (pick: (tally: FuzzTally) => number): number => tallies.reduce((all, tally) => all + pick(tally), 0);
  const bodies = sum((tally) => tally.bodies);
  const share = (count: number): string => `${((100 * count) / Math.max(bodies, 1)).toFixed(1)} %`;
  const stored = sum(({ verdicts }) => verdicts.stored);
  const parsed = stored + sum(({ verdicts }) => verdicts.unpacked);
  const changed = sum((tally) => tally.changedMessages);
  return `${bodies} bodies, ${share(changed)} changed before they were packed; ${share(parsed)} reached the parser, ${share(stored)} were stored`;
}

await main();
