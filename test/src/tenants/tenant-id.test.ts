import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  isTenantId,
  MissingTenantError,
  TenantError,
  tenantId,
  tenantOf,
  tenantOfAccount,
} from '../../../src/tenants/tenant-id.ts';

const settings = { defaultTenantId: 'default-tenant', tenantHeader: 'THANOS-TENANT', requireTenant: false };
const of = (headers: Record<string, string | string[]>, account?: string): string =>
  tenantOf({ headers, account }, settings);

describe('a tenant ID', () => {
  const valid = [
    'a',
    'default-tenant',
    'Team_A.prod*',
    "it's(!)",
    '...',
    '.hidden',
    'x'.repeat(150),
    // Names that mean something on a disk or in a bucket are ordinary tenants: an ID is never a path.
    'wal',
    'debug',
    '__markers__',
    'con',
    'CON',
    'WAL',
    '__proto__',
    'constructor',
  ];
  test.each(valid)('may be %j', (id) => {
    expect(isTenantId(id)).toBe(true);
    expect(tenantId(id, 'X-Scope-OrgID')).toBe(id);
    expect(of({ 'x-scope-orgid': id })).toBe(id);
    expect(of({ 'thanos-tenant': id })).toBe(id);
    expect(of({}, id)).toBe(id);
  });

  const invalid = [
    '',
    '.',
    '..',
    'a/../b',
    '../a',
    '/etc',
    'a/b',
    'a\\b',
    '%2e%2e%2f',
    'a\0b',
    'a\nb',
    'a\n',
    '\na',
    'a\r',
    'ä',
    'Ã¤',
    '😀',
    'a ',
    ' a',
    'a b',
    'a+b',
    'a|b',
    'a{b}',
    'a"b',
    'x'.repeat(151),
  ];
  test.each(invalid)('may not be %j, at any entrance', (id) => {
    expect(isTenantId(id)).toBe(false);
    expect(() => tenantId(id, '--receive.default-tenant-id')).toThrow(
      /^invalid tenant ID .* in --receive.default-tenant-id:/,
    );
    expect(() => of({ 'x-scope-orgid': id })).toThrow(TenantError);
    expect(() => of({ 'thanos-tenant': id })).toThrow(TenantError);
    expect(() => of({}, id)).toThrow(TenantError);
    expect(() => of({}, `${id}:7`)).toThrow(TenantError);
    expect(() => of({}, `7:${id}`)).toThrow(TenantError);
  });

  test('that is refused is shown escaped and cut', () => {
    expect(() => tenantId('a\n', 'X-Scope-OrgID')).toThrow(/invalid tenant ID "a\\n" in X-Scope-OrgID/);
    expect(() => tenantId('x'.repeat(5000), 'X-Scope-OrgID')).toThrow(/"x{40}…" \(5000 characters\)/);
  });

  test('holds only allowed characters, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        const allowed = [...text].every((character) => "!._*'()-".includes(character) || /[A-Za-z0-9]/.test(character));
        const length = [...text].length;
        expect(isTenantId(text)).toBe(allowed && length >= 1 && length <= 150 && text !== '.' && text !== '..');
      }),
    );
  });
});

describe('the path account', () => {
  const rows: [account: string, tenant: string][] = [
    ['0', 'default-tenant'],
    ['0:0', 'default-tenant'],
    ['12', '12'],
    ['12:0', '12'],
    ['12:7', '12_7'],
    ['0:7', '0_7'],
    ['team-a', 'team-a'],
    ['team-a:prod', 'team-a_prod'],
    ['00', '00'],
  ];
  test.each(rows)('%s is tenant %s', (account, tenant) => {
    expect(tenantOfAccount(account, 'default-tenant')).toBe(tenant);
  });

  test.each([':', '1:', ':1', '1:2:3', '', `${'x'.repeat(80)}:${'y'.repeat(80)}`])('may not be %j', (account) => {
    expect(() => tenantOfAccount(account, 'default-tenant')).toThrow(TenantError);
  });
});

describe('the tenant of a request', () => {
  test('is the default tenant if it names none', () => {
    expect(of({})).toBe('default-tenant');
    expect(of({ 'x-other': 'a' })).toBe('default-tenant');
  });

  test('has to be named where that is required', () => {
    const required = { ...settings, requireTenant: true };
    expect(() => tenantOf({ headers: {} }, required)).toThrow(MissingTenantError);
    expect(() => tenantOf({ headers: {} }, required)).toThrow(/X-Scope-OrgID, THANOS-TENANT, the path/);
    expect(tenantOf({ headers: { 'thanos-tenant': 'a' } }, required)).toBe('a');
    expect(tenantOf({ headers: {}, account: '0' }, required)).toBe('default-tenant');
  });

  test('may be named at several entrances that agree', () => {
    expect(of({ 'x-scope-orgid': 'a', 'thanos-tenant': 'a' }, 'a')).toBe('a');
    expect(of({ 'x-scope-orgid': 'default-tenant' }, '0')).toBe('default-tenant');
    expect(of({ 'thanos-tenant': '1_2' }, '1:2')).toBe('1_2');
  });

  const disagreeing: [headers: Record<string, string>, account: string | undefined, message: string][] = [
    [
      { 'x-scope-orgid': 'a', 'thanos-tenant': 'b' },
      undefined,
      'two tenants: X-Scope-OrgID says "a", THANOS-TENANT says "b"',
    ],
    [{ 'x-scope-orgid': 'a' }, '12', 'two tenants: X-Scope-OrgID says "a", the path says "12"'],
    [{ 'thanos-tenant': 'a' }, '0', 'two tenants: THANOS-TENANT says "a", the path says "default-tenant"'],
    [{ 'x-scope-orgid': 'a', 'thanos-tenant': 'a' }, 'A', 'two tenants: THANOS-TENANT says "a", the path says "A"'],
  ];
  test.each(disagreeing)('is refused when %j and account %s disagree', (headers, account, message) => {
    expect(() => of(headers, account)).toThrow(new TenantError(message));
  });

  test('is refused when a header was sent twice, even with one value', () => {
    expect(() => of({ 'x-scope-orgid': 'a, a' })).toThrow(new TenantError('X-Scope-OrgID was sent more than once'));
    expect(() => of({ 'thanos-tenant': ['a', 'a'] })).toThrow(new TenantError('THANOS-TENANT was sent more than once'));
    expect(() => of({ 'x-scope-orgid': ', ' })).toThrow(new TenantError('X-Scope-OrgID was sent more than once'));
  });

  test('is read from the configured header', () => {
    const own = { defaultTenantId: 'd', tenantHeader: 'X-Team', requireTenant: false };
    expect(tenantOf({ headers: { 'x-team': 'a', 'thanos-tenant': 'b' } }, own)).toBe('a');
    expect(() => tenantOf({ headers: { 'x-team': 'a', 'x-scope-orgid': 'b' } }, own)).toThrow(/X-Team says "a"/);
    const same = { defaultTenantId: 'd', tenantHeader: 'x-scope-orgid', requireTenant: false };
    expect(tenantOf({ headers: { 'x-scope-orgid': 'a' } }, same)).toBe('a');
  });
});
