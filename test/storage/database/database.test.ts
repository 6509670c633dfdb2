import { beforeEach, expect, test } from 'vitest';
import { HeadView } from '../../../storage/head/head-view.ts';
import * as L from '../../../storage/kernel/layout.ts';
import { ulidTimeMs } from '../../../storage/lib/ulid.ts';
import { WINDOW_MS } from '../../../storage/model/time-range.ts';
import { ALWAYS } from '../../support/database-answers.ts';
import { OpenedDatabase, type PlainSample, withBits } from '../../support/opened-database.ts';
import { writeRequestV2 } from '../../support/remote-write-v2.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';
import { SimMachine } from '../../support/sim-machine.ts';

const HOUR_MS = 3_600_000;
/** The begin of a window. */
const START_MS: number = 236_111 * WINDOW_MS;

let disk: SimFileSystem;
let machine: SimMachine;
const chance = seededChance(1);

beforeEach(() => {
  disk = new SimFileSystem();
  machine = new SimMachine(disk, START_MS + 24 * HOUR_MS, chance);
});

/** The power fails and comes back. */
function crash(): void {
  const nowMs = machine.clock.nowMs();
  machine.stop();
  disk.crash(chance);
  machine = new SimMachine(disk, nowMs + 1000, chance);
}

function scrapes(fromMs: number, count: number, stepMs = 15_000): PlainSample[] {
  return Array.from({ length: count }, (_, i) => [fromMs + i * stepMs, i]);
}

/** Five hours of samples every minute: the first two windows are due to be cut. */
const fiveHours: PlainSample[] = scrapes(START_MS, 301, 60_000);

test('a directory that another server has is refused, and that server goes on', async () => {
  const first = await OpenedDatabase.open(machine);
  const other = new SimMachine(disk, START_MS, chance);
  await expect(OpenedDatabase.open(other)).rejects.toMatchObject({ kind: 'locked' });
  expect((await first.write('a', scrapes(START_MS, 3))).stored).toBe(3);
  await first.database.close();
  const second = await OpenedDatabase.open(other);
  expect(await second.samples('a')).toEqual(withBits(scrapes(START_MS, 3)));
});

test('a log that does not fit the memory budget is refused by the name of the flag, and fits a larger one', async () => {
  const opened = await OpenedDatabase.open(machine);
  for (let i = 0; i < 4000; i += 100) {
    const names = Array.from({ length: 100 }, (_, j) => `${i + j}-${'x'.repeat(500)}`);
    await Promise.all(names.map((name) => opened.write('a', [[START_MS, 1]], name)));
  }
  await opened.database.close();
  await expect(OpenedDatabase.open(machine, { memoryBudgetBytes: 2_000_000 })).rejects.toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining('--head.memory-budget'),
  });
  const again = await OpenedDatabase.open(machine);
  expect(again.database.stats().headSeries).toBe(4000);
});

test('close makes the last writes durable, refuses the next, and gives the directory free', async () => {
  const opened = await OpenedDatabase.open(machine);
  const writes = Array.from({ length: 10 }, (_, i) => opened.write('a', [[START_MS + i, i]]));
  const closing = opened.database.close();
  const refused = expect(opened.write('a', [[START_MS + 99, 1]])).rejects.toMatchObject({ kind: 'unavailable' });
  await Promise.all([...writes, closing, refused]);
  crash();
  const again = await OpenedDatabase.open(machine);
  expect(await again.samples('a')).toEqual(withBits(Array.from({ length: 10 }, (_, i) => [START_MS + i, i])));
});

test('a stop does not wait for a query, and the cut is finished after the next start', async () => {
  const opened = await OpenedDatabase.open(machine);
  await opened.write('a', fiveHours);
  opened.database.snapshot('a', ALWAYS);
  await machine.until('a cut', () => opened.count('cut') > 0);
  await opened.database.close();
  crash();
  const again = await OpenedDatabase.open(machine);
  expect(await again.samples('a')).toEqual(withBits(fiveHours));
  await machine.until('the second cut', () => again.count('cut') > 0);
  expect(again.database.stats().blocks).toBe(2);
  expect(await again.samples('a')).toEqual(withBits(fiveHours));
});

test('while the WAL cannot be written, writes are refused and nothing is lost; afterwards they go on by themselves', async () => {
  const opened = await OpenedDatabase.open(machine);
  await opened.write('a', [[START_MS, 1]]);
  machine.fileSystem.breakAt({ at: 1, code: 'EIO', calls: ['write', 'sync', 'open'], sticky: true });
  const refusal = { kind: 'unavailable', message: expect.stringContaining('WAL') };
  await expect(opened.write('a', [[START_MS + 1, 1]])).rejects.toMatchObject(refusal);
  const { samplesStored } = opened.database.stats();
  // It is in the head, but not on disk: whoever sends it again must not be told that it is there.
  await expect(opened.write('a', [[START_MS + 1, 1]])).rejects.toMatchObject(refusal);
  await expect(opened.write('a', [[START_MS + 2, 1]])).rejects.toMatchObject(refusal);
  machine.clock.advance(5000);
  await machine.turns();
  expect(opened.database.stats()).toMatchObject({ samplesStored, walFailing: 1 });
  expect(opened.database.stats().notDurableSeconds).toBeGreaterThanOrEqual(5);
  machine.fileSystem.repair();
  await machine.until('the WAL to be written again', () => opened.count('wal-recovered') > 0);
  expect(await opened.write('a', [[START_MS + 1, 1]])).toMatchObject({ stored: 0, duplicates: 1 });
  expect(opened.database.stats()).toMatchObject({ walFailing: 0, notDurableSeconds: 0, walPendingBytes: 0 });
  expect(opened.count('wal-failing')).toBe(1);
  crash();
  const again = await OpenedDatabase.open(machine);
  expect(await again.samples('a')).toEqual(
    withBits([
      [START_MS, 1],
      [START_MS + 1, 1],
    ]),
  );
});

test('what is said of metrics outlives power cuts and checkpoints, and is in the block', async () => {
  let opened = await OpenedDatabase.open(machine);
  const labels = [['__name__', 'm']] as const;
  const said = (help: string): Promise<unknown> => {
    const body = writeRequestV2([{ labels, samples: [[START_MS, 1]], metadata: { type: 2, help } }]);
    return opened.database.write('a', body, { protocol: 'v2' });
  };
  const helps = (): string[] => [...(opened.database.metadata('a').get('m') ?? [])].map(({ help }) => help);
  await said('first');
  await said('second');
  crash();
  opened = await OpenedDatabase.open(machine);
  expect(helps()).toEqual(['second', 'first']);
  await opened.write('a', fiveHours);
  await machine.until('a cut', () => opened.count('cut') > 0);
  await machine.until('a checkpoint', () => opened.count('checkpoint') > 0);
  const extra = disk.paths().find((path) => /bucket.*varve-metadata$/.test(path));
  expect(extra).toBeDefined();
  crash();
  opened = await OpenedDatabase.open(machine);
  expect(helps()).toEqual(['second', 'first']);
  expect([...opened.database.metadata('b')]).toEqual([]);
});

test('histograms, exemplars and start times outlive power cuts and checkpoints, and are in the block', async () => {
  const labels = [['__name__', 'm']] as const;
  /** Into the window that is cut first, and into the one that is not cut. */
  const write = async (database: OpenedDatabase['database']): Promise<void> => {
    for (const timeMs of [START_MS, START_MS + 2 * WINDOW_MS]) {
      const exemplars = [{ value: 0.5, timestamp: timeMs + 1 }];
      const histograms = [{ countInt: 3, zeroCountInt: 3, sum: 1, timestamp: timeMs + 2 }];
      const samples = [[timeMs, 7, timeMs - 5]] as const;
      await database.write('a', writeRequestV2([{ labels, samples, exemplars }]), { protocol: 'v2' });
      await database.write('a', writeRequestV2([{ labels, histograms }]), { protocol: 'v2' });
    }
  };
  /** Kinds and times of what the head has in these windows. */
  const items = ({ database }: OpenedDatabase, windows: readonly number[]): string[] => {
    const view = new HeadView(database.readerInit().memory, 9);
    const snapshot = database.snapshot('a', ALWAYS);
    const [row] = view.list(snapshot.handle + L.TENANT_ROWS);
    database.release(snapshot.id);
    return view
      .items(row as number, (window) => windows.includes(window - START_MS / WINDOW_MS))
      .map(({ kind, timeMs }) => `${kind} at ${(timeMs - START_MS) % WINDOW_MS}`);
  };
  const written = [`${L.KIND_START} at 0`, `${L.KIND_EXEMPLAR} at 1`, `${L.KIND_HISTOGRAM} at 2`];
  let opened = await OpenedDatabase.open(machine);
  await write(opened.database);
  crash();
  opened = await OpenedDatabase.open(machine);
  expect(items(opened, [0, 2])).toEqual([...written, ...written]);
  await write(opened.database);
  expect(items(opened, [0, 2])).toEqual([...written, ...written]);
  await opened.write('a', fiveHours);
  await machine.until('both cuts', () => opened.database.stats().cuts === 2);
  await machine.until('a checkpoint', () => opened.database.stats().walSegments === 1, { steps: 400 });
  expect(disk.paths().filter((path) => /bucket.*varve-(exemplars|start-times)$/.test(path)).length).toBe(2);
  crash();
  opened = await OpenedDatabase.open(machine);
  expect(items(opened, [0])).toEqual([]);
  expect(items(opened, [2])).toEqual(written);
});

test('a full disk costs cuts and checkpoints nothing but time', async () => {
  const opened = await OpenedDatabase.open(machine, { walSegmentBytes: 512 });
  await opened.write('a', fiveHours);
  await opened.write('b', [[START_MS, 1]]);
  machine.fileSystem.breakAt({ at: 1, code: 'ENOSPC', calls: ['makeDirectory'], sticky: true });
  await machine.until('a cut to fail', () => opened.count('retry') > 0);
  expect(opened.events.find(({ kind }) => kind === 'retry')).toMatchObject({
    what: 'cut',
    message: expect.stringMatching(/^tenant a: .*ENOSPC/),
  });
  expect(await opened.samples('a')).toEqual(withBits(fiveHours));
  machine.fileSystem.breakAt({ at: 1, code: 'ENOSPC', calls: ['rename'], sticky: true });
  const failures = opened.count('retry');
  await machine.until('the bucket and the checkpoint to fail', () => opened.count('retry') > failures + 1);
  expect(disk.paths().filter((path) => path.startsWith('/data/blocks/'))).toEqual([]);
  expect(opened.database.stats()).toMatchObject({ blocks: 0, checkpoints: 0 });
  machine.fileSystem.repair();
  await machine.until('the second cut', () => opened.database.stats().cuts === 2);
  await machine.until('a checkpoint', () => opened.database.stats().walSegments === 1, { steps: 400 });
  expect(opened.database.stats().blocks).toBe(2);
  expect(await opened.samples('a')).toEqual(withBits(fiveHours));
});

test('what a block covers does not come back with the log', async () => {
  const opened = await OpenedDatabase.open(machine);
  await opened.write('a', fiveHours);
  // Between the block list and the head: the snapshot keeps the samples in the head, and the log has them all.
  opened.database.snapshot('a', ALWAYS);
  await machine.until('a cut', () => opened.count('cut') > 0);
  crash();
  const again = await OpenedDatabase.open(machine);
  const snapshot = again.database.snapshot('a', ALWAYS);
  expect(snapshot.blocks.length).toBe(1);
  const view = new HeadView(again.database.readerInit().memory, 9);
  const [row] = view.list(snapshot.handle + L.TENANT_ROWS);
  const windows = new Set(view.chunks(row as number, () => true).map(({ window }) => window - START_MS / WINDOW_MS));
  expect([...windows].sort()).toEqual([1, 2]);
});

test('a thousand tenants that fell silent do not hold the log of an active one', async () => {
  const idle = 1000;
  const opened = await OpenedDatabase.open(machine, { walSegmentBytes: 16_384 });
  const names = Array.from({ length: idle }, (_, i) => `idle-${i}`);
  await Promise.all(names.map((name) => opened.write(name, scrapes(START_MS, 2))));
  let largest = 0;
  for (let hour = 0; hour < 48; hour++) {
    const fromMs = START_MS + hour * HOUR_MS;
    machine.clock.setWall(Math.max(machine.clock.nowMs(), fromMs + HOUR_MS));
    for (let part = 0; part < 4; part++) {
      const samples = scrapes(fromMs + part * 900_000, 60).map(([timestampMs]): PlainSample => [timestampMs, chance()]);
      await Promise.all(Array.from({ length: 20 }, (_, i) => opened.write('busy', samples, i)));
    }
    machine.clock.advance(1000);
    await machine.turns(60);
    largest = Math.max(largest, opened.database.stats().walSegments);
  }
  const { cuts, checkpoints } = opened.database.stats();
  expect(cuts).toBeGreaterThanOrEqual(22);
  expect(checkpoints).toBeLessThanOrEqual(cuts);
  // 3 h of the active tenant are uncut: 20 series × 720 samples × up to 9 bytes.
  expect(largest * 16_384).toBeLessThan(400_000);
  machine.clock.advance(3 * HOUR_MS);
  await machine.until('all to be in the bucket', () => opened.database.stats().cuts >= cuts + idle, { steps: 1000 });
  await machine.until('the last checkpoint', () => opened.database.stats().walBytes < 170_000);
  const { checkpoints: all, walSegments } = opened.database.stats();
  // One for each segment that the cuts themselves filled, not one for each round of cuts.
  expect(all - checkpoints).toBeLessThan(20);
  expect(walSegments).toBe(1);
  expect(await opened.samples('idle-7')).toEqual(withBits(scrapes(START_MS, 2)));
});

test('segments that a killed server left stay while the head needs all that is in them', async () => {
  const opened = await OpenedDatabase.open(machine);
  for (let i = 0; i < 50; i++) await opened.write('a', scrapes(START_MS, 50), i);
  expect(opened.database.stats().walSegments).toBeGreaterThan(3);
  crash();
  const again = await OpenedDatabase.open(machine);
  await machine.until('time to pass', () => machine.clock.monotonicMs() > 300_000, { stepMs: 60_000 });
  expect([again.count('cut'), again.count('checkpoint')]).toEqual([0, 0]);
  expect(await again.samples('a', 49)).toEqual(withBits(scrapes(START_MS, 50)));
});

test('a log with samples that were cut before a kill is written anew after the start, once', async () => {
  const opened = await OpenedDatabase.open(machine, { walSegmentBytes: 512 });
  await opened.write('a', fiveHours);
  // The cut gets as far as its seal in the log.
  machine.fileSystem.breakAt({ at: 1, code: 'ENOSPC', calls: ['makeDirectory'], sticky: true });
  await machine.until('a cut to fail', () => opened.count('retry') > 0);
  crash();
  const again = await OpenedDatabase.open(machine, { idleCutMs: Number.MAX_SAFE_INTEGER });
  await machine.until('a checkpoint', () => again.count('checkpoint') > 0, { steps: 400 });
  expect(again.database.stats().walSegments).toBe(1);
  const checkpoints = again.count('checkpoint');
  await machine.until('time to pass', () => machine.clock.monotonicMs() > 600_000, { stepMs: 60_000 });
  expect(again.count('checkpoint')).toBe(checkpoints);
  expect(await again.samples('a')).toEqual(withBits(fiveHours));
});

test('damage is reported at one start: the log is written anew, and the bytes are kept aside', async () => {
  const opened = await OpenedDatabase.open(machine);
  for (let i = 0; i < 50; i++) await opened.write('a', scrapes(START_MS, 50), i);
  crash();
  const path = '/data/wal/00000002';
  const file = disk.open(path, 'update');
  file.write(Uint8Array.of(1, 2, 3), 200);
  file.sync();
  file.close();
  const again = await OpenedDatabase.open(machine);
  expect(again.count('wal-damage')).toBeGreaterThan(0);
  await machine.until('a checkpoint', () => again.count('checkpoint') > 0, { steps: 400 });
  crash();
  const third = await OpenedDatabase.open(machine);
  expect(third.count('wal-damage')).toBe(0);
  expect(disk.paths().filter((name) => name.startsWith('/data/quarantine/'))).toHaveLength(1);
});

test('a damaged record of a checkpoint is reported; definitions are in it twice, so that nothing is lost', async () => {
  const opened = await OpenedDatabase.open(machine, { walSegmentBytes: 512 });
  await opened.write('a', fiveHours);
  await opened.write('b', scrapes(START_MS, 5));
  await machine.until('a checkpoint', () => opened.count('checkpoint') > 0);
  await opened.database.close();
  const name = disk.list('/data/wal').find((entry) => entry.name.startsWith('checkpoint.'))?.name;
  const file = disk.open(`/data/wal/${name}`, 'update');
  // A byte of the second record: the definitions of tenant a.
  file.write(Uint8Array.of(0xee), 32 + 24 + 3 + 24 + 5);
  file.close();
  const again = await OpenedDatabase.open(machine);
  const damages = again.events.flatMap((event) => (event.kind === 'wal-damage' ? [event.message] : []));
  expect(damages).toContainEqual('1 records of the checkpoint are missing');
  expect(damages.filter((message) => message.includes('samples belong'))).toEqual([]);
  expect(await again.samples('a')).toEqual(withBits(fiveHours));
  expect(await again.samples('b')).toEqual(withBits(scrapes(START_MS, 5)));
});

test('blocks rise in name when the clock goes back between two starts: the first value of a sample stays', async () => {
  const opened = await OpenedDatabase.open(machine);
  await opened.write('a', fiveHours);
  await machine.until('both cuts', () => opened.database.stats().cuts === 2);
  const first = opened.database.snapshot('a', ALWAYS).blocks.map(({ meta }) => meta.ulid);
  crash();
  machine.clock.setWall(machine.clock.nowMs() - 5 * HOUR_MS);
  const again = await OpenedDatabase.open(machine);
  await again.write('a', [[START_MS, 12345]]);
  machine.clock.advance(3 * HOUR_MS);
  await machine.until('the late block', () => again.database.stats().cuts === 2);
  const blocks = again.database.snapshot('a', ALWAYS).blocks.map(({ meta }) => meta.ulid);
  expect(blocks.slice(0, 2)).toEqual(first);
  expect(ulidTimeMs(blocks[3] as string)).toBeGreaterThan(machine.clock.nowMs());
  expect(await again.samples('a')).toEqual(withBits(fiveHours));
});

test('a trap in the kernel is reported once, and nothing enters the kernel any more', async () => {
  const opened = await OpenedDatabase.open(machine);
  await opened.write('a', fiveHours);
  const { handle, id } = opened.database.snapshot('a', ALWAYS);
  await machine.until('the first block', () => opened.count('cut') > 0);
  // The row of the tenant leads nowhere: that is what the cut meets when it takes the samples out.
  const words = new Uint32Array(opened.database.readerInit().memory.buffer);
  const segment = words[(handle + L.TENANT_ROWS + L.LIST_FIRST) / 4] as number;
  words[(segment + L.SEGMENT_ITEMS) / 4] = 0xffff_fff0;
  opened.database.release(id);
  await machine.until('the end', () => opened.count('failed') > 0);
  await expect(opened.write('a', [[START_MS + 1, 1]])).rejects.toMatchObject({ kind: 'unavailable' });
  await machine.turns();
  expect(opened.count('failed')).toBe(1);
  await opened.database.close();
  crash();
  const again = await OpenedDatabase.open(machine);
  expect(await again.samples('a')).toEqual(withBits(fiveHours));
});

test('reader numbers are unique while they are held, and are given again', async () => {
  const { database } = await OpenedDatabase.open(machine);
  const inits = Array.from({ length: L.MAX_READERS - 1 }, () => database.readerInit());
  expect(new Set(inits.map(({ reader }) => reader)).size).toBe(L.MAX_READERS - 1);
  expect(inits.every(({ reader }) => reader > 0 && reader < L.MAX_READERS)).toBe(true);
  expect(() => database.readerInit()).toThrow(expect.objectContaining({ kind: 'limit' }));
  const [, second] = inits;
  database.releaseReader(second as (typeof inits)[number]);
  database.releaseReader(second as (typeof inits)[number]);
  expect(database.readerInit().reader).toBe(second?.reader);
  expect(() => database.readerInit()).toThrow(expect.objectContaining({ kind: 'limit' }));
});

test('the figures count what came in, what the log holds and what is in blocks', async () => {
  const opened = await OpenedDatabase.open(machine);
  expect(opened.database.stats()).toMatchObject({ headSeries: 0, walBytes: 0, walSegments: 1, blocks: 0, tenants: 0 });
  await opened.write('a', [[START_MS, 1]]);
  await opened.write('a', [[START_MS, 1]]);
  await opened.write('a', [[START_MS, 2]]);
  await opened.write('b', [[2 ** 43, 2]]);
  const snapshot = opened.database.snapshot('a', ALWAYS);
  expect(opened.database.stats()).toMatchObject({
    samplesStored: 1,
    samplesDuplicate: 1,
    samplesConflicting: 1,
    samplesRejected: 1,
    memoryBudgetBytes: 64 * 1024 * 1024,
    walPendingBytes: 0,
    notDurableSeconds: 0,
    walFailing: 0,
    snapshots: 1,
    tenants: 2,
  });
  expect(opened.database.stats().headBytes).toBeGreaterThan(0);
  expect(opened.database.stats().walSyncs).toBeGreaterThan(0);
  expect(opened.database.stats().walBytes).toBeGreaterThan(0);
  opened.database.release(snapshot.id);
  expect(opened.database.stats().snapshots).toBe(0);
});

test('a damaged definition costs nothing: the second copy serves also the samples before it', async () => {
  const opened = await OpenedDatabase.open(machine);
  await opened.write('a', scrapes(START_MS, 5));
  await machine.until('the second copy', () => machine.clock.monotonicMs() >= 3000);
  await opened.write('a', scrapes(START_MS + HOUR_MS, 5));
  await opened.database.close();
  const file = disk.open('/data/wal/00000001', 'update');
  // A byte of the first record: the definition of the series.
  file.write(Uint8Array.of(0xee), 32 + 24 + 8);
  file.close();
  const again = await OpenedDatabase.open(machine);
  expect(again.count('wal-damage')).toBeGreaterThan(0);
  expect(again.events).not.toContainEqual(
    expect.objectContaining({ message: expect.stringContaining('samples belong') }),
  );
  expect(await again.samples('a')).toEqual(withBits([...scrapes(START_MS, 5), ...scrapes(START_MS + HOUR_MS, 5)]));
});
