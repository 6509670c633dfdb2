/** Our blocks in the hands of the real promtool, and its blocks in ours. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DirectoryBlockFiles } from '../../../storage/block/block-files.ts';
import { BlockReader } from '../../../storage/block/block-reader.ts';
import { writeBlock } from '../../../storage/block/block-writer.ts';
import { parseMeta } from '../../../storage/block/meta.ts';
import { nodeFileSystem } from '../../../storage/io/node-file-system.ts';
import { type Chunk, XOR } from '../../../storage/model/series-source.ts';
import { blockInput, type PlainSeries, TEST_ULID } from '../../support/blocks.ts';
import { decodeXorChunk } from '../../support/oracle/xor-chunk.ts';
import { peers } from '../../support/peers.ts';
import { analyzeBlock, dumpSamples, listBlocks, promtool } from '../../support/promtool.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';
import { WholeIndex } from '../../support/whole-index.ts';

const T0 = 1_700_000_000_000;
const everything = { minTimeMs: Number.MIN_SAFE_INTEGER, maxTimeMs: Number.MAX_SAFE_INTEGER };

/** 200 series of 3 metrics, two chunks each, values that whole and broken numbers, signs and NaN occur in. */
function manySeries(): PlainSeries[] {
  const special = [0, -1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e-300, -0, 0.1];
  return Array.from({ length: 200 }, (_, i) => ({
    labels: ['__name__', `metric_${i % 3}`, 'instance', `host-${i}`, 'job', i % 2 === 0 ? 'é€😀' : 'node'],
    chunks: [0, 1].map((half) =>
      Array.from({ length: 50 }, (_, k): [number, number] => [
        T0 + (half * 50 + k) * 15_000 + ((i * k) % 7),
        k % 5 === 0 ? (special[(i + k) % special.length] as number) : i * k,
      ]),
    ),
  }));
}

/** One sample as text; `promtool tsdb dump` names labels this way. */
function sampleLine(labels: string, value: number, timestampMs: number): string {
  return `${labels} ${Object.is(value, -0) ? '-0' : value} ${timestampMs}`;
}

function labelText(labels: readonly string[]): string {
  const pairs = labels.flatMap((name, i) => (i % 2 === 0 ? [`${name}=${JSON.stringify(labels[i + 1])}`] : []));
  return `{${pairs.join(', ')}}`;
}

test.skipIf(!peers.promtool)('promtool lists, analyzes and dumps a block of ours as it was written', async () => {
  using directory = new TemporaryDirectory('block');
  const series = manySeries();
  writeBlock(nodeFileSystem, join(directory.path, TEST_ULID), blockInput(series));
  mkdirSync(join(directory.path, 'wal'));

  expect(await listBlocks(directory.path)).toEqual([
    { ulid: TEST_ULID, minTimeMs: T0, maxTimeMs: T0 + 99 * 15_000 + 1, samples: 20_000, chunks: 400, series: 200 },
  ]);
  const analyzed = await analyzeBlock(directory.path, TEST_ULID);
  expect([analyzed.get('Series'), analyzed.get('Label names')]).toEqual(['200', '3']);

  const dumped: string[] = [];
  for await (const sample of dumpSamples(directory.path)) dumped.push(sampleLine(...sample));
  const written = series.flatMap(({ labels, chunks }) =>
    chunks.flat().map(([timestampMs, value]) => sampleLine(labelText(labels), value, timestampMs)),
  );
  expect(dumped.sort()).toEqual(written.sort());
});

/** Has promtool make blocks of the series; returns the directory with the blocks. */
async function promtoolBlocks(directory: string, series: readonly PlainSeries[]): Promise<string> {
  const lines = series.flatMap(({ labels, chunks }) =>
    chunks.flat().map(([timestampMs, value]) => {
      const text = sampleLine('', value, timestampMs / 1000).replace('Infinity', '+Inf');
      // OpenMetrics wants no space between labels.
      return `${labels[1]}${labelText(labels.slice(2)).replaceAll(', ', ',')}${text}`;
    }),
  );
  const source = join(directory, 'source.om');
  writeFileSync(source, `${lines.join('\n')}\n# EOF\n`);
  const output = join(directory, 'blocks');
  for await (const _ of promtool('tsdb', 'create-blocks-from', 'openmetrics', source, output));
  return output;
}

test.skipIf(!peers.promtool)('a block of promtool is read with its series and samples', async () => {
  using directory = new TemporaryDirectory('promtool');
  const series = manySeries();
  const output = await promtoolBlocks(directory.path, series);
  const expected = new Map(series.map(({ labels, chunks }) => [labels.join('\0'), chunks.flat()]));

  const read = new Map<string, [number, number][]>();
  const ulids = readdirSync(output).filter((name) => name.length === 26);
  expect(ulids.length).toBeGreaterThan(0);
  for (const ulid of ulids) {
    const file = join(output, ulid, 'meta.json');
    const meta = parseMeta(readFileSync(file), file);
    expect(meta.ulid).toBe(ulid);
    const files = new DirectoryBlockFiles(nodeFileSystem, join(output, ulid));
    const reader = await BlockReader.open(files, meta, []);
    const selected = await reader.select([], everything);
    expect(selected).toHaveLength(meta.stats.numSeries as number);
    const chunks = await reader.readChunks(selected, everything);
    expect(chunks.flat()).toHaveLength(meta.stats.numChunks as number);
    expect(chunks.flat().every(({ encoding }) => encoding === XOR)).toBe(true);
    selected.forEach(({ labels }, i) => {
      const samples = read.get(labels.join('\0')) ?? [];
      for (const chunk of chunks[i] ?? []) {
        const { timestamps, values } = decodeXorChunk(chunk.bytes);
        expect([timestamps[0], timestamps.at(-1)]).toEqual([chunk.minTimeMs, chunk.maxTimeMs]);
        timestamps.forEach((timestampMs, k) => void samples.push([timestampMs, values[k] as number]));
      }
      read.set(labels.join('\0'), samples);
    });
    files.close();
  }
  for (const samples of read.values()) samples.sort(([a], [b]) => a - b);
  expect(read).toEqual(expected);
});

test.skipIf(!peers.promtool)('a block of promtool is written again byte for byte', async () => {
  using directory = new TemporaryDirectory('rewrite');
  const output = await promtoolBlocks(directory.path, manySeries());
  const rewritten = join(directory.path, 'rewritten');
  const ulids = readdirSync(output).filter((name) => name.length === 26);
  expect(ulids.length).toBeGreaterThan(0);
  for (const ulid of ulids) {
    const source = join(output, ulid);
    const meta = parseMeta(readFileSync(join(source, 'meta.json')), ulid);
    const files = new DirectoryBlockFiles(nodeFileSystem, source);
    const reader = await BlockReader.open(files, meta, []);
    const selected = await reader.select([], everything);
    const chunks = await reader.readChunks(selected, everything);
    files.close();
    const bytes = readFileSync(join(source, 'index'));
    const index = new WholeIndex('index', bytes);
    const symbols = Array.from({ length: index.header.symbols.count }, (_, symbol) =>
      index.header.symbols.lookup(symbol),
    );
    const numbers = new Map(symbols.map((symbol, number) => [symbol, number]));
    const ours = writeBlock(nodeFileSystem, join(rewritten, ulid), {
      ulid,
      minTimeMs: meta.minTime,
      maxTimeMs: meta.maxTime,
      symbols,
      series: selected.map(({ labels }, i) => ({
        labels: labels.map((label) => numbers.get(label) as number),
        chunks: chunks[i] as Chunk[],
      })),
      thanosLabels: { a: 'b' },
      source: 'receive',
    });
    // Stats of Prometheus 2 have no count of float samples.
    expect(ours.stats).toMatchObject(meta.stats);
    expect(ours.compaction).toEqual(meta.compaction);
    const written = readFileSync(join(rewritten, ulid, 'chunks/000001'));
    expect(written.equals(readFileSync(join(source, 'chunks/000001')))).toBe(true);
    // Header, symbols and series are alike; after them Prometheus 2 wrote label indices.
    const seriesEnd = Number(bytes.readBigUInt64BE(bytes.length - 52 + 16));
    const again = readFileSync(join(rewritten, ulid, 'index'));
    expect(again.subarray(0, seriesEnd).equals(bytes.subarray(0, seriesEnd))).toBe(true);
    const ourIndex = new WholeIndex('index', again);
    for (const name of index.names()) {
      expect(ourIndex.values(name)).toEqual(index.values(name));
      for (const value of index.values(name)) {
        expect(ourIndex.postings(name, value)).toEqual(index.postings(name, value));
      }
    }
    expect(ourIndex.names()).toEqual(index.names());
  }
});
