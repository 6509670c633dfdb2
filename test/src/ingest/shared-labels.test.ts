import { uncompressSync } from 'snappy';
import { expect, test } from 'vitest';
import { inBoth, sharedLabels } from '../../../src/ingest/shared-labels.ts';
import { writeRequest } from '../../support/remote-write.ts';

function messageOf(labelSets: readonly Readonly<Record<string, string>>[]): Uint8Array {
  const series = labelSets.map((labels) => ({ labels: Object.entries(labels), samples: [[1, 1]] as const }));
  return uncompressSync(writeRequest(series)) as Buffer;
}

test('the labels that every series has with the same value, but not the name of the metric', () => {
  const sets = Array.from({ length: 1000 }, (_, i) => ({
    __name__: 'up',
    cluster: 'eu',
    job: `job ${i % 7}`,
    replica: 'a',
  }));
  expect(sharedLabels(messageOf(sets))).toEqual(
    new Map([
      ['cluster', 'eu'],
      ['replica', 'a'],
    ]),
  );
});

test('a request without series says nothing, and one series without labels says that there are none', () => {
  expect(sharedLabels(messageOf([]))).toBeUndefined();
  expect(sharedLabels(messageOf([{ __name__: 'up', a: 'b' }, { __name__: 'up' }]))).toEqual(new Map());
});

test('two requests have in common what both have', () => {
  const first = new Map([
    ['a', '1'],
    ['b', '2'],
  ]);
  expect(inBoth(undefined, first)).toEqual(first);
  expect(
    inBoth(
      first,
      new Map([
        ['a', '1'],
        ['b', '3'],
        ['c', '4'],
      ]),
    ),
  ).toEqual(new Map([['a', '1']]));
});
