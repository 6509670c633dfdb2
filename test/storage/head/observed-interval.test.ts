import { expect, test } from 'vitest';
import { ObservedInterval } from '../../../storage/head/observed-interval.ts';

function after(...gapsMs: number[]): number {
  const interval = new ObservedInterval();
  for (const gapMs of gapsMs) interval.note(gapMs);
  return interval.ms;
}

test.each<[what: string, gapsMs: number[], ms: number]>([
  ['nothing is known', [], 0],
  ['one pause is believed', [60_000], 60_000],
  ['requests of one scrape come together', [5, 3, 60_000, 4, 1, 8, 60_000, 2, 3], 60_000],
  ['one that sends all the time has no interval', [100, 200, 50], 0],
  ['the longest pause is an outage', [15_000, 15_000, 900_000, 15_000], 15_000],
  ['what was long ago is forgotten', [60_000, 60_000, ...Array<number>(8).fill(15_000)], 15_000],
])('%s', (_, gapsMs, ms) => {
  expect(after(...gapsMs)).toBe(ms);
});
