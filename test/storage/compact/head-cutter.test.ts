/** Cuts of a whole engine, as its bucket and its events show them. */
import { beforeEach, expect, test } from 'vitest';
import { blockCoverage } from '../../../storage/block/meta.ts';
import { WINDOW_MS } from '../../../storage/model/time-range.ts';
import { ALWAYS } from '../../support/database-answers.ts';
import { OpenedDatabase, type PlainSample, withBits } from '../../support/opened-database.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';
import { SimMachine } from '../../support/sim-machine.ts';
import { watchedLocation } from '../../support/watched-bucket.ts';
import { WholeIndex } from '../../support/whole-index.ts';

const HOUR_MS = 3_600_000;
const START_MS: number = 236_111 * WINDOW_MS;

let machine: SimMachine;
let opened: OpenedDatabase;

beforeEach(async () => {
  machine = new SimMachine(new SimFileSystem(), START_MS + 100 * HOUR_MS, seededChance(3));
  opened = await OpenedDatabase.open(machine, { externalLabels: ['replica', 'r1'] });
});

/** A sample every ten minutes over these hours since the start. */
function hours(from: number, to: number, value = 1): PlainSample[] {
  const count = Math.round((to - from) * 6);
  return Array.from({ length: count }, (_, i) => [START_MS + from * HOUR_MS + i * 600_000, value]);
}

/** The windows of the cuts so far, by the hour at which they begin, and what they held. */
function cuts(): { tenant: string; hour: number; samples: number }[] {
  return opened.events.flatMap((event) =>
    event.kind === 'cut'
      ? [{ tenant: event.tenant, hour: (event.minTimeMs - START_MS) / HOUR_MS, samples: event.samples }]
      : [],
  );
}

async function looks(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    machine.clock.advance(1000);
    await machine.turns(400);
  }
}

test('windows are cut as the data goes on, oldest first, and what is newer stays', async () => {
  await opened.write('a', hours(0, 2.9));
  await looks(3);
  expect(cuts()).toEqual([]);
  await opened.write('a', hours(2.9, 5.2));
  await looks(3);
  expect(cuts()).toEqual([
    { tenant: 'a', hour: 0, samples: 12 },
    { tenant: 'a', hour: 2, samples: 12 },
  ]);
  await looks(3);
  expect(cuts().length).toBe(2);
});

test('a block says whose it is and what of the log it covers', async () => {
  await opened.write('a', hours(0, 3.2));
  await looks(2);
  const meta = opened.database.snapshot('a', ALWAYS).blocks[0]?.meta;
  expect(meta?.thanos?.labels).toEqual({ replica: 'r1', tenant_id: 'a' });
  expect(meta === undefined ? undefined : blockCoverage(meta, 'meta.json')).toMatchObject({
    tenant: 'a',
    epoch: 1,
    window: START_MS / WINDOW_MS,
    generation: expect.any(Number),
    position: expect.any(Number),
  });
});

test('late samples go with the next regular cut; of two values at one time the first stays', async () => {
  await opened.write('a', hours(0, 3.2));
  await looks(2);
  await opened.write('a', hours(0, 1, 2));
  await opened.write('a', hours(-3, -2.5));
  await looks(5);
  expect(cuts()).toEqual([{ tenant: 'a', hour: 0, samples: 12 }]);
  await opened.write('a', hours(3.2, 5.2));
  await looks(3);
  expect(cuts().slice(1)).toEqual([
    { tenant: 'a', hour: -4, samples: 3 },
    { tenant: 'a', hour: 0, samples: 6 },
    { tenant: 'a', hour: 2, samples: 12 },
  ]);
  expect(await opened.samples('a')).toEqual([]); // The series has an external label more.
  const [list] = (await opened.answer('a')).values();
  expect(list?.timestamps.length).toBe(3 + 31);
  expect(new Set(list?.bits)).toEqual(new Set(withBits([[0, 1]]).map(([, bits]) => bits)));
});

test('a sender that is back after six hours makes one late block a window and flush', async () => {
  await opened.write('a', hours(0, 6.2));
  await looks(4);
  expect(cuts().map(({ hour }) => hour)).toEqual([0, 2]);
  // It catches up in order, across windows that are blocks already and others that are not, while its neighbour goes on.
  for (let hour = 0; hour < 6; hour += 0.5) {
    await opened.write('a', hours(hour, hour + 0.5), 'back');
    await looks(1);
  }
  await opened.write('a', hours(6.2, 7.2));
  await looks(6);
  expect(cuts().slice(2)).toEqual([
    { tenant: 'a', hour: 0, samples: 12 },
    { tenant: 'a', hour: 2, samples: 12 },
    { tenant: 'a', hour: 4, samples: 24 },
  ]);
});

test('a tenant that fell silent is cut whole, one that writes is not', async () => {
  await opened.write('silent', hours(0, 0.5));
  await opened.write('silent', hours(-9, -8.5));
  await opened.write('busy', hours(0, 0.5));
  machine.clock.advance(2 * HOUR_MS);
  await opened.write('busy', hours(0.5, 1));
  machine.clock.advance(HOUR_MS);
  await looks(5);
  expect(cuts()).toEqual([
    { tenant: 'silent', hour: -10, samples: 3 },
    { tenant: 'silent', hour: 0, samples: 3 },
  ]);
  await opened.write('silent', hours(0.5, 1));
  await looks(5);
  expect(cuts().length).toBe(2);
});

test('a cut that fails is tried again later and later; the other tenants are cut meanwhile', async () => {
  for (const tenant of ['a', 'b', 'c']) await opened.write(tenant, hours(0, 3.2));
  machine.fileSystem.breakAt({ at: 1, code: 'EIO', calls: ['makeDirectory'] });
  await looks(1);
  await machine.turns(200);
  expect(cuts().map(({ tenant }) => tenant)).toEqual(['b', 'c']);
  expect(opened.events.filter(({ kind }) => kind === 'retry')).toEqual([
    { kind: 'retry', what: 'cut', message: expect.stringMatching(/^tenant a: EIO/) },
  ]);
  machine.fileSystem.breakAt({ at: 1, code: 'EIO', calls: ['makeDirectory'] });
  await looks(8);
  expect([cuts().length, opened.count('retry')]).toEqual([2, 2]);
  await looks(5);
  expect(cuts().length).toBe(2);
  await looks(6);
  expect(cuts().map(({ tenant }) => tenant)).toEqual(['b', 'c', 'a']);
});

test('when all tenants fail, one line says so', async () => {
  for (const tenant of ['a', 'b', 'c']) await opened.write(tenant, hours(0, 3.2));
  machine.fileSystem.breakAt({ at: 1, code: 'ENOSPC', calls: ['makeDirectory'], sticky: true });
  await looks(2);
  expect(opened.events.filter(({ kind }) => kind === 'retry')).toEqual([
    { kind: 'retry', what: 'cut', message: expect.stringMatching(/^tenant a: ENOSPC.* \(and 2 more\)$/) },
  ]);
});

test('a query that takes long holds back its cut’s end, and no answer', async () => {
  await opened.write('a', hours(0, 3.2));
  const { id } = opened.database.snapshot('a', ALWAYS);
  await looks(3);
  expect(cuts().length).toBe(1);
  const { headBytes } = opened.database.stats();
  await opened.write('a', hours(3.2, 5.2));
  await looks(3);
  expect(cuts().length).toBe(1);
  opened.database.release(id);
  await looks(3);
  expect(cuts().length).toBe(2);
  expect(opened.database.stats().headBytes).toBeLessThanOrEqual(headBytes);
});

test('a head at its memory budget is cut whole, so that writes are accepted again', async () => {
  await opened.database.close();
  machine = new SimMachine(new SimFileSystem(), START_MS + 100 * HOUR_MS, seededChance(4));
  opened = await OpenedDatabase.open(machine, { memoryBudgetBytes: 8 * 1024 * 1024 });
  const noise = (at: number): PlainSample[] =>
    Array.from({ length: 2000 }, (_, i) => [START_MS + at * 2000 + i, Math.sin(at * 2000 + i)]);
  let full: unknown;
  for (let at = 0; full === undefined && at < 400; at++) {
    full = await opened.write('a', noise(at), at % 50).then(
      () => undefined,
      (error: unknown) => error,
    );
  }
  expect(full).toMatchObject({ kind: 'unavailable', message: expect.stringContaining('--head.memory-budget') });
  await looks(3);
  expect(cuts().length).toBeGreaterThan(0);
  expect(await opened.write('a', noise(500), 7)).toMatchObject({ stored: 2000, rejected: 0 });
});

test('tenants that write are cut before the many that are silent', async () => {
  for (let i = 0; i < 70; i++) await opened.write(`silent-${i}`, hours(0, 0.5));
  machine.clock.advance(3 * HOUR_MS - 1500);
  await opened.write('writing', hours(0, 3.2));
  for (let i = 0; cuts().length < 71 && i < 50; i++) await looks(1);
  expect(cuts().length).toBe(71);
  expect(cuts()[0]?.tenant).toBe('writing');
});

test('with a bucket, for which blocks leave this disk, the header of the index is kept when one is cut', async () => {
  await opened.database.close();
  opened = await OpenedDatabase.open(machine, { directory: '/other', bucket: watchedLocation('/far') });
  await opened.write('a', hours(0, 3.2));
  await looks(2);
  const [place] = opened.database.snapshot('a', ALWAYS).blocks;
  const bytesOf = (path: string): Uint8Array => {
    const file = machine.fileSystem.open(path, 'read');
    const bytes = new Uint8Array(file.size());
    file.read(bytes, 0);
    file.close();
    return bytes;
  };
  const index = new WholeIndex('index', bytesOf(`${place?.localDirectory}/index`));
  expect(bytesOf(`/other/index-headers/${place?.meta.ulid}`)).toEqual(index.headerFile);
});
