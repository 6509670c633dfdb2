import { beforeEach, expect, test } from 'vitest';
import { nextTurn } from '../../../storage/io/executor.ts';
import { CommitGroup } from '../../../storage/wal/commit-group.ts';

let nowMs: number;
let timer: (() => void) | undefined;
/** Requests that wait, and those of them that were sent to disk, group by group. */
let waiting: number;
let position: number;
let groups: number[];
let group: CommitGroup;

beforeEach(() => {
  nowMs = 0;
  timer = undefined;
  waiting = 0;
  position = 0;
  groups = [];
  let sent = 0;
  const clock = {
    monotonicMs: () => nowMs,
    after(_: number, callback: () => void) {
      timer = callback;
      return () => {
        timer = undefined;
      };
    },
  };
  group = new CommitGroup(clock, {
    position: () => position,
    waiting: () => waiting,
    send() {
      groups.push(position - sent);
      sent = position;
    },
  });
});

function write(): void {
  position++;
  waiting++;
  group.join();
}

async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) await nextTurn();
}

async function answered(count: number): Promise<void> {
  await turns();
  waiting -= count;
}

test('a request that is alone is sent after its turn of the event loop', async () => {
  for (let i = 0; i < 3; i++) {
    write();
    expect(groups).toHaveLength(i);
    await answered(1);
    expect(groups).toHaveLength(i + 1);
  }
});

test('requests of one turn, and of the turns right after it, are one group', async () => {
  write();
  write();
  await nextTurn();
  write();
  await turns();
  expect(groups).toEqual([3]);
});

test('as many as waited together of late are waited for', async () => {
  for (let i = 0; i < 3; i++) write();
  await answered(3);
  for (let i = 0; i < 2; i++) {
    write();
    await turns();
  }
  expect([groups, timer === undefined]).toEqual([[3], false]);
  write();
  await turns();
  expect([groups, timer === undefined]).toEqual([[3, 3], true]);
});

test('those who do not come are not waited for again', async () => {
  for (let i = 0; i < 3; i++) write();
  await answered(3);
  write();
  await turns();
  timer?.();
  expect(groups).toEqual([3, 1]);
  waiting = 0;
  write();
  await turns();
  expect([groups, timer === undefined]).toEqual([[3, 1, 1], true]);
});

test('an event loop that is busy does not hold a group back', () => {
  write();
  nowMs += 1;
  write();
  expect(groups).toEqual([]);
  nowMs += 2;
  write();
  expect(groups).toEqual([3]);
});
