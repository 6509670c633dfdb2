/** Histograms, exemplars and start timestamps in the head, against the model. */
import { compressSync } from 'snappy';
import { expect, test } from 'vitest';
import * as L from '../../../storage/kernel/layout.ts';
import { HeadModel } from '../../support/oracle/head-model.ts';
import { readWriteRequest, type WireSeries } from '../../support/oracle/write-request.ts';
import { readWriteRequestV2 } from '../../support/oracle/write-request-v2.ts';
import { Seeded } from '../../support/seeded.ts';
import {
  type Bytes,
  bytesField,
  fixed64Field,
  labelField,
  sampleField,
  seriesField,
  varintField,
} from '../../support/wire-writer.ts';
import { counts, itemsOf, judge, shownBy, textOfItems } from './judge.ts';
import { randomExemplar, randomHistogram } from './random-item.ts';
import { LATEST_MS } from './random-request.ts';
import { HIGH_ARENA, START_MS, TestHead, WINDOW_MS } from './test-head.ts';

const histogram = (timeMs: number, sum = 0n): Bytes =>
  bytesField(4, [...varintField(1, 0), ...fixed64Field(3, sum), ...varintField(15, timeMs)]);
const exemplar = (timeMs: number, id: string): Bytes =>
  bytesField(3, [...labelField('id', id), ...varintField(3, timeMs)]);

function write(head: TestHead, model: HeadModel, series: readonly Bytes[]): void {
  const bytes = Uint8Array.from(series.flat());
  const expected = model.apply(readWriteRequest(bytes) as WireSeries[], LATEST_MS);
  const { status, outcome } = head.write(compressSync(bytes), LATEST_MS);
  expect(status).toBe(L.APPLIED);
  expect(counts(outcome)).toEqual(counts(expected));
}

function named(name: string, ...fields: readonly Bytes[]): Bytes {
  return seriesField(labelField('__name__', name), ...fields);
}

test.each([
  ['from the usual address on', {}],
  ['above 2 GiB', { arenaAddress: HIGH_ARENA }],
])('items over windows that are sealed and dropped, with the arena %s', (_, settings) => {
  const head = new TestHead(settings);
  const model = new HeadModel();
  const random = new Seeded(11);
  const sealed = new Map<number, number>();
  const time = (): number => START_MS + random.below(5 * 400) * 18_000;
  for (let round = 0; round < 300; round++) {
    const series = Array.from({ length: random.between(1, 3) }, () => {
      const fields = Array.from({ length: random.pick([1, 5, 30]) }, (): Bytes => {
        const kind = random.below(3);
        if (kind === 0) return bytesField(4, randomHistogram(random, time()));
        return kind === 1 ? bytesField(3, randomExemplar(random, time())) : sampleField(time(), random.bits64());
      });
      return named(`m${random.below(4)}`, ...fields);
    });
    write(head, model, series);
    const open = model.openWindows().filter((window) => !sealed.has(window));
    if (open.length > 0 && random.chance(0.15)) {
      const window = random.pick(open);
      const generation = head.kernel.seal(head.tenant, window);
      sealed.set(window, generation);
      model.seal(window, generation);
    }
    if (sealed.size > 0 && random.chance(0.15)) {
      const [window, generation] = random.pick([...sealed]);
      head.dropSealed(window, generation);
      sealed.delete(window);
      model.drop(window, generation);
    }
    const live = new Set(sealed.values());
    if (round % 20 === 0)
      expect(textOfItems(head.items(), (g) => live.has(g))).toEqual(textOfItems(itemsOf(model), (g) => live.has(g)));
  }
});

test('a hundred thousand histograms and exemplars of a series, the newest first, are soon placed and all found', () => {
  const head = new TestHead();
  const count = 50_000;
  const body = (): Buffer => {
    const fields: Bytes[] = [];
    for (let i = count; i > 0; i--) fields.push(histogram(START_MS + i), exemplar(START_MS, `${i}`));
    return compressSync(Uint8Array.from(labelled(fields))) as Buffer;
  };
  expect(head.write(body(), LATEST_MS).outcome).toMatchObject({ stored: count, exemplarsStored: count });
  expect(head.write(body(), LATEST_MS).outcome).toMatchObject({ duplicates: count, exemplarsStored: 0 });
  const [items = []] = [...head.items().values()];
  expect(items.filter(({ kind }) => kind === L.KIND_HISTOGRAM).map(({ timeMs }) => timeMs - START_MS)).toEqual(
    Array.from({ length: count }, (_, i) => i + 1),
  );
});

/** As `named`, of more fields than a call can take. */
function labelled(fields: readonly Bytes[]): number[] {
  const content: number[] = [...labelField('__name__', 'long')];
  for (const field of fields) for (const byte of field) content.push(byte);
  return [0x0a, ...varintField(0, content.length).slice(1), ...content];
}

test('of a float and a histogram at one time the first stays, whichever it is, also after a cut and a replay', () => {
  const head = new TestHead();
  const model = new HeadModel();
  write(head, model, [named('m', sampleField(START_MS, 1n), histogram(START_MS), histogram(START_MS + 1))]);
  write(head, model, [
    named('m', sampleField(START_MS + 1, 1n), sampleField(START_MS + 2, 1n), histogram(START_MS + 2)),
  ]);
  // In order, and where the open chunk would take it without a look.
  write(head, model, [named('m', histogram(START_MS + 10)), named('m', sampleField(START_MS + 5, 1n))]);
  write(head, model, [named('m', sampleField(START_MS + 10, 1n), sampleField(START_MS + 11, 1n))]);
  expect(textOfItems(head.items())).toEqual(textOfItems(itemsOf(model)));
  const again = new TestHead();
  for (const { payload, sequence } of head.frames) again.kernel.replay(payload, BigInt(sequence));
  expect(shownBy(again, again.tenant)).toEqual(shownBy(head, head.tenant));
});

/** A request of 2.0 of one series with floats and their start timestamps. */
function starts(samples: readonly (readonly [timeMs: number, startMs: number])[]): Uint8Array {
  const symbols = ['', '__name__', 'm'].map((text) => bytesField(4, Buffer.from(text)));
  const fields = samples.map(([timeMs, startMs]) =>
    bytesField(2, [...fixed64Field(1, 1n), ...varintField(2, timeMs), ...varintField(3, startMs)]),
  );
  return Uint8Array.from([...symbols.flat(), ...bytesField(5, [...bytesField(1, [1, 2]), ...fields.flat()])]);
}

test('each float keeps its start timestamp, in whatever order they come, and over seals', () => {
  const random = new Seeded(12);
  for (let round = 0; round < 60; round++) {
    const head = new TestHead({ budgetBytes: 8 * 1024 * 1024 });
    const model = new HeadModel();
    let steps = random.shuffle(Array.from({ length: 60 }, (_, i) => i));
    if (random.chance(0.3)) steps = steps.toSorted((a, b) => a - b);
    for (let part = 0; part < steps.length; part += 6) {
      const samples = steps
        .slice(part, part + 6)
        .map((step) => [START_MS + step * random.pick([1, 1, 300_000]), random.pick([0, 7, 7, 9])] as const);
      expect(readWriteRequestV2(starts(samples))).toBeInstanceOf(Array);
      judge(head, head.tenant, model, compressSync(starts(samples)), 'v2');
      if (random.chance(0.2)) {
        const window = START_MS / WINDOW_MS;
        const generation = head.kernel.seal(head.tenant, window);
        if (generation !== 0) model.seal(window, generation);
      }
    }
    const wanted = [...(model.series.values().next().value ?? [])].filter(([, { startMs }]) => startMs !== 0);
    expect(Object.fromEntries(head.starts().values().next().value ?? [])).toEqual(
      Object.fromEntries(wanted.map(([timeMs, { startMs }]) => [timeMs, startMs])),
    );
  }
});

test('a start timestamp that does not change is stored once a generation', () => {
  const head = new TestHead();
  const samples = Array.from({ length: 1000 }, (_, i) => [START_MS + i * 15_000, 5] as const);
  for (let i = 0; i < samples.length; i += 100) {
    head.kernel.receive(head.tenant, compressSync(starts(samples.slice(i, i + 100))), { protocol: 'v2' });
    expect(head.kernel.apply(head.tenant, LATEST_MS)).toBe(L.APPLIED);
    head.takeLog();
  }
  const [items = []] = [...head.items().values()];
  expect(items.map(({ timeMs }) => timeMs)).toEqual([START_MS, START_MS + WINDOW_MS, START_MS + 2 * WINDOW_MS]);
});

test('a request with more items than the record holds goes on where it stopped', () => {
  const head = new TestHead();
  const model = new HeadModel();
  const long = (timeMs: number): Bytes =>
    bytesField(4, [...varintField(1, 0), ...varintField(15, timeMs), ...bytesField(99, new Uint8Array(50_000))]);
  const bytes = Uint8Array.from(Array.from({ length: 30 }, (_, i) => named(`m${i % 3}`, long(START_MS + i))).flat());
  const expected = model.apply(readWriteRequest(bytes) as WireSeries[], LATEST_MS);
  head.kernel.receive(head.tenant, compressSync(bytes));
  let parts = 1;
  for (; head.kernel.apply(head.tenant, LATEST_MS) === L.APPLIED_PART; parts++) head.takeLog();
  head.takeLog();
  expect(parts).toBeGreaterThan(2);
  expect(counts(head.kernel.outcome())).toEqual(counts(expected));
  const again = new TestHead();
  for (const { payload, sequence } of head.frames) again.kernel.replay(payload, BigInt(sequence));
  expect(textOfItems(again.items())).toEqual(textOfItems(itemsOf(model)));
});

test('at the memory budget histograms are refused, and what was stored stays', () => {
  const head = new TestHead({ budgetBytes: 8 * 1024 * 1024 });
  let stored = 0;
  for (let i = 0; ; i++) {
    const fields = Array.from({ length: 50 }, (_, j) =>
      bytesField(4, [...varintField(15, START_MS + i * 50 + j), ...bytesField(99, new Uint8Array(2000))]),
    );
    head.kernel.receive(head.tenant, compressSync(Uint8Array.from(named('m', ...fields))));
    const status = head.kernel.apply(head.tenant, LATEST_MS);
    head.takeLog();
    stored += head.kernel.outcome().stored;
    if (status === L.OUT_OF_MEMORY) break;
    expect(status).toBe(L.APPLIED);
    expect(i).toBeLessThan(100);
  }
  expect(stored).toBeGreaterThan(500);
  expect(head.items().values().next().value?.length).toBe(stored);
});
