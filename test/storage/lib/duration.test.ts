import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseDuration } from '../../../src/config/units.ts';
import { formatDuration } from '../../../storage/lib/duration.ts';

test('a duration that is shown reads back as itself', () => {
  fc.assert(
    fc.property(fc.nat({ max: 10 ** 13 }), (ms) => {
      expect(parseDuration(formatDuration(ms))).toBe(ms);
    }),
  );
  expect(formatDuration(5_400_000)).toBe('1h30m');
  expect(formatDuration(10_800_000)).toBe('3h');
  expect(formatDuration(0)).toBe('0s');
});
