/**
 * Native histograms between Varve and Debian's Prometheus, which knows them behind a feature flag: its block in our
 * hands, ours in its hands, and remote read between them. Both hold what one sender sent.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DirectoryBlockFiles } from '../../storage/block/block-files.ts';
import { BlockReader } from '../../storage/block/block-reader.ts';
import { writeBlock } from '../../storage/block/block-writer.ts';
import { parseMeta } from '../../storage/block/meta.ts';
import { cutHistograms } from '../../storage/chunk/cut-histograms.ts';
import { decodeHistograms, encodeHistograms } from '../../storage/chunk/histogram-chunk.ts';
import { mergeChunks } from '../../storage/chunk/merge-chunks.ts';
import { nodeFileSystem } from '../../storage/io/node-file-system.ts';
import { ChunkCodec } from '../../storage/kernel/chunk-codec.ts';
import { compareUtf8 } from '../../storage/model/labels.ts';
import { type Chunk, Encoding } from '../../storage/model/series-source.ts';
import { answerDifferences } from '../support/answers.ts';
import { EVER, TEST_ULID } from '../support/blocks.ts';
import { histogramSeries, requestsOf } from '../support/histogram-series.ts';
import { essenceOf, plainOf, runOf } from '../support/histograms.ts';
import { xorChunk } from '../support/memory-source.ts';
import { peers } from '../support/peers.ts';
import { Prometheus } from '../support/prometheus.ts';
import { listBlocks } from '../support/promtool.ts';
import {
  EVERYTHING,
  type ReadQuery,
  type ReadSeries,
  readHistogramChunks,
  readHistograms,
} from '../support/remote-read.ts';
import { type WrittenSeries, writeRequest } from '../support/remote-write.ts';
import { bitsOf, labelText } from '../support/series.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { Varve } from '../support/varve.ts';

const HOUR_MS = 3_600_000;
const SCRAPES = 300;
const FEATURE = '--enable-feature=native-histograms';

const QUERIES = [
  'histogram_count(counter_integers)',
  'histogram_sum(counter_floats)',
  'histogram_quantile(0.9, counter_integers)',
  'histogram_quantile(0.5, rate(counter_floats[5m]))',
  'histogram_count(rate(counter_resets[10m]))',
  'histogram_sum(increase(counter_resets[20m]))',
  'histogram_fraction(0, 2, counter_integers)',
  'histogram_count(rate(counter_stale[2m]))',
  'histogram_count(counter_stale)',
  'histogram_quantile(0.99, schema_changes)',
  'histogram_count(rate(schema_changes[3m]))',
  'histogram_count(gauge_integers)',
  'histogram_quantile(0.5, gauge_integers)',
  'histogram_count(mixed)',
  'mixed',
  'histogram_count(sum by (job) (counter_integers))',
];

/** What was sent, by series: floats as bits, histograms as what they say. */
function sent(series: readonly WrittenSeries[]): Map<string, { floats: unknown[]; histograms: unknown[] }> {
  return new Map(
    series.map(({ labels, samples, histograms = [] }) => [
      labelText(labels),
      {
        floats: samples.map(([timeMs, value]) => [timeMs, bitsOf(value)]),
        histograms: histograms.map(essenceOf),
      },
    ]),
  );
}

/** What was read, in the same form. */
function essences(read: ReadonlyMap<string, ReadSeries>): ReturnType<typeof sent> {
  return new Map(
    [...read].map(([labels, { floats, histograms }]) => [
      labels,
      {
        floats: floats.timestamps.map((timeMs, i) => [timeMs, floats.bits[i]]),
        histograms: histograms.map(essenceOf),
      },
    ]),
  );
}

/** By series, so that a difference is shown without all the others. */
function expectSame(read: ReadonlyMap<string, ReadSeries>, series: readonly WrittenSeries[]): void {
  const [actual, expected] = [essences(read), sent(series)];
  expect([...actual.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [labels, content] of expected) expect(actual.get(labels), labels).toEqual(content);
}

/** The block that a head with these series would cut. */
function writeOurBlock(directory: string, series: readonly WrittenSeries[], startMs: number): void {
  const codec = ChunkCodec.load();
  const symbols = [...new Set(series.flatMap(({ labels }) => labels.flat()))].sort(compareUtf8);
  writeBlock(nodeFileSystem, directory, {
    ulid: TEST_ULID,
    minTimeMs: startMs,
    maxTimeMs: startMs + 2 * HOUR_MS,
    symbols,
    series: [...series]
      .sort((a, b) => compareUtf8(labelText(a.labels), labelText(b.labels)))
      .map(({ labels, samples, histograms = [] }) => {
        const chunks: Chunk[] = [];
        const rows = histograms.map((row) => ({ run: runOf([row], (row.hint ?? 0) as 0), row: 0 }));
        cutHistograms(rows, chunks);
        if (samples.length > 0) chunks.push(xorChunk(samples.map(([timeMs, value]) => [timeMs, bitsOf(value)])));
        return {
          labels: labels.flat().map((text) => symbols.indexOf(text)),
          chunks: mergeChunks([chunks], { minTimeMs: startMs, maxTimeMs: startMs + 2 * HOUR_MS }, codec),
          exemplars: [{ timeMs: startMs, message: Uint8Array.of(1, 2, 3) }],
          startTimes: { floats: [], histograms: [{ timeMs: startMs, startMs: startMs - 1 }] },
        };
      }),
    metadata: [{ family: 'mixed', type: 'unknown', help: 'Both.', unit: '' }],
    thanosLabels: { tenant_id: 'default-tenant' },
    source: 'receive',
  });
}

/** Has Prometheus make a block of its head; the directory of it. */
async function snapshotBlock({ url, directory }: Prometheus): Promise<string> {
  const response = await fetch(`${url}/api/v1/admin/tsdb/snapshot`, { method: 'POST' });
  const answer = (await response.json()) as { data?: { name: string }; error?: string };
  if (answer.data === undefined) throw new Error(answer.error);
  const snapshot = join(directory, 'snapshots', answer.data.name);
  const [ulid, ...others] = readdirSync(snapshot).filter((name) => name.length === 26);
  expect(others).toEqual([]);
  return join(snapshot, ulid as string);
}

describe.skipIf(!peers.prometheus || !peers.promtool)('native histograms and Prometheus', () => {
  const stack = new AsyncDisposableStack();
  const startMs = Math.floor(Date.now() / (2 * HOUR_MS)) * 2 * HOUR_MS - 4 * HOUR_MS;
  const endMs = startMs + (SCRAPES - 1) * 15_000;
  const everything: ReadQuery = { startMs, endMs, matchers: EVERYTHING };
  const series = histogramSeries(startMs, SCRAPES);
  // Debian's Prometheus cannot make a block of gauges: it takes one that falls for a counter that was reset.
  const gauges = series.filter(({ labels }) => labels[0]?.[1].startsWith('gauge_'));
  const counters = series.filter((one) => !gauges.includes(one));
  const directory = stack.use(new TemporaryDirectory('histograms'));
  /** The one that was written to. */
  let peer: Prometheus;
  /** Its block. */
  let peerBlock: string;

  beforeAll(async () => {
    const flags = [FEATURE, '--web.enable-remote-write-receiver', '--web.enable-admin-api'];
    peer = stack.use(await Prometheus.start({ flags }));
    await send(peer, series);
    const maker = stack.use(await Prometheus.start({ flags }));
    await send(maker, counters);
    peerBlock = await snapshotBlock(maker);
  }, 60_000);

  afterAll(() => stack.disposeAsync());

  test('a block of Prometheus has what was sent, and its chunks are written again byte for byte', async () => {
    const file = join(peerBlock, 'meta.json');
    const meta = parseMeta(readFileSync(file), file);
    const files = new DirectoryBlockFiles(nodeFileSystem, peerBlock);
    const reader = await BlockReader.open(files, meta, []);
    const selected = await reader.select([], EVER);
    const chunks = await reader.readChunks(selected, EVER);
    files.close();
    const wanted = sent(counters);
    let histogramChunks = 0;
    selected.forEach(({ labels }, i) => {
      const pairs = labels.flatMap((name, j) => (j % 2 === 0 ? [[name, labels[j + 1] as string] as const] : []));
      const runs = (chunks[i] ?? []).filter(({ encoding }) => encoding !== Encoding.XOR).map(decodeHistograms);
      expect(runs.flatMap(plainOf).map(essenceOf)).toEqual(wanted.get(labelText(pairs))?.histograms);
      const again = runs.map((run) => Buffer.from(encodeHistograms(run).bytes).toString('hex'));
      const theirs = (chunks[i] ?? []).filter(({ encoding }) => encoding !== Encoding.XOR);
      expect(again).toEqual(theirs.map(({ bytes }) => Buffer.from(bytes).toString('hex')));
      histogramChunks += theirs.length;
    });
    expect(selected.length).toBe(counters.length);
    expect(histogramChunks).toBeGreaterThan(30);
  });

  test('a Prometheus on a block of ours answers as the one that was written to', async () => {
    const data = join(directory.path, 'ours');
    mkdirSync(join(data, 'wal'), { recursive: true });
    writeOurBlock(join(data, TEST_ULID), series, startMs);
    const [listed] = await listBlocks(data);
    expect(listed).toMatchObject({ ulid: TEST_ULID, series: series.length });
    expect(listed?.samples).toBe(series.length * SCRAPES);
    await using own = await Prometheus.start({ directory: data, flags: [FEATURE] });
    // Its answers of the other form leave histograms out.
    expectSame(await readHistogramChunks(own.url, everything), series);
    for (const expression of QUERIES) await compare(own, expression);
  }, 60_000);

  test('remote read gives what was sent from a block of Prometheus, in both forms', async () => {
    const data = join(directory.path, 'varve');
    const blocks = join(data, 'bucket');
    mkdirSync(blocks, { recursive: true });
    cpSync(peerBlock, join(blocks, basename(peerBlock)), { recursive: true });
    await using varve = await Varve.start({ directory: data });
    expectSame(await readHistogramChunks(varve.url, everything), counters);
    expectSame(await readHistograms(varve.url, everything), counters);
    // As a reader Debian's Prometheus knows floats only; the histograms beside them must not disturb it.
    await using reader = await Prometheus.start({
      remoteRead: [{ url: `${varve.url}/api/v1/read`, read_recent: true }],
    });
    const floats = { expression: 'mixed', startMs, endMs: startMs + 9 * 15_000, stepMs: 15_000 };
    expect(answerDifferences(await reader.query(floats), await peer.query(floats))).toEqual([]);
  }, 60_000);

  test('what is sent to Varve is in its answers and in its block, which a Prometheus takes over', async () => {
    await using varve = await Varve.start();
    await send(varve, series);
    expectSame(await readHistograms(varve.url, everything), series);
    expectSame(await readHistogramChunks(varve.url, everything), series);
    // The first window is cut when the head spans more than 3 h.
    const tick = { labels: [['__name__', 'tick']] as const, samples: [[startMs + 3.4 * HOUR_MS, 1]] as const };
    expect((await varve.write(writeRequest([tick]))).status).toBe(204);
    await until('the cut of the first window', () => varve.blocks().length > 0);
    expectSame(await readHistograms(varve.url, everything), series);
    expectSame(await readHistogramChunks(varve.url, everything), series);
    const [block] = varve.blocks();
    const data = join(directory.path, 'taken-over');
    mkdirSync(join(data, 'wal'), { recursive: true });
    cpSync(join(varve.directory, 'bucket', block?.ulid as string), join(data, block?.ulid as string), {
      recursive: true,
    });
    await using own = await Prometheus.start({ directory: data, flags: [FEATURE] });
    expectSame(await readHistogramChunks(own.url, everything), series);
    for (const expression of QUERIES) await compare(own, expression);
  }, 60_000);

  test('what was acknowledged is there after kill -9, and sent again is a duplicate', async () => {
    await using varve = await Varve.start();
    await send(varve, series);
    await varve.kill();
    await varve.restart();
    expectSame(await readHistogramChunks(varve.url, everything), series);
    await send(varve, series);
    expectSame(await readHistograms(varve.url, everything), series);
  }, 60_000);

  test('what a Prometheus sends on is what it was sent', async () => {
    await using varve = await Varve.start();
    const url = `${varve.url}/api/v1/write`;
    const flags = [FEATURE, '--web.enable-remote-write-receiver'];
    await using between = await Prometheus.start({ flags, remoteWrite: [{ url, send_native_histograms: true }] });
    // It sends on what is younger than itself.
    const from = Math.ceil(Date.now() / 1000) * 1000 + 1000;
    const scrapes = 30;
    const young = histogramSeries(from, scrapes).filter(({ labels }) => !labels[0]?.[1].startsWith('gauge_'));
    for (const request of requestsOf(young, from, scrapes))
      expect(await between.write(writeRequest(request))).toEqual({ status: 204, text: '' });
    const query: ReadQuery = { startMs: from, endMs: from + scrapes * 15_000, matchers: EVERYTHING };
    const count = (content: ReturnType<typeof sent>): number =>
      [...content.values()].reduce((sum, { floats, histograms }) => sum + floats.length + histograms.length, 0);
    const wanted = count(sent(young));
    await until('all that was sent', async () => count(essences(await readHistograms(varve.url, query))) >= wanted);
    expectSame(await readHistograms(varve.url, query), young);
  }, 60_000);

  async function send(to: Prometheus | Varve, all: readonly WrittenSeries[]): Promise<void> {
    for (const request of requestsOf(all, startMs, SCRAPES)) {
      expect(await to.write(writeRequest(request))).toEqual({ status: 204, text: '' });
    }
  }

  async function compare(other: Prometheus, expression: string): Promise<void> {
    const query = { expression, startMs, endMs, stepMs: 60_000 };
    const expected = await peer.query(query);
    expect(expected.length, expression).toBeGreaterThan(0);
    expect(answerDifferences(await other.query(query), expected), expression).toEqual([]);
  }
});
