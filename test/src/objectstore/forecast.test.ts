import { expect, test } from 'vitest';
import { bytesADay, declineADay, forecast } from '../../../src/objectstore/forecast.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

test.each([
  [0, 0, undefined],
  [700, 7 * DAY_MS, 100],
  [100, 2 * HOUR_MS, 1200],
  // A tenant that fell silent after a minute: its block is of a window nevertheless.
  [100, 60_000, 1200],
])('%d bytes over %d ms are %s a day', (bytes, spanMs, expected) => {
  expect(bytesADay({ bytes, spanMs })).toBe(expected);
});

test.each([
  [[], undefined],
  [[[0, 500]], undefined],
  [
    [
      [0, 500],
      [5 * HOUR_MS, 0],
    ],
    undefined,
  ],
  [
    [
      [0, 500],
      [6 * HOUR_MS, 400],
    ],
    400,
  ],
  [
    [
      [HOUR_MS, 500],
      [2 * HOUR_MS, 9],
      [HOUR_MS + 2 * DAY_MS, 300],
    ],
    100,
  ],
  [
    [
      [0, 500],
      [DAY_MS, 501],
    ],
    0,
  ],
] as const)('free space %j shrinks by %s a day', (space, expected) => {
  expect(declineADay(space.map(([atMs, bytes]) => ({ atMs, bytes })))).toBe(expected);
});

const own = { bytes: 700, spanMs: 7 * DAY_MS };
const space = [
  { atMs: 0, bytes: 100_000 },
  { atMs: DAY_MS, bytes: 99_950 },
];

test('without a bucket the disk takes the blocks and all the rest', () => {
  expect(forecast({ own, availableBytes: 3000, space })).toEqual({
    disk: {
      blockBytesADay: 100,
      otherBytesADay: 50,
      availableBytes: 3000,
      daysUntilFull: 20,
      daysWithoutBucket: undefined,
    },
    bucket: undefined,
  });
});

test('a new server has its first forecast with its first block, without days of watching', () => {
  const none = { bytes: 0, spanMs: 0 };
  expect(forecast({ own: none, availableBytes: 3000, space: [] }).disk.daysUntilFull).toBeUndefined();
  expect(forecast({ own, availableBytes: 3000, space: [] }).disk.daysUntilFull).toBe(30);
});

test('with a bucket blocks leave the disk, their copies make room, and the bucket grows', () => {
  const bucket = { growth: { bytes: 2000, spanMs: 10 * DAY_MS }, bytes: 5000, copyBytes: 1000 };
  expect(forecast({ own, availableBytes: 3000, space, bucket })).toEqual({
    disk: {
      blockBytesADay: 100,
      otherBytesADay: 50,
      availableBytes: 3000,
      daysUntilFull: 80,
      daysWithoutBucket: 4000 / 150,
    },
    bucket: { bytes: 5000, bytesADay: 200, expectedBytes: 11_000 },
  });
});

test('a disk that nothing else fills is never full', () => {
  const bucket = { growth: own, bytes: 5000, copyBytes: 0 };
  const still = space.map(({ atMs }) => ({ atMs, bytes: 7 }));
  expect(forecast({ own, availableBytes: 3000, space: still, bucket }).disk).toMatchObject({
    daysUntilFull: Number.POSITIVE_INFINITY,
    daysWithoutBucket: 30,
  });
});
