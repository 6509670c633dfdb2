/** The log on its way to the bucket and back, on a simulated machine that is lost. */
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { openBucketAt } from '../../../storage/bucket/bucket-location.ts';
import { DirectoryBucket } from '../../../storage/bucket/directory-bucket.ts';
import type { DatabaseOptions } from '../../../storage/database/database-options.ts';
import { StorageError } from '../../../storage/lib/errors.ts';
import { type RestoreReport, restore } from '../../../storage/restore.ts';
import { BucketControl } from '../../support/controlled-bucket.ts';
import { OpenedDatabase, withBits } from '../../support/opened-database.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';
import { SimMachine } from '../../support/sim-machine.ts';

const NOW_MS = 1_700_000_000_000;
const HOUR_MS = 3_600_000;

let disk: SimFileSystem;
let control: BucketControl;
let seed: number;

beforeAll(async () => {
  await openBucketAt(new BucketControl().location, new SimMachine(new SimFileSystem(), NOW_MS, seededChance(1)));
});

beforeEach(() => {
  disk = new SimFileSystem();
  control = new BucketControl();
  seed = 1;
});

/** Each machine has a chance of its own: ULIDs differ. */
function newMachine(nowMs = NOW_MS): SimMachine {
  return new SimMachine(disk, nowMs, seededChance(seed++));
}

function open(machine: SimMachine, options: Partial<DatabaseOptions> = {}): Promise<OpenedDatabase> {
  const settings = { bucket: control.location, ship: { intervalMs: 10_000, ack: 'local' as const } };
  return settled(machine, OpenedDatabase.open(machine, { ...settings, ...options }));
}

/** Lets time go on until something has come to its end. */
async function settled<T>(machine: SimMachine, work: Promise<T>): Promise<T> {
  let isOver = false;
  const end = (): void => {
    isOver = true;
  };
  work.then(end, end);
  await machine.until('the work', () => isOver);
  return work;
}

function shipped(): string[] {
  return disk
    .paths()
    .filter((path) => path.startsWith('/store/varve/wal/') && /\.(?:json|\d+)$/.test(path))
    .map((path) => path.split('/').slice(-2).join('/'))
    .sort();
}

function whenShipped({ database, machine }: OpenedDatabase): Promise<void> {
  return machine.until('everything to be in the bucket', () => {
    const { notShippedBytes, notShippedSeconds } = database.stats();
    return notShippedBytes === 0 && notShippedSeconds === 0;
  });
}

/** The machine is gone with its disk; the bucket stays. */
function lose(machine: SimMachine, directory = '/data'): void {
  machine.stop();
  disk.crash(seededChance(seed));
  disk.remove(directory);
}

function restoreTo(machine: SimMachine, directory = '/data', more: object = {}): Promise<RestoreReport> {
  const bucket = new DirectoryBucket(machine.fileSystem, '/store');
  return restore({ directory, bucket, host: 'test', ...machine, ...more });
}

test('what was shipped is there after the machine was lost, under a higher epoch', async () => {
  const first = await open(newMachine());
  await first.write('a', [
    [NOW_MS, 1],
    [NOW_MS + 1, 2],
  ]);
  await whenShipped(first);
  expect(shipped()).toEqual(['00000001/00000001.000000000000', '00000001/epoch.json']);
  await first.write('a', [[NOW_MS + 2, 3]]);
  lose(first.machine);

  const machine = newMachine();
  expect(await restoreTo(machine)).toMatchObject({ from: 1, epoch: 2, damages: [] });
  const second = await open(machine);
  expect(await second.samples('a')).toEqual(
    withBits([
      [NOW_MS, 1],
      [NOW_MS + 1, 2],
    ]),
  );
  await second.write('a', [[NOW_MS + 3, 4]]);
  await whenShipped(second);
  await machine.until('the older epoch to be deleted', () => !shipped().some((name) => name.startsWith('00000001/')));
  await second.database.close();
});

test('a restored log is replayed after one listing of the bucket', async () => {
  const first = await open(newMachine());
  await first.write('a', [[NOW_MS, 1]]);
  await whenShipped(first);
  lose(first.machine);
  const machine = newMachine();
  await restoreTo(machine);
  const listings = (): number => control.count('list', '');
  let atReplay = 0;
  const before = listings();
  const second = await open(machine, {
    onEvent: ({ kind }) => {
      if (kind === 'replay-progress') atReplay = listings() - before;
    },
  });
  expect(atReplay).toBe(1);
  await second.database.close();
});

test('nothing is put while nothing is new, and a marker only once', async () => {
  const opened = await open(newMachine());
  await opened.write('a', [[NOW_MS, 1]]);
  await whenShipped(opened);
  // The definition is written a second time.
  for (let i = 0; i < 3; i++) {
    opened.machine.clock.advance(10_000);
    await opened.machine.turns();
  }
  await whenShipped(opened);
  const puts = control.count('put', 'varve/wal');
  for (let i = 0; i < 30; i++) {
    opened.machine.clock.advance(10_000);
    await opened.machine.turns();
  }
  expect(control.count('put', 'varve/wal')).toBe(puts);
  expect(control.count('put', 'epoch.json')).toBe(1);
  await opened.database.close();
});

/** Cuts what is in the head, which is followed by a checkpoint. */
async function cutAll(opened: OpenedDatabase): Promise<void> {
  const { checkpoints } = opened.database.stats();
  opened.machine.clock.advance(4 * HOUR_MS);
  await opened.machine.until('a checkpoint', () => opened.database.stats().checkpoints > checkpoints, { steps: 400 });
}

/** Segments of a few records: some are full. */
async function writeMuch(opened: OpenedDatabase, fromMs: number, count = 300): Promise<[number, number][]> {
  const samples = Array.from({ length: count }, (_, i): [number, number] => [fromMs + i, i + 0.1]);
  for (const sample of samples) await opened.write('a', [sample]);
  return samples;
}

test('a shipped checkpoint takes the place of older parts, and is enough to restore', async () => {
  const opened = await open(newMachine());
  const samples = await writeMuch(opened, NOW_MS);
  await whenShipped(opened);
  expect(shipped().length).toBeGreaterThan(3);
  await cutAll(opened);
  await opened.machine.until('the checkpoint in the bucket', () =>
    shipped().some((name) => name.includes('checkpoint')),
  );
  await opened.machine.until('older parts to go', () => shipped().length <= 3);
  samples.push(...(await writeMuch(opened, NOW_MS + 1000, 3)));
  await whenShipped(opened);
  lose(opened.machine);

  const machine = newMachine(NOW_MS + 5 * HOUR_MS);
  await restoreTo(machine);
  const second = await open(machine);
  expect(await second.samples('a')).toEqual(withBits(samples));
  await second.database.close();
});

test('a checkpoint waits for the blocks that were cut before it', async () => {
  const opened = await open(newMachine());
  const samples = await writeMuch(opened, NOW_MS);
  control.fate = ({ purpose, operation }) => (purpose === 'upload' && operation === 'put' ? 'before' : undefined);
  await cutAll(opened);
  await whenShipped(opened);
  for (let i = 0; i < 20; i++) {
    opened.machine.clock.advance(10_000);
    await opened.machine.turns();
  }
  expect(opened.database.blocksNotUploaded()).toHaveLength(1);
  expect(shipped().filter((name) => name.includes('checkpoint'))).toEqual([]);
  lose(opened.machine);
  control.fate = () => undefined;
  const machine = newMachine(NOW_MS + 5 * HOUR_MS);
  await restoreTo(machine);
  const second = await open(machine);
  expect(await second.samples('a')).toEqual(withBits(samples));
  await second.database.close();
});

test('in an outage segments are not held for ever, and afterwards the checkpoint and what follows it are shipped', async () => {
  const opened = await open(newMachine());
  const samples = await writeMuch(opened, NOW_MS, 30);
  await whenShipped(opened);
  control.fate = () => 'before';
  samples.push(...(await writeMuch(opened, NOW_MS + 1000)));
  opened.machine.clock.advance(20_000);
  await opened.machine.until('a failure', () => opened.count('ship-failing') === 1);
  await cutAll(opened);
  for (let i = 0; i < 10; i++) {
    opened.machine.clock.advance(10_000);
    await opened.machine.turns();
  }
  samples.push(...(await writeMuch(opened, NOW_MS + 5000, 30)));
  expect(opened.database.stats().notShippedSeconds).toBeGreaterThan(3 * 3600);
  expect(opened.database.stats().notShippedBytes).toBeGreaterThan(1000);
  control.fate = () => undefined;
  await opened.machine.until('the bucket to have all', () => opened.database.stats().notShippedBytes === 0, {
    steps: 600,
  });
  expect(opened.count('ship-recovered')).toBe(1);
  expect(shipped().some((name) => name.includes('checkpoint'))).toBe(true);
  lose(opened.machine);
  const machine = newMachine(NOW_MS + 5 * HOUR_MS);
  expect((await restoreTo(machine)).damages).toEqual([]);
  const second = await open(machine);
  expect(await second.samples('a')).toEqual(withBits(samples));
  await second.database.close();
});

test('what the loss of the machine would cost is known of each tenant', async () => {
  const opened = await open(newMachine());
  await opened.write('a', [[NOW_MS, 1]]);
  await whenShipped(opened);
  const nothing = { seconds: 0, bytes: 0 };
  expect(opened.database.tenantBacklogs()).toEqual([{ tenant: 'a', ...nothing }]);
  control.fate = () => 'before';
  await opened.write('b', [[NOW_MS, 2]]);
  for (let i = 0; i < 60; i++) {
    opened.machine.clock.advance(1000);
    await opened.machine.turns();
  }
  const [a, b] = opened.database.tenantBacklogs();
  expect(a).toEqual({ tenant: 'a', ...nothing });
  expect(b).toMatchObject({ tenant: 'b', bytes: expect.any(Number) });
  expect(b?.seconds).toBeGreaterThanOrEqual(59);
  expect(b?.bytes).toBeGreaterThan(0);
  control.fate = () => undefined;
  await whenShipped(opened);
  expect(opened.database.tenantBacklogs()[1]).toEqual({ tenant: 'b', ...nothing });
  await opened.database.close();
});

test('a part whose answer was lost is put again as it was', async () => {
  const opened = await open(newMachine());
  let isLost = true;
  control.fate = ({ name, operation }) => {
    if (operation !== 'put' || !name.endsWith('.000000000000') || !isLost) return undefined;
    isLost = false;
    return 'after';
  };
  await opened.write('a', [[NOW_MS, 1]]);
  await opened.machine.until('the lost answer', () => !isLost, { stepMs: 250 });
  const first = '/store/varve/wal/';
  const sizeOf = (): number => {
    const path = disk.paths().find((name) => name.startsWith(first) && name.endsWith('.000000000000')) as string;
    return disk.open(path, 'read').size();
  };
  const bytes = sizeOf();
  await opened.write('a', [[NOW_MS + 1, 2]]);
  await whenShipped(opened);
  expect(sizeOf()).toBe(bytes);
  await opened.database.close();
});

test('with ack bucket a write is answered when its part is in the bucket, and never without', async () => {
  const machine = newMachine();
  const opened = await open(machine, { ship: { intervalMs: 250, ack: 'bucket' } });
  let isAnswered = false;
  const write = opened.write('a', [[NOW_MS, 1]]).then(() => {
    isAnswered = true;
  });
  await machine.turns(50);
  expect(isAnswered).toBe(false);
  await machine.until('the answer', () => isAnswered, { stepMs: 250 });
  await write;
  lose(machine);
  const next = newMachine();
  await restoreTo(next);
  const second = await open(next, { ship: { intervalMs: 250, ack: 'bucket' } });
  expect(await second.samples('a')).toEqual(withBits([[NOW_MS, 1]]));
  await second.database.close();
});

test('with ack bucket writes are refused while the bucket is down, and go on afterwards by themselves', async () => {
  const machine = newMachine();
  const opened = await open(machine, { ship: { intervalMs: 250, ack: 'bucket' } });
  control.fate = () => 'before';
  const refused = opened.write('a', [[NOW_MS, 1]]).catch((error: unknown) => error);
  const error = await settled(machine, refused);
  expect(error).toMatchObject({ kind: 'unavailable', message: expect.stringContaining('--wal.ack=bucket') });
  machine.clock.advance(15_000);
  await machine.turns();
  // Before anything of it is stored.
  const { samplesStored } = opened.database.stats();
  await expect(opened.write('a', [[NOW_MS + 1, 2]])).rejects.toThrow(StorageError);
  expect(opened.database.stats().samplesStored).toBe(samplesStored);
  control.fate = () => undefined;
  await machine.until('the bucket to have all', () => opened.database.stats().notShippedBytes === 0);
  await settled(machine, opened.write('a', [[NOW_MS, 1]]));
  await opened.database.close();
});

test('a bucket that hangs holds up no write with ack local, and a stop only for a while', async () => {
  const machine = newMachine();
  const opened = await open(machine);
  control.fate = () => 'hang';
  await opened.write('a', [[NOW_MS, 1]]);
  machine.clock.advance(20_000);
  await machine.turns();
  await opened.write('a', [[NOW_MS + 1, 2]]);
  const startedMs = machine.clock.monotonicMs();
  await settled(machine, opened.database.close());
  expect(machine.clock.monotonicMs() - startedMs).toBeLessThan(20_000);
});

test('a clean stop ships the last records', async () => {
  const opened = await open(newMachine());
  await opened.write('a', [[NOW_MS, 1]]);
  await opened.database.close();
  lose(opened.machine);
  const machine = newMachine();
  await restoreTo(machine);
  const second = await open(machine);
  expect(await second.samples('a')).toEqual(withBits([[NOW_MS, 1]]));
  await second.database.close();
});

test('a process goes on behind what an earlier one shipped', async () => {
  const first = await open(newMachine());
  const samples = await writeMuch(first, NOW_MS, 50);
  await whenShipped(first);
  samples.push(...(await writeMuch(first, NOW_MS + 1000, 50)));
  first.machine.stop();
  disk.crash(seededChance(7));
  const before = shipped();
  const second = await open(newMachine());
  samples.push(...(await writeMuch(second, NOW_MS + 2000, 50)));
  await whenShipped(second);
  expect(shipped()).toEqual(expect.arrayContaining(before));
  lose(second.machine);
  const machine = newMachine();
  expect((await restoreTo(machine)).damages).toEqual([]);
  const third = await open(machine);
  expect(await third.samples('a')).toEqual(withBits(samples));
  await third.database.close();
});

test('the machine may be lost again right after a restore, at any moment, and again', async () => {
  const first = await open(newMachine());
  const samples = await writeMuch(first, NOW_MS, 50);
  await whenShipped(first);
  lose(first.machine);
  for (let calls = 0; calls < 40; calls++) {
    const machine = newMachine();
    // The power fails at this call of the disk, or of the bucket, which is on the same one.
    machine.fileSystem.cutPowerAfter(20 + calls * 4);
    try {
      await restoreTo(machine);
      await Promise.race([open(machine), machine.turns(400)]);
    } catch (error) {
      if (!machine.fileSystem.isOff) throw error;
    }
    lose(machine);
  }
  const machine = newMachine();
  await restoreTo(machine);
  const last = await open(machine);
  expect(await last.samples('a')).toEqual(withBits(samples));
  await last.database.close();
});

test('a process whose instance was restored elsewhere stops by itself, and no data of either is damaged', async () => {
  const old = await open(newMachine());
  const samples = await writeMuch(old, NOW_MS, 50);
  await whenShipped(old);
  // It is paused; the other directory is on the same disk.
  const machine = newMachine();
  await restoreTo(machine, '/other');
  const restored = await open(machine, { directory: '/other' });
  const newer = await writeMuch(restored, NOW_MS + 1000, 50);
  await whenShipped(restored);
  const late = await writeMuch(old, NOW_MS + 2000, 10);
  await old.machine.until('the old one to notice', () => old.database.fenced !== undefined);
  expect(old.count('fenced')).toBe(1);
  expect(old.database.fenced).toContain('epoch 2');
  await expect(old.write('a', [[NOW_MS + 3000, 1]])).rejects.toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining('restored elsewhere'),
  });
  const calls = control.calls.length;
  old.machine.clock.advance(5 * HOUR_MS);
  await old.machine.turns(100);
  const changing = control.calls.slice(calls).filter(({ operation }) => operation === 'put' || operation === 'delete');
  expect(changing.filter(({ name }) => name.includes('00000001/') || !name.startsWith('varve'))).toEqual([]);
  expect(await old.samples('a')).toEqual(withBits([...samples, ...late]));
  expect(await restored.samples('a')).toEqual(withBits([...samples, ...newer]));
  await settled(old.machine, old.database.close());
  await restored.database.close();
});

test('a hole in the middle is told, and what is good is kept', async () => {
  const first = await open(newMachine());
  for (let round = 0; round < 3; round++) {
    await first.write('a', [[NOW_MS + round, round]]);
    await whenShipped(first);
  }
  lose(first.machine);
  const parts = disk
    .paths()
    .filter((path) => /\/00000001\.\d+$/.test(path))
    .sort();
  disk.remove(parts[1] as string);
  const machine = newMachine();
  const { damages } = await restoreTo(machine);
  expect(damages.join()).toContain('never shipped, or are gone');
  const second = await open(machine);
  const left = await second.samples('a');
  expect(left[0]).toEqual(withBits([[NOW_MS, 0]])[0]);
  expect(left.at(-1)).toEqual(withBits([[NOW_MS + 2, 2]])[0]);
  await second.database.close();
});

test('of several instances one has to be named, and a directory in use is refused', async () => {
  for (const directory of ['/data', '/data2']) {
    const opened = await open(newMachine(), { directory });
    await opened.write('a', [[NOW_MS, directory.length]]);
    await opened.database.close();
    opened.machine.stop();
  }
  const machine = newMachine();
  await expect(restoreTo(machine, '/data')).rejects.toThrow('not empty');
  const error = await restoreTo(machine, '/new').catch((reason: unknown) => reason);
  expect(error).toMatchObject({ name: 'RestoreChoiceError', instances: [{ epochs: [{ epoch: 1 }] }, {}] });
  const [{ instance }] = (error as { instances: [{ instance: string }] }).instances;
  expect(await restoreTo(machine, '/new', { instance, isDryRun: true })).toMatchObject({ epoch: 2, records: 0 });
  expect(disk.exists('/new')).toBe(false);
  await expect(restoreTo(machine, '/new', { instance, epoch: 7 })).rejects.toThrow('no epoch 7');
  expect(await restoreTo(machine, '/new', { instance })).toMatchObject({ instance, epoch: 2, damages: [] });
});

test('a directory that is older than what was shipped from it is not written on', async () => {
  const first = await open(newMachine());
  await first.write('a', [[NOW_MS, 1]]);
  await whenShipped(first);
  first.machine.stop();
  disk.crash(seededChance(7));
  const identity = disk.open('/data/varve.json', 'read');
  const bytes = new Uint8Array(identity.size());
  identity.read(bytes, 0);
  disk.remove('/data');
  disk.makeDirectory('/data');
  disk.open('/data/varve.json', 'create').write(bytes, 0);
  const second = await open(newMachine());
  await second.machine.until('the engine to notice', () => second.database.fenced !== undefined);
  expect(second.database.fenced).toContain('an older copy of itself');
  await settled(second.machine, second.database.close());
});
