import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decimal } from '../../../src/ingest/otlp-points.ts';

const rows: [value: number, text: string][] = [
  [0, '0'],
  [-0, '-0'],
  [1, '1'],
  [0.5, '0.5'],
  [-2.5, '-2.5'],
  [100000, '100000'],
  [1e21, '1000000000000000000000'],
  [1.5e21, '1500000000000000000000'],
  [123456789012345680000, '123456789012345680000'],
  [1e-7, '0.0000001'],
  [1.25e-9, '0.00000000125'],
  [-1e-10, '-0.0000000001'],
  [Number.POSITIVE_INFINITY, '+Inf'],
  [Number.NEGATIVE_INFINITY, '-Inf'],
  [Number.NaN, 'NaN'],
];
test.each(rows)('the bound %d is written as %s', (value, text) => {
  expect(decimal(value)).toBe(text);
});

test('a bound is written with the fewest digits that give it back, and without an exponent', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      const text = decimal(value);
      expect(text).toMatch(/^-?\d+(?:\.\d*[1-9])?$/);
      expect(Object.is(Number(text), value)).toBe(true);
    }),
  );
});
