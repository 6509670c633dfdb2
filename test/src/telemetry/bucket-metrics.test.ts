import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { exportBucketUsage } from '../../../src/telemetry/bucket-metrics.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { BucketUsage } from '../../../storage/index.ts';
import { peers } from '../../support/peers.ts';

function exported(): { metrics: Metrics; usage: BucketUsage } {
  const metrics = new Metrics();
  const usage = new BucketUsage();
  exportBucketUsage(metrics, usage);
  return { metrics, usage };
}

test('what was asked of the bucket is counted by operation and purpose, whatever thread asked', async () => {
  const { metrics, usage } = exported();
  new BucketUsage(usage.memory).count('query', 'get', { receivedBytes: 100 });
  usage.count('query', 'get', { isFailure: true });
  usage.count('upload', 'put', { sentBytes: 7 });
  for (let scrape = 0; scrape < 2; scrape++) {
    const text = await metrics.text();
    expect(text).toContain('\nvarve_objstore_requests_total{operation="get",purpose="query"} 2\n');
    expect(text).toContain('\nvarve_objstore_failures_total{operation="get",purpose="query"} 1\n');
    expect(text).toContain('\nvarve_objstore_received_bytes_total{operation="get",purpose="query"} 100\n');
    expect(text).toContain('\nvarve_objstore_sent_bytes_total{operation="put",purpose="upload"} 7\n');
    expect(text).toContain('\nvarve_objstore_requests_total{operation="list",purpose="sync"} 0\n');
  }
});

test.skipIf(!peers.promtool)('promtool finds nothing to say about their names', async () => {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: await exported().metrics.text(),
  });
  expect(`${stdout}${stderr}`).toBe('');
  expect(status).toBe(0);
});
