/**
 * A day of samples whose blocks lie in a bucket only: cut, uploaded, and the copies on the server's own disk gone. What the
 * answers are then, without the catalogue, and while the store cannot be read; and the blocks as Prometheus and promtool
 * see them.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BlockMeta } from '../../storage/block/meta.ts';
import { type DayOfSamples, dayOfSamples } from '../support/day-of-samples.ts';
import { peers } from '../support/peers.ts';
import { Prometheus, sumOfMetric } from '../support/prometheus.ts';
import { analyzeBlock, dumpSamples, listBlocks } from '../support/promtool.ts';
import { EVERYTHING, type ReadQuery, readSamples, readStreamed, requestRead } from '../support/remote-read.ts';
import { writeRequest } from '../support/remote-write.ts';
import { differences, type SeriesMap, sampleCount } from '../support/series.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { Varve } from '../support/varve.ts';

const HOUR_MS = 3_600_000;
const SERIES = 72;

describe.skipIf(!peers.prometheus || !peers.promtool)('a day of samples in a bucket', () => {
  const stack = new AsyncDisposableStack();
  const outside = stack.use(new TemporaryDirectory('store')).path;
  const store = join(outside, 'store');
  const flags = [
    `--objstore.config={type: FILESYSTEM, config: {directory: ${store}}}`,
    '--storage.local-blocks=0',
    '--sync-block-duration=1s',
    '--query.cache-memory=0',
    '--query.cache-disk=0',
  ];
  const cutAtOnce = [...flags, '--head.idle-cut=1s'];
  let day: DayOfSamples;
  let varve: Varve;
  let everything: ReadQuery;

  const metric = async (name: string): Promise<number> =>
    sumOfMetric(await (await fetch(`${varve.url}/metrics`)).text(), name) ?? Number.NaN;
  const isOnlyInBucket = async (): Promise<boolean> =>
    samplesIn(blocksIn(store)) >= sampleCount(day.expected) &&
    (await metric('varve_upload_backlog_blocks')) === 0 &&
    (await metric('varve_local_blocks_bytes')) === 0 &&
    readdirSync(join(varve.directory, 'blocks')).length === 0;

  beforeAll(async () => {
    // In the past whatever the time of day, and always at the same place in a 2 h window.
    const endMs = Math.floor(Date.now() / (2 * HOUR_MS)) * 2 * HOUR_MS - HOUR_MS;
    day = dayOfSamples(endMs, SERIES);
    everything = { startMs: day.startMs, endMs: day.endMs, matchers: EVERYTHING };
    varve = stack.use(await Varve.start({ flags }));
    for (const request of [...day.requests, ...day.lateRequests])
      expect(await varve.write(writeRequest(request))).toEqual({ status: 204, text: '' });
    await varve.stop();
    await varve.restart(cutAtOnce);
    await until('all blocks in the bucket, and only there', isOnlyInBucket, { timeoutMs: 90_000 });
  }, 180_000);

  afterAll(() => stack.disposeAsync());

  test('every bit that was sent is answered out of the bucket', async () => {
    expect(differences(await readStreamed(varve.url, everything), day.expected)).toEqual([]);
    expect(differences(await readSamples(varve.url, everything), day.expected)).toEqual([]);
  });

  test('a Prometheus that reads from it answers every bit, too', async () => {
    const remoteRead = [{ url: `${varve.url}/api/v1/read`, read_recent: true }];
    await using reader = await Prometheus.start({ remoteRead });
    expect(differences(await readStreamed(reader.url, everything), day.expected)).toEqual([]);
  });

  test('the answers are the same when the catalogue was deleted', async () => {
    await varve.stop();
    for (const suffix of ['', '-wal', '-shm'])
      rmSync(join(varve.directory, `catalog.sqlite${suffix}`), { force: true });
    await varve.restart(cutAtOnce);
    expect(differences(await readStreamed(varve.url, everything), day.expected)).toEqual([]);
  });

  describe('as others see the blocks', () => {
    const copy = stack.use(new TemporaryDirectory('copy')).path;

    beforeAll(() => {
      cpSync(store, copy, { recursive: true });
      rmSync(join(copy, 'varve'), { recursive: true, force: true });
      mkdirSync(join(copy, 'wal'), { recursive: true });
    });

    test('each has what Thanos wants of one', () => {
      for (const { ulid, minTime, maxTime, thanos, compaction } of blocksIn(store)) {
        expect(Math.floor(minTime / (2 * HOUR_MS)) + 1).toBe(maxTime / (2 * HOUR_MS));
        expect(compaction).toMatchObject({ level: 1, sources: [ulid] });
        expect(thanos).toMatchObject({
          version: 1,
          source: 'receive',
          labels: { tenant_id: 'default-tenant' },
          downsample: { resolution: 0 },
          segment_files: ['000001'],
        });
        expect(Date.parse(thanos?.upload_time ?? '')).toBeLessThanOrEqual(Date.now());
        const files = new Map(thanos?.files?.map((file) => [file.rel_path, file.size_bytes]));
        const sizes = new Map<string, number | undefined>(sizesIn(join(store, ulid)));
        // Its own size it cannot know.
        expect(files).toEqual(sizes.set('meta.json', undefined));
      }
    });

    test('promtool lists and analyzes them', async () => {
      const metas = blocksIn(store);
      const listed = await listBlocks(copy);
      expect(new Map(listed.map(({ ulid, samples }) => [ulid, samples]))).toEqual(
        new Map(metas.map(({ ulid, stats }) => [ulid, stats.numSamples])),
      );
      for (const { ulid, stats } of metas)
        expect((await analyzeBlock(copy, ulid)).get('Series')).toBe(String(stats.numSeries));
    });

    test('promtool dumps as many samples of each series as were sent', async () => {
      const rows = new Map<string, number>();
      for await (const [labels] of dumpSamples(copy)) rows.set(labels, (rows.get(labels) ?? 0) + 1);
      expect(rows).toEqual(new Map([...day.expected].map(([labels, { timestamps }]) => [labels, timestamps.length])));
    });

    test('a Prometheus on them has every bit that was sent', async () => {
      await using prometheus = await Prometheus.start({ directory: copy });
      expect(differences(await readStreamed(prometheus.url, everything), day.expected)).toEqual([]);
    });
  });

  describe('while the store cannot be read', () => {
    const away = join(outside, 'away');
    let recent: ReadQuery;
    let sent: SeriesMap;

    beforeAll(async () => {
      renameSync(store, away);
      symlinkSync(store, store); // Whatever is asked there fails, for root too.
      const startMs = day.endMs + 60_000;
      recent = { startMs, endMs: startMs + HOUR_MS / 2, matchers: [['__name__', '=', 'outage']] };
      for (let minute = 0; minute < 30; minute++) {
        const samples = [[startMs + minute * 60_000, minute]] as const;
        const body = writeRequest([{ labels: [['__name__', 'outage']], samples }]);
        expect(await varve.write(body)).toEqual({ status: 204, text: '' });
      }
      await until('a block that waits', async () => (await metric('varve_upload_backlog_blocks')) > 0);
    }, 60_000);

    afterAll(() => {
      if (!existsSync(away)) return;
      rmSync(store);
      renameSync(away, store);
    });

    test('it says so', async () => {
      await until('the failure', async () => (await metric('varve_bucket_failing')) === 1);
      expect((await fetch(`${varve.url}/-/ready`)).status).toBe(200);
    });

    test('what is here is answered, with a warning where something is missing', async () => {
      sent = await readSamples(varve.url, recent);
      expect(sampleCount(sent)).toBe(30);
      const response = await requestRead(`${varve.url}/api/v1/read`, everything);
      expect(response.status).toBe(200);
      expect(response.headers.get('x-varve-warning')).toMatch(
        /^partial response: block \w{26} and \d+ others could not be read/,
      );
    });

    test('who wants no part of an answer gets an error', async () => {
      const response = await requestRead(`${varve.url}/api/v1/read?partial_response=false`, everything);
      expect(response.status).toBe(503);
      const whole = await requestRead(`${varve.url}/api/v1/read?partial_response=false`, recent);
      expect(whole.status).toBe(200);
    });

    test('when it is back, what waited is uploaded, and the answers are whole', async () => {
      rmSync(store);
      renameSync(away, store);
      const isDrained = async (): Promise<boolean> =>
        (await metric('varve_upload_backlog_blocks')) === 0 && (await metric('varve_bucket_failing')) === 0;
      await until('the backlog to drain', isDrained, { timeoutMs: 90_000 });
      expect(samplesIn(blocksIn(store))).toBe(sampleCount(day.expected) + 30);
      const response = await until('an answer that lacks nothing', async () => {
        const answer = await requestRead(`${varve.url}/api/v1/read?partial_response=false`, everything);
        return answer.ok ? answer : undefined;
      });
      expect(response.headers.get('x-varve-warning')).toBeNull();
      expect(differences(await readStreamed(varve.url, everything), day.expected)).toEqual([]);
      expect(differences(await readSamples(varve.url, recent), sent)).toEqual([]);
    }, 120_000);
  });
});

/** The whole blocks in a bucket. */
function blocksIn(store: string): BlockMeta[] {
  const metas = existsSync(store) ? readdirSync(store).map((name) => join(store, name, 'meta.json')) : [];
  return metas.filter(existsSync).map((path) => JSON.parse(readFileSync(path, 'utf8')) as BlockMeta);
}

function samplesIn(blocks: readonly BlockMeta[]): number {
  return blocks.reduce((sum, { stats }) => sum + (stats.numSamples ?? 0), 0);
}

/** The files under a directory by their paths in it. */
function sizesIn(directory: string): Map<string, number> {
  const paths = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
  return new Map(paths.map((path) => [path.slice(directory.length + 1), readFileSync(path).length]));
}
