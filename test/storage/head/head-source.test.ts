import { beforeEach, expect, test } from 'vitest';
import { HeadSource } from '../../../storage/head/head-source.ts';
import { HeadView } from '../../../storage/head/head-view.ts';
import { Matcher } from '../../../storage/model/matcher.ts';
import { type TimeRange, WINDOW_MS } from '../../../storage/model/time-range.ts';
import { BareHead } from '../../support/bare-head.ts';
import { ALWAYS } from '../../support/database-answers.ts';
import { writeRequest } from '../../support/remote-write.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';
import { SimMachine } from '../../support/sim-machine.ts';

const WINDOW = 236_111;
const START_MS: number = WINDOW * WINDOW_MS;
const chance = seededChance(7);

let head: BareHead;
let view: HeadView;

beforeEach(() => {
  const disk = new SimFileSystem();
  disk.makeDirectory('/data');
  head = new BareHead(new SimMachine(disk, START_MS + 10 * WINDOW_MS, chance));
  view = new HeadView(head.kernel.memory.memory, 1);
});

async function write(i: string, timestampsMs: readonly number[]): Promise<void> {
  const labels = [
    ['__name__', 'm'],
    ['i', i],
  ] as const;
  const samples = timestampsMs.map((timestampMs) => [timestampMs, 1] as const);
  await head.writer.write('a', writeRequest([{ labels, samples }]));
}

function source(published: readonly { window: number; generation: number }[] = []): HeadSource {
  return new HeadSource(view, head.writer.tenant('a').handle, [], published);
}

const range = (fromMs: number, toMs: number): TimeRange => ({
  minTimeMs: START_MS + fromMs,
  maxTimeMs: START_MS + toMs,
});

test('names, values and series are those with samples in the range, to the millisecond', async () => {
  await write('early', [START_MS + 100, START_MS + 200]);
  await write('late', [START_MS + 300]);
  const matchers = [new Matcher('=', '__name__', 'm')];
  const answers = async (within: TimeRange): Promise<[string[], string[], number]> => [
    await source().labelValues('i', [], within),
    await source().labelValues('i', matchers, within),
    (await source().select(matchers, within)).length,
  ];
  expect(await answers(ALWAYS)).toEqual([['early', 'late'], ['early', 'late'], 2]);
  expect(await answers(range(200, 300))).toEqual([['early'], ['early'], 1]);
  expect(await answers(range(201, 301))).toEqual([['late'], ['late'], 1]);
  expect(await answers(range(301, 400))).toEqual([[], [], 0]);
  expect(await source().labelNames([], range(0, 100))).toEqual([]);
  expect(await source().labelNames([], range(0, 101))).toEqual(['__name__', 'i']);
  expect(await source().labelNames(matchers, range(0, 101))).toEqual(['__name__', 'i']);
});

test('whether a series has samples in a range is what its chunks say, open, late and closed ones', async () => {
  for (let request = 0; request < 60; request++) {
    const fromMs = START_MS + Math.floor(chance() * 4 * WINDOW_MS);
    await write(
      'x',
      Array.from({ length: 1 + Math.floor(chance() * 60) }, (_, i) => fromMs + i * 15_000),
    );
  }
  const [row] = [...(await source().select([], ALWAYS))].map(({ chunkRefs }) => chunkRefs[0] as number);
  for (let i = 0; i < 500; i++) {
    const minTimeMs = START_MS + Math.floor((chance() * 6 - 1) * WINDOW_MS);
    const within = { minTimeMs, maxTimeMs: minTimeMs + Math.floor(chance() * chance() * WINDOW_MS) };
    const wanted = (window: number): boolean => window !== WINDOW + 1;
    const chunks = view.chunks(row as number, wanted);
    const expected = chunks.some((c) => c.minTimeMs < within.maxTimeMs && c.maxTimeMs >= within.minTimeMs);
    expect(view.hasChunk(row as number, wanted, within)).toBe(expected);
  }
});

test('a generation that a block holds is not seen, the next one of its window is', async () => {
  await write('x', [START_MS + 1]);
  const { handle } = head.writer.tenant('a');
  const generation = head.kernel.seal(handle, WINDOW);
  const published = [{ window: WINDOW, generation }];
  expect((await source().select([], ALWAYS)).length).toBe(1);
  expect((await source(published).select([], ALWAYS)).length).toBe(0);
  await write('x', [START_MS + 2]);
  const [series] = await source(published).select([], ALWAYS);
  const chunks = await source(published).readChunks(series === undefined ? [] : [series], ALWAYS);
  expect(chunks.flat().map(({ minTimeMs, maxTimeMs }) => [minTimeMs - START_MS, maxTimeMs - START_MS])).toEqual([
    [2, 2],
  ]);
});
