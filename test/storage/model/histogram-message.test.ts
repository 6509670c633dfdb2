import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteWriter } from '../../../storage/lib/bytes.ts';
import { StorageError } from '../../../storage/lib/errors.ts';
import { decodeHistogramMessage, encodeHistogramMessage } from '../../../storage/model/histogram-message.ts';
import { encodeWireHistogram, plainOfWire, type WireHistogram } from '../../support/histogram-message.ts';
import { arbitraryRows, plainOf, runOf } from '../../support/histograms.ts';
import type { PlainHistogram } from '../../support/oracle/histogram-chunk.ts';
import { Histogram } from '../../support/protocol.ts';

const arbitraryHistogram = arbitraryRows.map((rows) => rows[0] as PlainHistogram);

test('any message of protobufjs is read with every bit', () => {
  fc.assert(
    fc.property(arbitraryHistogram, fc.integer({ min: 0, max: 3 }), (row, hint) => {
      const run = decodeHistogramMessage(encodeWireHistogram(row, hint));
      expect(run.hint).toBe(hint);
      const wanted = row.startMs === 0 ? { ...row, startMs: undefined } : row;
      expect(plainOf(run)).toEqual([wanted]);
    }),
    { numRuns: 1000 },
  );
});

test('any histogram is written as protobufjs reads it', () => {
  fc.assert(
    fc.property(arbitraryRows, fc.nat(), fc.integer({ min: 0, max: 3 }), (rows, at, hint) => {
      const row = at % rows.length;
      const target = new ByteWriter();
      encodeHistogramMessage(target, { run: runOf(rows), row }, hint as 0);
      const wire = Histogram.decode(target.bytes) as unknown as WireHistogram;
      const { startMs: _, ...wanted } = rows[row] as PlainHistogram;
      expect(plainOfWire(wire)).toEqual(wanted);
    }),
    { numRuns: 1000 },
  );
});

test('the layout of the histogram before is shared where it is the same', () => {
  fc.assert(
    fc.property(arbitraryHistogram, (row) => {
      const first = decodeHistogramMessage(encodeWireHistogram(row));
      const second = decodeHistogramMessage(encodeWireHistogram(row), first.layout);
      expect(second.layout).toBe(first.layout);
    }),
  );
});

test('fields that nobody knows are passed over within a span, too, whatever their wire type', () => {
  const unknown = [...[0x1a, 3, 1, 2, 3], ...[0x25, 1, 2, 3, 4], ...[0x29, 1, 2, 3, 4, 5, 6, 7, 8], ...[0x30, 0x80, 1]];
  const span = [...unknown, ...[0x08, 4], ...[0x10, 1], ...unknown];
  const bytes = Uint8Array.from([...[0x08, 7], ...[0x5a, span.length, ...span], ...[0x62, 1, 14], ...[0x78, 5]]);
  const { layout } = decodeHistogramMessage(bytes);
  expect([...layout.positiveSpans]).toEqual([2, 1]);
});

test('lists may be packed or not, and the last of a oneof counts', () => {
  const bytes = Uint8Array.from([
    ...[0x08, 7], // count_int
    ...[0x11, 0, 0, 0, 0, 0, 0, 0x1c, 0x40], // count_float 7
    ...[0x5a, 2, 0x10, 2], // positive span of 2
    ...[0x69, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f], // positive_counts 1, alone
    ...[0x6a, 8, 0, 0, 0, 0, 0, 0, 0, 0x40], // 2, packed
    ...[0x78, 5], // timestamp
    ...[0xfa, 0x07, 1, 9], // a field that nobody knows
  ]);
  const run = decodeHistogramMessage(bytes);
  expect(run.isFloat).toBe(true);
  expect(Array.from(new Float64Array(run.words.buffer))).toEqual([7, 0, 0, 1, 2]);
  expect(Array.from(run.timestamps)).toEqual([5]);
});

test.each([
  ['fewer buckets than its spans', [0x08, 7, 0x5a, 2, 0x10, 2, 0x62, 1, 2], 'buckets'],
  ['a span longer than itself', [0x08, 7, 0x5a, 6, 0x10, 0xff, 0xff, 0xff, 0xff, 0x0f], 'span'],
  ['a list beyond its end', [0x62, 9, 2], 'beyond its end'],
  ['half a number', [0x19, 1, 2], 'wire type'],
  ['a cut varint', [0x08, 0x80], 'within a number'],
  ['a reset hint of 4', [0x70, 4], 'reset hint'],
  ['a time of 2^63', [0x78, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1], 'the time'],
])('a message with %s is damage', (_, bytes, text) => {
  expect(() => decodeHistogramMessage(Uint8Array.from(bytes))).toThrow(text);
  expect(() => decodeHistogramMessage(Uint8Array.from(bytes))).toThrow(StorageError);
});

test('any damage gives an error or a histogram', () => {
  fc.assert(
    fc.property(arbitraryHistogram, fc.nat(), fc.nat({ max: 255 }), fc.boolean(), (row, at, byte, isCut) => {
      let bytes = Uint8Array.from(encodeWireHistogram(row));
      bytes[at % bytes.length] = byte;
      if (isCut) bytes = bytes.subarray(0, at % bytes.length);
      try {
        const run = decodeHistogramMessage(bytes);
        expect(run.words.length).toBe(2 * run.layout.width);
      } catch (error) {
        expect(error).toBeInstanceOf(StorageError);
      }
    }),
    { numRuns: 1000 },
  );
});
