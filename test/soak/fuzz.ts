/** The fuzz on several threads: random bodies, half of them changed before they are packed, into the kernel and its oracles. */
import { Worker } from 'node:worker_threads';
import type { FuzzTally } from './fuzz-run.ts';

const PROGRESS_EVERY_MS = 30_000;

export interface FuzzOptions {
  readonly bodies: number;
  readonly seed: number;
  readonly threads: number;
  readonly log: (line: string) => void;
}

/** Resolves with whether the kernel and its oracles never differed; says so, or how to meet the difference again. */
export async function runFuzz({ bodies, seed, threads, log }: FuzzOptions): Promise<boolean> {
  const tallies: FuzzTally[] = [];
  const share = Math.ceil(bodies / threads);
  const progress = setInterval(() => log(line(tallies)), PROGRESS_EVERY_MS);
  try {
    await Promise.all(Array.from({ length: threads }, (_, i) => run(seed + i, share, (tally) => (tallies[i] = tally))));
    log(line(tallies));
    log('no difference');
    return true;
  } catch (error) {
    log(error instanceof Error ? error.message : String(error));
    return false;
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
