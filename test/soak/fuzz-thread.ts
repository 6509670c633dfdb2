/** One thread of the fuzz. */
import { parentPort, workerData } from 'node:worker_threads';
import { fuzz } from './fuzz-run.ts';

const { seed, bodies } = workerData as { seed: number; bodies: number };
parentPort?.postMessage(fuzz(seed, bodies, (tally) => parentPort?.postMessage(tally)));
