import { compressSync } from 'snappy';
import { expect, test } from 'vitest';
import { writeHeadCheckpoint } from '../../../storage/head/head-checkpoint.ts';
import * as L from '../../../storage/kernel/layout.ts';
import { decodeWalRecord, type LoggedItem, type WalRecord } from '../../support/oracle/wal-record.ts';
import { decodeXorChunk } from '../../support/oracle/xor-decoder.ts';
import { Seeded } from '../../support/seeded.ts';
import { type Bytes, labelField, sampleField, seriesField, varint } from '../../support/wire-writer.ts';
import { shownBy, textOfItems } from './judge.ts';
import { bitsOf, LATEST_MS, randomRequest, randomValue } from './random-request.ts';
import { HIGH_ARENA, type LogFrame, type ShownSeries, START_MS, TestHead, WINDOW_MS } from './test-head.ts';

function series(name: string, ...samples: readonly (readonly [timeMs: number, bits: bigint])[]): Bytes {
  return seriesField(labelField('__name__', name), ...samples.map(([time, bits]) => sampleField(time, bits)));
}

function write(head: TestHead, ...fields: readonly Bytes[]): void {
  const { status } = head.write(compressSync(Uint8Array.from(fields.flat())), LATEST_MS);
  expect(status).toBe(L.APPLIED);
}

function records(head: TestHead): WalRecord[] {
  return head.frames.map(({ payload }) => decodeWalRecord(payload));
}

/** Bits by time by labels, without generations and without series that have no sample. */
function bitsOfContent(content: ReadonlyMap<string, ShownSeries>): Map<string, Map<number, bigint>> {
  const held = [...content].filter(([, samples]) => samples.size > 0).sort(([a], [b]) => (a < b ? -1 : 1));
  return new Map(
    held.map(([key, samples]) => [
      key,
      new Map([...samples].sort(([a], [b]) => a - b).map(([time, { bits }]) => [time, bits])),
    ]),
  );
}

/** What the records say, put together by the oracle alone. */
function contentOfRecords(frames: readonly LogFrame[]): Map<string, Map<number, bigint>> {
  const names = new Map<bigint, string>();
  const content = new Map<string, Map<number, bigint>>();
  for (const { payload } of frames) {
    const record = decodeWalRecord(payload);
    if (record.kind === 'definitions')
      for (const { ref, labels } of record.series) names.set(ref, JSON.stringify(labels));
    if (record.kind !== 'samples') continue;
    for (const { ref, timestampMs, bits } of record.samples) {
      const key = names.get(ref) as string;
      const samples = content.get(key) ?? new Map<number, bigint>();
      expect(samples.has(timestampMs)).toBe(false);
      content.set(key, samples.set(timestampMs, bits));
    }
  }
  return new Map(
    [...content]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, samples]) => [key, new Map([...samples].sort(([a], [b]) => a - b))]),
  );
}

/** The histograms and exemplars that the records say. */
function itemsOfRecords(frames: readonly LogFrame[]): Map<string, string[]> {
  const names = new Map<bigint, string>();
  const items = new Map<string, (LoggedItem & { timeMs: number; generation: number })[]>();
  for (const { payload } of frames) {
    const record = decodeWalRecord(payload);
    if (record.kind === 'definitions')
      for (const { ref, labels } of record.series) names.set(ref, JSON.stringify(labels));
    if (record.kind !== 'items' && record.kind !== 'kept-items') continue;
    for (const item of record.items) {
      const key = names.get(item.ref) as string;
      items.set(key, [...(items.get(key) ?? []), { ...item, timeMs: item.timestampMs, generation: 0 }]);
    }
  }
  return textOfItems(items);
}

function replayInto(head: TestHead, frames: readonly LogFrame[]): void {
  for (const { payload, sequence } of frames) expect(head.kernel.replay(payload, BigInt(sequence))).toBe(L.REPLAYED);
}

/** A head with random content in its log. */
function filled(seed: number, rounds = 150): TestHead {
  const head = new TestHead();
  const random = new Seeded(seed);
  for (let round = 0; round < rounds; round++) head.write(compressSync(randomRequest(random)), LATEST_MS);
  return head;
}

test('the records of random requests say what the head holds, and bring it back', () => {
  const head = filled(1);
  const content = bitsOfContent(head.content());
  const shown = shownBy(head, head.tenant);
  expect(contentOfRecords(head.frames)).toEqual(content);
  expect(itemsOfRecords(head.frames)).toEqual(textOfItems(head.items()));
  expect(head.frames.map(({ sequence }) => sequence)).toEqual(head.frames.map((_, i) => i + 1));
  for (const arenaAddress of [L.ARENA, HIGH_ARENA]) {
    const again = new TestHead({ seed: 99, arenaAddress });
    replayInto(again, head.frames);
    expect(shownBy(again, again.tenant)).toEqual(shown);
    expect(again.kernel.orphanSamples).toBe(0);
    const newest = (of: TestHead): bigint => of.kernel.memory.long(of.tenant + L.TENANT_NEWEST);
    expect(newest(again)).toBe(newest(head));
    // A second time everything is there already.
    replayInto(again, head.frames);
    expect(shownBy(again, again.tenant)).toEqual(shown);
  }
});

test('values of every kind come back bit for bit', () => {
  const head = new TestHead();
  const random = new Seeded(2);
  const exact = [
    0,
    -0,
    1,
    -1,
    127,
    128,
    2 ** 31,
    2 ** 52,
    2 ** 53 - 1,
    2 ** 53,
    2 ** 53 + 2,
    2 ** 63,
    5e-324,
    1e308,
    Number.NaN,
  ];
  const tenths = [
    0.1,
    -0.1,
    0.3,
    99.9,
    0.01,
    12.34,
    0.001,
    -7.125,
    0.0001,
    1 / 3,
    (2 ** 53 - 1) / 1000,
    9007199254740.992,
  ];
  const bits = [...exact, ...tenths, Infinity, -Infinity].map(bitsOf);
  bits.push(...Array.from({ length: 3000 }, () => randomValue(random)));
  write(head, series('values', ...bits.map((value, i) => [START_MS + i * 1000, value] as const)));
  const [, samples] = records(head);
  expect(samples?.kind === 'samples' && samples.samples.map(({ bits: logged }) => logged)).toEqual(bits);
  const again = new TestHead();
  replayInto(again, head.frames);
  expect(
    [...(again.content().values().next().value?.values() ?? [])].map(({ bits: replayed }) => replayed).toSorted(),
  ).toEqual(bits.toSorted());
});

test('small numbers and steps take few bytes', () => {
  const head = new TestHead();
  const scrape = (time: number): Bytes[] => Array.from({ length: 100 }, (_, i) => series(`m${i}`, [time, bitsOf(i)]));
  write(head, ...scrape(START_MS));
  write(head, ...scrape(START_MS + 15_000));
  // A type byte and one time; then control and one or two bytes of a value.
  expect((head.frames.at(-1) as LogFrame).payload.length).toBeLessThan(1 + 7 + 100 * 3);
});

test('a request that stores nothing writes no record; one without new series no definitions', () => {
  const head = new TestHead();
  write(head, series('m', [START_MS, 1n]));
  expect(records(head).map(({ kind }) => kind)).toEqual(['definitions', 'samples']);
  write(head, series('m', [START_MS, 1n]), series('m', [START_MS, 2n]), series('m', [-1, 1n]));
  expect(head.frames.length).toBe(2);
  write(head, series('m', [START_MS + 1, 1n]));
  expect(records(head).map(({ kind }) => kind)).toEqual(['definitions', 'samples', 'samples']);
});

test('frames pass the end of the ring and of the positions', () => {
  const head = new TestHead();
  const { memory } = head.kernel;
  const start = 2 ** 32 - 1_500_000;
  memory.setWord(L.WAL_HEAD, start);
  memory.setWord(L.WAL_TAIL, start);
  const random = new Seeded(3);
  for (let round = 0; round < 5; round++) {
    const samples = Array.from({ length: 40_000 }, (_, i) =>
      Buffer.from(sampleField(START_MS + round + i * 600, random.bits64())),
    );
    const content = Buffer.concat([Buffer.from(labelField('__name__', `m${round}`)), ...samples]);
    const body = Buffer.concat([Buffer.from([0x0a, ...varint(content.length)]), content]);
    head.write(compressSync(body), LATEST_MS);
  }
  expect(memory.word(L.WAL_HEAD)).toBeLessThan(start);
  const again = new TestHead();
  replayInto(again, head.frames);
  expect(again.kernel.orphanSamples).toBe(0);
  for (const [key, samples] of again.content()) expect(samples.size, key).toBe(40_000);
});

test('samples whose definition is lost are counted, and no others suffer', () => {
  const head = new TestHead();
  write(head, series('lost', [START_MS, 1n], [START_MS + 1, 1n]));
  write(head, series('kept', [START_MS, 2n]), series('lost', [START_MS + 2, 3n]));
  const [, ...rest] = head.frames;
  const again = new TestHead();
  replayInto(again, rest);
  expect(again.kernel.orphanSamples).toBe(3);
  expect([...bitsOfContent(again.content()).values()]).toEqual([new Map([[START_MS, 2n]])]);
});

test('samples whose definition is lost never become those of a series that is new after them', () => {
  const head = new TestHead();
  write(head, series('lost', [START_MS, 1n], [START_MS + 1, 1n]));
  const [, ...orphans] = head.frames;
  const next = new TestHead();
  replayInto(next, orphans);
  write(next, series('new', [START_MS + 5, 2n]));
  const again = new TestHead();
  // A replay that meets samples without a definition goes over the log twice: the definition may come behind them.
  for (let pass = 0; pass < 2; pass++) replayInto(again, [...orphans, ...next.frames]);
  expect([...bitsOfContent(again.content()).values()]).toEqual([new Map([[START_MS + 5, 2n]])]);
});

test('second definitions are equal, may come first, and new series get refs behind all', () => {
  const head = filled(4, 30);
  const before = head.frames.length;
  while (!head.kernel.redefine(head.kernel.rowCount)) head.takeLog();
  head.takeLog();
  const second = head.frames.slice(before);
  const defined = (frames: readonly LogFrame[]): unknown[] =>
    frames
      .map(({ payload }) => decodeWalRecord(payload))
      .flatMap((record) => (record.kind === 'definitions' ? record.series : []))
      .toSorted((a, b) => Number(a.ref - b.ref));
  expect(defined(second)).toEqual(defined(head.frames.slice(0, before)));
  expect(head.kernel.rowsDefinedTwice).toBe(head.kernel.rowCount);

  const again = new TestHead();
  replayInto(again, [...second, ...head.frames]);
  expect(bitsOfContent(again.content())).toEqual(bitsOfContent(head.content()));
  again.kernel.continueLog(1000n, 3);
  write(again, series('new after the replay', [START_MS, 1n]));
  expect(again.frames.map(({ sequence, generation }) => [sequence, generation])).toEqual([
    [1000, 3],
    [1001, 3],
  ]);
  const [definition] = records(again);
  expect(definition?.kind === 'definitions' && definition.series[0]?.ref).toBe(BigInt(head.kernel.rowCount) + 1n);
  expect(again.kernel.redefine(again.kernel.rowCount)).toBe(true);
  expect(defined(again.takeLog()).length).toBe(1);
});

test('second definitions of tenants that alternate stay within what the ring has room for', () => {
  const head = new TestHead();
  const tenants = [head.kernel.tenant('a'.repeat(200)), head.kernel.tenant('b'.repeat(200))];
  const filler = 'x'.repeat(400);
  for (let part = 0; part < 40; part++) {
    // The rows of a request are of one tenant; many small requests alternate.
    for (let i = 0; i < 500; i++)
      head.write(
        compressSync(Uint8Array.from(series(`${part} ${i} ${filler}`, [START_MS, 1n]))),
        LATEST_MS,
        tenants[i % 2] as number,
      );
  }
  expect(head.kernel.rowCount * 680).toBeGreaterThan(3 * L.RECORD_BYTES);
  let rounds = 0;
  for (let done = false; !done; rounds++) {
    done = head.kernel.redefine(head.kernel.rowCount);
    expect(head.kernel.ringUsed).toBeLessThanOrEqual(2 * L.RECORD_BYTES);
    head.takeLog();
  }
  expect(rounds).toBeGreaterThan(3);
});

test('what a published block covers is left out: samples by position, chunks by generation', () => {
  const head = new TestHead();
  const window = START_MS / WINDOW_MS;
  write(head, series('m', [START_MS, 1n], [START_MS + WINDOW_MS, 2n]));
  const position = head.kernel.nextSequence;
  const generation = head.kernel.seal(head.tenant, window);
  write(head, series('m', [START_MS + 5, 3n], [START_MS + WINDOW_MS + 5, 4n]));
  const other = head.kernel.tenant('other');
  head.write(compressSync(Uint8Array.from(series('m', [START_MS, 9n]))), LATEST_MS, other);

  const again = new TestHead();
  again.kernel.cover(again.tenant, window, generation, position);
  replayInto(again, head.frames);
  expect([...bitsOfContent(again.content()).values()]).toEqual([
    new Map([
      [START_MS + 5, 3n],
      [START_MS + WINDOW_MS, 2n],
      [START_MS + WINDOW_MS + 5, 4n],
    ]),
  ]);
  expect(again.content(again.kernel.tenant('other')).values().next().value?.get(START_MS)?.bits).toBe(9n);

  const checkpoint: LogFrame[] = [];
  const tenants = [
    { handle: head.tenant, key: 'default-tenant', published: new Map<number, number>() },
    { handle: other, key: 'other', published: new Map<number, number>() },
  ];
  writeHeadCheckpoint(head.view, tenants, (record) => {
    checkpoint.push({ sequence: 0, generation: 1, payload: record.slice() });
  });
  const kinds = checkpoint.map(({ payload }) => decodeWalRecord(payload).kind);
  const both = ['definitions', 'definitions'];
  expect(kinds).toEqual(['checkpoint', ...both, 'chunks', 'chunks', ...both]);
  const restored = new TestHead();
  restored.kernel.cover(restored.tenant, window, generation, position);
  replayInto(restored, checkpoint);
  expect(bitsOfContent(restored.content())).toEqual(bitsOfContent(again.content()));
  // And with the segments behind it, which hold part of the same.
  replayInto(restored, head.frames);
  expect(bitsOfContent(restored.content())).toEqual(bitsOfContent(again.content()));
});

test('a checkpoint of random content brings it back, and generations go on behind those in it', () => {
  const head = filled(5);
  const window = [...head.content().values()]
    .flatMap((samples) => [...samples.keys()])
    .map((t) => Math.floor(t / WINDOW_MS));
  head.kernel.seal(head.tenant, window[0] as number);
  const random = new Seeded(50);
  for (let round = 0; round < 50; round++) head.write(compressSync(randomRequest(random)), LATEST_MS);
  const checkpoint: LogFrame[] = [];
  const tenant = { handle: head.tenant, key: 'default-tenant', published: new Map<number, number>() };
  writeHeadCheckpoint(head.view, [tenant], (record) => {
    checkpoint.push({ sequence: 0, generation: 1, payload: record.slice() });
  });
  const restored = new TestHead({ seed: 3 });
  replayInto(restored, checkpoint);
  expect(shownBy(restored, restored.tenant)).toEqual(shownBy(head, head.tenant));
  expect(itemsOfRecords(checkpoint)).toEqual(textOfItems(head.items()));
  const generations = checkpoint
    .map(({ payload }) => decodeWalRecord(payload))
    .flatMap((record) => (record.kind === 'chunks' ? record.chunks : []))
    .map(({ generation, xor }) => {
      expect(decodeXorChunk(xor).timestamps.length).toBeGreaterThan(0);
      return generation;
    });
  const live = [...restored.content().values()].flatMap((samples) =>
    [...samples.values()].map(({ generation }) => generation),
  );
  expect(Math.min(...live)).toBeGreaterThan(Math.max(...generations));
});

test('a chunk that was opened while the checkpoint was written makes its window count as later', () => {
  const head = new TestHead();
  write(head, series('m', [START_MS, 1n]));
  for (let i = 0; i < 5; i++) {
    const generation = head.kernel.seal(head.tenant, START_MS / WINDOW_MS);
    write(head, series('m', [START_MS + i + 1, 1n]));
    head.dropSealed(START_MS / WINDOW_MS, generation);
  }
  const checkpoint: Uint8Array[] = [];
  const tenant = { handle: head.tenant, key: 'default-tenant', published: new Map<number, number>() };
  writeHeadCheckpoint(head.view, [tenant], (record) => void checkpoint.push(record.slice()));
  // As if the number had been read before those generations were opened.
  checkpoint[0] = Uint8Array.of(L.RECORD_CHECKPOINT, 1, 1);
  const restored = new TestHead();
  for (const record of checkpoint) expect(restored.kernel.replay(record, 0n)).toBe(L.REPLAYED);
  const chunks = decodeWalRecord(checkpoint[2] as Uint8Array);
  const logged = chunks.kind === 'chunks' ? chunks.chunks.map(({ generation }) => generation) : [];
  expect(restored.kernel.seal(restored.tenant, START_MS / WINDOW_MS)).toBeGreaterThan(Math.max(...logged));
});

test('records with changed, missing and added bytes are damaged or mean something else; none traps or hangs', () => {
  const head = filled(6, 20);
  const checkpoint: Uint8Array[] = [];
  const tenant = { handle: head.tenant, key: 'default-tenant', published: new Map<number, number>() };
  writeHeadCheckpoint(head.view, [tenant], (record) => void checkpoint.push(record.slice()));
  const whole = [...head.frames.map(({ payload }) => payload), ...checkpoint];
  const random = new Seeded(7);
  let damaged = 0;
  const target = new TestHead();
  for (let round = 0; round < 3000; round++) {
    const record = random.pick(whole).slice(0, 4000);
    for (let changes = random.below(4); changes > 0; changes--)
      record[random.below(record.length)] = random.pick([0, 128, 255, random.below(256)]);
    const status = target.kernel.replay(
      record.subarray(0, random.chance(0.5) ? random.below(record.length + 1) : record.length),
      1n,
    );
    expect([L.REPLAYED, L.REPLAY_DAMAGED]).toContain(status);
    if (status === L.REPLAY_DAMAGED) damaged++;
  }
  expect(damaged).toBeGreaterThan(300);
  for (const bytes of [[], [9], [3], [255]]) expect(target.kernel.replay(Uint8Array.from(bytes), 1n)).toBe(L.REPLAYED);
  for (const bytes of [
    [1],
    [1, 5],
    [1, 0, 128],
    [1, 0, 1, 5],
    [2, 0],
    [2, 192, 1],
    [2, 232],
    [4, 1],
    [4, 1, 1, 1, 1, 0],
    [5],
    [5, 1],
    [6, 1],
    [6, 0xc0, 0],
    [6, 0xc5, 0],
    [6, 0xc1, 2, 0],
    [6, 0xc4, 7, 0, 0, 0, 0, 0, 0, 0],
    [6, 0xc1, 0x80, 0x80, 0x10],
    [6, 0x81, 1, 0],
    [7, 1],
    [7, 0, 1, 1, 1, 0],
    [7, 5, 1, 1, 1, 0],
    [7, 1, 1, 1, 1, 1],
    [7, 4, 1, 1, 1, 1, 0],
  ])
    expect(target.kernel.replay(Uint8Array.from(bytes), 1n), `${bytes}`).toBe(L.REPLAY_DAMAGED);
});

test('a record written by hand is decoded as the format says', () => {
  const head = new TestHead();
  const text = (s: string): Bytes => [s.length, ...Buffer.from(s)];
  const labels = [...text('__name__'), ...text('up')];
  head.kernel.replay(Uint8Array.from([1, ...text('default-tenant'), ...varint(1000), labels.length, ...labels]), 1n);
  const sample = [0, ...varint(2000), ...varint(2n * BigInt(START_MS))];
  head.kernel.replay(Uint8Array.from([2, ...sample]), 2n);
  const [samples] = [...head.content().values()];
  expect(samples?.get(START_MS)?.bits).toBe(0n);
});
