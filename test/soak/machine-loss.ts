/**
 * How long a lost machine is missed: a server with many series is killed while it ships, its directory deleted, and a new
 * one started with an empty directory and the same bucket. What was shipped has to be there; that it is the very samples,
 * shipping.ts proves.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sendScrape } from '../../bench/load/scrape.ts';
import { Sender } from '../../bench/load/sender.ts';
import { Source } from '../../bench/load/source.ts';
import { TEMPLATES } from '../../bench/load/templates.ts';
import { figure } from '../../bench/replay.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { Varve } from '../support/varve.ts';

export interface MachineLoss {
  readonly series: number;
  readonly samples: number;
  /** What is there after the restore. */
  readonly restoredSamples: number;
  readonly shippedBytes: number;
  /** From the start of the new process to 200 on /-/ready. */
  readonly readySeconds: number;
}

const CONNECTIONS = 4;
const SERIES_A_REQUEST = 2000;
const INTERVAL_MS = 15_000;
const SHIP_INTERVAL = '--wal.ship-interval=2s';

export async function loseMachine(
  { series, steps }: { readonly series: number; readonly steps: number },
  log: (line: string) => void,
): Promise<MachineLoss> {
  using temporary = new TemporaryDirectory('machine-loss');
  const directory = join(temporary.path, 'data');
  const config = join(temporary.path, 'bucket.yml');
  writeFileSync(config, `type: FILESYSTEM\nconfig:\n  directory: ${join(temporary.path, 'store')}\n`);
  const flags = ['--restore', `--objstore.config-file=${config}`, SHIP_INTERVAL];
  await using varve = await Varve.start({ directory, flags });
  const source = new Source((TEMPLATES.node as () => never)(), series, 1);
  const sender = new Sender({ url: `${varve.url}/api/v1/write`, connections: CONNECTIONS, rate: 0, protocol: 'v1' });
  const firstMs = Date.now() - steps * INTERVAL_MS;
  for (let step = 0; step < steps; step++) {
    source.step();
    await sendScrape(sender, source, SERIES_A_REQUEST, firstMs + step * INTERVAL_MS);
  }
  if (sender.errors > 0) throw new Error(`${sender.errors} requests failed: ${sender.firstError}`);
  log(`${series} series, ${steps} samples each, are written`);
  await until('all to be in the bucket', async () => (await figure(varve, 'varve_wal_not_shipped_bytes')) === 0, {
    timeoutMs: 120_000,
    everyMs: 500,
  });
  const shippedBytes = await figure(varve, 'varve_wal_shipped_bytes_total');
  await varve.kill();
  rmSync(directory, { recursive: true });
  log('the machine is lost; a new one begins');
  const startedMs = performance.now();
  await varve.restart(flags);
  const readySeconds = (performance.now() - startedMs) / 1000;
  const restoredSamples = await figure(varve, 'varve_wal_replayed_samples');
  return { series, samples: series * steps, restoredSamples, shippedBytes, readySeconds };
}
