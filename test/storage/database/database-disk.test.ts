/** What a disk that refuses does to the whole engine; what it does to the log alone is in wal/faults.test.ts. */
import { beforeEach, expect, test } from 'vitest';
import { OpenedDatabase, withBits } from '../../support/opened-database.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';
import { SimMachine } from '../../support/sim-machine.ts';

const START_MS = 1_700_000_000_000;
const DAY_MS = 86_400_000;
const FLOOR_BYTES = 2 ** 20;

let disk: SimFileSystem;
let machine: SimMachine;

beforeEach(() => {
  disk = new SimFileSystem();
  disk.makeDirectory('/data');
  machine = new SimMachine(disk, START_MS + 2 * DAY_MS, seededChance(1));
});

test('writes stop before the disk is full, and what is left is enough for the cut and the checkpoint that free some', async () => {
  const opened = await OpenedDatabase.open(machine, { walSegmentBytes: 8192, minFreeBytes: FLOOR_BYTES });
  const written: [number, number][] = [];
  const write = async (): Promise<boolean> => {
    const samples = Array.from({ length: 50 }, (_, i) => {
      return [START_MS + (written.length + i) * 1000, 1] as [number, number];
    });
    const isTaken = await opened.write('a', samples).then(
      () => true,
      (error: Error) => {
        expect(error.message).toContain('the disk is nearly full');
        return false;
      },
    );
    if (isTaken) written.push(...samples);
    return isTaken;
  };
  expect(await write()).toBe(true);
  await machine.turns();
  // Spares and floor are there; a few segments more and the floor is reached.
  disk.capacity = disk.usedBytes() + FLOOR_BYTES + 100_000;
  while (await write());
  expect(written.length).toBeGreaterThan(10_000);
  expect(opened.database.stats()).toMatchObject({ shortOfSpace: 1, walFailing: 0, cuts: 0 });
  expect(opened.count('disk-short')).toBe(1);
  expect(disk.volume().freeBytes).toBeGreaterThan(FLOOR_BYTES / 2);
  // Nobody removes anything: what the engine itself writes below the floor gives the space back.
  await machine.until('space', () => opened.count('disk-roomy') > 0);
  expect(opened.database.stats().cuts).toBeGreaterThan(0);
  expect(opened.count('checkpoint')).toBeGreaterThan(0);
  expect(await write()).toBe(true);
  expect(await opened.samples('a')).toEqual(withBits(written));
});

test.each(['EIO', 'EROFS', 'EMFILE', 'ENOSPC'] as const)(
  'while every change of the disk fails with %s, queries are answered, writes are refused, and both go on afterwards',
  async (code) => {
    const opened = await OpenedDatabase.open(machine);
    await opened.write('a', [[START_MS, 1]]);
    await opened.samples('a');
    machine.fileSystem.breakAt({ at: 1, code, sticky: true });
    await expect(
      // One write may still find room in the file that is open.
      (async () => {
        for (let i = 1; i < 1000; i++) await opened.write('a', [[START_MS + i, i]]);
      })(),
    ).rejects.toMatchObject({ kind: 'unavailable' });
    expect((await opened.samples('a'))[0]).toEqual(withBits([[START_MS, 1]])[0]);
    expect(opened.count('failed')).toBe(0);
    machine.fileSystem.repair();
    await machine.until('writes', () => opened.database.stats().walFailing === 0);
    await opened.write('a', [[START_MS + 1000, 7]]);
    expect((await opened.samples('a')).at(-1)).toEqual(withBits([[START_MS + 1000, 7]])[0]);
  },
);
