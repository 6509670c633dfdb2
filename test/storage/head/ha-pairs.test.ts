/** HA pairs on the way through the whole engine: who is elected, what is stored of whom, and what a switch brings. */
import { beforeEach, describe, expect, test } from 'vitest';
import { HeadView } from '../../../storage/head/head-view.ts';
import { type DatabaseOptions, defaultTenantLimits, type HaLabels, type WriteOutcome } from '../../../storage/index.ts';
import * as L from '../../../storage/kernel/layout.ts';
import { ALWAYS } from '../../support/database-answers.ts';
import { OpenedDatabase } from '../../support/opened-database.ts';
import { type WrittenSeries, writeRequest } from '../../support/remote-write.ts';
import { writeRequestV2 } from '../../support/remote-write-v2.ts';
import { Seeded } from '../../support/seeded.ts';
import type { LabelPairs } from '../../support/series.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';
import { SimMachine } from '../../support/sim-machine.ts';

const NOW_MS = 1_763_625_600_000;
const ha: HaLabels = { replica: 'replica', clusters: ['cluster', 'prometheus'] };
const SCRAPE_MS = 15_000;

describe.each(['v1', 'v2'] as const)('remote write %s', (protocol) => {
  // Whose samples of 2.0 are is known when they are applied: a request that causes a switch is kept, and then stored.
  const comesFirst = protocol === 'v1';
  let disk: SimFileSystem;
  let machine: SimMachine;
  let opened: OpenedDatabase;

  beforeEach(async () => {
    disk = new SimFileSystem();
    machine = new SimMachine(disk, NOW_MS, seededChance(1));
    opened = await OpenedDatabase.open(machine, { ha });
  });

  async function restart(options: Partial<DatabaseOptions> = { ha }): Promise<void> {
    await opened.database.close();
    opened = await OpenedDatabase.open(machine, options);
  }

  /** The power fails and comes back. */
  async function crash(): Promise<void> {
    const nowMs = machine.clock.nowMs();
    const chance = seededChance(2);
    machine.stop();
    disk.crash(chance);
    machine = new SimMachine(disk, nowMs, chance);
    opened = await OpenedDatabase.open(machine, { ha });
  }

  /** A sample of now of each series from one replica. */
  async function send(replica: string, names: readonly string[] = ['m'], cluster = 'c'): Promise<WriteOutcome> {
    return await sendAs({ cluster, replica }, names);
  }

  async function sendAs(own: Readonly<Record<string, string>>, names: readonly string[]): Promise<WriteOutcome> {
    const series = names.map((name) => ({
      labels: [['__name__', name], ...Object.entries(own)].sort() as unknown as LabelPairs,
      samples: [[machine.clock.nowMs(), 1]] as const,
    }));
    return await write('t', series);
  }

  function write(tenant: string, series: readonly WrittenSeries[]): Promise<WriteOutcome> {
    const body = protocol === 'v1' ? writeRequest(series) : writeRequestV2(series);
    return opened.database.write(tenant, body, { protocol });
  }

  /** The times of a series of the cluster `c`, from the start, in seconds. */
  async function seconds(name = 'm', labels = `{__name__="${name}", cluster="c"}`): Promise<number[]> {
    const list = (await opened.answer('t')).get(labels);
    return Array.from(list?.timestamps ?? [], (timestampMs) => (timestampMs - NOW_MS) / 1000);
  }

  function elected(): string | undefined {
    return opened.database.haStatus()[0]?.elected;
  }

  test('the replica that comes first is stored without its label, the other one is a success that stores nothing', async () => {
    for (let i = 0; i < 4; i++) {
      expect(await send('a')).toMatchObject({ received: 1, stored: 1, dropped: { ha: 0, shadow: 0 } });
      machine.clock.advance(5000);
      expect(await send('b')).toMatchObject({ received: 1, stored: 0, rejected: 0, dropped: { ha: 0, shadow: 1 } });
      machine.clock.advance(10_000);
    }
    expect([...(await opened.answer('t')).keys()]).toEqual(['{__name__="m", cluster="c"}']);
    expect(await seconds()).toEqual([0, 15, 30, 45]);
    expect(opened.database.haStatus()).toMatchObject([
      {
        tenant: 't',
        labels: ['cluster', 'c'],
        elected: 'a',
        sinceMs: NOW_MS,
        replicas: [
          { name: 'a', seenMs: NOW_MS + 45_000, intervalMs: 15_000 },
          { name: 'b', seenMs: NOW_MS + 50_000, intervalMs: 15_000 },
        ],
      },
    ]);
  });

  test('when the elected one falls silent the other one takes its place, and what it sent meanwhile fills the gap', async () => {
    for (let second = 0; second <= 120; second += 15) {
      if (second <= 30) await send('a', ['m', 'n']);
      machine.clock.advance(5000);
      await send('b', ['m', 'n']);
      machine.clock.advance(10_000);
    }
    expect(elected()).toBe('b');
    // b was elected with its scrape at 80 s, when a had been silent for more than 3 × 15 s; all scrapes of b from a's last one on are there.
    expect(await seconds('m')).toEqual([0, 15, 30, 35, 50, 65, 80, 95, 110, 125]);
    expect(await seconds('n')).toEqual(await seconds('m'));
    const { haSwitches, haShadowStored, haShadowDiscarded, haShadowSamples } = opened.database.stats();
    expect({ haSwitches, haShadowStored, haShadowDiscarded, haShadowSamples }).toEqual({
      haSwitches: 1,
      haShadowStored: comesFirst ? 6 : 8,
      haShadowDiscarded: 4,
      haShadowSamples: 0,
    });
    expect(opened.events).toContainEqual({
      kind: 'ha-elected',
      tenant: 't',
      cluster: '{cluster="c"}',
      replica: 'b',
      previous: 'a',
    });
  });

  test('a filled gap goes to the chunks in order', async () => {
    await send('a');
    for (let i = 0; i < 4; i++) {
      machine.clock.advance(SCRAPE_MS);
      await send('b');
    }
    expect(await seconds()).toEqual([0, 15, 30, 45, 60]);
    const view = new HeadView(opened.database.readerInit().memory, 1);
    const { handle } = opened.database.snapshot('t', ALWAYS);
    expect(Array.from(view.list(handle + L.TENANT_ROWS), (row) => view.memory.word(row + L.ROW_LATE))).toEqual([0]);
    expect(opened.database.stats().samplesStored).toBe(comesFirst ? 3 : 2);
  });

  test('the one that comes back is the loser then', async () => {
    await send('a');
    machine.clock.advance(31_000);
    await send('b');
    expect(elected()).toBe('b');
    expect(await send('a')).toMatchObject({ stored: 0, dropped: { shadow: 1 } });
    expect(elected()).toBe('b');
  });

  test('who sends rarely is waited for longer', async () => {
    for (let i = 0; i < 4; i++) {
      await send('a');
      machine.clock.advance(20_000);
      await send('b');
      machine.clock.advance(40_000);
    }
    machine.clock.advance(110_000);
    await send('b');
    expect(elected()).toBe('a');
    machine.clock.advance(15_000);
    await send('b');
    expect(elected()).toBe('b');
  });

  test('an outage of the elected replica is not taken for its interval', async () => {
    for (let i = 0; i < 5; i++) {
      await send('a');
      machine.clock.advance(SCRAPE_MS);
    }
    machine.clock.advance(600_000);
    await send('a');
    machine.clock.advance(46_000);
    await send('b');
    expect(elected()).toBe('b');
  });

  test('series without the labels are stored as they are', async () => {
    for (const own of [{ cluster: 'c' }, { replica: 'a' }, {}, { replica: 'b' }]) {
      expect(await sendAs(own, ['m'])).toMatchObject({ stored: 1 });
    }
    expect([...(await opened.answer('t')).keys()].sort()).toEqual([
      '{__name__="m", cluster="c"}',
      '{__name__="m", replica="a"}',
      '{__name__="m", replica="b"}',
      '{__name__="m"}',
    ]);
    expect(opened.database.haStatus()).toEqual([]);
  });

  test('clusters are apart, told by all of the cluster labels, and so are tenants', async () => {
    await sendAs({ cluster: 'c', prometheus: 'x', replica: 'a' }, ['m']);
    expect(await sendAs({ cluster: 'c', prometheus: 'y', replica: 'b' }, ['m'])).toMatchObject({ stored: 1 });
    expect(await sendAs({ cluster: 'c', prometheus: 'x', replica: 'b' }, ['m'])).toMatchObject({ stored: 0 });
    const body: WrittenSeries[] = [
      {
        labels: [
          ['__name__', 'm'],
          ['cluster', 'c'],
          ['prometheus', 'x'],
          ['replica', 'b'],
        ],
        samples: [[NOW_MS, 1]],
      },
    ];
    expect(await write('other', body)).toMatchObject({ stored: 1 });
    expect(opened.database.haStatus()).toHaveLength(3);
  });

  test('a request of several replicas stores those that are elected', async () => {
    await send('a');
    await send('x', ['m'], 'd');
    machine.clock.advance(1000);
    const nowMs = machine.clock.nowMs();
    const from = (cluster: string, replica: string, name: string) => ({
      labels: [
        ['__name__', name],
        ['cluster', cluster],
        ['replica', replica],
      ] as const,
      samples: [[nowMs, 1]] as const,
    });
    const body: WrittenSeries[] = [from('c', 'a', 'm'), from('c', 'b', 'm'), from('d', 'y', 'm'), from('d', 'x', 'm')];
    expect(await write('t', body)).toMatchObject({ received: 4, stored: 2, dropped: { shadow: 2 } });
    expect(await write('t', body)).toMatchObject({
      received: 4,
      duplicates: 2,
      dropped: { shadow: 2 },
    });
  });

  test.each([
    ['a clean stop', restart],
    ['a crash', crash],
  ])('an election survives %s, and its replica is waited for', async (_, again) => {
    await send('a');
    machine.clock.advance(31_000);
    await send('b');
    machine.clock.advance(10_000);
    await send('b');
    await again();
    expect(elected()).toBe('b');
    expect(await send('a')).toMatchObject({ stored: 0, dropped: { shadow: 1 } });
    machine.clock.advance(25_000);
    expect(await send('a')).toMatchObject({ stored: 0 });
    machine.clock.advance(10_000);
    // Since the start b was silent for 35 s: what a sent meanwhile is stored before.
    expect(await send('a')).toMatchObject({ stored: comesFirst ? 1 : 0 });
    expect(elected()).toBe('a');
    expect((await seconds()).slice(-3)).toEqual([41, 66, 76]);
  });

  test('an election survives the checkpoint that frees its segment', async () => {
    await send('a');
    const wide = Array.from({ length: 300 }, (_, i) => `wide_${i}_${'x'.repeat(50)}`);
    for (let i = 0; i < 30; i++) {
      machine.clock.advance(600_000);
      await send('a', wide);
    }
    await machine.until('a checkpoint', () => opened.count('checkpoint') > 0);
    await crash();
    expect(elected()).toBe('a');
  });

  test('without the flags, elections in the log mean nothing', async () => {
    await send('a');
    await restart({});
    expect(await send('b')).toMatchObject({ stored: 1 });
    expect(opened.database.haStatus()).toEqual([]);
  });

  test('series that only a loser has are counted once a minute and reported once, until they have gone', async () => {
    const minute = async (ofB: readonly string[]): Promise<void> => {
      for (let i = 0; i < 4; i++) {
        await send('a', ['m']);
        await send('b', ofB);
        machine.clock.advance(SCRAPE_MS);
      }
    };
    const missing = (): number => opened.database.stats().haMissingSeries;
    const reports = (): number => opened.count('ha-missing-series');
    // A series that the loser has before the leader is no shard's.
    await minute(['m', 'new']);
    expect([missing(), reports()]).toEqual([0, 0]);
    await send('a', ['new']);
    await minute(['m', 'new']);
    expect([missing(), reports()]).toEqual([0, 0]);
    await minute(['m', 'x', 'y']);
    await minute(['m', 'x', 'y']);
    expect([missing(), reports()]).toEqual([2, 1]);
    await minute(['m', 'x', 'y']);
    expect([missing(), reports()]).toEqual([2, 1]);
    await minute(['m']);
    expect([missing(), reports()]).toEqual([0, 1]);
    expect(opened.database.stats().headSeries).toBe(2);
  });

  test('a loser that is elected has series that the leader never had', async () => {
    await send('a', ['m']);
    for (let i = 0; i < 4; i++) {
      machine.clock.advance(SCRAPE_MS);
      await send('b', ['m', 'own']);
    }
    expect(await seconds('own')).toEqual([15, 30, 45, 60]);
  });

  test('what is kept of losers stays in its budget, and all of it is accounted for', async () => {
    // A sixteenth of 64 MiB; each request of the loser has some 80 kB.
    const noise = new Seeded(1);
    const names = Array.from({ length: 100 }, () => Buffer.from(noise.bytes(600)).toString('base64'));
    let received = 0;
    let dropped = 0;
    for (let i = 0; i < 80; i++) {
      machine.clock.advance(1);
      await send('a', ['m']);
      const outcome = await send('b', names);
      received += outcome.received;
      dropped += outcome.dropped.shadow + outcome.dropped.ha;
    }
    expect(dropped).toBe(received);
    const { haShadowBytes, haShadowSamples, haShadowStored, haShadowDiscarded } = opened.database.stats();
    expect(haShadowBytes).toBeLessThanOrEqual(4 * 1024 * 1024);
    expect(haShadowDiscarded).toBeGreaterThan(0);
    expect(haShadowSamples + haShadowStored + haShadowDiscarded).toBe(received);
  });

  test('what the leader has sent too is not kept', async () => {
    for (let i = 0; i < 40; i++) {
      await send('a');
      await send('b');
      machine.clock.advance(SCRAPE_MS);
    }
    expect(opened.database.stats().haShadowSamples).toBeLessThan(8);
  });

  test('a pair is held to a rate as one sender is: what is dropped of the other one is not charged', async () => {
    opened.database.setLimits(() => ({ ...defaultTenantLimits, samplesPerSecond: 100 }));
    const names = Array.from({ length: 400 }, (_, i) => `m${i}`);
    // Those of ten seconds may come at once: 1000.
    for (const replica of ['a', 'b', 'a', 'b', 'a']) await send(replica, names);
    await expect(send('a', names)).rejects.toMatchObject({ kind: 'rate', samples: 400 });
    machine.clock.advance(3000);
    expect(await send('a', names)).toMatchObject({ stored: 400 });
  });
});
