/** The small forms of `npm run soak -- uploads` and `-- outage`. */
import { expect, test } from 'vitest';
import { runOutage } from './outage.ts';
import { runUploads } from './uploads.ts';

test('kill -9 at calls of an upload: no block is lost, doubled or visible half', async () => {
  const tally = await runUploads({ rounds: 5, seed: 1 });
  expect(tally).toMatchObject({ rounds: 5, violations: [] });
  expect(tally.blocks).toBeGreaterThan(0);
}, 180_000);

test('half a day of data while the store refuses: nothing is lost, and all goes there when it is back', async () => {
  const tally = await runOutage(12);
  expect(tally.violations).toEqual([]);
  expect(tally.backlogBlocks).toBeGreaterThanOrEqual(3);
  expect(tally.drainSeconds).toBeLessThan(120);
}, 300_000);
