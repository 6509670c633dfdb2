import { beforeEach, expect, test } from 'vitest';
import { ShipBacklog, type TenantLog } from '../../../storage/ship/ship-backlog.ts';

let nowMs: number;
let tenants: { key: string; loggedBytes: number }[];
let backlog: ShipBacklog;

beforeEach(() => {
  nowMs = 0;
  tenants = [{ key: 'a', loggedBytes: 0 }];
  backlog = new ShipBacklog({ clock: { monotonicMs: () => nowMs }, position: end, tenants: () => tenants });
});

function end(): number {
  return tenants.reduce((sum, { loggedBytes }) => sum + loggedBytes, 0);
}

/** A tenant writes, and a second passes. */
function log(index: number, bytes: number): void {
  (tenants[index] as { loggedBytes: number }).loggedBytes += bytes;
  backlog.mark();
  nowMs += 1000;
}

function ofTenant(index: number): Pick<TenantLog, never> & { seconds: number; bytes: number } {
  const { seconds, bytes } = backlog.ofTenants()[index] as { seconds: number; bytes: number };
  return { seconds, bytes };
}

test('before the first shipment everything is as old as the process, whoever wrote it', () => {
  nowMs = 7000;
  expect(backlog.ageMs).toBe(7000);
  expect(ofTenant(0)).toEqual({ seconds: 7, bytes: 0 });
});

test('each tenant has its own age and bytes', () => {
  backlog.advance(0);
  tenants.push({ key: 'b', loggedBytes: 0 });
  log(0, 100);
  log(1, 10);
  log(0, 100);
  expect(backlog.ageMs).toBe(3000);
  expect(ofTenant(0)).toEqual({ seconds: 3, bytes: 200 });
  expect(ofTenant(1)).toEqual({ seconds: 2, bytes: 10 });
  // What a wrote first is there, and what b wrote.
  backlog.advance(110);
  expect(ofTenant(0)).toEqual({ seconds: 1, bytes: 100 });
  expect(ofTenant(1)).toEqual({ seconds: 0, bytes: 0 });
});

test('with everything in the bucket nothing is left of anybody, also of what no mark has seen', () => {
  backlog.advance(0);
  log(0, 100);
  tenants.push({ key: 'b', loggedBytes: 5 });
  backlog.advance(end());
  expect(backlog.ageMs).toBe(0);
  expect(backlog.bytes).toBe(0);
  expect(backlog.ofTenants()).toEqual([
    { tenant: 'a', seconds: 0, bytes: 0 },
    { tenant: 'b', seconds: 0, bytes: 0 },
  ]);
});

test('a day without the bucket is known to a hundredth, from few marks', () => {
  backlog.advance(0);
  const spy: number[] = [];
  tenants = Object.assign(tenants, {
    [Symbol.iterator]: function* (this: TenantLog[]) {
      spy.push(nowMs);
      for (let i = 0; i < this.length; i++) yield this[i] as TenantLog;
    },
  });
  for (let i = 0; i < 86_400; i++) log(0, 1);
  const marks = spy.length;
  expect(marks).toBeLessThan(2000);
  expect(ofTenant(0)).toEqual({ seconds: 86_400, bytes: 86_400 });
  backlog.advance(43_200);
  expect(Math.abs(backlog.ageMs - 43_200_000)).toBeLessThan(0.01 * 86_400_000);
});
