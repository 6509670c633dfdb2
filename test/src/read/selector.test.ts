import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseSelector } from '../../../src/read/selector.ts';

function parsed(text: string): string {
  return parseSelector(text).join(' ');
}

test.each([
  ['up', '__name__="up"'],
  ['  job:up:sum5m\t', '__name__="job:up:sum5m"'],
  ['{a="b",c=~"d.*"}', 'a="b" c=~"d.*"'],
  ['foo{a!="b",c!~"d|e",}', '__name__="foo" a!="b" c!~"d|e"'],
  ['foo { a = "b" , }', '__name__="foo" a="b"'],
  ['foo{}', '__name__="foo"'],
  ['{"utf8.name", "quoted label"="x"}', '__name__="utf8.name" quoted label="x"'],
  ['{a="1","utf8.name"}', 'a="1" __name__="utf8.name"'],
  ['{__name__=~"a.+"}', '__name__=~"a.+"'],
  ['{__name__=~"a.+",__name__!="ab"}', '__name__=~"a.+" __name__!="ab"'],
  ["{a='it\\'s \"b\"'}", 'a="it\'s \\"b\\""'],
  ['{a=`\\d"\'\n`}', 'a="\\\\d\\"\'\\n"'],
  ['{a="\\t\\n\\\\\\"\\x41\\101\\u00e9\\U0001f600\\xc3\\xa9"}', 'a="\\t\\n\\\\\\"AAé😀é"'],
  ['sum{ # all of it\n  by="x" # }\n}', '__name__="sum" by="x"'],
  ['{a="#,}{",b=""}', 'a="#,}{" b=""'],
])('%s is read', (text, expected) => {
  expect(parsed(text)).toBe(expected);
});

test.each([
  ['', '1:1: parse error: unexpected end of input, expected a metric name or "{"'],
  ['{', '1:2: parse error: unexpected end of input, expected a label name or "}"'],
  ['{,}', '1:2: parse error: unexpected ",", expected a label name or "}"'],
  ['{a}', '1:3: parse error: unexpected "}", expected a label matching operator'],
  ['{a=}', '1:4: parse error: unexpected "}", expected a string'],
  ['{a=b}', '1:4: parse error: unexpected "b", expected a string'],
  ['{a=="b"}', '1:4: parse error: unexpected "=", expected a string'],
  ['{a="b" c="d"}', '1:8: parse error: unexpected "c", expected "," or "}"'],
  ['{a="b",,}', '1:8: parse error: unexpected ",", expected a label name or "}"'],
  ['{a:b="c"}', '1:3: parse error: unexpected ":", expected a label matching operator'],
  ['{\n  é="x"}', '2:3: parse error: unexpected "é", expected a label name or "}"'],
  ['up[5m]', '1:3: parse error: unexpected "[", expected the end of the selector'],
  ['up offset 5m', '1:4: parse error: unexpected "o", expected the end of the selector'],
  ['{a="b}', '1:4: parse error: unterminated string'],
  ['{a="b\n"}', '1:4: parse error: unterminated string'],
  ['{a="b\\"}', '1:4: parse error: unterminated string'],
  ['{a="x\\q"}', '1:6: parse error: unknown escape sequence'],
  ['{a="\\\'"}', '1:5: parse error: unknown escape sequence'],
  ['{a="\\400"}', '1:5: parse error: unknown escape sequence'],
  ['{a="\\ud800"}', '1:5: parse error: unknown escape sequence'],
  ['{a="\\U00110000"}', '1:5: parse error: unknown escape sequence'],
  ['{a="\\xff"}', '1:5: parse error: the string is not valid UTF-8'],
  ['foo{"bar"}', '1:5: parse error: metric name must not be set twice: "foo" or "bar"'],
  ['foo{__name__="bar"}', '1:5: parse error: metric name must not be set twice: "foo" or "bar"'],
  ['{"a","b"}', '1:6: parse error: metric name must not be set twice: "a" or "b"'],
  ['{__name__="a","b"}', '1:15: parse error: metric name must not be set twice: "a" or "b"'],
  ['{"","a"="b"}', '1:2: parse error: the metric name is empty'],
  ['{""="b"}', '1:2: parse error: a label name is empty'],
  [
    '{b="x",a=~"("}',
    '1:8: parse error: matcher on label "a": invalid regular expression "(": error parsing regexp: missing closing ): `(`',
  ],
])('%s is refused where it goes wrong', (text, message) => {
  expect(() => parseSelector(text)).toThrow(message);
});

test.each(['{}', '{a=""}', '{a=~".*"}', '{a!="b",c=~"|x"}'])('%s would select everything and is refused', (text) => {
  expect(() => parseSelector(text)).toThrow('match[] must contain at least one non-empty matcher');
});

test('any label names and values can be written as quoted strings', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', minLength: 1 }),
      fc.string({ unit: 'binary', minLength: 1 }),
      (name, value) => {
        const quoted = [name, value].map(
          (text) => `"${text.replaceAll(/["\\\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`))}"`,
        );
        const [matcher] = parseSelector(`{${quoted.join('=')}}`);
        expect([matcher?.type, matcher?.name, matcher?.value]).toEqual(['=', name, value]);
      },
    ),
  );
});

test('any text is read or refused, never worse', () => {
  const piece = fc.constantFrom(
    'up',
    '{',
    '}',
    'a',
    '=',
    '=~',
    '!',
    '"',
    "'",
    '`',
    '\\',
    ',',
    ' ',
    '#',
    '\n',
    '.*',
    'é',
    '\\x',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      try {
        expect(parseSelector(pieces.join('')).length).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toMatchObject({ name: 'StorageError', kind: 'invalid' });
      }
    }),
    { numRuns: 2000 },
  );
});

test('a selector beyond any use is refused before it is read', () => {
  expect(() => parseSelector(`{a="${'x'.repeat(100_000)}"}`)).toThrow('characters');
});
