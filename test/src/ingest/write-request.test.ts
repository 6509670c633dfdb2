import fc from 'fast-check';
import { expect, test } from 'vitest';
import { WriteRequestWriter } from '../../../src/ingest/write-request.ts';
import { readWriteRequest, type WireSeries } from '../../support/oracle/write-request.ts';

const decoded = (body: Uint8Array): WireSeries[] => readWriteRequest(body) as WireSeries[];

test('nothing is an empty request', () => {
  expect(decoded(new WriteRequestWriter().take())).toEqual([]);
});

test('what is written is what the oracle reads, value by value in its bits', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 200 });
  const sample = fc.record({ timestampMs: fc.maxSafeNat(), bits: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) });
  const series = fc.record({
    labels: fc.array(fc.tuple(text, text), { maxLength: 4 }),
    samples: fc.array(sample, { maxLength: 4 }),
  });
  const writer = new WriteRequestWriter();
  fc.assert(
    fc.property(fc.array(series, { maxLength: 5 }), (sent) => {
      for (const { labels, samples } of sent) {
        writer.beginSeries(labels.flat());
        for (const { timestampMs, bits } of samples) {
          writer.sample(timestampMs, Number(bits & 0xffff_ffffn), Number(bits >> 32n));
        }
        writer.endSeries();
      }
      expect(writer.seriesCount).toBe(sent.length);
      const read = decoded(writer.take()).map(({ labels, samples }) => ({
        labels: labels.map(([name, value]) => [Buffer.from(name).toString(), Buffer.from(value).toString()]),
        samples: samples.map(({ timestampMs, bits }) => ({ timestampMs: Number(timestampMs), bits })),
      }));
      expect(read).toEqual(sent);
      expect([writer.length, writer.seriesCount]).toEqual([0, 0]);
    }),
  );
});
