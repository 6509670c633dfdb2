/** The small form of `npm run soak -- wal-flips`: a sample of the bytes. */
import { expect, test } from 'vitest';
import { seededChance } from '../support/sim-file-system.ts';
import { flipBytes, writeLog } from './wal-flips.ts';

test('a flipped byte in a log of the engine costs the record that covers it, and no other', async () => {
  const log = await writeLog();
  expect(log.segments).toBeGreaterThanOrEqual(3);
  const chance = seededChance(15);
  const offsets = Array.from({ length: 600 }, () => Math.floor(chance() * log.bytes));
  const tally = flipBytes(log, offsets, [0xff, 0x10]);
  expect(tally).toMatchObject({ flips: 1200, unnoticed: 0, violations: [] });
  expect(tally.hits).toBeGreaterThan(300);
});

test('a record that is gone for another reason is found missing', async () => {
  const log = await writeLog();
  const [first, ...rest] = log.places;
  const { violations } = flipBytes(
    { ...log, places: [{ ...first, identity: 'segment 0 00' } as never, ...rest] },
    [0],
    [1],
  );
  expect(violations).toHaveLength(1);
});
