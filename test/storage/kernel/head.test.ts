/** Windows, generations and late samples, against the model; chunks as bytes against the oracle's encoder. */
import { compressSync } from 'snappy';
import { expect, test } from 'vitest';
import { instantiate } from '../../../storage/kernel/instance.ts';
import * as L from '../../../storage/kernel/layout.ts';
import { HeadModel } from '../../support/oracle/head-model.ts';
import { readWriteRequest, type WireSeries } from '../../support/oracle/write-request.ts';
import { encodeXorChunk } from '../../support/oracle/xor-chunk.ts';
import { decodeXorChunk } from '../../support/oracle/xor-decoder.ts';
import { Seeded } from '../../support/seeded.ts';
import { labelField, sampleField, seriesField } from '../../support/wire-writer.ts';
import { LATEST_MS, randomValue } from './random-request.ts';
import { HIGH_ARENA, START_MS, TestHead, WINDOW_MS } from './test-head.ts';

type Sample = readonly [timeMs: number, bits: bigint];

function body(series: readonly { readonly name: string; readonly samples: readonly Sample[] }[]): Uint8Array {
  return Uint8Array.from(
    series.flatMap(({ name, samples }) =>
      seriesField(labelField('__name__', name), ...samples.map(([time, bits]) => sampleField(time, bits))),
    ),
  );
}

/** The same write to the kernel and to the model. */
function write(head: TestHead, model: HeadModel, bytes: Uint8Array): void {
  const expected = model.apply(readWriteRequest(bytes) as WireSeries[], LATEST_MS);
  const { status, outcome } = head.write(compressSync(bytes), LATEST_MS);
  expect(status).toBe(L.APPLIED);
  const { received, stored, duplicates, conflicts, newSeries } = outcome;
  expect({ received, stored, duplicates, conflicts, newSeries }).toEqual({
    received: expected.received,
    stored: expected.stored,
    duplicates: expected.duplicates,
    conflicts: expected.conflicts,
    newSeries: expected.newSeries,
  });
}

/** The samples of head and model; what is not sealed has generation 0. */
function expectSame(head: TestHead, model: HeadModel, sealed: ReadonlySet<number> = new Set()): void {
  const content = new Map(
    [...head.content()].map(([key, samples]) => [
      key,
      new Map(
        [...samples]
          .sort(([a], [b]) => a - b)
          .map(([time, { bits, generation }]) => [time, `${bits} in ${sealed.has(generation) ? generation : 0}`]),
      ),
    ]),
  );
  const wanted = new Map(
    [...model.series].map(([key, samples]) => [
      key,
      new Map(
        [...samples]
          .sort(([a], [b]) => a - b)
          .map(([time, { bits, generation }]) => [time, `${bits} in ${generation}`]),
      ),
    ]),
  );
  expect(content).toEqual(wanted);
}

test.each([
  ['from the usual address on', {}],
  ['above 2 GiB', { arenaAddress: HIGH_ARENA }],
])('samples in and out of order over windows that are sealed and dropped, with the arena %s', (_, settings) => {
  const head = new TestHead(settings);
  const model = new HeadModel();
  const random = new Seeded(1);
  /** Sealed and not yet dropped, by window. */
  const sealed = new Map<number, number>();
  const bases = Array.from({ length: 6 }, () => 0);
  for (let round = 0; round < 1000; round++) {
    const series = Array.from({ length: random.between(1, 4) }, () => {
      const name = random.below(bases.length);
      const isScrape = random.chance(0.5);
      const samples = Array.from({ length: random.pick([1, 3, 40, 130]) }, (): Sample => {
        if (isScrape) bases[name] = (bases[name] as number) + random.between(1, 60_000);
        const offset = isScrape ? (bases[name] as number) : random.below(400) * 1000 * random.pick([1, 50, 97]);
        return [START_MS + (offset % (5 * WINDOW_MS)), randomValue(random)];
      });
      return { name: `m${name}`, samples };
    });
    write(head, model, body(series));
    const open = model.openWindows().filter((window) => !sealed.has(window));
    if (open.length > 0 && random.chance(0.1)) {
      const window = random.pick(open);
      const generation = head.kernel.seal(head.tenant, window);
      expect(generation).toBeGreaterThan(0);
      expect(head.kernel.seal(head.tenant, window)).toBe(0);
      sealed.set(window, generation);
      model.seal(window, generation);
    }
    if (sealed.size > 0 && random.chance(0.1)) {
      const [window, generation] = random.pick([...sealed]);
      head.dropSealed(window, generation);
      sealed.delete(window);
      model.drop(window, generation);
    }
    if (round % 40 === 0) expectSame(head, model, new Set(sealed.values()));
    if (round % 500 === 250) instantiate(head.kernel.memory.memory);
  }
  expectSame(head, model, new Set(sealed.values()));
});

test('a window that is not held cannot be sealed', () => {
  const head = new TestHead();
  expect(head.kernel.seal(head.tenant, START_MS / WINDOW_MS)).toBe(0);
  head.kernel.release(head.tenant, 5);
});

test('windows die with their last generation and make room for others', () => {
  const head = new TestHead();
  const first = START_MS / WINDOW_MS - 300;
  const write = (window: number): number =>
    head.write(compressSync(body([{ name: 'm', samples: [[window * WINDOW_MS, 1n]] }])), LATEST_MS).outcome.stored;
  for (let i = 0; i < L.MAX_WINDOWS; i++) expect(write(first + i)).toBe(1);
  expect(write(first + 150)).toBe(0);
  for (const window of [first + 5, first, first + 127]) {
    head.dropSealed(window, head.kernel.seal(head.tenant, window));
    expect(head.kernel.memory.word(head.tenant + L.TENANT_WINDOWS)).toBe(L.MAX_WINDOWS - 1);
    expect(write(window + 150)).toBe(1);
    expect(write(window)).toBe(0);
  }
  // A window that was written again after its seal stays.
  const again = first + 6;
  const generation = head.kernel.seal(head.tenant, again);
  head.write(compressSync(body([{ name: 'm', samples: [[again * WINDOW_MS + 1, 1n]] }])), LATEST_MS);
  head.dropSealed(again, generation);
  expect([...(head.content().values().next().value?.keys() ?? [])]).toContain(again * WINDOW_MS + 1);
  expect(head.kernel.seal(head.tenant, again)).toBeGreaterThan(generation);
});

test('after all was cut, a sample that is in the late chunk is not stored again', () => {
  const head = new TestHead();
  const model = new HeadModel();
  const late = START_MS / WINDOW_MS;
  const at = (window: number, offset: number, bits: bigint): Uint8Array =>
    body([{ name: 'm', samples: [[window * WINDOW_MS + offset, bits]] }]);
  const cut = (window: number): void => {
    const generation = head.kernel.seal(head.tenant, window);
    model.seal(window, generation);
    head.dropSealed(window, generation);
    model.drop(window, generation);
  };
  write(head, model, at(late, 0, 1n));
  write(head, model, at(late + 1, 0, 2n));
  cut(late);
  write(head, model, at(late, 100, 3n)); // to the late chunk, as the open one is of a later window
  cut(late + 1);
  write(head, model, at(late, 50, 4n)); // to the open chunk, which was emptied
  write(head, model, at(late, 100, 5n));
  write(head, model, at(late, 100, 3n));
  write(head, model, at(late, 120, 6n));
  expectSame(head, model);
});

test.each([
  ['in order', (samples: Sample[]) => samples],
  ['backwards', (samples: Sample[]) => samples.toReversed()],
  ['in any order', (samples: Sample[]) => new Seeded(9).shuffle([...samples])],
  ['the first last', (samples: Sample[]) => [...samples.slice(1), ...samples.slice(0, 1)]],
])('chunks have the bytes of the oracle, samples sent %s', (_, order) => {
  const random = new Seeded(3);
  for (let round = 0; round < 30; round++) {
    const head = new TestHead({ budgetBytes: 8 * 1024 * 1024 });
    const step = random.pick([1, 15_000, 59_999]);
    const samples = Array.from(
      { length: random.pick([1, 2, 119, 120]) },
      (_, i): Sample => [START_MS + i * step + random.below(step), randomValue(random)],
    );
    for (const sample of order(samples)) head.write(compressSync(body([{ name: 'm', samples: [sample] }])), LATEST_MS);
    const [row] = head.view.list(head.tenant + L.TENANT_ROWS);
    let count = 0;
    for (const { bytes } of head.view.chunks(row as number, () => true)) {
      const { timestamps, bits } = decodeXorChunk(bytes);
      count += timestamps.length;
      const values = new Float64Array(BigUint64Array.from(bits).buffer);
      expect(Buffer.from(bytes).equals(encodeXorChunk({ timestamps: Float64Array.from(timestamps), values }))).toBe(
        true,
      );
    }
    expect(count).toBe(samples.length);
  }
});

test('many label values make the tables grow, and all are found', () => {
  const head = new TestHead({ seed: 0xfedcba98 });
  const names = Array.from({ length: 30_000 }, (_, i) => `series_${i}_é`);
  for (let from = 0; from < names.length; from += 3000) {
    const part = names.slice(from, from + 3000).map((name) => ({ name, samples: [[START_MS, 1n]] as Sample[] }));
    expect(head.write(compressSync(body(part)), LATEST_MS).outcome).toMatchObject({ stored: 3000, newSeries: 3000 });
  }
  const name = head.view.name(head.tenant, '__name__');
  for (const [i, text] of names.entries()) {
    const pair = head.view.pair(name, text);
    const [row] = head.view.list(pair + L.PAIR_ROWS);
    expect(head.view.labels(row as number)).toEqual(['__name__', text]);
    if (i % 1000 === 0) expect(head.view.text(head.view.symbol(text))).toBe(text);
  }
  expect(head.view.symbol('not there')).toBe(0);
  expect(head.view.pair(name, '__name__')).toBe(0);
  expect(head.view.list(name + L.NAME_PAIRS).length).toBe(names.length);
  expect(
    head.write(compressSync(body([{ name: names[77] as string, samples: [[START_MS, 1n]] }])), LATEST_MS).outcome,
  ).toMatchObject({
    duplicates: 1,
    newSeries: 0,
  });
});

test('no difference of two texts makes their hashes equal whatever the seed', () => {
  const found = new Map<string, number>();
  const bit = (at: number): [byte: number, mask: number] => [at >> 3, 1 << (at & 7)];
  for (let seed = 1; seed <= 12; seed++) {
    const head = new TestHead({ seed: Math.imul(seed, 0x9e3779b1) >>> 0, budgetBytes: 64 * 1024 * 1024 });
    const text = Buffer.from('abcdefghijklmnop');
    // One bit of the first word, and what a step that can be undone would make of it in the second.
    for (let first = 0; first < 64; first++) {
      if (first % 8 === 7) continue;
      for (const second of [[], [first], [first ^ 32], [first, first ^ 32], [(first + 1) % 64, first ^ 32, first]]) {
        if (second.some((at) => at % 8 === 7)) continue;
        const other = Buffer.from(text);
        for (const [byte, mask] of [bit(first), ...second.map((at) => bit(64 + at))])
          other[byte] = (other[byte] as number) ^ mask;
        const [a, b] = [text, other].map((bytes) => {
          head.write(compressSync(body([{ name: bytes.toString('latin1'), samples: [[START_MS, 1n]] }])), LATEST_MS);
          return head.kernel.memory.word(head.view.symbol(bytes.toString('latin1')));
        });
        if (a === b) found.set(`${first} ${second}`, (found.get(`${first} ${second}`) ?? 0) + 1);
      }
    }
  }
  expect(found).toEqual(new Map());
});

test('another instance on the memory changes nothing in it', () => {
  const head = new TestHead({ budgetBytes: 8 * 1024 * 1024 });
  head.write(compressSync(body([{ name: 'm', samples: [[START_MS, 1n]] }])), LATEST_MS);
  const { memory } = head.kernel.memory;
  const before = Buffer.from(new Uint8Array(memory.buffer).slice());
  instantiate(memory);
  expect(Buffer.from(new Uint8Array(memory.buffer).slice()).equals(before)).toBe(true);
});

test('a tenant may have as many windows as it is told, and those that come and go take no more memory', () => {
  const maxOpenWindows = 300;
  const head = new TestHead({ times: { maxOpenWindows } });
  const first = START_MS / WINDOW_MS - 1000;
  const fill = (): number => {
    const samples = Array.from({ length: maxOpenWindows + 1 }, (_, i) => [(first + i) * WINDOW_MS, 1n] as const);
    const { outcome } = head.write(compressSync(body([{ name: 'm', samples }])), LATEST_MS);
    expect(outcome.rejected).toEqual([{ reason: L.REJECT_WINDOWS, samples: 1 }]);
    return outcome.stored;
  };
  let used = 0;
  for (let round = 0; round < 5; round++) {
    expect(fill()).toBe(maxOpenWindows);
    for (let i = 0; i < maxOpenWindows; i++) head.dropSealed(first + i, head.kernel.seal(head.tenant, first + i));
    expect(head.kernel.memory.word(head.tenant + L.TENANT_WINDOWS)).toBe(0);
    if (round > 0) expect(head.kernel.usedBytes).toBe(used);
    used = head.kernel.usedBytes;
  }
});

test('what was logged comes back, also if a tenant may have fewer windows now', () => {
  const head = new TestHead();
  const samples = Array.from({ length: 100 }, (_, i) => [START_MS - i * WINDOW_MS, 1n] as const);
  expect(head.write(compressSync(body([{ name: 'm', samples }])), LATEST_MS).outcome.stored).toBe(100);
  const later = new TestHead({ times: { maxOpenWindows: 4 } });
  for (const { payload, sequence } of head.frames)
    expect(later.kernel.replay(payload, BigInt(sequence))).toBe(L.REPLAYED);
  expect(later.content()).toEqual(head.content());
  const another = compressSync(body([{ name: 'm', samples: [[START_MS + WINDOW_MS, 1n]] }]));
  expect(later.write(another, LATEST_MS).outcome.rejected).toEqual([{ reason: L.REJECT_WINDOWS, samples: 1 }]);
});
