/**
 * Acknowledged means durable: senders keep a record of every answer while the server is killed, stopped, or out of disk,
 * and hold it against what is there afterwards.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DurableLoad } from '../support/durable-load.ts';
import { Journal, outcomeOf } from '../support/journal.ts';
import { peers } from '../support/peers.ts';
import { EVERYTHING, readStreamed } from '../support/remote-read.ts';
import { type WrittenSeries, writeRequest } from '../support/remote-write.ts';
import { SmallDisk } from '../support/small-disk.ts';
import { until } from '../support/until.ts';
import { spawnVarve, Varve } from '../support/varve.ts';

const EXIT_LOCKED = 3;
const MINUTE_MS = 60_000;
const startMs = Date.now() - 30 * 24 * 60 * MINUTE_MS;
const wholeRange = { startMs, endMs: Date.now(), matchers: EVERYTHING };

test('after kill -9 under load, what was acknowledged is there once and what was refused is not', async () => {
  await using varve = await Varve.start();
  const load = new DurableLoad();
  for (let round = 1; round <= 3; round++) {
    const acknowledgedBefore = load.journal.count('acknowledged');
    const running = load.run(varve, () => false);
    await until('some hundred answers', () => load.journal.count('acknowledged') > acknowledgedBefore + 400);
    await varve.kill();
    await running;
    await varve.restart();
    expect(load.journal.violations(await readStreamed(varve.url, load.wholeRange))).toEqual([]);
  }
  expect(load.journal.count('refused')).toBeGreaterThan(20);
  // Each kill may have come before its cut was done: what the windows still owe is cut after the last start.
  await until('a block', () => varve.blocks().length > 0);
  expect(load.journal.violations(await readStreamed(varve.url, load.wholeRange))).toEqual([]);
}, 120_000);

test.skipIf(!peers.root)(
  'after a power cut under load, what was acknowledged is there once',
  async () => {
    using disk = new SmallDisk(512 * 2 ** 20);
    await using varve = await Varve.start({ directory: join(disk.path, 'data') });
    const load = new DurableLoad();
    for (let round = 1; round <= 3; round++) {
      const acknowledgedBefore = load.journal.count('acknowledged');
      const running = load.run(varve, () => false);
      await until('some hundred answers', () => load.journal.count('acknowledged') > acknowledgedBefore + 200);
      await disk.cutPower(varve.pid);
      await varve.kill();
      await running;
      disk.powerOn();
      await varve.restart();
      expect(load.journal.violations(await readStreamed(varve.url, load.wholeRange))).toEqual([]);
    }
  },
  120_000,
);

test('SIGTERM under load: the server answers what it took, exits 0, and has all of it afterwards', async () => {
  await using varve = await Varve.start();
  const load = new DurableLoad();
  const running = load.run(varve, () => false);
  await until('a hundred answers', () => load.journal.count('acknowledged') > 100);
  expect(await varve.stop()).toEqual({ code: 0, signal: null });
  await running;
  await varve.restart();
  expect(load.journal.violations(await readStreamed(varve.url, load.wholeRange))).toEqual([]);
});

test('a second server on the data directory exits 3 and harms nothing', async () => {
  await using varve = await Varve.start();
  const load = new DurableLoad();
  let isOver = false;
  const running = load.run(varve, () => isOver);
  await until('an answer', () => load.journal.count('acknowledged') > 0);
  await using second = spawnVarve(varve.directory);
  expect(await second.ended).toEqual({ code: EXIT_LOCKED, signal: null });
  expect(second.output).toContain(varve.directory);
  const acknowledgedThen = load.journal.count('acknowledged');
  await until('answers after that', () => load.journal.count('acknowledged') > acknowledgedThen + 50);
  isOver = true;
  await running;
  await varve.kill();
  await varve.restart();
  expect(load.journal.count('unknown')).toBe(0);
  expect(load.journal.violations(await readStreamed(varve.url, load.wholeRange))).toEqual([]);
});

/** 10 000 samples that no compression makes small. */
function bulkyRequest(n: number): WrittenSeries[] {
  return Array.from({ length: 100 }, (_, index) => ({
    labels: [
      ['__name__', 'bulky'],
      ['index', String(index)],
    ],
    samples: Array.from({ length: 100 }, (_, i) => [startMs + n * MINUTE_MS + i * 500, Math.random()]),
  }));
}

test.skipIf(!peers.root)(
  'on a full disk writes get 503; with space again the same body gets 204 and survives kill -9',
  async () => {
    using disk = new SmallDisk(192 * 2 ** 20);
    await using varve = await Varve.start({ directory: join(disk.path, 'data') });
    const journal = new Journal();
    const deliver = async (request: WrittenSeries[]): Promise<number> => {
      const { status } = await varve.write(writeRequest(request));
      journal.record(request, outcomeOf(status));
      return status;
    };
    expect(await deliver(bulkyRequest(0))).toBe(204);
    disk.fill();
    let n = 1;
    let status = 204;
    // What was allocated ahead takes some more.
    for (; status === 204 && n < 1_000; n++) status = await deliver(bulkyRequest(n));
    expect(status).toBe(503);
    const refused = bulkyRequest(n);
    expect(await deliver(refused)).toBe(503);
    // What is there can still be read.
    expect((await readStreamed(varve.url, wholeRange)).size).toBe(100);
    disk.free();
    await until('the same body to be taken', async () => (await deliver(refused)) === 204);
    await varve.kill();
    await varve.restart();
    expect(journal.violations(await readStreamed(varve.url, wholeRange))).toEqual([]);
    expect(journal.count('unknown')).toBeGreaterThan(1);
  },
  120_000,
);
