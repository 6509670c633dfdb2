import { expect, test } from 'vitest';
import { TenantLimit } from '../../../src/tenants/tenant-limit.ts';

test('a tenant beyond the limit is not admitted, those that stored something still are', () => {
  const limit = new TenantLimit(2);
  limit.add('a');
  limit.add('a');
  expect(limit.admits('b')).toBe(true);
  limit.add('b');
  expect(limit.admits('c')).toBe(false);
  expect(limit.admits('a')).toBe(true);
});

test('asking takes no place', () => {
  const limit = new TenantLimit(1);
  for (let i = 0; i < 1000; i++) expect(limit.admits(`random-${i}`)).toBe(true);
});
