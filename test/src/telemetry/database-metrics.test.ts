import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { exportDatabase, exportTenantBacklogs } from '../../../src/telemetry/database-metrics.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import type { DatabaseStats } from '../../../storage/index.ts';
import { peers } from '../../support/peers.ts';

const stats: DatabaseStats = {
  headSeries: 1,
  headBytes: 2,
  memoryBudgetBytes: 3,
  samplesStored: 4,
  samplesDuplicate: 5,
  samplesConflicting: 6,
  samplesRejected: 7,
  exemplarsDropped: 8,
  metadataDropped: 22,
  seriesCreated: 9,
  seriesHidden: 25,
  seriesRemoved: 4,
  walBytes: 10,
  walPendingBytes: 11,
  notDurableSeconds: 0.5,
  walSyncs: 12,
  walSegments: 13,
  walFailing: 1,
  cuts: 15,
  checkpoints: 16,
  blocks: 17,
  blocksLocal: 1,
  blocksUploaded: 2,
  blocksForeign: 3,
  blocksMarked: 4,
  blocksPartial: 5,
  blocksUnreadable: 6,
  localBlockBytes: 8,
  backlogBlocks: 9,
  backlogBytes: 10,
  backlogSeconds: 11,
  bucketFailing: 0,
  lastSyncSeconds: 12,
  lastUploadSeconds: 13,
  uploads: 14,
  uploadedBytes: 15,
  syncs: 16,
  evictions: 17,
  quarantinedBlocks: 2,
  snapshots: 18,
  tenants: 19,
  freeBytes: 20,
  walRecordBytes: 21,
  walReplaySeconds: 0.25,
  walReplayedSamples: 22,
  minFreeBytes: 23,
  shortOfSpace: 0,
  haClusters: 21,
  haSwitches: 22,
  haMissingSeries: 23,
  haShadowBytes: 24,
  haShadowSamples: 25,
  haShadowStored: 26,
  haShadowDiscarded: 27,
  notShippedSeconds: 61,
  notShippedBytes: 62,
  shippedParts: 63,
  shippedCheckpoints: 64,
  shippedBytes: 65,
  lastShipSeconds: 66,
  shipFailing: 67,
  fenced: 68,
};

test("the engine's figures are metrics, read once a scrape", async () => {
  const metrics = new Metrics();
  let reads = 0;
  exportDatabase(metrics, () => {
    reads++;
    return stats;
  });
  const text = await metrics.text();
  expect(text).toContain('\nvarve_head_series 1\n');
  expect(text).toContain('\nvarve_wal_syncs_total 12\n');
  expect(text).toContain('\nvarve_wal_not_durable_seconds 0.5\n');
  expect(text).toContain('# TYPE varve_wal_syncs_total counter\n');
  expect(text).toContain('\nvarve_tenants 19\n');
  await metrics.text();
  expect(reads).toBe(2);
});

test("a tenant's log that is not in the bucket is a metric of its own", async () => {
  const metrics = new Metrics();
  let backlogs = [
    { tenant: 'a', seconds: 3, bytes: 100 },
    { tenant: 'b', seconds: 0, bytes: 0 },
  ];
  exportTenantBacklogs(metrics, () => backlogs);
  const text = await metrics.text();
  expect(text).toContain('\nvarve_tenant_wal_not_shipped_seconds{tenant="a"} 3\n');
  expect(text).toContain('\nvarve_tenant_wal_not_shipped_bytes{tenant="a"} 100\n');
  expect(text).toContain('\nvarve_tenant_wal_not_shipped_bytes{tenant="b"} 0\n');
  backlogs = [];
  expect(await metrics.text()).not.toContain('tenant="a"');
});

test.skipIf(!peers.promtool)('promtool finds nothing to say about their names', async () => {
  const metrics = new Metrics();
  exportDatabase(metrics, () => stats);
  exportTenantBacklogs(metrics, () => [{ tenant: 'a', seconds: 1, bytes: 1 }]);
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: await metrics.text() });
  expect(`${stdout}${stderr}`).toBe('');
  expect(status).toBe(0);
});
