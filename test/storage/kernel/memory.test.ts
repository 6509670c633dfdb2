/** What happens at the end of the budget, of the addresses, and of the memory that is there yet: never a trap. */
import { compressSync } from 'snappy';
import { expect, test } from 'vitest';
import * as L from '../../../storage/kernel/layout.ts';
import { StorageError } from '../../../storage/lib/errors.ts';
import { encodeXorChunk } from '../../support/oracle/xor-chunk.ts';
import { Seeded } from '../../support/seeded.ts';
import { type Bytes, labelField, sampleField, seriesField, varint } from '../../support/wire-writer.ts';
import { LATEST_MS } from './random-request.ts';
import { START_MS, TestHead, WINDOW_MS } from './test-head.ts';

const MiB = 1024 * 1024;

function series(name: string, ...samples: readonly Bytes[]): Bytes {
  return seriesField(labelField('__name__', name), ...samples);
}

function compressed(...fields: readonly Bytes[]): Uint8Array {
  return compressSync(Uint8Array.from(fields.flat()));
}

/** How many samples the head shows, and that each has its time for a value. */
function shownSamples(head: TestHead): number {
  let count = 0;
  for (const samples of head.content().values()) {
    count += samples.size;
    for (const [time, { bits }] of samples) if (bits !== hashed(time)) throw new Error(`a wrong value at ${time}`);
  }
  return count;
}

/** How many samples the head shows, by what its chunks say. */
function countedSamples({ view, tenant }: TestHead): number {
  let count = 0;
  for (const row of view.list(tenant + L.TENANT_ROWS))
    for (const { bytes } of view.chunks(row, () => true)) count += Buffer.from(bytes).readUInt16BE(0);
  return count;
}

/** A value that compresses badly. */
function hashed(time: number): bigint {
  return BigInt.asUintN(64, BigInt(time) * 0x9e3779b97f4a7c15n);
}

function samplesAt(startMs: number, count: number, stepMs: number): Bytes[] {
  return Array.from({ length: count }, (_, i) => sampleField(startMs + i * stepMs, hashed(startMs + i * stepMs)));
}

test('a full head refuses, keeps what it stored, and accepts again once a window is out', () => {
  const head = new TestHead({ budgetBytes: 7 * MiB });
  let held = 0;
  for (let cycle = 0; cycle < 5; cycle++) {
    const windowMs = START_MS - (10 - cycle) * WINDOW_MS;
    for (let round = 0; ; round++) {
      expect(round).toBeLessThan(1000);
      const body = compressed(
        series(`m${round % 50}`, ...samplesAt(windowMs + Math.floor(round / 50) * 100_000, 500, 200)),
      );
      const { status, outcome } = head.write(body, LATEST_MS);
      held += outcome.stored;
      if (status === L.OUT_OF_MEMORY) break;
      expect(outcome.stored).toBe(500);
    }
    expect(held).toBeGreaterThan(10_000);
    expect(countedSamples(head)).toBe(held);
    if (cycle === 3) expect(shownSamples(head)).toBe(held);
    const again = head.write(compressed(series('one more', ...samplesAt(windowMs, 1, 1))), LATEST_MS);
    expect([again.status, again.outcome.stored]).toEqual([L.OUT_OF_MEMORY, 0]);
    const window = windowMs / WINDOW_MS;
    head.dropSealed(window, head.kernel.seal(head.tenant, window));
    held = 0;
    expect(shownSamples(head)).toBe(0);
  }
  expect(head.write(compressed(series('one more', ...samplesAt(START_MS, 1, 1))), LATEST_MS).outcome.stored).toBe(1);
  expect(head.kernel.usedBytes).toBeLessThan(7 * MiB);
});

test('one series with more samples than the budget stops in the middle', () => {
  const head = new TestHead({ budgetBytes: 7 * MiB });
  const content = Buffer.concat([
    Buffer.from(labelField('__name__', 'long')),
    ...samplesAt(START_MS - 20 * WINDOW_MS, 500_000, 200).map((sample) => Buffer.from(sample)),
  ]);
  const body = compressSync(Buffer.concat([Buffer.from([0x0a, ...varint(content.length)]), content]));
  const { status, outcome } = head.write(body, LATEST_MS);
  expect(status).toBe(L.OUT_OF_MEMORY);
  expect(outcome.stored).toBeGreaterThan(50_000);
  expect(outcome.stored).toBeLessThan(500_000);
  expect(countedSamples(head)).toBe(outcome.stored);
  expect(head.kernel.usedBytes).toBeLessThan(7 * MiB);
});

test('new series of many labels up to the end of all addresses', () => {
  const end = 0xffff0000;
  const head = new TestHead({ arenaAddress: end - 24 * MiB, budgetBytes: 1024 * MiB });
  const random = new Seeded(1);
  let stored = 0;
  let isFull = false;
  for (let round = 0; !isFull; round++) {
    expect(round).toBeLessThan(5000);
    const labels = Array.from({ length: random.pick([1, 10, 126]) }, (_, i) =>
      labelField(`l${i}`, `${round} ${i}${'x'.repeat(random.below(100))}`),
    );
    const fields = [labelField('__name__', 'wide'), ...labels, ...samplesAt(START_MS, random.pick([1, 200]), 1000)];
    const { status, outcome } = head.write(compressed(seriesField(...fields)), LATEST_MS);
    stored += outcome.stored;
    isFull = status === L.OUT_OF_MEMORY;
  }
  expect(head.kernel.usedBytes).toBeGreaterThan(16 * MiB);
  expect(shownSamples(head)).toBe(stored);
  // What needs little goes on where it can, and nothing of it passes the end.
  for (let i = 0; i < 100; i++)
    head.write(compressed(series('wide', ...samplesAt(START_MS + i * 60_000, 10, 1))), LATEST_MS);
  expect(head.kernel.memory.word(L.BUMP)).toBeLessThan(end);
});

test('a table that would grow beyond the last address takes no further series', () => {
  const head = new TestHead();
  const { memory } = head.kernel;
  const entries = (): number => memory.word(memory.word(L.SERIES) + L.TABLE_ENTRIES);
  const grown = (): number => memory.word(memory.word(L.SERIES)) + 1;
  let next = 0;
  const write = (count: number): number => {
    const many = Array.from({ length: count }, () => series(`m${next++}`, ...samplesAt(START_MS, 1, 1)));
    return head.write(compressed(...many), LATEST_MS).status;
  };
  // Four tables are about to double to 2 MiB each; addresses are left for one of them, and for a series.
  while (entries() < 98_000) expect(write(1000)).toBe(L.APPLIED);
  expect(grown()).toBe(131_072);
  memory.setWord(L.HARD_LIMIT, memory.word(L.BUMP) + 6 * MiB);
  let status: number = L.APPLIED;
  for (let i = 0; status === L.APPLIED && i < 10; i++) status = write(100);
  expect(status).toBe(L.OUT_OF_MEMORY);
  expect(countedSamples(head)).toBe(entries());
});

test('a tenant that there is no room for is refused; those there are stay', () => {
  const head = new TestHead({ budgetBytes: 2 * MiB });
  let error: unknown;
  let last = 0;
  for (let i = 0; error === undefined && i < 100_000; i++) {
    try {
      last = head.kernel.tenant(`tenant ${i} ${'x'.repeat(200)}`);
    } catch (caught) {
      error = caught;
    }
  }
  expect(error).toBeInstanceOf(StorageError);
  expect(error).toMatchObject({ kind: 'unavailable' });
  expect(head.kernel.tenant('default-tenant')).toBe(head.tenant);
  expect(last).toBeGreaterThan(0);
  expect(head.kernel.tenantKeys().length).toBeGreaterThan(100);
});

test('a log that does not fit the budget ends the replay with that answer', () => {
  const head = new TestHead();
  for (let i = 0; i < 60; i++) head.write(compressed(series(`m${i}`, ...samplesAt(START_MS, 7000, 1000))), LATEST_MS);
  const small = new TestHead({ budgetBytes: 5 * MiB });
  const answers = head.frames.map(({ payload, sequence }) => small.kernel.replay(payload, BigInt(sequence)));
  expect(answers[0]).toBe(L.REPLAYED);
  expect(answers).toContain(L.OUT_OF_MEMORY);
  expect(shownSamples(small)).toBeGreaterThan(1000);
});

test('what was seen of the memory before it grew stays, and what came since is found', () => {
  const head = new TestHead();
  const { memory } = head.kernel;
  head.write(compressed(series('first', ...samplesAt(START_MS, 3, 1000))), LATEST_MS);
  const [row] = head.view.list(head.tenant + L.TENANT_ROWS);
  const before = memory.byteLength;
  const early = memory.bytes(L.ARENA, 4096);
  const copy = early.slice();
  for (let i = 0; memory.byteLength === before; i++) {
    expect(i).toBeLessThan(2000);
    head.write(
      compressed(
        seriesField(
          labelField('__name__', 'long'),
          labelField('x', `${i}${'x'.repeat(16_000)}`),
          ...samplesAt(START_MS, 1, 1),
        ),
      ),
      LATEST_MS,
    );
  }
  expect(Buffer.from(early.slice(64)).length).toBe(copy.length - 64);
  head.write(compressed(series('first', ...samplesAt(START_MS + 3000, 500, 1000))), LATEST_MS);
  const count = head.view
    .chunks(row as number, () => true)
    .reduce((sum, { bytes }) => sum + Buffer.from(bytes).readUInt16BE(0), 0);
  expect(count).toBe(503);
  expect(shownSamples(head)).toBeGreaterThan(503 + 100);
  expect(() => memory.bytes(2 ** 32 - 10, 5)).toThrow(RangeError);
});

test('a closed chunk at the very end of the memory is read to its end', () => {
  const page = 1024;
  const whole = page - L.PAGE_HEADER_BYTES - L.CHUNK_XOR;
  const times = Float64Array.from({ length: 120 }, (_, i) => START_MS + i * 15_000);
  // Bits of which the chunk fills its page to the last byte.
  const bits = Array.from({ length: 2000 }, (_, round) => {
    const random = new Seeded(round);
    const raw = random.between(80, 119);
    return Array.from(times, (_, i) => (i < 120 - raw ? 0n : random.bits64()));
  }).find(
    (values) =>
      encodeXorChunk({ timestamps: times, values: new Float64Array(BigUint64Array.from(values).buffer) }).length ===
      whole,
  );
  expect(bits).toBeDefined();
  const head = new TestHead({ budgetBytes: 64 * MiB });
  const samples = Array.from(times, (time, i) => sampleField(time, bits?.[i] as bigint));
  const other = (timeMs: number): Bytes => series('other', sampleField(timeMs, 1n));
  head.write(compressed(other(START_MS - WINDOW_MS), series('edge', ...samples)), LATEST_MS);
  const { memory } = head.kernel;
  // Pieces are taken of a region that ends where the memory does, the next of that size at its end.
  for (let order = 0; order < 11; order++) memory.setWord(L.FREE_PIECES + order * 4, 0);
  const end = memory.byteLength;
  memory.setWord(L.BUMP, end - MiB);
  head.write(compressed(other(START_MS + WINDOW_MS)), LATEST_MS);
  expect(memory.word(L.BUMP)).toBe(end);
  memory.bytes(end - page, 12).set(new Uint8Array(new Uint32Array([0, 0, 4]).buffer));
  memory.setWord(L.FREE_PIECES + 4 * 4, end - page);
  head.write(compressed(series('edge', sampleField(START_MS + WINDOW_MS, 1n))), LATEST_MS);
  const again = head.write(compressed(series('edge', ...samples)), LATEST_MS);
  expect(again.outcome).toMatchObject({ duplicates: 120, stored: 0 });
});
