/** Buffers of open chunks and pages of closed ones: nobody's lie in another's, and what is free merges and is used again. */
import { compressSync } from 'snappy';
import { expect, test } from 'vitest';
import * as L from '../../../storage/kernel/layout.ts';
import { Seeded } from '../../support/seeded.ts';
import { labelField, sampleField, seriesField } from '../../support/wire-writer.ts';
import { LATEST_MS } from './random-request.ts';
import { HIGH_ARENA, START_MS, TestHead, WINDOW_MS } from './test-head.ts';

const ORDERS = 11;

interface Piece {
  readonly at: number;
  readonly bytes: number;
}

/** The free pieces, by what their lists say. */
function freePieces({ kernel: { memory } }: TestHead): Piece[] {
  const pieces: Piece[] = [];
  for (let order = 0; order < ORDERS; order++) {
    let previous = 0;
    for (let at = memory.word(L.FREE_PIECES + order * 4); at !== 0; at = memory.word(at)) {
      expect([memory.word(at + 4), memory.word(at + 8)]).toEqual([previous, order]);
      pieces.push({ at, bytes: L.GRAIN << order });
      previous = at;
    }
  }
  return pieces;
}

/** The buffers and pages in use. */
function usedPieces({ kernel: { memory }, view, tenant }: TestHead): Piece[] {
  const pieces: Piece[] = [];
  for (const row of view.list(tenant + L.TENANT_ROWS)) {
    for (const open of [row + L.ROW_OPEN, memory.word(row + L.ROW_LATE)]) {
      const at = open === 0 ? 0 : memory.word(open + L.OPEN_BUFFER);
      if (at !== 0) pieces.push({ at, bytes: (memory.bytes(open + L.OPEN_GRAINS, 1)[0] as number) * L.GRAIN });
    }
  }
  for (let i = 0; i < memory.word(tenant + L.TENANT_WINDOWS); i++) {
    const window = memory.word(tenant + L.TENANT_WINDOW_SLOTS) + i * L.WINDOW_BYTES;
    for (const pages of [L.WINDOW_PAGES, L.WINDOW_SEALED_PAGES]) {
      for (let at = memory.word(window + pages); at !== 0; at = memory.word(at + L.PAGE_NEXT))
        pieces.push({ at, bytes: memory.word(at + L.PAGE_SIZE) });
    }
  }
  return pieces;
}

/** Throws unless pieces fill whole regions without a gap, and no two free ones should be one. */
function expectSound(head: TestHead): void {
  const { memory } = head.kernel;
  const free = freePieces(head);
  const pieces = [...free, ...usedPieces(head)].sort((a, b) => a.at - b.at);
  pieces.forEach(({ at, bytes }, i) => {
    const next = pieces[i + 1]?.at ?? Infinity;
    if (at + bytes > next) throw new Error(`a piece at ${at} reaches into the one at ${next}`);
    if (at + bytes < next && (at + bytes) % 65536 !== 0) throw new Error(`nobody has what follows ${at} + ${bytes}`);
  });
  const isFree = new Map(free.map(({ at, bytes }) => [at, bytes]));
  for (const { at, bytes } of free) {
    if (at % bytes !== 0) throw new Error(`a free piece of ${bytes} at ${at}`);
    // Not by ^, which makes a signed number of it.
    const buddy = (at / bytes) % 2 === 0 ? at + bytes : at - bytes;
    if (bytes < 65536 && isFree.get(buddy) === bytes) throw new Error(`free pieces at ${at} and ${buddy} are one`);
  }
  const marks = memory.bytes(L.PIECE_MARKS, L.ARENA - L.PIECE_MARKS);
  const words = new Uint32Array(marks.buffer, marks.byteOffset, marks.length / 4);
  let marked = 0;
  for (const word of words) for (let left = word; left !== 0; left &= left - 1) marked++;
  expect(marked).toBe(free.length);
}

/** Values of one kind: the same again, small changes, anything. */
const VALUES: readonly ((random: Seeded, step: number) => bigint)[] = [
  () => 42n,
  (_, step) => BigInt.asUintN(64, BigInt(step) << 40n),
  (random) => random.bits64(),
];

function bodyOf(samples: ReadonlyMap<number, readonly (readonly [timeMs: number, bits: bigint])[]>): Uint8Array {
  const fields = [...samples].map(([series, its]) =>
    seriesField(labelField('__name__', `m${series}`), ...its.map(([timeMs, bits]) => sampleField(timeMs, bits))),
  );
  return compressSync(Uint8Array.from(fields.flat()));
}

test.each([
  ['from the usual address on', {}],
  ['above 2 GiB', { arenaAddress: HIGH_ARENA }],
])(
  'pieces are apart, and free neighbours are one, whatever is written and dropped, with the arena %s',
  (_, settings) => {
    const head = new TestHead(settings);
    const random = new Seeded(3);
    const stored = new Map<string, bigint>();
    let start = START_MS - 40 * WINDOW_MS;
    for (let round = 0; round < 60; round++) {
      const samples = new Map<number, [number, bigint][]>();
      for (let i = 0; i < 30; i++) {
        const series = random.below(100);
        const from = start + random.below(WINDOW_MS / 2);
        const count = random.pick([1, 7, 40, 200]);
        const step = random.pick([1, 1000, 15_000]);
        samples.set(
          series,
          Array.from({ length: count }, (__, k): [number, bigint] => {
            const bits = (VALUES[series % VALUES.length] as (typeof VALUES)[number])(random, k);
            return [from + k * step, bits];
          }),
        );
      }
      expect(head.write(bodyOf(samples), LATEST_MS).status).toBe(L.APPLIED);
      for (const [series, its] of samples)
        for (const [timeMs, bits] of its) {
          const key = `m${series} ${timeMs}`;
          if (!stored.has(key)) stored.set(key, bits);
        }
      if (random.chance(0.3)) {
        const window = Math.floor(start / WINDOW_MS);
        const generation = head.kernel.seal(head.tenant, window);
        if (generation !== 0) head.dropSealed(window, generation);
        for (const key of stored.keys())
          if (Math.floor(Number(key.split(' ')[1]) / WINDOW_MS) === window) stored.delete(key);
        start += WINDOW_MS;
      }
      expectSound(head);
    }
    const shown = new Map<string, bigint>();
    for (const [labels, its] of head.content())
      for (const [timeMs, { bits }] of its)
        shown.set(`${(JSON.parse(labels) as [string, string][])[0]?.[1]} ${timeMs}`, bits);
    expect(shown).toEqual(stored);
  },
);

test('buffers that all series outgrew together are there for what they need next', () => {
  const head = new TestHead();
  const random = new Seeded(5);
  const { memory } = head.kernel;
  const SERIES = 3000;
  const scrape = (step: number): void => {
    const timeMs = START_MS + step * 30_000;
    const samples = Array.from(
      { length: SERIES },
      (_, series) => [series, [[timeMs, random.bits64()] as const]] as const,
    );
    expect(head.write(bodyOf(new Map(samples)), LATEST_MS).status).toBe(L.APPLIED);
  };
  const free = (): number => freePieces(head).reduce((sum, { bytes }) => sum + bytes, 0);
  const used = (): number => usedPieces(head).reduce((sum, { bytes }) => sum + bytes, 0);
  scrape(0);
  expect(used()).toBe(SERIES * L.GRAIN);
  for (let step = 1; step < 120; step++) scrape(step);
  // Without merging, all smaller sizes would be here for each series: twice of what is in use. Free are tails, and a region.
  expect(free()).toBeLessThan(0.7 * used());
  const bump = memory.word(L.BUMP);
  // The chunks are full: they become pages, and small buffers take what theirs leave.
  for (let step = 120; step < 130; step++) scrape(step);
  expect(memory.word(L.BUMP) - bump).toBeLessThan(0.6 * used());
  expectSound(head);
});

test('a series that does not change has one grain for all of its chunk', () => {
  const head = new TestHead();
  const samples = Array.from({ length: 120 }, (_, i) => [START_MS + i * 15_000, 7n] as const);
  head.write(bodyOf(new Map([[1, samples]])), LATEST_MS);
  expect(usedPieces(head)).toMatchObject([{ bytes: L.GRAIN }]);
});
