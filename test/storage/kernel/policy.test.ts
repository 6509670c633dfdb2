/** What the kernel makes of a policy's answers and of elections, against a model in plain maps. */
import { expect, test } from 'vitest';
import { instantiate } from '../../../storage/kernel/instance.ts';
import type { Admission } from '../../../storage/kernel/kernel.ts';
import * as L from '../../../storage/kernel/layout.ts';
import type { Labels } from '../../../storage/model/labels.ts';
import { type WrittenSeries, writeRequest } from '../../support/remote-write.ts';
import { writeRequestV2 } from '../../support/remote-write-v2.ts';
import { Seeded } from '../../support/seeded.ts';
import { START_MS, TestHead } from './test-head.ts';

const LATEST_MS = START_MS + 3_600_000;
const REPLICAS = 3;

/** Drops a third of the series, lets some become others, and takes the replica off; otherwise in each generation. */
function storedAs(labels: Labels, generation: number): Labels | undefined {
  const i = Number(labels[labels.indexOf('i') + 1]);
  const turn = (i + generation) % 3;
  if (turn === 0) return undefined;
  const kept = labels.filter((_, at) => labels[at - (at % 2)] !== 'replica');
  return turn === 1 ? kept : kept.map((text, at) => (at % 2 === 1 && kept[at - 1] === 'i' ? String(i % 5) : text));
}

function replicaOf(labels: Labels): number {
  return labels.includes('replica') ? Number(labels[labels.indexOf('replica') + 1]) : -1;
}

test('verdicts by alias are those of a model that asks for every sample', () => {
  const random = new Seeded(11);
  let generation = 1;
  let asked = 0;
  const replicas: number[] = [];
  const admit = (labels: Labels): Admission => {
    asked++;
    return { labels: storedAs(labels, generation), replica: replicas[replicaOf(labels)] ?? 0 };
  };
  const head = new TestHead({ admit });
  for (let i = 0; i < REPLICAS; i++) replicas.push(head.kernel.makeReplica());
  let elected = 0;
  const elect = (index: number): void => {
    elected = index;
    for (const [i, at] of replicas.entries()) head.kernel.memory.setWord(at + L.REPLICA_ELECTED, i === index ? 1 : 0);
  };
  elect(0);

  const model = new Map<string, Map<number, number>>();
  let samples = 0;
  for (let round = 0; round < 300; round++) {
    if (random.chance(0.05)) generation++;
    if (random.chance(0.1)) elect(random.below(REPLICAS));
    const expected = { stored: 0, duplicates: 0, conflicts: 0, droppedRelabel: 0, droppedHa: 0 };
    const series: WrittenSeries[] = Array.from({ length: random.between(1, 30) }, () => {
      const pairs: [string, string][] = [
        ['__name__', 'm'],
        ['i', String(random.below(40))],
      ];
      if (random.chance(0.6)) pairs.push(['replica', String(random.below(REPLICAS))]);
      const [timeMs, value] = [START_MS + random.below(200) * 1000, random.below(3)];
      const labels = pairs.flat();
      const stored = storedAs(labels, generation);
      const replica = replicaOf(labels);
      if (stored === undefined) expected.droppedRelabel++;
      else if (replica >= 0 && replica !== elected) expected.droppedHa++;
      else {
        const key = JSON.stringify(Array.from({ length: stored.length / 2 }, (_, i) => stored.slice(2 * i, 2 * i + 2)));
        const times = model.get(key) ?? new Map<number, number>();
        model.set(key, times);
        const before = times.get(timeMs);
        if (before === undefined) {
          times.set(timeMs, value);
          expected.stored++;
        } else if (before === value) expected.duplicates++;
        else expected.conflicts++;
      }
      samples++;
      return { labels: random.chance(0.3) ? [...pairs].reverse() : pairs, samples: [[timeMs, value]] };
    });
    const protocol = random.chance(0.4) ? 'v2' : 'v1';
    head.kernel.setPolicyGeneration(generation);
    head.kernel.receive(head.tenant, protocol === 'v1' ? writeRequest(series) : writeRequestV2(series), { protocol });
    const before = head.kernel.meetReplicas();
    expect(head.kernel.apply(head.tenant, LATEST_MS)).toBe(L.APPLIED);
    head.takeLog();
    expect(head.kernel.outcome(), `round ${round}`).toMatchObject({
      ...expected,
      received: series.length,
      rejected: [],
    });
    // Dropped series are met, too: their replica lives.
    const met = head.kernel.metReplicas;
    expect(met.slice(0, before.length)).toEqual(before);
    const sent = series.flatMap(({ labels }) => replicas[replicaOf(labels.flat())] ?? []);
    expect(new Set(met)).toEqual(new Set(sent));
    expect(met).toHaveLength(new Set(sent).size);
  }
  const content = head.content();
  expect(new Map([...content].map(([key, shown]) => [key, [...shown.keys()].sort()]))).toEqual(
    new Map([...model].map(([key, times]) => [key, [...times.keys()].sort()])),
  );
  // 160 spellings of 40 series, in either order, are asked about once in a generation, and losers' once more at most.
  expect(asked).toBeLessThan(Math.min(samples / 2, 2 * 320 * generation));
});

test('a gap is filled with what one replica sent, behind what each series has', () => {
  const replicas: number[] = [];
  const head = new TestHead({
    admit: (labels) => ({ labels: storedAs(labels, 1), replica: replicas[replicaOf(labels)] ?? 0 }),
  });
  for (let i = 0; i < 2; i++) replicas.push(head.kernel.makeReplica());
  const elect = (index: number): void => {
    for (const [i, at] of replicas.entries()) head.kernel.memory.setWord(at + L.REPLICA_ELECTED, i === index ? 1 : 0);
  };
  const send = (replica: number, ...seconds: number[]): Buffer<ArrayBuffer> =>
    writeRequest(
      ['3', '6'].map((i) => ({
        labels: [
          ['__name__', 'm'],
          ['i', i],
          ['replica', String(replica)],
        ] as const,
        samples: seconds.map((second) => [START_MS + second * 1000, replica] as const),
      })),
    );
  head.kernel.setPolicyGeneration(1);
  elect(0);
  expect(head.write(send(0, 0, 10), LATEST_MS).outcome).toMatchObject({ stored: 4 });
  expect(head.write(send(1, 5, 15), LATEST_MS).outcome).toMatchObject({ stored: 0, droppedHa: 4 });
  elect(1);
  head.kernel.fillFrom(replicas[1] as number);
  expect(head.write(send(0, 20), LATEST_MS).outcome).toMatchObject({ received: 0 });
  const { outcome } = head.write(send(1, 5, 15), LATEST_MS);
  expect(outcome).toMatchObject({ stored: 2, rejected: [{ reason: L.REJECT_NOT_NEEDED, samples: 2 }] });
  head.kernel.fillFrom(0);
  expect(head.write(send(1, 12), LATEST_MS).outcome).toMatchObject({ stored: 2 });
  const times = [...head.content().values()].map((shown) => [...shown.keys()].map((time) => (time - START_MS) / 1000));
  expect(times.map((seconds) => seconds.sort((a, b) => a - b))).toEqual([
    [0, 10, 12, 15],
    [0, 10, 12, 15],
  ]);
});

test('only the instance that writes knows the policy: another one traps when it is asked to write', () => {
  const head = new TestHead({ admit: (labels) => ({ labels, replica: 0 }) });
  head.kernel.setPolicyGeneration(1);
  const other = instantiate(head.kernel.memory.memory);
  head.kernel.receive(head.tenant, writeRequest([{ labels: [['__name__', 'm']], samples: [[START_MS, 1]] }]));
  expect(() => other.apply(head.tenant, BigInt(LATEST_MS))).toThrow('a policy that it was not given');
});
