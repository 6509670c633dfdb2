/**
 * A day of data while the store refuses everything: writes go on, blocks stay on the disk and are read there, a kill in
 * between changes nothing, and when the store is back, all that has gathered goes there in time.
 */
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DurableLoad } from '../support/durable-load.ts';
import { giveOrders } from '../support/killing-bucket.ts';
import { readStreamed } from '../support/remote-read.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { Varve } from '../support/varve.ts';

export interface OutageTally {
  acknowledged: number;
  /** On the disk when the store came back. */
  backlogBlocks: number;
  drainSeconds: number;
  readonly violations: string[];
}

const HOUR_MS = 3_600_000;
/** Ten minutes of data a request. */
const SHAPE = { series: 20, samples: 40, stepMs: 15_000 };
const REQUESTS_AN_HOUR: number = HOUR_MS / (SHAPE.samples * SHAPE.stepMs);
const SENDERS = 4;
const WINDOW_HOURS = 2;
/** The newest data is not cut: the head spans three hours, and the windows need not begin with the data. */
const UNCUT_WINDOWS = 3;

export async function runOutage(hours: number): Promise<OutageTally> {
  using temporary = new TemporaryDirectory('outage');
  const store = join(temporary.path, 'store');
  const refusedWhile = join(temporary.path, 'refused');
  const bucket = { directory: store, orders: join(temporary.path, 'orders.json') };
  const directory = join(temporary.path, 'data');
  writeFileSync(refusedWhile, '');
  giveOrders(bucket, { refusedWhile });
  await using varve = await Varve.start({ directory, machine: { bucket } });
  const load = new DurableLoad(SHAPE);
  const local = (): string[] => readdirSync(join(directory, 'blocks')).filter((name) => !name.endsWith('.tmp'));
  const half = (SENDERS * hours * REQUESTS_AN_HOUR) / 2;
  await load.run(varve, () => load.journal.count('acknowledged') >= half);
  await varve.kill();
  await varve.restart();
  await load.run(varve, () => load.journal.count('acknowledged') >= 2 * half);
  await until('the cuts', () => local().length >= hours / WINDOW_HOURS - UNCUT_WINDOWS, { timeoutMs: 120_000 });
  const violations = load.journal.violations(await readStreamed(varve.url, load.wholeRange));
  if (!(await (await fetch(`${varve.url}/-/ready`)).text()).includes('ready'))
    violations.push('not ready in the outage');
  if (existsSync(store) && readdirSync(store).length > 0) violations.push('the store did not refuse');
  const backlog = local();
  rmSync(refusedWhile);
  const backMs = performance.now();
  const isThere = (name: string): boolean => existsSync(join(store, name, 'meta.json'));
  await until('the backlog to be uploaded', () => backlog.every(isThere), { timeoutMs: 600_000 });
  const drainSeconds = (performance.now() - backMs) / 1000;
  violations.push(...load.journal.violations(await readStreamed(varve.url, load.wholeRange)));
  return {
    acknowledged: load.journal.count('acknowledged'),
    backlogBlocks: backlog.length,
    drainSeconds,
    violations,
  };
}

export function outageLine({ acknowledged, backlogBlocks, drainSeconds, violations }: OutageTally): string {
  return `${acknowledged} requests acknowledged, ${backlogBlocks} blocks gathered and drained within ${drainSeconds.toFixed(0)} s, ${violations.length} violations`;
}
