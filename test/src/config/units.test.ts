import { expect, test } from 'vitest';
import { formatSize, parseDuration, parseSize } from '../../../src/config/units.ts';
import { ValueError } from '../../../src/config/value-error.ts';

test.each([
  ['0', 0],
  ['0s', 0],
  ['250ms', 250],
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['1d', 86_400_000],
  ['1w2d', 777_600_000],
  ['1y', 31_536_000_000],
  ['90s', 90_000],
])('the duration %s is %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(['', '5', '5 m', '-5m', '1.5h', '30m1h', '5m5m', '5M', '1h ', 'm', '999999999999999999999y'])(
  'the duration "%s" is refused',
  (text) => {
    expect(() => parseDuration(text)).toThrow(ValueError);
  },
);

test.each([
  ['1048576', 1_048_576],
  ['17B', 17],
  ['1KB', 1024],
  ['512MiB', 536_870_912],
  ['2GB', 2_147_483_648],
  ['2GiB', 2_147_483_648],
  ['2G', 2_147_483_648],
  ['1.5GiB', 1_610_612_736],
])('the size %s is %d bytes, in powers of 1024 as in Prometheus', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(['', 'GiB', '-1GiB', '1 GiB', '1gib', '1e9', '0x10', '1.GiB', '9000PiB', 'NaN'])(
  'the size "%s" is refused',
  (text) => {
    expect(() => parseSize(text)).toThrow(ValueError);
  },
);

test('sizes are shown with three digits', () => {
  expect([0, 17, 1024, 1536, 536_870_912, 12_638_255_076].map(formatSize)).toEqual([
    '0 B',
    '17 B',
    '1 KiB',
    '1.50 KiB',
    '512 MiB',
    '11.8 GiB',
  ]);
});
