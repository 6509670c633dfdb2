/**
 * 26 h of samples, most of them in blocks, some in the head, some late: the answers, the bits, and the blocks as
 * Prometheus and promtool see them. The peer is a Prometheus that was sent the same bodies.
 */
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answerDifferences } from '../support/answers.ts';
import { type DayOfSamples, dayOfSamples } from '../support/day-of-samples.ts';
import { peers } from '../support/peers.ts';
import { Prometheus } from '../support/prometheus.ts';
import { analyzeBlock, dumpSamples, listBlocks } from '../support/promtool.ts';
import { EVERYTHING, type ReadQuery, readSamples, readStreamed } from '../support/remote-read.ts';
import { type WrittenSeries, writeRequest } from '../support/remote-write.ts';
import { bitsOf, differences, type SeriesMap, sampleCount } from '../support/series.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { Varve } from '../support/varve.ts';

const HOUR_MS = 3_600_000;
const SERIES = 216;

/** Over the whole day in steps of 10 min. */
const RANGE = [
  'sum by (instance) (rate(day_requests_total[5m]))',
  'increase(day_requests_total{instance="host-1"}[1h])',
  'resets(day_requests_total[2h])',
  'irate(day_requests_total{shard="0"}[2m])',
  'day_gauge',
  'avg by (instance) (day_gauge)',
  'max_over_time(day_gauge{instance=~"host-[12]"}[30m])',
  'quantile_over_time(0.95, day_gauge[1h])',
  'day_constant',
  'sum(day_constant)',
  'day_gaps',
  'count(day_gaps)',
  'count_over_time(day_gaps[1h])',
  'absent_over_time(day_gaps{shard="3"}[5m])',
  'day_payload',
  'changes(day_payload[10m])',
  'day_extremes',
  'count by (instance) (day_extremes)',
  'day_churn',
  'count(day_churn)',
  'day_unordered',
  'count_over_time(day_unordered[20m])',
  'sum without (shard) (day_unordered)',
  'day_late',
  'count_over_time(day_late[2h])',
  'count by (__name__) ({job="day"})',
  'topk(3, rate(day_requests_total[10m]))',
  'max_over_time(rate(day_requests_total{instance="host-2"}[5m])[30m:5m])',
];

/** At one time. */
const INSTANT = ['sum(count_over_time({job="day"}[26h]))', 'avg_over_time(day_gauge[26h])'];

describe.skipIf(!peers.prometheus || !peers.promtool)('a day of samples in blocks and head', () => {
  const stack = new AsyncDisposableStack();
  let day: DayOfSamples;
  let varve: Varve;
  let peer: Prometheus;
  let reader: Prometheus;
  let everything: ReadQuery;
  /** Answers to one question about the first hour, with the number of blocks there were when it was asked. */
  const whileCutting: { blocks: number; difference: string[] }[] = [];

  const send = async (request: readonly WrittenSeries[]): Promise<void> => {
    const body = writeRequest(request);
    expect(await varve.write(body)).toEqual({ status: 204, text: '' });
    expect((await peer.write(body)).status).toBe(204);
  };

  /** Asks for the first hour, and compares the answer with an earlier one. */
  const askForFirstHour = async (before?: SeriesMap): Promise<SeriesMap> => {
    const blocks = varve.blocks().length;
    const query = { startMs: day.startMs, endMs: day.startMs + HOUR_MS, matchers: EVERYTHING };
    const answer = await readStreamed(varve.url, query);
    whileCutting.push({ blocks, difference: differences(answer, before ?? answer) });
    return answer;
  };

  beforeAll(async () => {
    // In the past whatever the time of day, and always at the same place in a 2 h window.
    const endMs = Math.floor(Date.now() / (2 * HOUR_MS)) * 2 * HOUR_MS - HOUR_MS;
    day = dayOfSamples(endMs, SERIES);
    everything = { startMs: day.startMs, endMs: day.endMs, matchers: EVERYTHING };
    varve = stack.use(await Varve.start());
    peer = stack.use(
      await Prometheus.start({
        flags: ['--web.enable-remote-write-receiver'],
        storage: { tsdb: { out_of_order_time_window: '48h' } },
      }),
    );
    reader = stack.use(
      await Prometheus.start({ remoteRead: [{ url: `${varve.url}/api/v1/read`, read_recent: true }] }),
    );

    const beforeAnyCut = 7; // 20 min each.
    for (const request of day.requests.slice(0, beforeAnyCut)) await send(request);
    const firstHour = await askForFirstHour();
    expect(sampleCount(firstHour)).toBeGreaterThan(SERIES * 50);
    let isOver = false;
    const askAgain = async (): Promise<void> => {
      while (!isOver) await askForFirstHour(firstHour);
    };
    const sendTheRest = async (): Promise<void> => {
      for (const request of day.requests.slice(beforeAnyCut)) await send(request);
      await until('the cuts of all windows but the last', () => varve.blocks().length >= 11);
      await until('an answer after a cut', () => whileCutting.some(({ blocks }) => blocks >= 11));
    };
    await Promise.all([askAgain(), sendTheRest().finally(() => (isOver = true))]);
    for (const request of day.lateRequests) await send(request);
  }, 180_000);

  afterAll(() => stack.disposeAsync());

  test('an answer is the same before, during and after a cut', () => {
    expect(whileCutting.filter(({ blocks }) => blocks === 0).length).toBeGreaterThan(0);
    expect(whileCutting.flatMap(({ difference }) => difference)).toEqual([]);
  });

  test('remote read gives every bit that was sent, from blocks and head together', async () => {
    const stored = await readStreamed(varve.url, everything);
    expect(differences(stored, day.expected)).toEqual([]);
    expect(differences(await readSamples(varve.url, everything), stored)).toEqual([]);
  });

  test('there are thirty queries', () => expect(new Set([...RANGE, ...INSTANT]).size).toBe(30));

  test.each([...RANGE, ...INSTANT])(
    'a Prometheus that reads answers as one that was written to: %s',
    async (expression) => {
      const query = INSTANT.includes(expression)
        ? { expression, endMs: day.endMs }
        : { expression, startMs: day.startMs + HOUR_MS, endMs: day.endMs, stepMs: 600_000 };
      const expected = await peer.query(query);
      expect(expected.length).toBeGreaterThan(0);
      expect(answerDifferences(await reader.query(query), expected)).toEqual([]);
    },
  );

  describe('all of it cut, after a kill', () => {
    const copy = stack.use(new TemporaryDirectory('copy')).path;

    beforeAll(async () => {
      await varve.kill();
      await varve.restart(['--head.idle-cut=1s']);
      await until('everything in the bucket', () => samplesInBlocks(varve) >= sampleCount(day.expected));
      cpSync(varve.bucket, copy, { recursive: true });
      mkdirSync(join(copy, 'wal'), { recursive: true });
    }, 120_000);

    test('each sample lies in one block', () => expect(samplesInBlocks(varve)).toBe(sampleCount(day.expected)));

    test('the answers stay', async () => {
      expect(differences(await readStreamed(varve.url, everything), day.expected)).toEqual([]);
    });

    test('promtool lists the blocks', async () => {
      const listed = (await listBlocks(copy)).sort((a, b) => (a.ulid < b.ulid ? -1 : 1));
      const metas = varve.blocks().sort((a, b) => (a.ulid < b.ulid ? -1 : 1));
      expect(listed).toEqual(
        metas.map(({ ulid, minTime, maxTime, stats }) => ({
          ulid,
          minTimeMs: minTime,
          maxTimeMs: maxTime,
          samples: stats.numSamples,
          chunks: stats.numChunks,
          series: stats.numSeries,
        })),
      );
    });

    test('promtool analyzes every block', async () => {
      for (const { ulid, stats } of varve.blocks()) {
        expect((await analyzeBlock(copy, ulid)).get('Series')).toBe(String(stats.numSeries));
      }
    });

    test('promtool dumps what was sent', async () => {
      const rows = new Map<string, number>();
      const wrong: string[] = [];
      for await (const [labels, value, timestampMs] of dumpSamples(copy)) {
        const row = rows.get(labels) ?? 0;
        rows.set(labels, row + 1);
        if (!isSample(day.expected, labels, row, timestampMs, value)) wrong.push(`${labels} ${value} ${timestampMs}`);
      }
      expect(wrong.slice(0, 5)).toEqual([]);
      expect(rows).toEqual(new Map([...day.expected].map(([labels, { timestamps }]) => [labels, timestamps.length])));
    });

    test('a Prometheus on the blocks has every bit that was sent', async () => {
      await using prometheus = await Prometheus.start({ directory: copy });
      expect(differences(await readStreamed(prometheus.url, everything), day.expected)).toEqual([]);
    });
  });
});

function samplesInBlocks(varve: Varve): number {
  return varve.blocks().reduce((sum, { stats }) => sum + stats.numSamples, 0);
}

/** Whether a row of a dump is the sample that was sent; all NaNs look the same there. */
function isSample(expected: SeriesMap, labels: string, row: number, timestampMs: number, value: number): boolean {
  const list = expected.get(labels);
  if (list === undefined || list.timestamps[row] !== timestampMs) return false;
  const bits = list.bits[row] as bigint;
  const isNotANumber = (bits & 0x7ff0000000000000n) === 0x7ff0000000000000n && (bits & 0xfffffffffffffn) !== 0n;
  return Number.isNaN(value) ? isNotANumber : bitsOf(value) === bits;
}
