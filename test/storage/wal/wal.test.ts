import { beforeEach, expect, test } from 'vitest';
import * as L from '../../../storage/kernel/layout.ts';
import { BareHead } from '../../support/bare-head.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';
import { SimMachine } from '../../support/sim-machine.ts';

let machine: SimMachine;
let head: BareHead;

beforeEach(() => {
  const disk = new SimFileSystem();
  disk.makeDirectory('/data');
  machine = new SimMachine(disk, 0, seededChance(1));
  head = new BareHead(machine);
});

/** Puts a record into the ring; returns the position behind it. */
function log(): number {
  head.kernel.log(Uint8Array.of(L.RECORD_SEAL, 1, 2, 3));
  return head.wal.position;
}

test('positions become durable in order, and what is durable is not waited for', async () => {
  const { wal } = head;
  expect([wal.position, wal.durable, wal.pendingBytes, wal.segment]).toEqual([0, 0, 0, 1]);
  const [first, second] = [log(), log()];
  expect(wal.pendingBytes).toBe(second);
  const told: number[] = [];
  await Promise.all([first, second].map((position) => wal.whenDurable(position).then(() => void told.push(position))));
  expect(told).toEqual([first, second]);
  expect([wal.durable, wal.pendingBytes]).toEqual([second, 0]);
  expect(wal.syncs).toBeGreaterThan(0);
  await wal.whenDurable(second);
});

test('a log that syncs at intervals lets writes be answered before, and syncs at once for who waits for it', async () => {
  const interval = new BareHead(machine, 1000);
  const { wal, kernel } = interval;
  const write = (): number => {
    kernel.log(Uint8Array.of(L.RECORD_SEAL, 1, 2, 3));
    return wal.position;
  };
  const first = write();
  await wal.whenAccepted(first);
  expect([wal.syncs, wal.durable, wal.pendingBytes]).toEqual([0, 0, first]);
  machine.clock.advance(400);
  await wal.whenAccepted(write());
  await machine.turns();
  expect([wal.syncs, wal.notDurableMs]).toEqual([0, 400]);
  machine.clock.advance(600);
  await machine.turns();
  expect([wal.syncs, wal.durable, wal.notDurableMs]).toEqual([1, wal.position, 0]);
  await wal.whenDurable(write());
  expect([wal.syncs, wal.durable]).toEqual([2, wal.position]);
});

test('what is written and not synced becomes durable at a close', async () => {
  const { wal, kernel } = new BareHead(machine, 60_000);
  kernel.log(Uint8Array.of(L.RECORD_SEAL, 1, 2, 3));
  await wal.whenAccepted(wal.position);
  expect(wal.syncs).toBe(0);
  await wal.close();
  expect(wal.syncs).toBe(1);
});

test('a thread that ends by a bug ends the log: those who wait are refused, and so is a close not kept waiting', async () => {
  const { wal, kernel } = head;
  const position = log();
  // No frame stands where the head says, and the batch is longer than a segment.
  kernel.memory.storeWord(L.WAL_HEAD, position + 2 * 1024 * 1024);
  await expect(wal.whenDurable(wal.position)).rejects.toMatchObject({ kind: 'unavailable' });
  expect(head.broken).toEqual([expect.stringContaining('no frame in the ring')]);
  await expect(wal.whenDurable(wal.position)).rejects.toMatchObject({ kind: 'unavailable' });
  await wal.close();
});

test('after a close nothing is waited for in vain', async () => {
  const { wal } = head;
  const durable = wal.whenDurable(log());
  await wal.close();
  await durable;
  await expect(wal.whenDurable(log())).rejects.toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining('closed'),
  });
  expect(head.broken).toEqual([]);
});

test('a close does not wait for a disk that refuses', async () => {
  machine.fileSystem.breakAt({ at: 1, code: 'ENOSPC', sticky: true });
  const refused = expect(head.wal.whenDurable(log())).rejects.toMatchObject({
    message: expect.stringContaining('ENOSPC'),
  });
  await head.wal.close();
  await refused;
});
