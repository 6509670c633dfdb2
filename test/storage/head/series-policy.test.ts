/** What a policy makes of series, on the way through the whole engine. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { SeriesPolicy, WriteOutcome } from '../../../storage/index.ts';
import type { Labels } from '../../../storage/model/labels.ts';
import { OpenedDatabase } from '../../support/opened-database.ts';
import { type WrittenSeries, writeRequest } from '../../support/remote-write.ts';
import { writeRequestV2 } from '../../support/remote-write-v2.ts';
import type { LabelPairs } from '../../support/series.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';
import { SimMachine } from '../../support/sim-machine.ts';

const NOW_MS = 1_763_625_600_000;

/** Answers by the label `a`: `drop`, `empty`, `long`, `nameless`, `move` (to {a="moved"}); others stay. */
class TestPolicy implements SeriesPolicy {
  generation = 1;
  asked = 0;
  moved = 'moved';

  admit(tenant: string, labels: Labels): Labels | undefined {
    this.asked++;
    switch (labels[labels.indexOf('a') + 1]) {
      case 'drop':
        return undefined;
      case 'empty':
        return [];
      case 'long':
        return ['__name__', 'm', 'a', 'x'.repeat(600_000)];
      case 'wide':
        return ['__name__', 'm', 'a', 'x'.repeat(20_000)];
      case 'nameless':
        return ['a', 'b'];
      case 'move':
        return ['__name__', 'm', 'a', this.moved, 'tenant', tenant];
      default:
        return labels;
    }
  }
}

describe.each(['v1', 'v2'] as const)('remote write %s', (protocol) => {
  let machine: SimMachine;
  let policy: TestPolicy;

  beforeEach(() => {
    machine = new SimMachine(new SimFileSystem(), NOW_MS, seededChance(1));
    policy = new TestPolicy();
  });

  function labelsOf(a: string, order: 'sorted' | 'unsorted' = 'sorted'): LabelPairs {
    const pairs: LabelPairs = [
      ['__name__', 'm'],
      ['a', a],
    ];
    return order === 'sorted' ? pairs : [...pairs].reverse();
  }

  async function write(opened: OpenedDatabase, timestampMs: number, ...values: string[]): Promise<WriteOutcome> {
    const series = values.map((a) => ({ labels: labelsOf(a), samples: [[timestampMs, 1]] as const }));
    return await send(opened, series);
  }

  function send(opened: OpenedDatabase, series: readonly WrittenSeries[]): Promise<WriteOutcome> {
    const body = protocol === 'v1' ? writeRequest(series) : writeRequestV2(series);
    return opened.database.write('t', body, { protocol });
  }

  async function stored(opened: OpenedDatabase): Promise<Record<string, number>> {
    const answer = await opened.answer('t');
    return Object.fromEntries([...answer].map(([labels, { timestamps }]) => [labels, timestamps.length]));
  }

  test('series are stored as the policy says, and each is asked about once', async () => {
    const opened = await OpenedDatabase.open(machine, { policy });
    for (let i = 0; i < 5; i++) {
      const outcome = await write(opened, NOW_MS + i, 'stay', 'drop', 'move', 'empty');
      expect(outcome).toMatchObject({ received: 4, stored: 2, rejected: 0, dropped: { relabel: 2, ha: 0, shadow: 0 } });
    }
    expect(policy.asked).toBe(4);
    expect(await stored(opened)).toEqual({ '{__name__="m", a="stay"}': 5, '{__name__="m", a="moved", tenant="t"}': 5 });
  });

  test('a series that becomes another one is that one', async () => {
    const opened = await OpenedDatabase.open(machine, { policy });
    policy.moved = 'stay';
    await write(opened, NOW_MS, 'move');
    const body: WrittenSeries[] = [
      { labels: [...labelsOf('stay'), ['tenant', 't']], samples: [[NOW_MS, 1]] },
      { labels: [...labelsOf('stay'), ['tenant', 't']], samples: [[NOW_MS + 1, 1]] },
    ];
    expect(await send(opened, body)).toMatchObject({ stored: 1, duplicates: 1, newSeries: 0 });
  });

  test('labels that come in another order, or in parts, are asked about too', async () => {
    const opened = await OpenedDatabase.open(machine, { policy });
    const body = ['drop', 'move'].map((a) => ({ labels: labelsOf(a, 'unsorted'), samples: [[NOW_MS, 1]] as const }));
    expect(await send(opened, body)).toMatchObject({ stored: 1, dropped: { relabel: 1 } });
  });

  test('a policy that has changed is asked again, for known series too', async () => {
    const opened = await OpenedDatabase.open(machine, { policy });
    await write(opened, NOW_MS, 'stay', 'drop', 'move');
    policy.moved = 'elsewhere';
    await write(opened, NOW_MS + 1, 'stay', 'drop', 'move');
    expect(policy.asked).toBe(3);
    policy.generation++;
    await write(opened, NOW_MS + 2, 'stay', 'drop', 'move');
    expect(policy.asked).toBe(6);
    expect(await stored(opened)).toEqual({
      '{__name__="m", a="stay"}': 3,
      '{__name__="m", a="moved", tenant="t"}': 2,
      '{__name__="m", a="elsewhere", tenant="t"}': 1,
    });
  });

  test.each([
    ['nameless', 'missing-name'],
    ['wide', 'label-value-too-long'],
    ['long', 'series-too-long'],
  ])('%s labels out of the policy are refused, as often as they come', async (a, reason) => {
    const opened = await OpenedDatabase.open(machine, { policy });
    for (let i = 0; i < 2; i++) {
      const outcome = await write(opened, NOW_MS + i, a, 'stay');
      expect(outcome).toMatchObject({ stored: 1, rejected: 1 });
      expect(outcome.message).toContain(`after relabelling: ${reason} {__name__="m", a="${a}"}`);
      expect([...outcome.rejectedBy]).toEqual([['relabelled', 1]]);
    }
  });

  test('after a restart stored series are not asked about, sent ones are', async () => {
    const first = await OpenedDatabase.open(machine, { policy });
    await write(first, NOW_MS, 'move');
    await first.database.close();
    policy.asked = 0;
    const second = await OpenedDatabase.open(machine, { policy });
    expect([policy.asked, await stored(second)]).toEqual([0, { '{__name__="m", a="moved", tenant="t"}': 1 }]);
    expect(await write(second, NOW_MS + 1, 'move')).toMatchObject({ stored: 1, newSeries: 0 });
    expect(policy.asked).toBe(1);
  });

  test('far more series may be dropped than are kept, and each is asked about once', async () => {
    const names = Array.from({ length: 5000 }, (_, i) => `v${i}`);
    const admit = (): undefined => {
      policy.asked++;
    };
    const opened = await OpenedDatabase.open(machine, { policy: { generation: 1, admit } });
    for (let i = 0; i < 3; i++) {
      expect(await write(opened, NOW_MS + i, ...names)).toMatchObject({ stored: 0, dropped: { relabel: 5000 } });
    }
    expect(policy.asked).toBe(5000);
  });
});
