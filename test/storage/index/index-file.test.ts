import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ChunkMeta } from '../../../storage/index/format.ts';
import { IndexWriter } from '../../../storage/index/index-writer.ts';
import { CorruptionError } from '../../../storage/lib/errors.ts';
import { compareLabels, compareUtf8, type Labels } from '../../../storage/model/labels.ts';
import { WholeIndex } from '../../support/whole-index.ts';

interface PlainSeries {
  readonly labels: Labels;
  readonly chunks: readonly ChunkMeta[];
}

const T0 = 1_700_000_000_000;

/** The index file of series in label order. */
function indexOf(series: readonly PlainSeries[]): Uint8Array {
  const symbols = [...new Set(series.flatMap(({ labels }) => labels))].sort(compareUtf8);
  const numbers = new Map(symbols.map((symbol, number) => [symbol, number]));
  const parts: Uint8Array[] = [];
  const writer = new IndexWriter(symbols, (bytes) => void parts.push(bytes.slice()));
  for (const { labels, chunks } of series) {
    writer.addSeries(
      labels.map((label) => numbers.get(label) as number),
      chunks,
    );
  }
  const size = writer.finish();
  const bytes = new Uint8Array(Buffer.concat(parts));
  expect(bytes.length).toBe(size);
  return bytes;
}

/** All that an index answers. */
function contentOf(index: WholeIndex): unknown {
  const refs = [...index.all()];
  return {
    series: refs.map((ref) => {
      const { symbols, chunks } = index.series(ref);
      return { labels: index.strings(symbols), chunks };
    }),
    pairs: index
      .names()
      .flatMap((name) =>
        index
          .values(name)
          .map((value) => [name, value, [...index.postings(name, value)].map((ref) => refs.indexOf(ref))]),
      ),
  };
}

/** The same by looping over the series. */
function expectedContent(series: readonly PlainSeries[]): unknown {
  const pairs = new Map<string, [string, string, number[]]>();
  series.forEach(({ labels }, i) => {
    for (let k = 0; k < labels.length; k += 2) {
      const [name, value] = [labels[k] as string, labels[k + 1] as string];
      const key = JSON.stringify([name, value]);
      const pair = pairs.get(key) ?? [name, value, []];
      pair[2].push(i);
      pairs.set(key, pair);
    }
  });
  const sorted = [...pairs.values()].sort((a, b) => compareUtf8(a[0], b[0]) || compareUtf8(a[1], b[1]));
  return { series, pairs: sorted };
}

const chunk = (minTimeMs: number, maxTimeMs: number, ref: number): ChunkMeta => ({ minTimeMs, maxTimeMs, ref });

const small: PlainSeries[] = [
  { labels: ['__name__', 'up', 'job', 'a'], chunks: [chunk(T0, T0 + 100, 8), chunk(T0 + 200, T0 + 300, 40)] },
  { labels: ['__name__', 'up', 'job', 'b'], chunks: [chunk(T0, T0, 2 ** 32 + 8)] },
];

test('a small index is these bytes', () => {
  // The series entry at 0x30 is the worked example of docs/formats/block.md.
  expect(
    Buffer.from(indexOf(small))
      .toString('hex')
      .match(/.{1,32}/g),
  ).toMatchInlineSnapshot(`
    [
      "baaad700020000001800000005085f5f",
      "6e616d655f5f01610162036a6f620275",
      "70f0b315e70000000000000000000000",
      "1102000403010280a0abfef962640864",
      "64403d6518f600000000000000000000",
      "1202000403020180a0abfef962008880",
      "8080100f04465a000000000c00000002",
      "0000000300000005bb33cbd40000000c",
      "000000020000000300000005bb33cbd4",
      "000000080000000100000003a7692ed2",
      "00000008000000010000000581c8c93a",
      "00000028000000040200006802085f5f",
      "6e616d655f5f0275707c02036a6f6201",
      "61900102036a6f620162a0014a3aeee9",
      "00000000000000050000000000000025",
      "000000000000006700000000000000b0",
      "000000000000006700000000000000b0",
      "980c114e",
    ]
  `);
});

test('the symbols come right after the header, series on 16 bytes, postings on 4', () => {
  const index = new WholeIndex('index', indexOf(small));
  expect(contentOf(index)).toEqual(expectedContent(small));
  expect([...index.all()]).toEqual([3, 5]);
});

test('absent names and values have no postings and no values', () => {
  const index = new WholeIndex('index', indexOf(small));
  expect([...index.postings('job', 'c'), ...index.postings('job', ''), ...index.postings('nope', 'a')]).toEqual([]);
  expect(index.values('nope')).toEqual([]);
  expect(index.names()).toEqual(['__name__', 'job']);
});

test('an index without series is empty', () => {
  const index = new WholeIndex('index', indexOf([]));
  expect([[...index.all()], index.names()]).toEqual([[], []]);
});

const word = fc.oneof(
  fc.constantFrom('a', 'b', 'job', 'x'.repeat(200), '\uffff', '😀', 'é'),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 6 }),
);
const labelSet = fc.dictionary(word, word, { minKeys: 1, maxKeys: 5 }).map(
  (labels): Labels =>
    Object.entries(labels)
      .sort(([a], [b]) => compareUtf8(a, b))
      .flat(),
);

/** Chunks that ascend in time and refs. Time starts anywhere, before 1970 too. */
function withChunks(sets: readonly Labels[], steps: readonly number[], startMs: number): PlainSeries[] {
  let ref = 8;
  return sets.map((labels, i) => {
    let timeMs = startMs;
    const chunks = Array.from({ length: 1 + (i % 4) }, (_, k) => {
      const step = steps[(i + k) % steps.length] as number;
      const made = chunk(timeMs + 1, timeMs + 1 + step, ref);
      timeMs += 1 + step;
      ref += 1 + step * 977;
      return made;
    });
    return { labels, chunks };
  });
}

test('what is written is read, for any labels and times', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(labelSet, { maxLength: 80, selector: (labels) => JSON.stringify(labels) }),
      fc.array(fc.nat(2 ** 32), { minLength: 1, maxLength: 5 }),
      fc.integer({ min: -(2 ** 51), max: 2 ** 51 }),
      (sets, steps, startMs) => {
        const series = withChunks([...sets].sort(compareLabels), steps, startMs);
        expect(contentOf(new WholeIndex('index', indexOf(series)))).toEqual(expectedContent(series));
      },
    ),
  );
});

test('every value of a name with thousands of them is found, and none between them', () => {
  const values = Array.from({ length: 3000 }, (_, i) => `v${i * 2}`).sort();
  const series = values.map((value, i) => ({ labels: ['n', value], chunks: [chunk(0, 1, 8 + i)] }));
  const index = new WholeIndex('index', indexOf(series));
  const refs = index.all();
  expect(index.values('n')).toEqual(values);
  values.forEach((value, i) => void expect([...index.postings('n', value)]).toEqual([refs[i]]));
  for (let i = 0; i < 3000; i++) expect(index.postings('n', `v${i * 2 + 1}`)).toHaveLength(0);
});

test('sections larger than the write buffer, and more symbols than the reader caches, are read the same', () => {
  const series = Array.from({ length: 20_000 }, (_, i) => ({
    labels: ['long', `${'x'.repeat(80)}${String(i).padStart(6, '0')}`, 'short', String(i % 3)],
    chunks: [chunk(i, i + 1, 8 + i * 100)],
  }));
  const bytes = indexOf(series);
  expect(bytes.length).toBeGreaterThan(4 * 1024 * 1024);
  const index = new WholeIndex('index', bytes);
  const refs = index.all();
  expect(refs).toHaveLength(series.length);
  for (const [i, ref] of refs.entries()) {
    const { symbols, chunks } = index.series(ref);
    if (JSON.stringify(index.strings(symbols)) !== JSON.stringify(series[i]?.labels)) expect(i).toBe('the same labels');
    if (chunks[0]?.ref !== series[i]?.chunks[0]?.ref) expect(i).toBe('the same chunk');
  }
  expect(index.postings('short', '1')).toEqual(refs.filter((_, i) => i % 3 === 1));
});

test('a flipped bit anywhere gives the same answers or a CorruptionError', () => {
  const bytes = indexOf(small);
  const expected = contentOf(new WholeIndex('index', bytes));
  let detected = 0;
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const damaged = bytes.slice();
    damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
    try {
      expect(contentOf(new WholeIndex('index', damaged))).toEqual(expected);
    } catch (error) {
      expect(error).toBeInstanceOf(CorruptionError);
      detected++;
    }
  }
  // Only padding between sections is not under a checksum.
  expect(detected / (bytes.length * 8)).toBeGreaterThan(0.85);
});

test('a file cut short anywhere is corrupt', () => {
  const bytes = indexOf(small);
  for (let length = 0; length < bytes.length; length++) {
    expect(() => contentOf(new WholeIndex('index', bytes.subarray(0, length)))).toThrow(CorruptionError);
  }
});

test('errors name the file and the offset', () => {
  const bytes = indexOf(small);
  bytes[0x32] = 0xff;
  const index = new WholeIndex('01ABC/index', bytes);
  expect(() => index.series(3)).toThrow(/^01ABC\/index at 48: a series entry has checksum [0-9a-f]{8}, but/);
  expect(() => index.series(4_000_000_000)).toThrow(CorruptionError);
  expect(() => index.header.symbols.lookup(1000)).toThrow(
    '01ABC/index at 5: symbol 1000 is asked for, but there are 5',
  );
});

test('another version is refused by its number', () => {
  const bytes = indexOf(small);
  bytes[4] = 3;
  expect(() => new WholeIndex('index', bytes)).toThrow('index at 4: index version 3, but only version 2 can be read');
});

test.each([
  [
    'the same series again',
    [
      [0, 1],
      [0, 1],
    ],
    [8, 9],
    /label order/,
  ],
  [
    'a smaller series',
    [
      [0, 2],
      [0, 1],
    ],
    [8, 9],
    /label order/,
  ],
  ['a series without labels', [[]], [8], /label order/],
  [
    'a chunk ref that does not ascend',
    [
      [0, 1],
      [0, 2],
    ],
    [9, 9],
    /ascend/,
  ],
])('the writer refuses %s', (_, series, refs, message) => {
  const writer = new IndexWriter(['a', 'b', 'c'], () => {});
  const add = (): void =>
    series.forEach((labels, i) => void writer.addSeries(labels, [chunk(0, 1, refs[i] as number)]));
  expect(add).toThrow(message);
});

test('the writer refuses chunks that overlap or end before they begin', () => {
  const add =
    (...chunks: ChunkMeta[]) =>
    (): void => {
      new IndexWriter(['a', 'b'], () => {}).addSeries([0, 1], chunks);
    };
  expect(add(chunk(0, 10, 8), chunk(10, 20, 9))).toThrow(/overlap/);
  expect(add(chunk(10, 0, 8))).toThrow(/ascend/);
  expect(add(chunk(0, 10, 8), chunk(11, 20, 9))).not.toThrow();
});

test('the writer refuses symbols that are not in byte order, each once', () => {
  for (const symbols of [
    ['b', 'a'],
    ['a', 'a'],
    ['😀', '\uffff'],
  ]) {
    expect(() => new IndexWriter(symbols, () => {})).toThrow(/symbols must ascend/);
  }
  expect(() => new IndexWriter(['\uffff', '😀'], () => {})).not.toThrow();
});

test('one array may serve for all series', () => {
  const writer = new IndexWriter(['a', 'b', 'c'], () => {});
  const labels = Uint32Array.of(0, 1);
  writer.addSeries(labels, []);
  labels[1] = 2;
  expect(() => writer.addSeries(labels, [])).not.toThrow();
});

test('postings of a Buffer leave its bytes as they were', () => {
  const bytes = Buffer.from(indexOf(small));
  const before = bytes.toString('hex');
  new WholeIndex('index', bytes).all();
  expect(bytes.toString('hex')).toBe(before);
});
