/** Our blocks in the hands of the real promtool, and its blocks in ours. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DirectoryBlockFiles } from '../../../storage/block/block-files.ts';
import { BlockReader } from '../../../storage/block/block-reader.ts';
import { writeBlock } from '../../../storage/block/block-writer.ts';
import { parseMeta } from '../../../storage/block/meta.ts';
import { nodeFileSystem } from '../../../storage/io/node-file-system.ts';
import { XOR } from '../../../storage/model/series-source.ts';
import { blockInput, type PlainSeries, TEST_ULID } from '../../support/blocks.ts';
import { decodeXorChunk } from '../../support/oracle/xor-chunk.ts';
import { peers } from '../../support/peers.ts';
import { analyzeBlock, dumpSamples, listBlocks } from '../../support/promtool.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';

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

test.skipIf(!peers.promtool)('a block of promtool is read with its series and samples', async () => {
  using directory = new TemporaryDirectory('promtool');
  const lines = ['# TYPE requests counter'];
  const expected = new Map<string, [number, number][]>();
  for (let i = 0; i < 40; i++) {
    const samples: [number, number][] = [];
    for (let k = 0; k < 300; k++) {
      const timestampMs = 1_700_000_000_000 + k * 10_000;
      lines.push(`requests_total{code="${i % 3}",host="h${i}"} ${i + k * 0.25} ${timestampMs / 1000}`);
      samples.push([timestampMs, i + k * 0.25]);
    }
    expected.set(['__name__', 'requests_total', 'code', String(i % 3), 'host', `h${i}`].join('\0'), samples);
  }
  const source = join(directory.path, 'source.om');
  writeFileSync(source, `${lines.join('\n')}\n# EOF\n`);
  const output = join(directory.path, 'blocks');
  execFileSync('promtool', ['tsdb', 'create-blocks-from', 'openmetrics', source, output], { stdio: 'ignore' });

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
  const byTime = (samples: [number, number][]): [number, number][] => samples.sort(([a], [b]) => a - b);
  expect(new Map([...read].map(([labels, samples]) => [labels, byTime(samples)]).sort())).toEqual(
    new Map([...expected].sort()),
  );
});
