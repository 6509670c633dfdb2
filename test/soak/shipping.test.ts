import { expect, test } from 'vitest';
import { runShipping } from './shipping.ts';

test('with ack bucket nothing is lost with the machine, wherever shipping was', async () => {
  const tally = await runShipping({ ack: 'bucket', rounds: 3, seed: 1 });
  expect(tally.violations).toEqual([]);
  expect(tally.losses).toBeGreaterThan(1);
  expect(tally.acknowledged).toBeGreaterThan(20);
}, 120_000);

test('with ack local what is lost is at most what the server said was not in the bucket', async () => {
  const tally = await runShipping({ ack: 'local', rounds: 3, seed: 2 });
  expect(tally.violations).toEqual([]);
  expect(tally.losses).toBeGreaterThan(1);
}, 120_000);
