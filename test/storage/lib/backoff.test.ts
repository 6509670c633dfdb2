import { expect, test } from 'vitest';
import { Backoff } from '../../../storage/lib/backoff.ts';

/** How long each of so many failures in a row is waited for. */
function delays(backoff: Backoff, failures: number): number[] {
  let nowMs = 1000;
  return Array.from({ length: failures }, () => {
    backoff.fail(nowMs);
    const failedMs = nowMs;
    while (!backoff.isOver(nowMs)) nowMs += 1000;
    return (nowMs - failedMs) / 1000;
  });
}

test('each failure in a row is waited for twice as long as the last, up to five minutes; success forgets them', () => {
  const backoff = new Backoff();
  expect(backoff.isOver(0)).toBe(true);
  expect(delays(backoff, 9)).toEqual([5, 10, 20, 40, 80, 160, 300, 300, 300]);
  backoff.succeed();
  expect(backoff.isOver(0)).toBe(true);
  expect(delays(backoff, 2)).toEqual([5, 10]);
});
