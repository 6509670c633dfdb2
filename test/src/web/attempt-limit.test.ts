import { expect, test } from 'vitest';
import { AttemptLimit, networkOf } from '../../../src/web/attempt-limit.ts';
import { TokenBucket } from '../../../src/web/token-bucket.ts';

test('a bucket lets its burst through at once, then one for each interval, and never saves up more than the burst', () => {
  const bucket = new TokenBucket({ burst: 2, intervalMs: 100 }, 0);
  const takenAt = (...times: readonly number[]): boolean[] => times.map((nowMs) => bucket.take(nowMs));
  expect(takenAt(0, 0, 0, 99, 100, 100)).toEqual([true, true, false, false, true, false]);
  expect(takenAt(10_000, 10_000, 10_000)).toEqual([true, true, false]);
});

test('a bucket without a burst lets nothing through', () => {
  expect(new TokenBucket({ burst: 0, intervalMs: 1 }, 0).take(1_000_000)).toBe(false);
});

test('addresses are limited one by one', () => {
  const limit = new AttemptLimit();
  const admitted = (address: string, nowMs: number): number => {
    let count = 0;
    while (limit.admits(address, nowMs)) count++;
    return count;
  };
  expect(admitted('10.0.0.1', 0)).toBe(10);
  expect(admitted('10.0.0.2', 0)).toBe(10);
  expect(admitted('10.0.0.1', 3000)).toBe(3);
  expect(admitted('::ffff:10.0.0.1', 3000)).toBe(0);
});

test.each([
  ['10.0.0.1', '10.0.0.1'],
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
  ['2001:db8::9', '2001:db8:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
])('%s belongs to %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});
