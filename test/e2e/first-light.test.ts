/**
 * The main job with real programs: one Prometheus scrapes and writes to Varve, another one, without data of its own,
 * reads it back. Varve is killed twice on the way.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answerDifferences } from '../support/answers.ts';
import { peers } from '../support/peers.ts';
import { freePort, Program } from '../support/program.ts';
import { Prometheus } from '../support/prometheus.ts';
import { EVERYTHING, readSamples, readStreamed } from '../support/remote-read.ts';
import { differences, sampleCount } from '../support/series.ts';
import { until } from '../support/until.ts';
import { Varve } from '../support/varve.ts';

/** At one time; each has an answer on any Linux machine. */
const INSTANT = [
  'up',
  'count({__name__=~".+"})',
  'count by (job) ({__name__=~"node_.*|prometheus_.*"})',
  'sum by (mode) (rate(node_cpu_seconds_total[10s]))',
  'node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes',
  'topk(3, {__name__=~"node_memory_(MemTotal|MemFree|Buffers|Cached|Slab)_bytes"})',
  'quantile(0.9, scrape_duration_seconds)',
  'histogram_quantile(0.9, sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[10s])))',
  'count_over_time(up[15s])',
  'changes(node_time_seconds[15s])',
  'resets(process_cpu_seconds_total[15s])',
  'node_cpu_seconds_total{mode!~"idle|iowait"}',
  '{__name__=~"node_memory_Mem.*_bytes", job="node"}',
  'label_replace(up, "host", "$1", "instance", "(.*):.*")',
  'sum_over_time(up[10s:2s])',
  'up * on (job, instance) group_left (version) prometheus_build_info',
  'count_values("state", up)',
  'timestamp(up)',
  'last_over_time(node_uname_info[5s])',
  'absent(up{job="nobody"})',
];

/** Over 10 s in steps of 1 s. */
const RANGE = [
  'sum(rate(node_cpu_seconds_total{mode!="idle"}[5s]))',
  'irate(node_cpu_seconds_total{mode="idle"}[5s])',
  'increase(prometheus_tsdb_head_samples_appended_total[5s])',
  'avg_over_time(scrape_duration_seconds[5s])',
  'max_over_time(node_load1[5s])',
  'delta(node_time_seconds[5s])',
  'up offset 5s',
  'go_goroutines{job="prometheus"} > 1',
  'stddev by (job) ({__name__=~"scrape_samples_.*"})',
  'min without (cpu) (node_cpu_seconds_total)',
];

const EXTERNAL_LABELS = { cluster: 'e2e', replica: 'a' };

describe.skipIf(!peers.prometheus || !peers.nodeExporter)('a real Prometheus writes, another one reads', () => {
  const stack = new AsyncDisposableStack();
  let varve: Varve;
  let writer: Prometheus;
  let reader: Prometheus;
  let startMs: number;
  let endMs: number;

  /** The time up to which Varve has acknowledged every sample of the writer, or 0. */
  const acknowledgedMs = async (): Promise<number> =>
    ((await writer.metric('prometheus_remote_storage_queue_highest_sent_timestamp_seconds')) ?? 0) * 1000;

  const acknowledgedAfter = (timeMs: number): Promise<number> =>
    until(`an acknowledgement of ${timeMs}`, async () => {
      const sentMs = await acknowledgedMs();
      return sentMs > timeMs ? sentMs : 0;
    });

  beforeAll(async () => {
    varve = stack.use(await Varve.start());
    const address = `127.0.0.1:${await freePort()}`;
    const exporter = stack.use(new Program('prometheus-node-exporter', [`--web.listen-address=${address}`]));
    await exporter.answers(`http://${address}/metrics`);
    writer = stack.use(
      await Prometheus.start({
        externalLabels: EXTERNAL_LABELS,
        scrape: { node: address, prometheus: 'self' },
        remoteWrite: [
          {
            url: `${varve.url}/api/v1/write`,
            // One shard: then the highest time sent says that everything before it was sent.
            queue_config: { max_shards: 1, batch_send_deadline: '500ms', max_backoff: '200ms' },
          },
        ],
      }),
    );
    reader = stack.use(
      await Prometheus.start({
        // As matchers in what it asks for; it takes them off the answer again.
        externalLabels: EXTERNAL_LABELS,
        remoteRead: [{ url: `${varve.url}/api/v1/read`, read_recent: true }],
      }),
    );
    startMs = await acknowledgedAfter(0);
    for (let kills = 0; kills < 2; kills++) {
      await acknowledgedAfter((await acknowledgedMs()) + 7_000);
      await varve.kill();
      await varve.restart();
    }
    endMs = Math.ceil(await acknowledgedAfter((await acknowledgedMs()) + 7_000));
    await acknowledgedAfter(endMs + 2_000);
  }, 120_000);

  afterAll(() => stack.disposeAsync());

  test('there are thirty queries', () => expect(new Set([...INSTANT, ...RANGE]).size).toBe(30));

  test.each(INSTANT)('the reader answers as the writer does: %s', async (expression) => {
    const expected = await writer.query({ expression, endMs });
    expect(expected.length).toBeGreaterThan(0);
    expect(answerDifferences(await reader.query({ expression, endMs }), expected)).toEqual([]);
  });

  test.each(RANGE)('the reader answers as the writer does, over 10 s: %s', async (expression) => {
    const query = { expression, startMs: endMs - 10_000, endMs, stepMs: 1_000 };
    const expected = await writer.query(query);
    expect(expected.length).toBeGreaterThan(0);
    expect(answerDifferences(await reader.query(query), expected)).toEqual([]);
  });

  test('after two kills every acknowledged sample is there, bit for bit and once', async () => {
    const query = { startMs, endMs, matchers: EVERYTHING };
    // Prometheus adds its external labels to what it answers, as it did to what it wrote.
    const written = await readSamples(writer.url, query);
    expect(written.size).toBeGreaterThan(500);
    expect(sampleCount(written)).toBeGreaterThan(written.size * 10);
    const stored = await readSamples(varve.url, query);
    expect(differences(stored, written)).toEqual([]);
    expect(differences(await readStreamed(varve.url, query), stored)).toEqual([]);
  });
});
