/** Blocks and the shipped log on the object stores that can be run here, from the server's start to the loss of its machine. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { DurableLoad } from '../support/durable-load.ts';
import { objectStores, startAzurite, startFakeGcs, startSwift } from '../support/object-stores.ts';
import { sumOfMetric } from '../support/prometheus.ts';
import { readStreamed } from '../support/remote-read.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { Varve } from '../support/varve.ts';

const STORES = [
  { type: 'S3', isInstalled: objectStores.swift, start: startSwift },
  { type: 'GCS', isInstalled: objectStores.gcs, start: startFakeGcs },
  { type: 'AZURE', isInstalled: objectStores.azurite, start: startAzurite },
] as const;

afterEach(() => {
  vi.unstubAllEnvs();
});

for (const { type, isInstalled, start } of STORES) {
  test.skipIf(!isInstalled)(
    `a machine that is lost comes back from ${type}: its blocks, and with ack bucket all of its log`,
    async () => {
      await using store = await start();
      await store.makeBucket('varve-e2e');
      for (const [name, value] of Object.entries(store.environment())) vi.stubEnv(name, value);
      using temporary = new TemporaryDirectory('lost');
      const directory = join(temporary.path, 'data');
      const flags = [
        `--objstore.config=${store.configText('varve-e2e', { prefix: 'long/term' })}`,
        '--wal.ack=bucket',
        '--wal.ack-interval=20ms',
        '--storage.local-blocks=0',
      ];
      await using varve = await Varve.start({ directory, flags });
      // Ten hours of data: several cuts, and what follows them is in the log only.
      const load = new DurableLoad({ series: 10, samples: 250, stepMs: 3_000 });
      await load.run(varve, () => load.journal.count('acknowledged') >= 4 * 48);
      await until('a block in the bucket', async () => ((await metric(varve, 'varve_blocks_uploaded')) ?? 0) > 0);
      await varve.kill();
      rmSync(directory, { recursive: true });

      await varve.restart([...flags, '--restore']);
      expect(await metric(varve, 'varve_blocks_uploaded')).toBeGreaterThan(0);
      expect(load.journal.count('acknowledged')).toBeGreaterThan(150);
      expect(load.journal.violations(await readStreamed(varve.url, load.wholeRange))).toEqual([]);
      expect(await varve.stop()).toEqual({ code: 0, signal: null });
    },
    120_000,
  );
}

async function metric(varve: Varve, name: string): Promise<number | undefined> {
  return sumOfMetric(await (await fetch(`${varve.url}/metrics`)).text(), name);
}
