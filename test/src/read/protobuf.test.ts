import fc from 'fast-check';
import protobuf from 'protobufjs';
import { expect, test } from 'vitest';
import { bytesField, int64Field, labelFields, sampleFields } from '../../../src/read/protobuf.ts';
import { ByteWriter, SampleBuffer } from '../../../storage/index.ts';

const { root } = protobuf.loadSync('proto/remote.proto');
const timeSeries = root.lookupType('prometheus.TimeSeries');
const chunk = root.lookupType('prometheus.Chunk');

const time = fc.oneof(
  fc.integer(),
  fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER }),
  fc.constantFrom(0, 127, 128, -1, 2 ** 31, 2 ** 32, -(2 ** 32), 2 ** 35 - 1, 2 ** 49, Number.MIN_SAFE_INTEGER),
);

test('integers are int64 as protobufjs reads them, negative ones too', () => {
  fc.assert(
    fc.property(time, time, (min, max) => {
      const target = new ByteWriter();
      int64Field(target, 1, min);
      int64Field(target, 2, max);
      bytesField(target, 4, Uint8Array.of(1, 2, 3));
      const decoded = chunk.decode(target.bytes) as unknown as {
        minTimeMs: protobuf.Long;
        maxTimeMs: protobuf.Long;
        data: Uint8Array;
      };
      expect([Number(decoded.minTimeMs), Number(decoded.maxTimeMs), [...decoded.data]]).toEqual([min, max, [1, 2, 3]]);
    }),
  );
});

test('labels and samples are a TimeSeries as protobufjs reads it', () => {
  const label = fc.string({ unit: 'grapheme', maxLength: 200 });
  fc.assert(
    fc.property(
      fc.array(label, { maxLength: 6 }),
      fc.array(fc.tuple(time, fc.double()), { maxLength: 200 }),
      (texts, rows) => {
        const labels = texts.length % 2 === 0 ? texts : texts.slice(1);
        const samples = new SampleBuffer();
        samples.reserve(rows.length);
        rows.forEach(([timestamp, value], i) => {
          samples.timestamps[i] = timestamp;
          samples.values[i] = value;
        });
        samples.length = rows.length;
        const target = new ByteWriter();
        labelFields(target, labels, new ByteWriter());
        sampleFields(target, samples);
        const decoded = timeSeries.decode(target.bytes) as unknown as {
          labels: { name: string; value: string }[];
          samples: { timestamp: protobuf.Long; value: number }[];
        };
        expect(decoded.labels.flatMap(({ name, value }) => [name, value])).toEqual(labels);
        expect(decoded.samples.map(({ timestamp, value }) => [Number(timestamp), value])).toEqual(rows);
      },
    ),
  );
});
