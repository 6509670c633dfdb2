import fc from 'fast-check';
import { compressSync } from 'snappy';
import { expect, test } from 'vitest';
import { fuzz } from '../../soak/fuzz-run.ts';
import { HeadModel } from '../../support/oracle/head-model.ts';
import { bytesField, labelField, sampleField, seriesField } from '../../support/wire-writer.ts';
import { expectSame, judge } from './judge.ts';
import { START_MS, TestHead, WINDOW_MS } from './test-head.ts';

const label = fc.tuple(
  fc.constantFrom('__name__', 'job', 'le', '', 'é', '__proto__'),
  fc.oneof(fc.constantFrom('', 'up', 'a'), fc.string({ unit: 'binary', maxLength: 20 })),
);
const sample = fc.tuple(
  fc.oneof(
    fc.integer({ min: 0, max: WINDOW_MS * 3 }).map((offset) => START_MS + offset),
    fc.maxSafeInteger(),
  ),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);
const series = fc
  .record({ labels: fc.array(label, { maxLength: 6 }), samples: fc.array(sample, { maxLength: 8 }) })
  .chain(({ labels, samples }) => {
    const fields = [
      ...labels.map(([name, value]) => labelField(name, value)),
      ...samples.map(([time, bits]) => sampleField(time, bits)),
    ];
    return fc
      .oneof(fc.constant(fields), fc.shuffledSubarray(fields, { minLength: fields.length }))
      .map((parts) => seriesField(...parts));
  });
const strangeField = fc
  .tuple(fc.integer({ min: 1, max: 40 }), fc.uint8Array({ maxLength: 12 }))
  .map(([number, bytes]) => bytesField(number, bytes));
const message = fc
  .array(fc.oneof({ weight: 9, arbitrary: series }, { weight: 1, arbitrary: strangeField }), { maxLength: 8 })
  .map((fields) => Uint8Array.from(fields.flat()));
const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 });

/** Bytes with some of them replaced, each at a place modulo the length. */
function changed(bytes: Uint8Array, places: readonly (readonly [place: number, byte: number])[]): Uint8Array {
  const result = Uint8Array.from(bytes);
  if (result.length > 0) for (const [place, byte] of places) result[place % result.length] = byte;
  return result;
}

test('whatever is written, changed before it is packed or after, the kernel says and stores what the oracles do', () => {
  const head = new TestHead();
  let tenants = 0;
  fc.assert(
    fc.property(fc.array(fc.tuple(message, changes, changes), { minLength: 1, maxLength: 4 }), (bodies) => {
      const tenant = head.kernel.tenant(`tenant-${tenants++}`);
      const model = new HeadModel();
      for (const [bytes, before, after] of bodies)
        judge(head, tenant, model, changed(compressSync(changed(bytes, before)), after));
      expectSame(head, tenant, model);
    }),
    { seed: 20, numRuns: 1500 },
  );
});

const limits = fc.record({
  series: fc.integer({ min: 1, max: 6 }),
  labels: fc.record({
    labels: fc.integer({ min: 1, max: 4 }),
    name: fc.integer({ min: 1, max: 9 }),
    value: fc.integer({ min: 1, max: 12 }),
    series: fc.integer({ min: 10, max: 60 }),
  }),
});

test('whatever a tenant is held to, the kernel refuses what the oracles do', () => {
  const head = new TestHead();
  let tenants = 0;
  fc.assert(
    fc.property(fc.array(message, { minLength: 1, maxLength: 5 }), limits, (messages, held) => {
      const tenant = head.kernel.tenant(`tenant-${tenants++}`);
      head.kernel.limit(tenant, {
        headSeries: held.series,
        labels: held.labels.labels,
        labelNameBytes: held.labels.name,
        labelValueBytes: held.labels.value,
        labelsBytes: held.labels.series,
      });
      const model = new HeadModel(held);
      for (const bytes of messages) judge(head, tenant, model, compressSync(bytes));
      expectSame(head, tenant, model);
    }),
    { seed: 14, numRuns: 1500 },
  );
});

test('bodies of the seeded fuzz are judged as the oracles judge them, and a third of them reach the parser', () => {
  const { bodies, changedMessages, verdicts } = fuzz(1, 20_000);
  expect(changedMessages / bodies).toBeCloseTo(0.5, 1);
  expect((verdicts.unpacked + verdicts.stored) / bodies).toBeGreaterThan(0.3);
  expect(verdicts['not-unpacked']).toBeGreaterThan(1000);
  expect(verdicts.stored).toBeGreaterThan(1000);
});
