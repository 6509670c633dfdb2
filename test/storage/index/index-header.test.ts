import fc from 'fast-check';
import { expect, test } from 'vitest';
import { IndexHeader } from '../../../storage/index/index-header.ts';
import { IndexWriter } from '../../../storage/index/index-writer.ts';
import { CorruptionError } from '../../../storage/lib/errors.ts';
import { WholeIndex } from '../../support/whole-index.ts';

function indexOf(symbols: readonly string[], series: readonly (readonly number[])[]): WholeIndex {
  const parts: Uint8Array[] = [];
  const writer = new IndexWriter(symbols, (bytes) => void parts.push(bytes.slice()));
  series.forEach((labels, i) => void writer.addSeries(labels, [{ minTimeMs: 0, maxTimeMs: 1, ref: 8 + i * 20 }]));
  writer.finish();
  return new WholeIndex('index', new Uint8Array(Buffer.concat(parts)));
}

const small = indexOf(['__name__', 'a', 'job', 'up'], [[0, 3, 2, 1]]);

/** All that a header knows. */
function contentOf(header: IndexHeader): unknown {
  const names = header.names();
  return {
    contents: header.contents,
    symbols: Array.from({ length: header.symbols.count }, (_, symbol) => header.symbols.lookup(symbol)),
    pairs: ['', ...names].flatMap((name) =>
      header.values(name).map((value) => [name, value, header.find(name, value)]),
    ),
  };
}

test('the header of a small index is these bytes', () => {
  // The worked example of docs/formats/index-header.md.
  expect(
    Buffer.from(small.headerFile)
      .toString('hex')
      .match(/.{1,32}/g),
  ).toMatchInlineSnapshot(`
    [
      "564152480100000000000000000000ca",
      "00000000000000050000000000000023",
      "000000000000007073dcab6e00000016",
      "00000004085f5f6e616d655f5f016103",
      "6a6f620275704c539a650000001e0000",
      "00030200004002085f5f6e616d655f5f",
      "0275705002036a6f6201616071d8f666",
    ]
  `);
});

test('a header says of the index what the index says of itself', () => {
  expect(contentOf(IndexHeader.decode('header', small.headerFile))).toEqual(contentOf(small.header));
});

test('a list ends where the next one begins, and the last where the table does', () => {
  const values = Array.from({ length: 100 }, (_, i) => `v${String(i).padStart(3, '0')}`);
  const index = indexOf(
    ['n', ...values],
    values.map((_, i) => [0, i + 1]),
  );
  const places = [['', ''] as const, ...values.map((value) => ['n', value] as const)].map(([name, value]) =>
    index.header.find(name, value),
  );
  places.forEach((place, i) => {
    expect(place?.end, String(i)).toBe(places[i + 1]?.offset ?? index.header.contents.postingsTable);
  });
});

test('any changed byte is found, or was of no use', () => {
  const expected = contentOf(small.header);
  fc.assert(
    fc.property(fc.nat(small.headerFile.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const damaged = small.headerFile.slice();
      damaged[at] = (damaged[at] as number) ^ mask;
      try {
        expect(contentOf(IndexHeader.decode('header', damaged))).toEqual(expected);
      } catch (error) {
        expect(error).toBeInstanceOf(CorruptionError);
      }
    }),
    { numRuns: 500 },
  );
  for (let length = 0; length < small.headerFile.length; length++)
    expect(() => IndexHeader.decode('header', small.headerFile.subarray(0, length))).toThrow(CorruptionError);
});

test('a header of a newer version is refused by name', () => {
  const newer = small.headerFile.slice();
  newer[4] = 2;
  expect(() => IndexHeader.decode('headers/01ABC', newer)).toThrow('headers/01ABC at 4: version 2, but only 1');
});
