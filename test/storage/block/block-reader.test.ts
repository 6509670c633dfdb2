import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CorruptionError } from '../../../storage/lib/errors.ts';
import type { Labels } from '../../../storage/model/labels.ts';
import { compareUtf8 } from '../../../storage/model/labels.ts';
import { Matcher } from '../../../storage/model/matcher.ts';
import type { TimeRange } from '../../../storage/model/time-range.ts';
import {
  bytesOf,
  EVER,
  expectedRead,
  openBlock,
  overwrite,
  type PlainSeries,
  readAll,
  smallSeries,
  TEST_ULID,
  writtenBlock,
} from '../../support/blocks.ts';

test('series and chunks are filtered by a half-open range', async () => {
  const reader = await openBlock(writtenBlock(smallSeries));
  for (const [minTimeMs, maxTimeMs] of [
    [0, 36],
    [0, 5],
    [0, 6],
    [10, 11],
    [11, 20],
    [11, 21],
    [30, 31],
    [31, 36],
    [36, 99],
    [-5, 0],
  ]) {
    const range = { minTimeMs, maxTimeMs } as TimeRange;
    expect(await readAll(reader, [], range), JSON.stringify(range)).toEqual(expectedRead(smallSeries, [], range));
  }
});

test('names and values come from the postings table, or from the matching series', async () => {
  const reader = await openBlock(writtenBlock(smallSeries));
  const up = [new Matcher('=', '__name__', 'up')];
  expect(await reader.labelNames([], EVER)).toEqual(['__name__', 'job', 'zone']);
  expect(await reader.labelNames(up, EVER)).toEqual(['__name__', 'job']);
  expect(await reader.labelValues('job', [], EVER)).toEqual(['a', 'b']);
  expect(await reader.labelValues('job', [new Matcher('!=', 'job', 'a')], EVER)).toEqual(['b']);
  expect(await reader.labelValues('job', up, { minTimeMs: 6, maxTimeMs: 36 })).toEqual(['a']);
  expect(await reader.labelValues('nope', up, EVER)).toEqual([]);
  const before = { minTimeMs: -10, maxTimeMs: 0 };
  expect([await reader.labelNames([], before), await reader.labelValues('job', [], before)]).toEqual([[], []]);
});

test('the reader keeps what it was given and tells its size', async () => {
  const fileSystem = writtenBlock(smallSeries);
  const reader = await openBlock(fileSystem);
  expect(reader.externalLabels).toEqual(['cluster', 'eu']);
  expect(reader.meta.ulid).toBe(TEST_ULID);
  expect(reader.byteSize).toBeGreaterThan(bytesOf(fileSystem, 'index').length);
});

const value = fc.constantFrom('a', 'b', 'ab', '\uffff', '😀');

const anySeries = fc
  .uniqueArray(
    fc.record({
      labels: fc.dictionary(fc.constantFrom('x', 'y', 'z', '😀'), value, { minKeys: 1 }).map(
        (labels): Labels =>
          Object.entries(labels)
            .sort(([a], [b]) => compareUtf8(a, b))
            .flat(),
      ),
      chunks: fc.array(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 50 }), fc.double()), { minLength: 1, maxLength: 5 }),
        {
          minLength: 1,
          maxLength: 4,
        },
      ),
      startMs: fc.integer({ min: -100, max: 100 }),
    }),
    { minLength: 1, maxLength: 15, selector: ({ labels }) => JSON.stringify(labels) },
  )
  .map((list) =>
    list.map(({ labels, chunks, startMs }): PlainSeries => {
      let timeMs = startMs;
      return {
        labels,
        chunks: chunks.map((samples) =>
          samples.map(([step, sample]): [number, number] => {
            timeMs += step;
            return [timeMs, sample];
          }),
        ),
      };
    }),
  );

const anyMatcher = fc.tuple(
  fc.constantFrom('=' as const, '!=' as const, '=~' as const, '!~' as const),
  fc.constantFrom('x', 'y', 'missing'),
  fc.constantFrom('a', 'b', '', 'a|b', 'a.*', '.+'),
);

test('a block answers as the list of its series does', async () => {
  await fc.assert(
    fc.asyncProperty(
      anySeries,
      fc.array(anyMatcher, { maxLength: 3 }),
      fc.tuple(fc.integer({ min: -150, max: 300 }), fc.nat(200)),
      fc.constantFrom(undefined, 60, 200),
      async (series, conditions, [minTimeMs, span], segmentBytes) => {
        const matchers = conditions.map(([type, name, text]) => new Matcher(type, name, text));
        const range = { minTimeMs, maxTimeMs: minTimeMs + span };
        const reader = await openBlock(writtenBlock(series, segmentBytes));
        expect(await readAll(reader, [], EVER)).toEqual(expectedRead(series, [], EVER));
        const expected = expectedRead(series, matchers, range);
        expect(await readAll(reader, matchers, range)).toEqual(expected);
        const names = new Set(expected.flatMap(({ labels }) => labels.filter((_, i) => i % 2 === 0)));
        if (matchers.length > 0) expect(await reader.labelNames(matchers, range)).toEqual([...names].sort(compareUtf8));
      },
    ),
    { numRuns: 200 },
  );
});

test("bytes of chunks are the caller's: writing into them changes no later answer", async () => {
  const reader = await openBlock(writtenBlock(smallSeries));
  for (const { chunks } of await readAll(reader, [], EVER)) for (const { bytes } of chunks) bytes.fill(0xff);
  expect(await readAll(reader, [], EVER)).toEqual(expectedRead(smallSeries, [], EVER));
});

test('a flipped byte in index or chunks gives the same answers or a CorruptionError', async () => {
  const fileSystem = writtenBlock(smallSeries);
  const answers = async (): Promise<unknown> => {
    const reader = await openBlock(fileSystem);
    return {
      series: await readAll(reader, [], EVER),
      pairs: await Promise.all(
        ['a', 'b', 'up', 'went', 'é'].flatMap((text) =>
          ['__name__', 'job', 'zone'].map((name) => readAll(reader, [new Matcher('=', name, text)], EVER)),
        ),
      ),
      names: await reader.labelNames([], EVER),
      values: await reader.labelValues('job', [], EVER),
    };
  };
  const expected = await answers();
  let detected = 0;
  let tried = 0;
  for (const name of ['index', 'chunks/000001']) {
    const bytes = bytesOf(fileSystem, name);
    for (let i = 0; i < bytes.length; i++) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const damaged = bytes.slice();
        damaged[i] = (damaged[i] as number) ^ mask;
        overwrite(fileSystem, name, damaged);
        tried++;
        try {
          expect(await answers()).toEqual(expected);
        } catch (error) {
          expect(error).toBeInstanceOf(CorruptionError);
          expect((error as CorruptionError).file).toBe(`${TEST_ULID}/${name}`);
          detected++;
        }
      }
    }
    overwrite(fileSystem, name, bytes);
  }
  // Padding and the header of a segment are not under a checksum.
  expect(detected / tried).toBeGreaterThan(0.85);
});
