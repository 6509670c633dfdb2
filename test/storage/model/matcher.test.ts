import fc from 'fast-check';
import { RE2JS } from 're2js';
import { expect, test } from 'vitest';
import { StorageError } from '../../../storage/lib/errors.ts';
import { Matcher } from '../../../storage/model/matcher.ts';
import { MAX_ENGINE_PATTERN, MAX_PATTERN } from '../../../storage/model/pattern.ts';

function matching(type: Matcher['type'], value: string, candidates: readonly string[]): string[] {
  const matcher = new Matcher(type, 'job', value);
  return candidates.filter((candidate) => matcher.matches(candidate));
}

test.each<[Matcher['type'], string, string[]]>([
  ['=', 'api', ['api']],
  ['!=', 'api', ['', 'api-1', 'my api', 'a\npi']],
  ['=~', 'api', ['api']],
  ['!~', 'api', ['', 'api-1', 'my api', 'a\npi']],
  ['=~', 'api.*', ['api', 'api-1']],
  ['=~', 'api.+', ['api-1']],
  ['=~', '.*api', ['api', 'my api']],
  ['=~', '.+', ['api', 'api-1', 'my api', 'a\npi']],
  ['=~', 'a.*i', ['api', 'a\npi']],
  ['=~', 'api|', ['', 'api']],
  ['=~', '(?i)API(-\\d)?', ['api', 'api-1']],
])('job%s"%s" is anchored and matches across newlines', (type, value, expected) => {
  expect(matching(type, value, ['', 'api', 'api-1', 'my api', 'a\npi'])).toEqual(expected);
});

test.each<[Matcher['type'], string, boolean, string[] | undefined]>([
  ['=', '', true, ['']],
  ['=', 'x', false, ['x']],
  ['!=', 'x', true, undefined],
  ['=~', 'a|b|a', false, ['a', 'b']],
  ['=~', '^(?:a\\.b|)$', true, undefined],
  ['=~', '(?:a\\.b|)', true, ['a.b', '']],
  ['=~', 'a|b.*', false, undefined],
  ['!~', 'a|b', true, undefined],
])(
  '%s"%s" knows whether it matches an absent label, and its values where they can be listed',
  (type, value, empty, set) => {
    const matcher = new Matcher(type, 'n', value);
    expect(matcher.matchesEmpty).toBe(empty);
    expect(matcher.setMatches).toEqual(set);
  },
);

test.each([
  ['a(?=b)', 'invalid or unsupported Perl syntax'],
  ['(a)\\1', 'invalid escape sequence'],
  ['a{0,1000}{0,1000}', 'invalid nested repetition'],
  ['a)|(b', 'unexpected )'],
  ['[', 'missing closing ]'],
])('%s is refused by name, as Go refuses it', (pattern, reason) => {
  const refusal = refusalOf(pattern);
  expect(refusal.kind).toBe('invalid');
  expect(refusal.message).toContain(`matcher on label "job": invalid regular expression ${JSON.stringify(pattern)}`);
  expect(refusal.message).toContain(reason);
});

test('a pattern that would take forever elsewhere is linear here', () => {
  expect(matching('=~', '(a+)+$', [`${'a'.repeat(20_000)}!`])).toEqual([]);
});

test('long patterns are refused, long lists of literals later than others', () => {
  expect(refusalOf(`[0-9]${'a'.repeat(MAX_ENGINE_PATTERN)}`).message).toContain('too long');
  const hosts = Array.from({ length: 500 }, (_, i) => `10\\.0\\.${i}\\.1:9100`);
  expect(matching('=~', `(${hosts.join('|')})`, ['10.0.499.1:9100', '10.0.500.1:9100'])).toEqual(['10.0.499.1:9100']);
  expect(refusalOf('a|'.repeat(MAX_PATTERN)).message).toContain('too long');
  expect(refusalOf('a|'.repeat(MAX_PATTERN)).message.length).toBeLessThan(300);
});

function refusalOf(pattern: string): StorageError {
  try {
    new Matcher('=~', 'job', pattern);
  } catch (error) {
    if (error instanceof StorageError) return error;
  }
  throw new Error(`${pattern} was accepted`);
}

/** The plain engine, by its slower road; undefined where the pattern is refused. */
function plain(pattern: string): ((value: string) => boolean) | undefined {
  try {
    const engine = RE2JS.compile(pattern, RE2JS.DOTALL);
    return (value) => engine.matches(value);
  } catch {
    return undefined;
  }
}

const piece = fc.constantFrom(
  ...[
    'a',
    'b',
    '-',
    '.',
    '.*',
    '.+',
    '|',
    '(',
    ')',
    '(?:',
    '^',
    '$',
    '?',
    '*',
    '+',
    '\\.',
    '\\',
    '\n',
    '😀',
    '[ab]',
    '{',
    '}',
  ],
  ...['{2}', '\\-', '\\_', '\\/', '\\"', '\\ ', '(?i)', ']', 'ab', '.*?', '\\)', '\\\\', ' ', '\\z', '\\pL', '_'],
);
const simplePiece = fc.constantFrom('a', 'b', '.*', '.+', '|', '\\.', '😀', 'ab', '\n', '');
const pattern = fc.oneof(
  fc.array(piece, { maxLength: 7 }).map((pieces) => pieces.join('')),
  fc.array(simplePiece, { maxLength: 9 }).map((pieces) => pieces.join('')),
  fc.array(simplePiece, { maxLength: 7 }).map((pieces) => `(${pieces.join('')})`),
  fc.array(simplePiece, { maxLength: 7 }).map((pieces) => `^(?:${pieces.join('')})$`),
);
const candidate = fc
  .array(fc.constantFrom('a', 'b', 'A', '.', '-', '\n', '😀', '|', '\\', '_', '(', ')', '$', '^', ' ', '"'), {
    maxLength: 6,
  })
  .map((pieces) => pieces.join(''));

test('every pattern means what the plain engine says, or is refused where it refuses', () => {
  fc.assert(
    fc.property(pattern, fc.array(candidate, { minLength: 1, maxLength: 8 }), (text, candidates) => {
      const oracle = plain(text);
      if (oracle === undefined) {
        expect(() => new Matcher('=~', 'n', text)).toThrow(StorageError);
        return;
      }
      const matcher = new Matcher('=~', 'n', text);
      for (const value of ['', ...candidates])
        expect([text, value, matcher.matches(value)]).toEqual([text, value, oracle(value)]);
      if (matcher.setMatches) for (const value of matcher.setMatches) expect(oracle(value)).toBe(true);
    }),
    { numRuns: 5000 },
  );
});

test('every escaped punctuation character stands for itself, as in the plain engine', () => {
  for (let code = 0x20; code < 0x7f; code++) {
    const text = `\\${String.fromCharCode(code)}`;
    const oracle = plain(text);
    if (oracle === undefined) expect(() => new Matcher('=~', 'n', text), text).toThrow(StorageError);
    else {
      const matcher = new Matcher('=~', 'n', text);
      for (const value of ['', 'a', ' ', '\n', text, text[1] as string])
        expect(matcher.matches(value), text).toBe(oracle(value));
    }
  }
});
