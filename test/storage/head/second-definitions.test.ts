import { beforeEach, expect, test } from 'vitest';
import { SecondDefinitions } from '../../../storage/head/second-definitions.ts';
import * as L from '../../../storage/kernel/layout.ts';
import { recoverWal } from '../../../storage/wal/recovery.ts';
import { BareHead } from '../../support/bare-head.ts';
import { writeRequest } from '../../support/remote-write.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';
import { SimMachine } from '../../support/sim-machine.ts';

const NOW_MS = 1_700_000_000_000;

let disk: SimFileSystem;
let head: BareHead;
let second: SecondDefinitions;

beforeEach(() => {
  disk = new SimFileSystem();
  disk.makeDirectory('/data');
  head = new BareHead(new SimMachine(disk, NOW_MS, seededChance(1)));
  second = new SecondDefinitions(head.kernel, head.wal, head.guard);
});

function write(name: string): ReturnType<BareHead['writer']['write']> {
  return head.writer.write('a', writeRequest([{ labels: [['__name__', name]], samples: [[NOW_MS, 1]] }]));
}

/** How many records of definitions the log holds. */
async function definitionRecords(): Promise<number> {
  await head.wal.close();
  let count = 0;
  for (const { payload } of recoverWal(disk, '/data').frames()) if (payload[0] === L.RECORD_DEFINITIONS) count++;
  return count;
}

test('a definition follows a second time when the first copy is durable, and then no more', async () => {
  await write('m');
  expect(head.kernel.rowsDefinedTwice).toBe(0);
  for (let i = 0; i < 5; i++) second.write();
  expect(head.kernel.rowsDefinedTwice).toBe(1);
  expect(await definitionRecords()).toBe(2);
});

test('it does not need a moment in which nothing is written', async () => {
  await write('m');
  second.write();
  const busy = write('n');
  expect(head.wal.pendingBytes).toBeGreaterThan(0);
  second.write();
  expect(head.kernel.rowsDefinedTwice).toBe(1);
  // The copies of the newer one are not in one commit.
  second.write();
  expect(head.kernel.rowsDefinedTwice).toBe(1);
  await busy;
  second.write();
  second.write();
  expect(head.kernel.rowsDefinedTwice).toBe(2);
  expect(await definitionRecords()).toBe(4);
});
