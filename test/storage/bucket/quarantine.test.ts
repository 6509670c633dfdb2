import { expect, test } from 'vitest';
import { Quarantine } from '../../../storage/bucket/quarantine.ts';
import { SimClock } from '../../support/sim-machine.ts';

test('a block is kept away for six hours, and reported once', () => {
  const clock = new SimClock(0);
  const quarantine = new Quarantine(clock);
  expect(quarantine.add('A', 'index at 5: damaged')).toBe(true);
  expect(quarantine.add('A', 'again')).toBe(false);
  clock.advance(3_600_000);
  quarantine.add('B', 'chunks at 8: damaged');
  expect(quarantine.list()).toEqual([
    { ulid: 'A', reason: 'index at 5: damaged' },
    { ulid: 'B', reason: 'chunks at 8: damaged' },
  ]);
  clock.advance(5 * 3_600_000);
  expect([quarantine.reasonFor('A'), quarantine.reasonFor('B')]).toEqual([undefined, 'chunks at 8: damaged']);
  expect(quarantine.add('A', 'still')).toBe(true);
});
