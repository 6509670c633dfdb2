/**
 * The disk is full under the load of four senders, and has space again: writes get 503 and are taken again without a
 * restart. Then kill -9; what was acknowledged before, during and after is held against the senders' records.
 */
import { join } from 'node:path';
import { DurableLoad } from '../support/durable-load.ts';
import { readStreamed } from '../support/remote-read.ts';
import { SmallDisk } from '../support/small-disk.ts';
import { until } from '../support/until.ts';
import { Varve } from '../support/varve.ts';

export interface FullDiskTally {
  cycles: number;
  acknowledged: number;
  /** Answers 503, and connections that the kill broke. */
  unanswered: number;
  /** From the moment of space to the first write that was taken, at its longest. */
  slowestMs: number;
  readonly violations: string[];
}

const DISK_BYTES = 256 * 2 ** 20;
const SEGMENT_BYTES = 256 * 1024;
const SHAPE = { series: 20, samples: 20, stepMs: 15_000 };
const ANSWERS = 20;

export async function runFullDisk(cycles: number, log: (line: string) => void = () => {}): Promise<FullDiskTally> {
  using disk = new SmallDisk(DISK_BYTES);
  await using varve = await Varve.start({
    directory: join(disk.path, 'data'),
    machine: { segmentBytes: SEGMENT_BYTES },
  });
  const load = new DurableLoad(SHAPE);
  const tally: FullDiskTally = { cycles: 0, acknowledged: 0, unanswered: 0, slowestMs: 0, violations: [] };
  while (tally.cycles < cycles && tally.violations.length === 0) {
    tally.slowestMs = Math.max(tally.slowestMs, await fillAndFree(load, varve, disk));
    await varve.restart();
    tally.violations.push(...load.journal.violations(await readStreamed(varve.url, load.wholeRange)));
    tally.cycles++;
    tally.acknowledged = load.journal.count('acknowledged');
    tally.unanswered = load.journal.count('unknown');
    log(fullDiskLine(tally));
  }
  return tally;
}

export function fullDiskLine({ cycles, acknowledged, unanswered, slowestMs, violations }: FullDiskTally): string {
  return `${cycles} cycles, ${acknowledged} requests acknowledged, ${unanswered} not, taken again after at most ${Math.round(slowestMs)} ms, ${violations.length} violations`;
}

/** Ends with a kill under load; answers how long it took until a write was taken again. */
async function fillAndFree(load: DurableLoad, varve: Varve, disk: SmallDisk): Promise<number> {
  const { journal } = load;
  const running = load.run(varve, () => false);
  const more = async (outcome: 'acknowledged' | 'unknown', count: number): Promise<void> => {
    const wanted = journal.count(outcome) + count;
    await until(`${count} times ${outcome}`, () => journal.count(outcome) >= wanted, { everyMs: 5 });
  };
  await more('acknowledged', ANSWERS);
  disk.fill();
  await more('unknown', ANSWERS);
  disk.free();
  const freedMs = performance.now();
  await more('acknowledged', 1);
  const takenAfterMs = performance.now() - freedMs;
  await more('acknowledged', ANSWERS);
  await varve.kill();
  await running;
  return takenAfterMs;
}
