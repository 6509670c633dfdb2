import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  ascending,
  intersect,
  merge,
  type Postings,
  type PostingsIndex,
  selectPostings,
  without,
} from '../../../storage/index/postings.ts';
import { Matcher } from '../../../storage/model/matcher.ts';

const refs = fc.uniqueArray(fc.nat(50), { maxLength: 30 }).map((numbers): Postings => Uint32Array.from(numbers).sort());

test('intersect, without and merge are those of sets', () => {
  fc.assert(
    fc.property(refs, refs, fc.array(refs, { maxLength: 9 }), (a, b, lists) => {
      const inB = new Set(b);
      expect([...intersect(a, b)]).toEqual([...a].filter((ref) => inB.has(ref)));
      expect([...without(a, b)]).toEqual([...a].filter((ref) => !inB.has(ref)));
      const union = new Set(lists.flatMap((list) => [...list]));
      expect([...merge(lists)]).toEqual([...union].sort((x, y) => x - y));
    }),
  );
});

test('refs use all 32 bits', () => {
  const high = Uint32Array.of(1, 0x8000_0000, 0xffff_ffff);
  expect([...intersect(high, high)]).toEqual([...high]);
  expect([...without(high, Uint32Array.of(0x8000_0000))]).toEqual([1, 0xffff_ffff]);
  expect([...merge([high, Uint32Array.of(2)])]).toEqual([1, 2, 0x8000_0000, 0xffff_ffff]);
});

/** Series as plain records; the index of them, which counts its look-ups of values. */
class PlainIndex implements PostingsIndex {
  readonly #series: readonly Readonly<Record<string, string>>[];

  constructor(series: readonly Readonly<Record<string, string>>[]) {
    this.#series = series;
  }

  all(): Postings {
    return this.#refs(() => true);
  }

  names(): string[] {
    return [...new Set(this.#series.flatMap((labels) => Object.keys(labels)))].sort();
  }

  values(name: string): string[] {
    return [...new Set(this.#series.flatMap((labels) => labels[name] ?? []))].sort();
  }

  postings(name: string, value: string): Postings {
    return this.#refs((labels) => labels[name] === value);
  }

  #refs(wanted: (labels: Readonly<Record<string, string>>) => boolean): Postings {
    return Uint32Array.from(this.#series.flatMap((labels, i) => (wanted(labels) ? [i + 1] : [])));
  }
}

// The series and queries of Prometheus' own test of this function.
const letters = new PlainIndex([{ n: '1' }, { n: '1', i: 'a' }, { n: '1', i: 'b' }, { n: '2' }, { n: '2.5' }]);
const [n1, n1a, n1b, n2, n25] = [1, 2, 3, 4, 5];

test.each([
  [
    ['n', '=', '1'],
    [n1, n1a, n1b],
  ],
  [['n', '=', '1', 'i', '=', 'a'], [n1a]],
  [['n', '=', '1', 'i', '=', 'missing'], []],
  [
    ['missing', '=', ''],
    [n1, n1a, n1b, n2, n25],
  ],
  [
    ['n', '!=', '1'],
    [n2, n25],
  ],
  [
    ['i', '!=', ''],
    [n1a, n1b],
  ],
  [['missing', '!=', ''], []],
  [
    ['n', '=', '1', 'i', '!=', 'a'],
    [n1, n1b],
  ],
  [
    ['n', '=', '1', 'i', '!=', ''],
    [n1a, n1b],
  ],
  [
    ['n', '=~', '^1$'],
    [n1, n1a, n1b],
  ],
  [['n', '=', '1', 'i', '=~', '^a$'], [n1a]],
  [
    ['n', '=', '1', 'i', '=~', '^a?$'],
    [n1, n1a],
  ],
  [
    ['i', '=~', '^$'],
    [n1, n2, n25],
  ],
  [['n', '=', '1', 'i', '=~', '^$'], [n1]],
  [
    ['n', '=', '1', 'i', '=~', '^.*$'],
    [n1, n1a, n1b],
  ],
  [
    ['n', '=', '1', 'i', '=~', '^.+$'],
    [n1a, n1b],
  ],
  [
    ['n', '!~', '^1$'],
    [n2, n25],
  ],
  [
    ['n', '=', '1', 'i', '!~', '^a$'],
    [n1, n1b],
  ],
  [['n', '=', '1', 'i', '!~', '^a?$'], [n1b]],
  [
    ['n', '=', '1', 'i', '!~', '^$'],
    [n1a, n1b],
  ],
  [['n', '=', '1', 'i', '!~', '^.*$'], []],
  [['n', '=', '1', 'i', '!~', '^.+$'], [n1]],
  [['n', '=', '1', 'i', '!=', '', 'i', '=', 'a'], [n1a]],
  [['n', '=', '1', 'i', '!=', 'b', 'i', '=~', '^(b|a).*$'], [n1a]],
  [
    ['n', '=~', '1|2'],
    [n1, n1a, n1b, n2],
  ],
  [
    ['i', '=~', 'a|b'],
    [n1a, n1b],
  ],
  [
    ['i', '=~', 'a|'],
    [n1, n1a, n2, n25],
  ],
  [
    ['n', '!~', '2.*'],
    [n1, n1a, n1b],
  ],
  [[], [n1, n1a, n1b, n2, n25]],
])('%j selects %j', (flat, expected) => {
  const matchers: Matcher[] = [];
  for (let i = 0; i < flat.length; i += 3) {
    matchers.push(new Matcher(flat[i + 1] as '=', flat[i] as string, flat[i + 2] as string));
  }
  expect([...selectPostings(letters, matchers)]).toEqual(expected);
});

const value = fc.constantFrom('', 'a', 'b', 'ab', 'c');
const series = fc
  .array(
    fc.dictionary(
      fc.constantFrom('x', 'y', 'z'),
      value.filter((text) => text !== ''),
      { maxKeys: 3 },
    ),
    { maxLength: 12 },
  )
  .map((list) => list.filter((labels) => Object.keys(labels).length > 0));
const matcher = fc.oneof(
  fc.tuple(fc.constantFrom('=' as const, '!=' as const), fc.constantFrom('x', 'y', 'missing'), value),
  fc.tuple(
    fc.constantFrom('=~' as const, '!~' as const),
    fc.constantFrom('x', 'y', 'missing'),
    fc.constantFrom('a|b', '.*', '.+', 'a?', '', 'a.*|c', '[^a]', 'a|'),
  ),
);

test('a series is selected if and only if every matcher matches its value, absent as empty', () => {
  fc.assert(
    fc.property(series, fc.array(matcher, { maxLength: 4 }), (list, conditions) => {
      const matchers = conditions.map(([type, name, text]) => new Matcher(type, name, text));
      const expected = list.flatMap((labels, i) =>
        matchers.every(({ name, matches }, k) => matches.call(matchers[k], labels[name] ?? '')) ? [i + 1] : [],
      );
      expect([...selectPostings(new PlainIndex(list), matchers)]).toEqual(expected);
    }),
    { numRuns: 500 },
  );
});

test('a regular expression runs once for each distinct value', () => {
  const many = new PlainIndex(Array.from({ length: 100 }, (_, i) => ({ x: `v${i % 4}` })));
  let runs = 0;
  const counting = Object.assign(Object.create(new Matcher('=~', 'x', 'v[13]')), {
    matches(candidate: string): boolean {
      runs++;
      return /^v[13]$/.test(candidate);
    },
  }) as Matcher;
  expect(selectPostings(many, [counting])).toHaveLength(50);
  expect(runs).toBeLessThanOrEqual(4);
});

test('a list of runs becomes ascending, whether there are few or many', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(2 ** 32 - 1), { maxLength: 2000 }), fc.nat(600), (refs, runs) => {
      const size = Math.ceil(refs.length / (runs + 1)) || 1;
      const pieces = Array.from({ length: Math.ceil(refs.length / size) }, (_, i) =>
        refs.slice(i * size, (i + 1) * size).sort((a, b) => a - b),
      );
      const sorted = Uint32Array.from([...refs].sort((a, b) => a - b));
      expect(ascending(Uint32Array.from(pieces.flat()))).toEqual(sorted);
    }),
  );
});
