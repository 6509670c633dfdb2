import { describe, expect, test } from 'vitest';
import { RequestError } from '../../../src/api/errors.ts';
import {
  labelNameParam,
  limitParam,
  parseTime,
  partialResponseParam,
  requestParams,
  timeRangeParam,
} from '../../../src/api/params.ts';

describe('a time', () => {
  const rows: [text: string, timeMs: number][] = [
    ['0', 0],
    ['1767225600', 1767225600000],
    ['1767225600.123', 1767225600123],
    ['1767225600.1239', 1767225600124],
    ['-1.5', -1500],
    ['1.5e3', 1500000],
    ['.5', 500],
    ['2026-01-01T00:00:00Z', 1767225600000],
    ['2026-01-01T00:00:00.123456789Z', 1767225600123],
    ['2026-01-01T02:00:00+02:00', 1767225600000],
    ['2024-02-29T00:00:00Z', 1709164800000],
    ['1e30', Number.MAX_SAFE_INTEGER - 1],
    ['-1e30', 1 - Number.MAX_SAFE_INTEGER],
  ];
  test.each(rows)('%s is %d ms', (text, timeMs) => expect(parseTime(text)).toBe(timeMs));

  const refused = [
    'abc',
    '',
    ' ',
    '1 ',
    '0x10',
    'NaN',
    'Inf',
    '1_000',
    'now',
    '2026-01-01',
    '2026-01-01T00:00:00',
    '2026-02-30T00:00:00Z',
  ];
  test.each([
    ...refused,
    '2025-02-29T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-01 00:00:00Z',
  ])('may not be %j', (text) => {
    expect(parseTime(text)).toBeUndefined();
  });
});

describe('a time range', () => {
  test('includes its end', () => {
    expect(timeRangeParam(new URLSearchParams('start=1&end=2'))).toEqual({ minTimeMs: 1000, maxTimeMs: 2001 });
  });

  test('is all of time if nothing is said, in safe integers', () => {
    const { minTimeMs, maxTimeMs } = timeRangeParam(new URLSearchParams('start=&end='));
    expect(Number.isSafeInteger(minTimeMs) && Number.isSafeInteger(maxTimeMs)).toBe(true);
    expect(minTimeMs).toBeLessThan(-8e15);
    expect(maxTimeMs).toBeGreaterThan(8e15);
  });

  test('is refused in the words of Prometheus', () => {
    expect(() => timeRangeParam(new URLSearchParams('start=abc'))).toThrow(
      new RequestError(
        400,
        `invalid parameter "start": invalid time value for 'start': cannot parse "abc" to a valid timestamp`,
      ),
    );
  });
});

describe('a limit', () => {
  test.each([
    ['', 0],
    ['0', 0],
    ['40000', 40000],
    ['+7', 7],
  ])('of %j is %d', (text, limit) => expect(limitParam(new URLSearchParams({ limit: text }))).toBe(limit));

  test.each([
    ['-1', 'invalid parameter "limit": limit must be non-negative'],
    ['abc', 'invalid parameter "limit": strconv.Atoi: parsing "abc": invalid syntax'],
    ['1.5', 'invalid parameter "limit": strconv.Atoi: parsing "1.5": invalid syntax'],
    [
      '99999999999999999999',
      'invalid parameter "limit": strconv.Atoi: parsing "99999999999999999999": value out of range',
    ],
  ])('of %s is refused', (text, message) => {
    expect(() => limitParam(new URLSearchParams({ limit: text }))).toThrow(message);
  });
});

test('parameters of the form come before those of the URL', () => {
  const params = requestParams('/api/v1/series?match[]=b&start=2', 'match%5B%5D=a&match[]=a%2B&start=1');
  expect(params.getAll('match[]')).toEqual(['a', 'a+', 'b']);
  expect(params.get('start')).toBe('1');
});

describe('a label name in a path', () => {
  test.each([
    ['job', 'job'],
    ['a.b', 'a.b'],
    ['__proto__', '__proto__'],
    ['U__a_2e_b', 'a.b'],
    ['U__a__b', 'a_b'],
    ['U___1F600_', '😀'],
    ['U__http_2E_status:sum', 'http.status:sum'],
    // Not well-formed: the name is what it looks like.
    ['U__a_2e', 'U__a_2e'],
    ['U__a_', 'U__a_'],
    ['U__a_xyz_', 'U__a_xyz_'],
    ['U__a_d800_', 'U__a_d800_'],
    ['U__a_123456_', 'U__a_123456_'],
    ['U_a_2e_b', 'U_a_2e_b'],
  ])('%s is %s', (segment, name) => expect(labelNameParam(segment)).toBe(name));

  test.each(['', 'U__', '\ud800'])('may not be %j', (segment) => {
    expect(() => labelNameParam(segment)).toThrow(/^invalid label name: "/);
  });
});

test('partial_response is a Boolean as Go reads one, and what the flag says if it is not given', () => {
  const of = (text: string, absent: boolean): boolean =>
    partialResponseParam(new URLSearchParams({ partial_response: text }), absent);
  expect(['1', 't', 'TRUE', 'true', 'True'].map((text) => of(text, false))).toEqual(new Array(5).fill(true));
  expect(['0', 'f', 'F', 'false'].map((text) => of(text, true))).toEqual(new Array(4).fill(false));
  expect([of('', true), of('', false), partialResponseParam(new URLSearchParams(), true)]).toEqual([true, false, true]);
  expect(() => of('yes', true)).toThrow("'partial_response' parameter");
});
