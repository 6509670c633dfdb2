/** Dead series leave the head: what is left is what the model holds, at every moment and for every reader. */
import { Worker } from 'node:worker_threads';
import { compressSync } from 'snappy';
import { expect, test } from 'vitest';
import { HeadView } from '../../../storage/head/head-view.ts';
import { rowPieces } from '../../../storage/head/row-pieces.ts';
import { nextTurn } from '../../../storage/io/executor.ts';
import type { Protocol } from '../../../storage/kernel/kernel.ts';
import * as L from '../../../storage/kernel/layout.ts';
import { compareUtf8 } from '../../../storage/model/labels.ts';
import { IndexModel, type LabelPairs } from '../../support/oracle/index-model.ts';
import { writeRequestV2 } from '../../support/remote-write-v2.ts';
import { Seeded } from '../../support/seeded.ts';
import { labelField, sampleField, seriesField } from '../../support/wire-writer.ts';
import { type IndexReadingInit, PASSES, ROWS, STOP } from './index-reading-thread.ts';
import { HIGH_ARENA, START_MS, TestHead, WINDOW_MS } from './test-head.ts';

const FIRST_WINDOW = START_MS / WINDOW_MS;
const LATEST_MS = Number.MAX_SAFE_INTEGER;

function bodyOf(series: readonly LabelPairs[], timeMs: number, protocol: Protocol = 'v1'): Uint8Array {
  if (protocol === 'v2') return writeRequestV2(series.map((labels) => ({ labels, samples: [[timeMs, 1n]] })));
  const fields = series.map((labels) =>
    seriesField(...labels.map(([name, value]) => labelField(name, value)), sampleField(timeMs, 1n)),
  );
  return compressSync(Uint8Array.from(fields.flat()));
}

/** A series of a pod that lives for a while: some labels are its own, some of many. */
function podSeries(pod: number, metric: number): LabelPairs {
  return [
    ['__name__', `metric_${metric}`],
    ['namespace', `team-${pod % 3}`],
    ...(pod % 5 === 0 ? [[`only_${pod}`, 'x'] as const] : []),
    ['pod', `pod-${pod}-${'é'.repeat(pod % 7)}`],
  ];
}

/** What the index of a tenant shows: every name, every value, and the labels of the rows behind it. */
function shownIndex(view: HeadView, tenant: number): { names: string[]; values: string[][]; postings: string[][] } {
  const { memory } = view;
  const names: [string, number][] = [];
  for (let name = memory.word(tenant + L.TENANT_NAMES); name !== 0; name = memory.word(name + L.NAME_NEXT))
    names.push([view.text(memory.word(name + L.NAME_SYMBOL)), name]);
  names.sort(([a], [b]) => compareUtf8(a, b));
  const values = names.map(([text, name]) => {
    expect(view.name(tenant, text)).toBe(name);
    return Array.from(view.list(name + L.NAME_PAIRS), (pair) => view.text(memory.word(pair + L.PAIR_VALUE))).sort(
      compareUtf8,
    );
  });
  const postings = names.flatMap(([, name], i) =>
    (values[i] as string[]).map((value) => keysOf(view, view.list(view.pair(name, value) + L.PAIR_ROWS))),
  );
  return { names: names.map(([text]) => text), values, postings };
}

function keysOf(view: HeadView, rows: Iterable<number>): string[] {
  return Array.from(rows, (row) => keyOf(view, row)).sort();
}

function keyOf(view: HeadView, row: number): string {
  const labels = view.labels(row);
  return JSON.stringify(Array.from({ length: labels.length / 2 }, (_, i) => [labels[i * 2], labels[i * 2 + 1]]));
}

function expectedIndex(model: IndexModel): ReturnType<typeof shownIndex> {
  const names = model.names();
  const values = names.map((name) => model.values(name));
  return {
    names,
    values,
    postings: names.flatMap((name, i) =>
      (values[i] as string[]).map((value) => [...model.postings(name, value)].sort()),
    ),
  };
}

/** A tenant that writes and is cut, and what it must hold. */
class Churning {
  readonly head: TestHead;
  readonly tenant: number;
  readonly #random: Seeded;
  /** By window: the series that have a sample in it. */
  readonly #windows = new Map<number, Set<LabelPairs>>();
  #window = FIRST_WINDOW;
  #pods = [0, 1, 2];

  constructor(head: TestHead, tenant: number, random: Seeded) {
    this.head = head;
    this.tenant = tenant;
    this.#random = random;
  }

  /** The series that hold samples. */
  get live(): IndexModel {
    const model = new IndexModel();
    for (const series of this.#windows.values()) for (const labels of series) model.add(labels);
    return model;
  }

  write(): void {
    const random = this.#random;
    if (random.chance(0.3)) this.#pods[random.below(this.#pods.length)] = random.below(30);
    const series = this.#pods.flatMap((pod) =>
      Array.from({ length: random.between(1, 12) }, (_, metric) => podSeries(pod, metric)),
    );
    const protocol = random.pick(['v1', 'v2'] as const);
    const timeMs = this.#window * WINDOW_MS + random.below(WINDOW_MS);
    this.head.write(bodyOf(series, timeMs, protocol), LATEST_MS, this.tenant, protocol);
    const known = this.#windows.get(this.#window) ?? new Set();
    for (const labels of series) known.add(labels);
    this.#windows.set(this.#window, known);
    if (random.chance(0.2)) this.#window++;
  }

  /** Cuts the oldest window, or all of them. */
  cut(isWhole: boolean): void {
    const oldest = Math.min(...this.#windows.keys());
    for (const window of isWhole ? [...this.#windows.keys()] : [oldest]) {
      if (!this.#windows.delete(window)) continue;
      this.head.dropSealed(window, this.head.kernel.seal(this.tenant, window), this.tenant);
      this.#window = Math.max(this.#window, window + 1);
    }
  }
}

/** Every series that holds samples is found by each of its labels, once among the rows that hold something. */
function expectLiveFound(view: HeadView, tenant: number, live: IndexModel, part = 0): void {
  for (const [i, [key, labels]] of [...live.series].entries()) {
    if (part !== 0 && i % 10 !== part) continue;
    for (const [name, value] of labels) {
      const rows = Array.from(view.list(view.pair(view.name(tenant, name), value) + L.PAIR_ROWS));
      const filled = rows.filter((row) => view.hasChunk(row, () => true));
      expect(keysOf(view, filled).filter((shown) => shown === key)).toEqual([key]);
    }
  }
}

test.each([
  ['from the usual address on', {}],
  ['above 2 GiB', { arenaAddress: HIGH_ARENA }],
])('series come, die, return and are collected while others read and write, with the arena %s', (_, settings) => {
  const head = new TestHead({ budgetBytes: 64 * 1024 * 1024, ...settings });
  const random = new Seeded(11);
  const reader = new HeadView(head.kernel.memory.memory, 5);
  const tenants = [head.tenant, head.kernel.tenant('other')].map((tenant) => new Churning(head, tenant, random));
  const handles = tenants.map(({ tenant }) => tenant);
  for (let round = 0; round < 100; round++) {
    for (const one of tenants) {
      for (let i = random.below(6); i >= 0; i--) one.write();
      if (random.chance(0.8)) one.cut(random.chance(0.2));
    }
    if (round % 5 !== 0) continue;
    // What a reader that began before finds stays as it is until it has left.
    const held = handles.flatMap((handle) => [...reader.list(handle + L.TENANT_ROWS)]);
    const labels = held.map((row) => reader.labelSymbols(row).slice());
    const texts = labels.map((symbols) => Array.from(symbols, (symbol) => reader.text(symbol)));
    let steps = 0;
    head.collect(handles, {
      work: random.pick([1, 40, 500, 100_000]),
      between: () => {
        if (steps++ % 64 !== 0) return;
        const one = random.pick(tenants);
        one.write();
        expectLiveFound(reader, one.tenant, one.live, random.below(10));
      },
      beforeFree: () => {
        for (const [i, row] of held.entries()) {
          expect(reader.labels(row)).toEqual(texts[i]);
          expect([...reader.labelSymbols(row)]).toEqual([...(labels[i] as Uint32Array)]);
        }
      },
    });
    // What died before is gone, and what came while it went is there.
    for (const { tenant, live } of tenants) expectLiveFound(reader, tenant, live);
    head.collect(handles);
    for (const { tenant, live } of tenants) {
      expect(shownIndex(reader, tenant)).toEqual(expectedIndex(live));
      expect([...head.content(tenant).keys()].sort()).toEqual([...live.series.keys()].sort());
    }
    expect(head.kernel.rowCount).toBe(tenants.reduce((sum, { live }) => sum + live.series.size, 0));
  }
});

test('a series that comes back is a new row with a new ref', () => {
  const head = new TestHead();
  const labels = podSeries(1, 1);
  const seen = new Set<bigint>();
  for (let life = 0; life < 5; life++) {
    const window = FIRST_WINDOW + life;
    const { outcome } = head.write(bodyOf([labels, labels], window * WINDOW_MS), LATEST_MS);
    expect(outcome).toMatchObject({ stored: 1, duplicates: 1, newSeries: 1 });
    const [row] = head.view.list(head.tenant + L.TENANT_ROWS);
    seen.add(head.view.ref(row as number));
    head.dropSealed(window, head.kernel.seal(head.tenant, window));
    head.collect();
    expect([head.kernel.rowCount, [...head.view.list(head.tenant + L.TENANT_ROWS)]]).toEqual([0, []]);
  }
  expect([...seen]).toEqual([1n, 2n, 3n, 4n, 5n]);
});

test.each(['v1', 'v2'] as const)(
  'what followed a series last time may be another tenant’s now: nobody writes there with %s',
  (protocol) => {
    const head = new TestHead();
    const other = head.kernel.tenant('other');
    const write = (tenant: number, window: number, ...pods: number[]): void => {
      const series = pods.map((pod) => podSeries(pod, 1));
      head.write(bodyOf(series, window * WINDOW_MS, protocol), LATEST_MS, tenant, protocol);
    };
    write(head.tenant, FIRST_WINDOW, 1, 2);
    write(head.tenant, FIRST_WINDOW + 1, 1);
    head.dropSealed(FIRST_WINDOW, head.kernel.seal(head.tenant, FIRST_WINDOW));
    head.collect();
    expect(head.kernel.rowCount).toBe(1);
    write(other, FIRST_WINDOW + 1, 2);
    write(head.tenant, FIRST_WINDOW + 2, 1, 2);
    const times = (tenant: number): number[] =>
      [
        ...(head
          .content(tenant)
          .get(JSON.stringify(podSeries(2, 1)))
          ?.keys() ?? []),
      ].map((time) => time / WINDOW_MS);
    expect(times(head.tenant)).toEqual([FIRST_WINDOW + 2]);
    expect(times(other)).toEqual([FIRST_WINDOW + 1]);
  },
);

test('a row that was written since it was marked stays, also when it is empty again', () => {
  const head = new TestHead();
  const write = (window: number): unknown =>
    head.write(bodyOf([podSeries(1, 1)], window * WINDOW_MS), LATEST_MS).outcome.stored;
  const cut = (window: number): void => head.dropSealed(window, head.kernel.seal(head.tenant, window));
  write(FIRST_WINDOW);
  cut(FIRST_WINDOW);
  expect(head.markEmpty()).toBe(1);
  write(FIRST_WINDOW + 1);
  head.kernel.collect(head.tenant, 1000);
  expect(head.kernel.rowCount).toBe(1);
  cut(FIRST_WINDOW + 1);
  head.kernel.collect(head.tenant, 1000);
  // Its samples may be in segments of the log that came after the mark.
  expect(head.kernel.rowCount).toBe(1);
  expect(head.markEmpty()).toBe(1);
  head.kernel.collect(head.tenant, 1000);
  expect(head.kernel.rowCount).toBe(0);
});

test('a row whose definition is in the log only once is not marked', () => {
  for (let twice = 0; twice <= 40; twice++) {
    const head = new TestHead({ budgetBytes: 16 * 1024 * 1024 });
    head.write(
      bodyOf(
        Array.from({ length: 40 }, (_, pod) => podSeries(pod, 1)),
        START_MS,
      ),
      0,
    );
    expect([head.kernel.rowCount, head.kernel.outcome().stored]).toEqual([40, 0]);
    head.kernel.redefine(twice);
    expect(head.kernel.rowsDefinedTwice).toBe(twice);
    const pieces = [...rowPieces(head.kernel.memory, head.tenant, 7)];
    const marked = pieces.map(({ segment, index, count }) => head.kernel.markEmpty(segment, index, count));
    expect(marked.reduce((sum, count) => sum + count)).toBe(twice);
  }
});

/** Two threads that read the index of a head without end. */
class IndexReaders {
  readonly words = new Int32Array(new SharedArrayBuffer(32));
  readonly failures: Error[] = [];
  readonly #threads: Worker[];
  readonly #readers = [2, 3];

  constructor(head: TestHead, always: string, alwaysRows: number) {
    const { memory } = head.kernel.memory;
    this.#threads = this.#readers.map((reader) => {
      const workerData: IndexReadingInit = {
        memory,
        tenant: head.tenant,
        reader,
        words: this.words,
        always,
        alwaysRows,
      };
      const thread = new Worker(new URL('./index-reading-thread.ts', import.meta.url), { workerData });
      thread.on('error', (error) => this.failures.push(error));
      return thread;
    });
  }

  get passes(): number[] {
    return this.#readers.map((reader) => Atomics.load(this.words, PASSES + reader));
  }

  /** Resolves when each has begun anew since now. */
  async haveLeft(): Promise<void> {
    const before = this.passes;
    while (this.failures.length === 0 && this.passes.some((passes, i) => passes <= (before[i] as number)))
      await nextTurn();
  }

  async stop(): Promise<void> {
    Atomics.store(this.words, STOP, 1);
    await Promise.all(this.#threads.map((thread) => new Promise((resolve) => thread.once('exit', resolve))));
  }
}

test('threads that read while series come, die and are collected see each row with its own labels', async () => {
  const head = new TestHead({ budgetBytes: 128 * 1024 * 1024 });
  const { kernel } = head;
  const podOf = (pod: string, metric: number): LabelPairs => [
    ['__name__', `metric_${metric}`],
    ['copy', pod],
    ['pod', pod],
  ];
  const write = (pods: readonly string[], window: number): unknown =>
    head.write(
      bodyOf(
        pods.flatMap((pod) => Array.from({ length: 10 }, (_, metric) => podOf(pod, metric))),
        window * WINDOW_MS,
      ),
      LATEST_MS,
    );
  write(['always'], FIRST_WINDOW);
  const readers = new IndexReaders(head, 'always', 10);
  await readers.haveLeft();
  const random = new Seeded(5);
  let collected = 0;
  for (let life = 0; readers.failures.length === 0 && life < 60; life++) {
    const window = FIRST_WINDOW + life;
    write(['always'], window + 1);
    write(
      Array.from({ length: 40 }, () => `pod-${'x'.repeat(random.below(20))}${random.below(1000)}`),
      window,
    );
    head.dropSealed(window, kernel.seal(head.tenant, window));
    const before = kernel.rowCount;
    head.markEmpty();
    while (!kernel.collect(head.tenant, 500)) if (random.chance(0.1)) write([`late-${random.below(9)}`], window + 1);
    collected += before - kernel.rowCount;
    kernel.sealRetired();
    await readers.haveLeft();
    while (kernel.freeRetired(500) > 0) if (random.chance(0.5)) await nextTurn();
  }
  await readers.stop();
  expect(readers.failures).toEqual([]);
  expect(collected).toBeGreaterThan(10_000);
  expect(Atomics.load(readers.words, ROWS)).not.toBe(0);
});

interface Life {
  readonly used: number;
  readonly bump: number;
  readonly full: number;
}

test('all that a generation of series took is used again by the next ones', () => {
  const head = new TestHead({ budgetBytes: 256 * 1024 * 1024 });
  const { kernel } = head;
  const cycle = (life: number): Life => {
    const window = FIRST_WINDOW + life;
    // Each life has names of its own and the lengths of the others.
    const pods = Array.from({ length: 120 }, (_, i) => 1000 + (life % 7) * 120 + i);
    for (let part = 0; part < 120; part += 30)
      // One of them out of order: to a late chunk.
      for (const sample of [1, 0, 2]) {
        const series = pods
          .slice(part, part + 30)
          .flatMap((pod) => Array.from({ length: 40 }, (_, metric) => podSeries(pod, metric)));
        head.write(bodyOf(series, window * WINDOW_MS + sample * 15_000), LATEST_MS);
      }
    const full = kernel.usedBytes;
    expect(kernel.rowCount).toBe(4800);
    head.dropSealed(window, kernel.seal(head.tenant, window));
    head.collect([head.tenant], { work: 5000 });
    expect(kernel.rowCount).toBe(0);
    return { used: kernel.usedBytes, bump: kernel.memory.word(L.BUMP), full };
  };
  const lives = Array.from({ length: 14 }, (_, life) => cycle(life));
  // The first lives made tables and slabs, and what the collection itself needs.
  const [, , third] = lives as [Life, Life, Life];
  for (const { used, bump } of lives.slice(3)) {
    expect(used).toBeLessThan(third.used * 1.02);
    expect(bump).toBeLessThan(third.bump + third.full * 0.02);
  }
  // Tables stay, and what is left of slabs.
  expect(third.used).toBeLessThan(third.full * 0.4);
});
