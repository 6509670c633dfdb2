/** Series that come and go, in a whole engine: they leave the head, and nothing that was written is lost. */
import { beforeEach, expect, test } from 'vitest';
import { WINDOW_MS } from '../../../storage/model/time-range.ts';
import { openReader } from '../../../storage/select/reader.ts';
import { ALWAYS, answerOf } from '../../support/database-answers.ts';
import { OpenedDatabase, type PlainSample } from '../../support/opened-database.ts';
import { labelText, type SeriesMap } from '../../support/series.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';
import { SimMachine } from '../../support/sim-machine.ts';

const HOUR_MS = 3_600_000;
const START_MS: number = 236_111 * WINDOW_MS;

let disk: SimFileSystem;
let machine: SimMachine;
let opened: OpenedDatabase;
/** How many samples each series has got. */
let written: Map<string, number>;

beforeEach(async () => {
  disk = new SimFileSystem();
  machine = new SimMachine(disk, START_MS + 1000 * HOUR_MS, seededChance(3));
  opened = await OpenedDatabase.open(machine, { deadSeriesAtLeast: 10 });
  written = new Map();
});

/** A sample every ten minutes of an hour, of the series `first` to `first + 9`. */
async function writeHour(hour: number, first: number, tenant = 'a'): Promise<void> {
  for (let i = first; i < first + 10; i++) {
    const samples = Array.from({ length: 6 }, (_, at): PlainSample => [START_MS + hour * HOUR_MS + at * 600_000, i]);
    expect(await opened.write(tenant, samples, i)).toMatchObject({ stored: 6 });
    const labels = labelText([
      ['__name__', 'm'],
      ['i', String(i)],
    ]);
    written.set(labels, (written.get(labels) ?? 0) + 6);
  }
}

/** Hours in which every series lives for two. */
async function churn(from: number, to: number): Promise<void> {
  for (let hour = from; hour < to; hour++) {
    await writeHour(hour, Math.floor(hour / 2) * 10);
    await looks(2);
  }
}

async function looks(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    machine.clock.advance(1000);
    await machine.turns(600);
  }
}

function counts(answer: SeriesMap): Map<string, number> {
  return new Map(Array.from(answer, ([labels, { timestamps }]) => [labels, timestamps.length]));
}

test('series that come and go leave the head, and all that they wrote is found', async () => {
  await churn(0, 40);
  await looks(4);
  const { headSeries, seriesCreated, seriesRemoved } = opened.database.stats();
  expect(seriesCreated).toBe(200);
  expect(headSeries).toBe(seriesCreated - seriesRemoved);
  expect(headSeries).toBeLessThanOrEqual(40);
  expect(counts(await opened.answer('a'))).toEqual(written);
});

test('after a crash the log brings back what is needed, reports no damage, and the dead leave again', async () => {
  await churn(0, 40);
  machine.stop();
  disk.crash(() => 0);
  machine = new SimMachine(disk, machine.clock.nowMs() + 1000, seededChance(4));
  opened = await OpenedDatabase.open(machine, { deadSeriesAtLeast: 10 });
  expect(counts(await opened.answer('a'))).toEqual(written);
  expect(opened.events.filter(({ kind }) => kind === 'wal-damage')).toEqual([]);
  await churn(40, 60);
  await looks(4);
  expect(opened.database.stats().seriesRemoved).toBeGreaterThan(50);
  expect(opened.database.stats().headSeries).toBeLessThanOrEqual(40);
  expect(counts(await opened.answer('a'))).toEqual(written);
});

test('series that come back go on, also after a crash', async () => {
  await churn(0, 20);
  await looks(4);
  expect(opened.database.stats().seriesRemoved).toBeGreaterThan(20);
  await writeHour(20, 0);
  await churn(21, 24);
  await writeHour(24, 0);
  expect(counts(await opened.answer('a'))).toEqual(written);
  machine.stop();
  disk.crash(() => 0);
  machine = new SimMachine(disk, machine.clock.nowMs() + 1000, seededChance(4));
  opened = await OpenedDatabase.open(machine, { deadSeriesAtLeast: 10 });
  expect(counts(await opened.answer('a'))).toEqual(written);
  expect(opened.events.filter(({ kind }) => kind === 'wal-damage')).toEqual([]);
});

test('a query that holds a snapshot while series leave sees what it saw, and its memory is kept for it', async () => {
  await churn(0, 8);
  const reader = openReader(opened.database.readerInit(), machine);
  const snapshot = opened.database.snapshot('a', ALWAYS);
  const before = counts(await answerOf(reader, snapshot));
  const seen = opened.database.stats().seriesRemoved;
  await churn(8, 12);
  opened.database.release(snapshot.id);
  const second = opened.database.snapshot('a', ALWAYS);
  const held = counts(await answerOf(reader, second));
  expect(counts(await answerOf(reader, second))).toEqual(held);
  await looks(4);
  expect(counts(await answerOf(reader, second))).toEqual(held);
  opened.database.release(second.id);
  await churn(12, 30);
  await looks(4);
  expect(opened.database.stats().seriesRemoved).toBeGreaterThan(seen + 50);
  expect(before.size).toBeGreaterThan(0);
  expect(counts(await opened.answer('a'))).toEqual(written);
});

test('the series of a tenant that fell silent leave as well', async () => {
  for (let hour = 0; hour < 3; hour++) await writeHour(hour, 1000, 'silent');
  written.clear();
  machine.clock.advance(3 * HOUR_MS);
  await looks(4);
  await churn(0, 30);
  await looks(4);
  const { handle, id } = opened.database.snapshot('silent', ALWAYS);
  opened.database.release(id);
  const words = new Uint32Array(opened.database.readerInit().memory.buffer);
  expect(words[handle / 4]).toBe(0);
  expect((await opened.answer('silent')).size).toBe(10);
});

test('memory is used again: the head does not grow with series that come and go', async () => {
  const used: number[] = [];
  for (let day = 0; day < 6; day++) {
    await churn(day * 24, (day + 1) * 24);
    await looks(4);
    used.push(opened.database.stats().headBytes);
  }
  expect(Math.max(...used.slice(2))).toBeLessThan(Math.min(...used.slice(2)) * 1.1);
});

test('as long as the log has samples of them, dead series stay, and the replay finds their definitions', async () => {
  await opened.database.close();
  disk = new SimFileSystem();
  machine = new SimMachine(disk, START_MS + 1000 * HOUR_MS, seededChance(3));
  const options = { deadSeriesAtLeast: 10, walSegmentBytes: 24 * 1024 };
  opened = await OpenedDatabase.open(machine, options);
  for (let hour = 0; hour < 60; hour++) {
    await churn(hour, hour + 1);
    // Time for a checkpoint that stands for nothing of the segment at work.
    machine.clock.advance(61_000);
    await looks(2);
    // In the middle of a series' life: what follows is in a segment without its definition.
    if (hour % 6 !== 4) continue;
    machine.stop();
    disk.crash(() => 0);
    machine = new SimMachine(disk, machine.clock.nowMs() + 1000, seededChance(hour));
    opened = await OpenedDatabase.open(machine, options);
    expect(opened.events.filter(({ kind }) => kind === 'wal-damage')).toEqual([]);
  }
  expect(counts(await opened.answer('a'))).toEqual(written);
});
