/** Histograms and what belongs to samples through the whole engine: head, log, crash, cut and block. */

import protobuf from 'protobufjs';
import { beforeEach, expect, test } from 'vitest';
import { DirectoryBlockFiles } from '../../../storage/block/block-files.ts';
import { BlockReader } from '../../../storage/block/block-reader.ts';
import { mergeSamples } from '../../../storage/chunk/merge-chunks.ts';
import { openReader, type Reader } from '../../../storage/index.ts';
import type { HistogramRow } from '../../../storage/model/histogram.ts';
import { SampleBuffer } from '../../../storage/model/sample-buffer.ts';
import { WINDOW_MS } from '../../../storage/model/time-range.ts';
import { readChunks } from '../../../storage/select/read-chunks.ts';
import { selectSeries } from '../../../storage/select/select-series.ts';
import { ALWAYS } from '../../support/database-answers.ts';
import { wireHistogram } from '../../support/histogram-message.ts';
import { histogramOf, histogramSeries, requestsOf } from '../../support/histogram-series.ts';
import { essenceOf, plainOf } from '../../support/histograms.ts';
import { rowsOf } from '../../support/memory-source.ts';
import { OpenedDatabase } from '../../support/opened-database.ts';
import type { PlainHistogram } from '../../support/oracle/histogram-chunk.ts';
import { type WrittenSeries, writeRequest } from '../../support/remote-write.ts';
import { writeRequestV2 } from '../../support/remote-write-v2.ts';
import { bitsOf, labelText } from '../../support/series.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';
import { SimMachine } from '../../support/sim-machine.ts';

const { root } = protobuf.parse(`
  syntax = "proto3";
  message Label { string name = 1; string value = 2; }
  message Exemplar { repeated Label labels = 1; double value = 2; int64 timestamp = 3; }
`);
const Exemplar = root.lookupType('Exemplar');

const HOUR_MS = 3_600_000;
const START_MS: number = 236_111 * WINDOW_MS;
const SCRAPES = 150;

let disk: SimFileSystem;
let machine: SimMachine;
let opened: OpenedDatabase;

beforeEach(async () => {
  disk = new SimFileSystem();
  machine = new SimMachine(disk, START_MS + 100 * HOUR_MS, seededChance(3));
  opened = await OpenedDatabase.open(machine);
});

/** By series what was sent, or is found: floats as bits, histograms as what they say. */
type Content = Map<string, { floats: unknown[]; histograms: object[] }>;

function sent(series: readonly WrittenSeries[]): Content {
  return new Map(
    series.map(({ labels, samples, histograms = [] }) => [
      labelText(labels),
      { floats: samples.map(([timeMs, value]) => [timeMs, bitsOf(value)]), histograms: histograms.map(essenceOf) },
    ]),
  );
}

async function found(reader: Reader = openReader(opened.database.readerInit(), machine)): Promise<Content> {
  const snapshot = opened.database.snapshot('a', ALWAYS);
  const content: Content = new Map();
  const out = { floats: new SampleBuffer(), histograms: [] as HistogramRow[] };
  for await (const batch of selectSeries(reader.sources(snapshot), [], ALWAYS)) {
    const chunks = await readChunks(batch, ALWAYS);
    batch.forEach(({ labels }, i) => {
      mergeSamples(chunks[i] ?? [], ALWAYS, reader.codec, out);
      const pairs = labels.flatMap((name, j) => (j % 2 === 0 ? [[name, labels[j + 1] as string] as const] : []));
      const histograms = out.histograms.map(({ run, row }) => essenceOf(plainOf(run)[row] as PlainHistogram));
      content.set(labelText(pairs), { floats: rowsOf(out.floats), histograms });
    });
  }
  opened.database.release(snapshot.id);
  return content;
}

async function write(series: readonly WrittenSeries[]): Promise<void> {
  const { message, rejected } = await opened.database.write('a', writeRequest(series));
  expect({ message, rejected }).toEqual({ message: '', rejected: 0 });
}

async function writeAll(series: readonly WrittenSeries[]): Promise<void> {
  for (const request of requestsOf(series, START_MS, SCRAPES)) await write(request);
}

async function cutAll(): Promise<void> {
  machine.clock.advance(4 * HOUR_MS);
  for (let i = 0; i < 5; i++) {
    machine.clock.advance(1000);
    await machine.turns(400);
  }
}

test('an answer has the histograms that were sent, before and after the cut, and after a crash', async () => {
  const series = histogramSeries(START_MS, SCRAPES);
  await writeAll(series);
  expect(await found()).toEqual(sent(series));
  const nowMs = machine.clock.nowMs();
  machine.stop();
  disk.crash(seededChance(4));
  machine = new SimMachine(disk, nowMs + 1000, seededChance(5));
  opened = await OpenedDatabase.open(machine);
  expect(await found()).toEqual(sent(series));
  await cutAll();
  expect(opened.count('cut')).toBe(1);
  expect(await found()).toEqual(sent(series));
  const meta = opened.database.snapshot('a', ALWAYS).blocks[0]?.meta;
  const histograms = series.reduce((sum, one) => sum + (one.histograms?.length ?? 0), 0);
  expect(meta?.stats.numHistogramSamples).toBe(histograms);
});

/** The blocks of the tenant, oldest first. */
async function blocks(): Promise<BlockReader[]> {
  const { blocks: places, id } = opened.database.snapshot('a', ALWAYS);
  opened.database.release(id);
  return await Promise.all(
    places.map(({ meta, localDirectory = '' }) => {
      const files = new DirectoryBlockFiles(machine.fileSystem, localDirectory);
      return BlockReader.open(files, meta, []);
    }),
  );
}

test('histograms that come late are a block of their own, and merged with the others when read', async () => {
  const series = histogramSeries(START_MS, SCRAPES);
  const isLate = (timeMs: number): boolean => (timeMs / 15_000) % 7 === 0;
  const part = (late: boolean): WrittenSeries[] =>
    series.map(({ labels, samples, histograms = [] }) => ({
      labels,
      samples: samples.filter(([timeMs]) => isLate(timeMs) === late),
      histograms: histograms.filter(({ timeMs }) => isLate(timeMs) === late),
    }));
  await writeAll(part(false));
  await cutAll();
  await writeAll(part(true));
  expect(await found()).toEqual(sent(series));
  await cutAll();
  expect(opened.count('cut')).toBe(2);
  expect(await found()).toEqual(sent(series));
  expect(machine.fileSystem.list('/data/bucket').length).toBe(2);
});

test('exemplars and start timestamps are in the block, after a crash too', async () => {
  const labels = [
    ['__name__', 'requests_total'],
    ['job', 'a'],
  ] as const;
  const counter = histogramOf({ timeMs: START_MS + 3000, isFloat: false, positive: new Map([[0, 1]]), sum: 1 });
  const body = writeRequestV2([
    {
      labels,
      samples: [
        [START_MS + 1000, 1, START_MS - 500],
        [START_MS + 2000, 2, START_MS - 500],
        [START_MS + 4000, 1, START_MS + 3500],
      ],
      // Refs of the symbols "job" and "a".
      exemplars: [{ labelsRefs: [3, 4], value: 7, timestamp: START_MS + 1500 }],
    },
    // Samples and histograms come apart in remote write 2.0, also those of one series.
    { labels, histograms: [wireHistogram({ ...counter, startMs: START_MS - 700 })] },
  ]);
  const outcome = await opened.database.write('a', body, { compression: 'snappy', protocol: 'v2' });
  expect(outcome.message).toBe('');
  const nowMs = machine.clock.nowMs();
  machine.stop();
  disk.crash(seededChance(4));
  machine = new SimMachine(disk, nowMs + 1000, seededChance(5));
  opened = await OpenedDatabase.open(machine);
  await cutAll();
  const [block] = await blocks();
  const selected = (await block?.select([], ALWAYS)) ?? [];
  expect(await block?.startTimes(selected)).toEqual([
    {
      floats: [
        { timeMs: START_MS + 1000, startMs: START_MS - 500 },
        { timeMs: START_MS + 4000, startMs: START_MS + 3500 },
      ],
      histograms: [{ timeMs: START_MS + 3000, startMs: START_MS - 700 }],
    },
  ]);
  const exemplars = (await block?.exemplars(selected, ALWAYS)) ?? [];
  expect(exemplars.map((list) => list.map(({ timeMs }) => timeMs))).toEqual([[START_MS + 1500]]);
  const decoded = Exemplar.decode(exemplars[0]?.[0]?.message as Uint8Array).toJSON();
  expect(decoded).toEqual({ labels: [{ name: 'job', value: 'a' }], value: 7, timestamp: String(START_MS + 1500) });
});

test('what senders say of a metric family is in each block that has a series of it', async () => {
  const write = async (name: string, timeMs: number, help: string): Promise<void> => {
    const series = { labels: [['__name__', name]] as const, samples: [[timeMs, 1]] as const };
    const body = writeRequestV2([{ ...series, metadata: { type: 1, help, unit: 'requests' } }]);
    expect((await opened.database.write('a', body, { compression: 'snappy', protocol: 'v2' })).message).toBe('');
  };
  await write('first_total', START_MS, 'First.');
  await write('second_total', START_MS + WINDOW_MS, 'Zweite: é€😀');
  await write('second_total', START_MS + WINDOW_MS + 1000, 'Later.');
  await cutAll();
  const [first, second] = await blocks();
  const known = { type: 'counter', unit: 'requests' };
  expect(await first?.metadata()).toEqual([{ ...known, family: 'first_total', help: 'First.' }]);
  expect(await second?.metadata()).toEqual([
    { ...known, family: 'second_total', help: 'Later.' },
    { ...known, family: 'second_total', help: 'Zweite: é€😀' },
  ]);
});
