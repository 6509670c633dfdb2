import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import packageJson from '../../../package.json' with { type: 'json' };
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { peers } from '../../support/peers.ts';

/** The sample lines of one metric family. */
async function samples(metrics: Metrics, name: string): Promise<string[]> {
  const text = await metrics.text();
  return text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
}

test('a new registry has the version and the metrics of the process', async () => {
  const metrics = new Metrics();
  const [build] = await samples(metrics, 'varve_build_info');
  expect(build).toContain(`version="${packageJson.version}"`);
  expect(build).toMatch(/nodeversion="v\d+.*\} 1$/);
  expect(await samples(metrics, 'process_resident_memory_bytes')).toHaveLength(1);
  expect(metrics.contentType).toMatch(/^text\/plain; version=0\.0\.4/);
});

test('counters, gauges and histograms are written with their labels', async () => {
  const metrics = new Metrics();
  const requests = metrics.counter({ name: 'requests_total', help: 'Requests.', labelNames: ['code'] });
  requests.add(1, { code: 200 });
  requests.add(2, { code: 200 });
  const open = metrics.gauge({ name: 'open_requests', help: 'Open requests.' });
  open.set(5);
  open.add(-2);
  const duration = metrics.histogram({ name: 'request_duration_seconds', help: 'Durations.' }, [0.1, 1]);
  duration.observe(0.5);
  expect(await samples(metrics, 'varve_requests_total')).toEqual(['varve_requests_total{code="200"} 3']);
  expect(await samples(metrics, 'varve_open_requests')).toEqual(['varve_open_requests 3']);
  expect(await samples(metrics, 'varve_request_duration_seconds_bucket')).toEqual([
    'varve_request_duration_seconds_bucket{le="0.1"} 0',
    'varve_request_duration_seconds_bucket{le="1"} 1',
    'varve_request_duration_seconds_bucket{le="+Inf"} 1',
  ]);
});

test('values kept elsewhere are read at each scrape, and are absent while there are none', async () => {
  const metrics = new Metrics();
  let value: number | undefined;
  metrics.counterFrom({ name: 'kept_total', help: 'Kept.' }, () => value);
  metrics.gaugeFrom({ name: 'kept_bytes', help: 'Kept.' }, () => value);
  for (const name of ['varve_kept_total', 'varve_kept_bytes']) expect(await samples(metrics, name)).toEqual([]);
  for (value of [7, 9]) {
    expect(await samples(metrics, 'varve_kept_total')).toEqual([`varve_kept_total ${value}`]);
    expect(await samples(metrics, 'varve_kept_bytes')).toEqual([`varve_kept_bytes ${value}`]);
  }
  value = undefined;
  expect(await samples(metrics, 'varve_kept_bytes')).toEqual([]);
});

test('a name is registered once', () => {
  const metrics = new Metrics();
  expect(() => metrics.gauge({ name: 'build_info', help: 'Again.' })).toThrow(/build_info/);
});

test.skipIf(!peers.promtool)('promtool finds nothing to say about the names', async () => {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: await new Metrics().text() });
  expect(`${stdout}${stderr}`).toBe('');
  expect(status).toBe(0);
});
