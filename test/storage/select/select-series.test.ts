import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareLabels, type Labels, labelValue, withExternalLabels } from '../../../storage/model/labels.ts';
import { Matcher } from '../../../storage/model/matcher.ts';
import type { SeriesSource } from '../../../storage/model/series-source.ts';
import { labelNames, labelValues } from '../../../storage/select/select-labels.ts';
import { type MergedSeries, selectLabelSets, selectSeries } from '../../../storage/select/select-series.ts';
import { bitsOf, EVER, type MemorySeries, MemorySource } from '../../support/memory-source.ts';

function series(...labels: string[]): MemorySeries {
  return { labels, chunks: [[[1000, bitsOf(1)]]] };
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function selected(sources: SeriesSource[], ...matchers: Matcher[]): Promise<MergedSeries[]> {
  return (await collect(selectSeries(sources, matchers, EVER))).flat();
}

const up = new Matcher('=', '__name__', 'up');

test('equal series of several sources become one, its parts in the order of the sources', async () => {
  const sources = [
    new MemorySource([series('__name__', 'up', 'job', 'b'), series('__name__', 'up', 'job', 'a')]),
    new MemorySource([series('__name__', 'up', 'job', 'a'), series('__name__', 'other')]),
    new MemorySource([series('__name__', 'up', 'job', 'a')]),
  ];
  const answer = await selected(sources, up);
  expect(answer.map(({ labels }) => labels)).toEqual([
    ['__name__', 'up', 'job', 'a'],
    ['__name__', 'up', 'job', 'b'],
  ]);
  expect(answer[0]?.parts.map(({ source }) => sources.indexOf(source as MemorySource))).toEqual([0, 1, 2]);
});

test('external labels are labels of every series, win a clash, and decide their own matchers', async () => {
  const source = new MemorySource([series('__name__', 'up', 'cluster', 'own')], ['cluster', 'eu', 'replica', 'r1']);
  const expected = [['__name__', 'up', 'cluster', 'eu', 'replica', 'r1']];
  const labelsFor = async (...matchers: Matcher[]) =>
    (await selected([source], ...matchers)).map(({ labels }) => labels);
  expect(await labelsFor(up)).toEqual(expected);
  expect(await labelsFor(up, new Matcher('=', 'cluster', 'eu'), new Matcher('!=', 'replica', ''))).toEqual(expected);
  expect(await labelsFor(up, new Matcher('=', 'cluster', 'own'))).toEqual([]);
  expect(await labelsFor(up, new Matcher('!~', 'replica', 'r.'))).toEqual([]);
  expect(await labelsFor(new Matcher('=~', 'cluster', 'e.'))).toEqual(expected);
});

test('series that an external label makes equal are joined; the order is that of the full labels', async () => {
  const source = new MemorySource(
    [series('a', '1', 'z', '1'), series('a', '2', 'z', '1'), series('b', '0'), series('z', '0')],
    ['a', 'x', 'm', 'y'],
  );
  const answer = await selected([source]);
  expect(answer.map(({ labels, parts }) => [labels.join(' '), parts.length])).toEqual([
    ['a x b 0 m y', 1],
    ['a x m y z 0', 1],
    ['a x m y z 1', 2],
  ]);
});

test('many series come in batches, none of them empty', async () => {
  const many = Array.from({ length: 1000 }, (_, i) => series('__name__', 'up', 'i', String(i).padStart(4, '0')));
  const batches = await collect(selectSeries([new MemorySource(many), new MemorySource(many)], [up], EVER));
  expect(batches.map((batch) => batch.length)).toEqual([256, 256, 256, 232]);
  expect(batches.flat().map(({ labels }) => labels[3])).toEqual(many.map(({ labels }) => labels[3]));
});

test('label sets of several selectors are a union without repetition', async () => {
  const source = new MemorySource([series('__name__', 'a'), series('__name__', 'b'), series('__name__', 'c')]);
  const sets = [[new Matcher('=~', '__name__', 'a|b')], [new Matcher('=~', '__name__', 'b|c')]];
  expect((await collect(selectLabelSets([source], sets, EVER))).flat()).toEqual([
    ['__name__', 'a'],
    ['__name__', 'b'],
    ['__name__', 'c'],
  ]);
});

test('label names and values are those of all sources, external ones too, in byte order and up to the limit', async () => {
  const sources = [
    new MemorySource([series('__name__', 'up', 'cluster', 'own', 'job', '\u{1f600}')], ['cluster', 'eu']),
    new MemorySource([series('__name__', 'down', 'job', '\uffee'), series('__name__', 'up', 'job', 'a')]),
    new MemorySource([], ['replica', 'r1']),
  ];
  const all = { matcherSets: [], range: EVER, limit: 0 };
  expect(await labelNames(sources, all)).toEqual({ values: ['__name__', 'cluster', 'job'], truncated: false });
  expect(await labelNames(sources, { ...all, limit: 2 })).toEqual({ values: ['__name__', 'cluster'], truncated: true });
  expect((await labelValues(sources, 'job', all)).values).toEqual(['a', '\uffee', '\u{1f600}']);
  expect((await labelValues(sources, 'cluster', all)).values).toEqual(['eu']);
  expect((await labelValues(sources, 'replica', all)).values).toEqual([]);
  expect((await labelValues(sources, '__proto__', all)).values).toEqual([]);
  const down = { ...all, matcherSets: [[new Matcher('=', '__name__', 'down')], [new Matcher('=', 'cluster', 'us')]] };
  expect((await labelNames(sources, down)).values).toEqual(['__name__', 'job']);
  expect((await labelValues(sources, 'cluster', down)).values).toEqual([]);
});

test('a source without series in the range shows nothing', async () => {
  const source = new MemorySource([series('__name__', 'up')], ['cluster', 'eu']);
  const later = { matcherSets: [], range: { minTimeMs: 1001, maxTimeMs: 2000 }, limit: 0 };
  expect((await labelNames([source], later)).values).toEqual([]);
  expect((await labelValues([source], 'cluster', later)).values).toEqual([]);
});

const name = fc.constantFrom('a', 'b', 'm', 'é', '\uffee', '\u{1f600}');
const labelSet = fc
  .uniqueArray(fc.tuple(name, fc.constantFrom('1', '2', '\uffee', '\u{1f600}')), {
    selector: ([n]) => n,
    minLength: 1,
    maxLength: 4,
  })
  .map((pairs) => pairs.sort(([x], [y]) => Buffer.compare(Buffer.from(x), Buffer.from(y))).flat());
const arbitrarySource = fc.record({
  sets: fc.uniqueArray(labelSet, { selector: (labels) => labels.join(), maxLength: 8 }),
  external: fc.oneof(fc.constant([] as Labels), labelSet),
});
const arbitraryMatcher = fc
  .tuple(
    fc.constantFrom('=' as const, '!=' as const, '=~' as const, '!~' as const),
    name,
    fc.constantFrom('', '1', '2', '\uffee'),
  )
  .map(([type, label, value]) => new Matcher(type, label, value));

test('any sources merge to the sorted set of what matches with external labels applied first', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(arbitrarySource, { maxLength: 4 }),
      fc.array(arbitraryMatcher, { maxLength: 2 }),
      async (raw, matchers) => {
        const sources = raw.map(
          ({ sets, external }) =>
            new MemorySource(
              sets.map((one) => series(...one)),
              external,
            ),
        );
        const labelled = raw.flatMap(({ sets, external }) =>
          sets.map((labels) => withExternalLabels(labels, external)),
        );
        const matching = labelled.filter((labels) => matchers.every((m) => m.matches(labelValue(labels, m.name))));
        const expected = [...new Map(matching.map((labels) => [labels.join(), labels])).values()].sort(compareLabels);
        const answer = await selected(sources, ...matchers);
        expect(answer.map(({ labels }) => labels)).toEqual(expected);
        expect(answer.flatMap(({ parts }) => parts).length).toBe(matching.length);
      },
    ),
    { numRuns: 500 },
  );
});
