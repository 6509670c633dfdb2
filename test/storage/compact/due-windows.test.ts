import { beforeEach, expect, test } from 'vitest';
import { dueWindows } from '../../../storage/compact/due-windows.ts';
import { Kernel, type TimeRules } from '../../../storage/kernel/kernel.ts';
import { WINDOW_MS } from '../../../storage/model/time-range.ts';
import { writeRequest } from '../../support/remote-write.ts';

const FIRST = 236_000;
const HOUR_MS = 3_600_000;

let kernel: Kernel;
let tenant: number;

beforeEach(() => {
  useRules({});
});

function useRules(times: Partial<TimeRules>): void {
  kernel = new Kernel({ budgetBytes: 64 * 1024 * 1024, seed: 1, times });
  tenant = kernel.tenant('a');
}

/** Writes samples at these times, in hours since the begin of the first window. */
function write(...hours: number[]): void {
  const samples = hours.map((hour) => [FIRST * WINDOW_MS + hour * HOUR_MS, 1] as const);
  kernel.receive(tenant, writeRequest([{ labels: [['__name__', 'm']], samples }]));
  kernel.apply(tenant, Number.MAX_SAFE_INTEGER);
}

function due(isIdle = false): number[] {
  return dueWindows(kernel.memory, tenant, isIdle).map((window) => window - FIRST);
}

function cut(window: number): void {
  const generation = kernel.seal(tenant, FIRST + window);
  expect(generation).toBeGreaterThan(0);
}

test('a tenant that never wrote has nothing to cut', () => {
  expect([due(), due(true)]).toEqual([[], []]);
});

test('a window is due when the data is an hour beyond its end: then the head spans three', () => {
  write(0, 1.9, 2.9);
  expect(due()).toEqual([]);
  write(3);
  expect(due()).toEqual([0]);
  write(5.1, 7.2);
  expect(due()).toEqual([0, 1, 2]);
});

test('data time alone counts: old data is cut as new data is', () => {
  write(-20_000, -19_990);
  expect(due()).toEqual([-10_000]);
});

test('late samples wait for a regular cut and go with it, oldest first', () => {
  write(0, 3);
  cut(0);
  write(3.5);
  write(0.5, -8);
  expect(due()).toEqual([]);
  write(5);
  expect(due()).toEqual([-4, 0, 1]);
});

test('a silent tenant is cut whole, late samples too, and only what holds samples', () => {
  write(0, 3);
  cut(0);
  expect(due(true)).toEqual([1]);
  write(0.5);
  expect(due(true)).toEqual([0, 1]);
  kernel.release(tenant, FIRST);
  cut(1);
  expect(due(true)).toEqual([0]);
});

test('late samples of many windows do not wait until there is no room for others', () => {
  write(0, 3);
  cut(0);
  for (let window = 1; window < 60; window++) write(-2 * window);
  expect(due()).toEqual([]);
  for (let window = 60; window < 70; window++) write(-2 * window);
  expect(due().length).toBeGreaterThan(60);
  expect(due()).not.toContain(1);
});

test('what is older than the out-of-order window waits for a regular cut, also if nothing was cut yet', () => {
  write(0);
  write(-30, -27);
  expect(due()).toEqual([]);
  write(3);
  expect(due()).toEqual([-15, -14, 0]);
});

test('what is out of order, and not older than the out-of-order window, is cut when it is old enough', () => {
  write(0);
  write(-23);
  expect(due()).toEqual([-12]);
  useRules({ outOfOrderMs: 0 });
  write(0);
  write(-23);
  expect(due()).toEqual([]);
  write(3);
  expect(due()).toEqual([-12, 0]);
});

test('how many windows are many follows from how many there may be', () => {
  useRules({ maxOpenWindows: 8, outOfOrderMs: 0 });
  write(0);
  write(-2, -4, -6);
  expect(due()).toEqual([]);
  write(-8);
  expect(due()).toEqual([-4, -3, -2]);
});
