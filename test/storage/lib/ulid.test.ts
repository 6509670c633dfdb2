import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeUlid, isUlid, UlidGenerator, ulidTimeMs } from '../../../storage/lib/ulid.ts';

const noRandom = { fill: (target: Uint8Array): void => void target.fill(0) };
const fullRandom = { fill: (target: Uint8Array): void => void target.fill(0xff) };

test('the smallest and the greatest ULID', () => {
  expect(encodeUlid(0, new Uint8Array(10))).toBe('0'.repeat(26));
  expect(encodeUlid(2 ** 48 - 1, new Uint8Array(10).fill(0xff))).toBe('7ZZZZZZZZZZZZZZZZZZZZZZZZZ');
});

test('the example of the specification holds its time', () => {
  expect(ulidTimeMs('01ARZ3NDEKTSV4RRFFQ69G5FAV')).toBe(1_469_922_850_259);
  expect(encodeUlid(1_469_922_850_259, new Uint8Array(10)).slice(0, 10)).toBe('01ARZ3NDEK');
});

test('random bits keep their order in the text', () => {
  const random = Uint8Array.of(0xd6, 0x76, 0x4c, 0x61, 0xef, 0xb9, 0x93, 0x02, 0xbd, 0x5b);
  expect(encodeUlid(1_469_922_850_259, random)).toBe('01ARZ3NDEKTSV4RRFFQ69G5FAV');
});

test.each([
  ['01ARZ3NDEKTSV4RRFFQ69G5FAV', true],
  ['01arz3ndektsv4rrffq69g5fav', true],
  ['81ARZ3NDEKTSV4RRFFQ69G5FAV', false],
  ['01ARZ3NDEKTSV4RRFFQ69G5FA', false],
  ['01ARZ3NDEKTSV4RRFFQ69G5FAVX', false],
  ['01ARZ3NDEKTSV4RRFFQ69G5FAU', false],
  ['01ARZ3NDEKTSV4RRFFQ69G5FA\n', false],
  ['', false],
])('%j is a ULID: %s', (text, expected) => {
  expect(isUlid(text)).toBe(expected);
});

test('ULIDs of one generator grow, whatever the clock does', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1000), { minLength: 2 }), fc.boolean(), (times, full) => {
      const generator = new UlidGenerator(full ? fullRandom : noRandom);
      const ulids = times.map((timeMs) => generator.next(timeMs));
      expect(ulids.every(isUlid)).toBe(true);
      for (let i = 1; i < ulids.length; i++) expect((ulids[i] as string) > (ulids[i - 1] as string)).toBe(true);
    }),
  );
});
