/**
 * Chunks as Prometheus's own code writes them (its main branch of August 2026, package tsdb/chunkenc), for the series
 * below: what Debian's Prometheus is too old to know, and what it knows beside it.
 */
import { expect, test } from 'vitest';
import { cutHistograms } from '../../../storage/chunk/cut-histograms.ts';
import { decodeHistograms } from '../../../storage/chunk/histogram-chunk.ts';
import { decodeXor2 } from '../../../storage/chunk/xor2-chunk.ts';
import { SampleBuffer } from '../../../storage/model/sample-buffer.ts';
import type { Chunk } from '../../../storage/model/series-source.ts';
import { plainOf, runOf } from '../../support/histograms.ts';
import { bitsOfFloat, type PlainHistogram, stale } from '../../support/oracle/histogram-chunk.ts';

/** Counts by bucket number; each list is one scrape, 15 s after the one before. */
type Scrape = { readonly buckets: Readonly<Record<number, number>>; readonly start: number } | 'stale';

const T0 = 1_700_000_000_000;
const GROWING: readonly Scrape[] = [
  { buckets: { 0: 1, 1: 2 }, start: T0 - 5000 },
  { buckets: { 0: 3, 1: 2, 4: 7 }, start: T0 - 5000 },
  { buckets: { '-2': 1, 0: 300, 1: 2, 4: 9 }, start: T0 - 5000 },
  'stale',
  { buckets: { 0: 5 }, start: T0 + 55_000 },
  { buckets: { 0: 4 }, start: T0 + 70_000 },
];

interface Form {
  readonly isFloat: boolean;
  readonly schema: number;
  readonly customValues?: readonly number[];
}

function histograms(scrapes: readonly Scrape[], form: Form): PlainHistogram[] {
  const { isFloat, schema, customValues = [] } = form;
  const number = (value: number): bigint => (isFloat ? bitsOfFloat(value) : BigInt(value));
  return scrapes.map((scrape, i): PlainHistogram => {
    const timeMs = T0 + 15_000 * i;
    if (scrape === 'stale') return { ...stale(timeMs, isFloat), startMs: T0 - 5000 };
    const buckets = Object.entries(scrape.buckets)
      .map(([bucket, count]) => [Number(bucket), count] as const)
      .sort(([a], [b]) => a - b);
    const counts = buckets.map(([, count]) => count);
    const spans = buckets.map(([bucket], j): [number, number] => [
      j === 0 ? bucket : bucket - (buckets[j - 1]?.[0] ?? 0) - 1,
      1,
    ]);
    return {
      timeMs,
      isFloat,
      schema,
      zeroThreshold: schema === -53 ? 0 : 2 ** -128,
      positiveSpans: spans,
      negativeSpans: [],
      customValues,
      count: number(counts.reduce((sum, count) => sum + count, 0)),
      zeroCount: 0n,
      sum: bitsOfFloat(1.5 * (i + 1)),
      positive: counts.map((count, j) => number(isFloat ? count : count - (counts[j - 1] ?? 0))),
      negative: [],
      startMs: scrape.start,
    };
  });
}

const CUSTOM = [0.005, 0.1, 33554.431, 1e6];
const CUSTOM_SCRAPES: readonly Scrape[] = GROWING.map((scrape) => {
  if (scrape === 'stale' || !((-2) in scrape.buckets)) return scrape;
  return { ...scrape, buckets: { 0: 300, 1: 2, 2: 1, 4: 9 } };
});

function rowsOf(form: Form): PlainHistogram[] {
  return histograms(form.schema === -53 ? CUSTOM_SCRAPES : GROWING, form);
}

function withoutStart({ startMs: _, ...row }: PlainHistogram): PlainHistogram {
  return row;
}

const WRITTEN: readonly [name: string, form: Form, chunks: readonly string[]][] = [
  [
    'integers',
    { isFloat: false, schema: 3 },
    [
      '000400749d2368c628c9fc0003179fcad00131ffc000000000000231b7c1d4c62584bffe95b0ef091b589b1f0937bb6776317bff10000000000010',
      '000100749c627f0000c5e7f3293054803c00000000000185',
      '000180749c627f0000c5e7f3467c50804400000000000140',
    ],
  ],
  [
    'floats',
    { isFloat: true, schema: 3 },
    [
      '000400749d2368c628c9fc0003179fcad000801000000000000000000000000000007ff000000000000000000000000000007fe000000000000080000000000000000000000000000001f07531a81b097ffd84cfff613600ed245bb589b88afff493eb6a17ec284073b17bff10000000000010',
      '000100749c627f0000c5e7f32930200a0000000000000000000000000000200f000000000000200a00000000000000',
      '000180749c627f0000c5e7f3467c200800000000000000000000000000002011000000000000200800000000000000',
    ],
  ],
  [
    'integers in custom buckets',
    { isFloat: false, schema: -53, customValues: CUSTOM },
    [
      '00040000ee5d228a28c54b719481c0c49b95810624412e848000000000fe00018bcfe5680098ffe000000000000231b3e0ea6312c25fff959877848dac4df093fbb663ba18bdff88000000000008',
      '00010000ee5c6252dc6520703126e5604189104ba120000000003f800062f3f994982a401e000000000000c280',
      '00018000ee5c6252dc6520703126e5604189104ba120000000003f800062f3f9a33e284022000000000000a0',
    ],
  ],
  [
    'floats in custom buckets',
    { isFloat: true, schema: -53, customValues: CUSTOM },
    [
      '00040000ee5d228a28c54b719481c0c49b95810624412e848000000000fe00018bcfe56800400800000000000000000000000000003ff80000000000003ff0000000000000400000000000000000000000000000000000000000000000f83a98d40d84bfff84cfff309b0076922ddac4dd24fad88afff50bf6142039d8bdff88000000000008',
      '00010000ee5c6252dc6520703126e5604189104ba120000000003f800062f3f99498100500000000000000000000000000001007800000000000100500000000000000',
      '00018000ee5c6252dc6520703126e5604189104ba120000000003f800062f3f9a33e100400000000000000000000000000001008800000000000100400000000000000',
    ],
  ],
];

test.each(WRITTEN)('%s are cut and written as Prometheus does', (_, form, golden) => {
  const chunks: Chunk[] = [];
  cutHistograms(
    rowsOf(form).map((row) => ({ run: runOf([withoutStart(row)]), row: 0 })),
    chunks,
  );
  expect(chunks.map(({ bytes }) => Buffer.from(bytes).toString('hex'))).toEqual(golden);
});

const READ: readonly [name: string, encoding: number, form: Form, chunks: readonly string[]][] = [
  [
    'integers',
    5,
    { isFloat: false, schema: 3 },
    [
      '000480749d2368c628c9fc0003179fcad00131ffc000000000000231b48277c1d4c62584bffe95b0ef091b589b1f0937bb6776317bff10000000000010',
      '000180749c627f0000c5e7f3293054803c00000000000185904e',
      '800180749c627f0000c5e7f3467c5080440000000000014904e0',
    ],
  ],
  [
    'floats in custom buckets',
    6,
    { isFloat: true, schema: -53, customValues: CUSTOM },
    [
      '00048000ee5d228a28c54b719481c0c49b95810624412e848000000000fe00018bcfe56800400800000000000000000000000000003ff80000000000003ff0000000000000400000000000000000000000000000000000000000000000904ef83a98d40d84bfff84cfff309b0076922ddac4dd24fad88afff50bf6142039d8bdff88000000000008',
      '00018000ee5c6252dc6520703126e5604189104ba120000000003f800062f3f994981005000000000000000000000000000010078000000000001005000000000000241380',
      '80018000ee5c6252dc6520703126e5604189104ba120000000003f800062f3f9a33e1004000000000000000000000000000010088000000000001004000000000000241380',
    ],
  ],
];

/** What a histogram says without its layout, which a chunk may have widened. */
function essence({ timeMs, startMs, count, sum, positive, isFloat }: PlainHistogram): unknown {
  let total = 0n;
  const counts = positive.map((bucket) => {
    total = isFloat ? bucket : total + bucket;
    return total;
  });
  return { timeMs, startMs, count, sum, counts: counts.filter((bucket) => bucket !== 0n) };
}

test.each(READ)(
  '%s with start timestamps (encoding %d) are read as Prometheus wrote them',
  (_, encoding, form, golden) => {
    const read = golden.flatMap((hex) =>
      plainOf(decodeHistograms({ minTimeMs: 0, maxTimeMs: 0, encoding, bytes: Buffer.from(hex, 'hex') })),
    );
    expect(read.map(essence)).toEqual(rowsOf(form).map(essence));
  },
);

test('floats with start timestamps (encoding 4) are read as Prometheus wrote them', () => {
  const out = new SampleBuffer();
  const bytes = Buffer.from('00068480a0abfef9623ff8000000000000904e9875c12fffd589bf8df7b1e1542780', 'hex');
  const starts = decodeXor2({ minTimeMs: 0, maxTimeMs: 0, encoding: 4, bytes }, out);
  const rows = rowsOf({ isFloat: true, schema: 3 });
  expect(Array.from(out.timestamps.subarray(0, out.length))).toEqual(rows.map(({ timeMs }) => timeMs));
  expect(Array.from(new BigUint64Array(out.values.buffer, 0, out.length))).toEqual(rows.map(({ sum }) => sum));
  expect(Array.from(starts)).toEqual(rows.map(({ startMs }) => startMs));
});
