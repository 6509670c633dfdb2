/** The small forms of `npm run soak -- uploads`, `-- checkpoints`, `-- cuts` and `-- outage`. */
import { expect, test } from 'vitest';
import { runFailpoints } from './failpoints.ts';
import { runOutage } from './outage.ts';

for (const [work, what] of [
  ['uploads', 'of an upload'],
  ['checkpoints', 'of a checkpoint'],
  ['cuts', 'of a cut'],
] as const) {
  test(`kill -9 at calls ${what}: no block is lost, doubled or visible half, and no sample`, async () => {
    const tally = await runFailpoints({ work, rounds: 4, seed: 1 });
    expect(tally).toMatchObject({ rounds: 4, violations: [] });
    expect(tally.blocks).toBeGreaterThan(0);
  }, 180_000);
}

test('half a day of data while the store refuses: nothing is lost, and all goes there when it is back', async () => {
  const tally = await runOutage(12);
  expect(tally.violations).toEqual([]);
  expect(tally.backlogBlocks).toBeGreaterThanOrEqual(3);
  expect(tally.drainSeconds).toBeLessThan(120);
}, 300_000);
