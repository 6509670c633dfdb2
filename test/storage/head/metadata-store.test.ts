import { expect, test } from 'vitest';
import { MetadataStore } from '../../../storage/head/metadata-store.ts';
import type { ToldMetadata } from '../../../storage/kernel/kernel.ts';
import * as L from '../../../storage/kernel/layout.ts';

function told(name: string, type: number, help: string | Uint8Array = '', unit = ''): ToldMetadata {
  return { name: Buffer.from(name), type, help: Buffer.from(help), unit: Buffer.from(unit) };
}

function textOf(record: Uint8Array | undefined): string {
  expect(record?.[0]).toBe(L.RECORD_METADATA);
  return Buffer.from(record?.subarray(1) ?? []).toString();
}

test('what is new is kept and goes to the log, what is known does neither', () => {
  const store = new MetadataStore();
  const [record, ...more] = store.add(
    'a',
    [told('up', 2, 'Whether it is up.'), told('up', 2, 'Whether it is up.')],
    false,
  );
  expect(more).toEqual([]);
  expect(textOf(record)).toBe(
    '{"tenant":"a","metadata":[{"family":"up","type":"gauge","help":"Whether it is up.","unit":""}]}',
  );
  expect(store.add('a', [told('up', 2, 'Whether it is up.')], true)).toEqual([]);
  expect(store.add('b', [told('up', 2, 'Whether it is up.')], true).length).toBe(1);
  expect(store.of('a')).toEqual([{ family: 'up', type: 'gauge', help: 'Whether it is up.', unit: '' }]);
  expect(store.of('nobody')).toEqual([]);
});

test.each([
  [3, 'h_bucket', 'h'],
  [3, 'h_count', 'h'],
  [3, 'h_sum', 'h'],
  [3, 'native', 'native'],
  [4, 'g_gsum', 'g'],
  [5, 's_sum', 's'],
  [5, 's_bucket', 's_bucket'],
  [1, 'c_total', 'c_total'],
  [1, 'things_count', 'things_count'],
  [250, 'x_sum', 'x_sum'],
])('of type %i, the series %s describes the family %s; a family is what it says it is', (type, name, family) => {
  const store = new MetadataStore();
  store.add('series', [told(name, type)], true);
  store.add('family', [told(name, type)], false);
  expect([...store.families('series').keys()]).toEqual([family]);
  expect([...store.families('family').keys()]).toEqual([name]);
});

test('types have the names of Prometheus, and one that nobody knows is unknown', () => {
  const store = new MetadataStore();
  for (let type = 0; type < 9; type++) store.add('t', [told(`m${type}`, type)], false);
  store.add('t', [told('m250', 250)], false);
  expect(store.of('t').map(({ type }) => type)).toEqual([
    'unknown',
    'counter',
    'gauge',
    'histogram',
    'gaugehistogram',
    'summary',
    'info',
    'stateset',
    'unknown',
    'unknown',
  ]);
});

test('a family has its newest description first, and no more than eight', () => {
  const store = new MetadataStore();
  for (let i = 0; i < 10; i++) expect(store.add('t', [told('m', 1, `help ${i}`)], false).length).toBe(1);
  expect(store.of('t').map(({ help }) => help)).toEqual([9, 8, 7, 6, 5, 4, 3, 2].map((i) => `help ${i}`));
});

test('what is no text, has no name or is too long is not kept, and counted', () => {
  const store = new MetadataStore();
  const bad = [
    told('', 1),
    told('m', 1, Uint8Array.of(0xff)),
    told('n'.repeat(1025), 1),
    told('m', 1, 'h'.repeat(16_385)),
    told('m', 1, '', 'u'.repeat(1025)),
  ];
  expect(store.add('t', bad, false)).toEqual([]);
  expect([store.of('t'), store.dropped]).toEqual([[], bad.length]);
});

test('a tenant cannot fill the memory: beyond its room nothing is kept, and others have theirs', () => {
  const store = new MetadataStore();
  const help = 'h'.repeat(16_384);
  const many = Array.from({ length: 1000 }, (_, i) => told(`m${i}`, 1, help));
  const records = store.add('greedy', many, false);
  expect(records.every(({ length }) => length < 300 * 1024)).toBe(true);
  const kept = store.of('greedy').length;
  expect(kept).toBeGreaterThan(500);
  expect(kept).toBeLessThan(512);
  expect(store.dropped).toBe(1000 - kept);
  expect(store.add('modest', [told('m', 1, help)], false).length).toBe(1);
  for (let i = 0; i < 20; i++) store.add(`more ${i}`, many, false);
  expect(store.add('late', [told('m', 1, help)], false)).toEqual([]);
});

test('the records of the log, and those of a checkpoint, bring back what was there in its order', () => {
  const store = new MetadataStore();
  const log: Uint8Array[] = [];
  for (let i = 0; i < 5; i++)
    log.push(
      ...store.add('a', [told('m', 1, `é ${i}`), told(`only ${i}`, 2, '', 's')], false),
      ...store.add('b', [told('__proto__', 1, `${i}`)], true),
    );
  for (const records of [log, store.records()]) {
    const again = new MetadataStore();
    for (const record of records) expect(again.restore(record)).toBe(true);
    for (const tenant of ['a', 'b'])
      expect([...again.families(tenant)].sort()).toEqual([...store.families(tenant)].sort());
    // The log may come twice.
    for (const record of records) again.restore(record);
    expect(again.of('b')).toEqual(store.of('b'));
  }
});

test.each(['', '{', 'null', '{}', '{"tenant":1,"metadata":[]}', '{"tenant":"a","metadata":[{"family":"m"}]}'])(
  'a record that says %s makes no sense',
  (text) => {
    const store = new MetadataStore();
    expect(store.restore(Buffer.concat([Buffer.of(L.RECORD_METADATA), Buffer.from(text)]))).toBe(false);
    expect(store.of('a')).toEqual([]);
  },
);
