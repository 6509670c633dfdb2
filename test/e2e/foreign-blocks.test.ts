/**
 * A bucket with blocks of others: of two Prometheus servers whose sidecars have put them there, of a Mimir, marked for
 * deletion, half uploaded. What a server on this bucket answers, and that it leaves all of them alone.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { peers } from '../support/peers.ts';
import { Prometheus } from '../support/prometheus.ts';
import { EVERYTHING, type ReadQuery, readSamples, readStreamed } from '../support/remote-read.ts';
import type { WrittenSeries } from '../support/remote-write.ts';
import { bitsOf, type SeriesMap } from '../support/series.ts';
import { blocksByPrometheus, blocksByPromtool, foreignMeta, putForeignBlock } from '../support/sidecar.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { Varve } from '../support/varve.ts';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** A window that is over whatever the time of day, and not too old for a Prometheus to take. */
const START_MS = Math.floor(Date.now() / (2 * HOUR_MS)) * 2 * HOUR_MS - 2 * HOUR_MS;
const RANGE = { startMs: START_MS, endMs: START_MS + HOUR_MS };
const SAMPLES = 30;

/** The same two series wherever they are; values are counted from `first`. */
function requestsFrom(first: number): WrittenSeries[] {
  return ['a', 'b'].map((instance, i) => ({
    labels: [
      ['__name__', 'requests'],
      ['instance', instance],
    ],
    samples: Array.from({ length: SAMPLES }, (_, k) => [START_MS + k * MINUTE_MS, first + 100 * i + k] as const),
  }));
}

function queryOf(...matchers: ReadQuery['matchers'][number][]): ReadQuery {
  return { ...RANGE, matchers: [...EVERYTHING, ...matchers] };
}

/** The series' first values by their labels. */
function firstValues(series: SeriesMap): Record<string, bigint | undefined> {
  return Object.fromEntries([...series].map(([labels, { bits }]) => [labels, bits[0]]));
}

describe.skipIf(!peers.prometheus || !peers.promtool)('a bucket with blocks of others', () => {
  const stack = new AsyncDisposableStack();
  const made = stack.use(new TemporaryDirectory('made')).path;
  const store = join(stack.use(new TemporaryDirectory('store')).path, 'store');
  let varve: Varve;
  let before: ReadonlyMap<string, string>;
  let halfUploaded: { readonly from: string; readonly to: string };

  const markForDeletion = (block: string, atMs: number): void => {
    const mark = { id: basename(block), version: 1, details: '', deletion_time: Math.floor(atMs / 1000) };
    writeFileSync(join(block, 'deletion-mark.json'), JSON.stringify(mark));
  };

  beforeAll(async () => {
    const blockOf = async (name: string, first: number, make = blocksByPromtool): Promise<string> => {
      const [block, ...more] = await make(join(made, name), requestsFrom(first));
      if (block === undefined || more.length > 0) throw new Error(`${more.length + 1} blocks, want one`);
      return block;
    };
    const put = (block: string, cluster: string): string =>
      putForeignBlock(store, block, { labels: { cluster, replica: 'prometheus-0' } });
    put(await blockOf('eu', 1000), 'eu');
    put(await blockOf('us', 2000, blocksByPrometheus), 'us');
    markForDeletion(put(await blockOf('marked', 3000), 'marked'), Date.now());
    markForDeletion(put(await blockOf('gone', 4000), 'gone'), Date.now() - 2 * HOUR_MS);
    const from = await blockOf('half', 5000);
    const to = putForeignBlock(store, from, { labels: {}, isWhole: false });
    halfUploaded = { from, to };
    putForeignBlock(store, await blockOf('mimir', 6000), {
      labels: { __org_id__: 'team-a' },
      source: 'ingester',
      under: 'team-a',
    });
    writeFileSync(join(store, 'team-a/bucket-index.json.gz'), 'not for us');
    before = contentsOf(store);
    varve = stack.use(
      await Varve.start({
        flags: [
          `--objstore.config={type: FILESYSTEM, config: {directory: ${store}}}`,
          '--sync-block-duration=1s',
          '--ignore-deletion-marks-delay=1h',
        ],
      }),
    );
    await until('the blocks', async () => (await readSamples(varve.url, queryOf())).size > 0);
  }, 60_000);

  afterAll(() => stack.disposeAsync());

  test('two clusters with the same series are two series in every answer, each with its own samples', async () => {
    const query = queryOf(['cluster', '=~', 'eu|us']);
    const expected = {
      '{__name__="requests", cluster="eu", instance="a", replica="prometheus-0"}': bitsOf(1000),
      '{__name__="requests", cluster="eu", instance="b", replica="prometheus-0"}': bitsOf(1100),
      '{__name__="requests", cluster="us", instance="a", replica="prometheus-0"}': bitsOf(2000),
      '{__name__="requests", cluster="us", instance="b", replica="prometheus-0"}': bitsOf(2100),
    };
    const samples = await readSamples(varve.url, query);
    expect(firstValues(samples)).toEqual(expected);
    for (const { timestamps } of samples.values()) expect(timestamps).toHaveLength(SAMPLES);
    expect(firstValues(await readStreamed(varve.url, query))).toEqual(expected);
  });

  test('they can be told apart by the cluster', async () => {
    const ofEurope = firstValues(await readSamples(varve.url, queryOf(['cluster', '=', 'eu'], ['instance', '=', 'a'])));
    expect(Object.values(ofEurope)).toEqual([bitsOf(1000)]);
    expect((await readSamples(varve.url, queryOf(['cluster', '=', '']))).size).toBe(0);
    expect((await readSamples(varve.url, queryOf(['cluster', '!=', 'eu'], ['cluster', '!=', 'marked']))).size).toBe(2);
  });

  test('labels, label values and series know the cluster', async () => {
    const times = `start=${RANGE.startMs / 1000}&end=${RANGE.endMs / 1000}`;
    const list = async (path: string): Promise<unknown> => {
      const response = await fetch(`${varve.url}/api/v1/${path}`);
      return ((await response.json()) as { data: unknown }).data;
    };
    expect(await list(`labels?${times}`)).toEqual(['__name__', 'cluster', 'instance', 'replica']);
    expect(await list(`label/cluster/values?${times}`)).toEqual(['eu', 'marked', 'us']);
    const selector = encodeURIComponent('requests{cluster=~"eu|us",instance="a"}');
    expect(await list(`series?${times}&match[]=${selector}`)).toEqual(
      ['eu', 'us'].map((cluster) => ({ __name__: 'requests', cluster, instance: 'a', replica: 'prometheus-0' })),
    );
  });

  test('a Prometheus that reads from it sees both', async () => {
    const remoteRead = [{ url: `${varve.url}/api/v1/read`, read_recent: true }];
    await using reader = await Prometheus.start({ remoteRead });
    const expression = 'count by (cluster) (requests{cluster!="marked"})';
    const answer = await reader.query({ expression, endMs: START_MS + (SAMPLES - 1) * MINUTE_MS });
    expect(answer.map(({ metric, value }) => [metric.cluster, value?.[1]])).toEqual([
      ['eu', '2'],
      ['us', '2'],
    ]);
  });

  test("a block in the directory of Mimir's tenant is that tenant's, without its label", async () => {
    const series = await readSamples(varve.url, queryOf(), 'team-a');
    expect(firstValues(series)).toEqual({
      '{__name__="requests", instance="a"}': bitsOf(6000),
      '{__name__="requests", instance="b"}': bitsOf(6100),
    });
  });

  test('a mark for deletion counts after the delay: until then the block is read', async () => {
    expect((await readSamples(varve.url, queryOf(['cluster', '=', 'marked']))).size).toBe(2);
    expect((await readSamples(varve.url, queryOf(['cluster', '=', 'gone']))).size).toBe(0);
  });

  test('nothing of others is touched', () => {
    const after = contentsOf(store);
    expect(new Map([...before].map(([path]) => [path, after.get(path)]))).toEqual(before);
  });

  test('half an upload has no samples until its meta.json is there', async () => {
    const query = queryOf(['cluster', '=', 'half']);
    expect((await readSamples(varve.url, query)).size).toBe(0);
    writeFileSync(join(halfUploaded.to, 'meta.json'), foreignMeta(halfUploaded.from, { cluster: 'half' }, 'sidecar'));
    const series = await until('the rest of it', async () => {
      const found = await readSamples(varve.url, query);
      return found.size > 0 ? found : undefined;
    });
    expect(Object.values(firstValues(series))).toEqual([bitsOf(5000), bitsOf(5100)]);
  });
});

/** A hash of each file under a directory, by its path. */
function contentsOf(directory: string): Map<string, string> {
  const paths = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
  return new Map(paths.map((path) => [path, createHash('sha256').update(readFileSync(path)).digest('hex')]));
}
