import { expect, test } from 'vitest';
import type { BlockMeta } from '../../../storage/block/meta.ts';
import { BlockDirectory } from '../../../storage/bucket/block-directory.ts';
import { BlockList } from '../../../storage/bucket/block-list.ts';
import { SimFileSystem } from '../../support/sim-file-system.ts';

const rule = { tenantLabelName: 'tenant_id', defaultTenant: 'nobody' };
const ulid = (last: number): string => `01HZZZZZZZZZZZZZZZZZZZZZZ${last}`;

function meta(last: number, labels?: Record<string, string>, minTime = 0, maxTime = 100): BlockMeta {
  return {
    ulid: ulid(last),
    minTime,
    maxTime,
    version: 1,
    stats: {},
    compaction: { level: 1, sources: [ulid(last)] },
    ...(labels === undefined ? {} : { thanos: { labels, downsample: { resolution: 0 }, source: 'receive' } }),
  } as BlockMeta;
}

function listOf(...metas: BlockMeta[]): BlockList {
  const list = new BlockList(directoryOf({}), rule);
  for (const one of metas) list.add(one);
  return list;
}

/** A directory with these files. */
function directoryOf(files: Record<string, string | object>): BlockDirectory {
  const disk = new SimFileSystem();
  for (const [name, content] of Object.entries(files)) {
    const path = `/bucket/${name}`;
    disk.makeDirectory(path.slice(0, path.lastIndexOf('/')));
    const file = disk.open(path, 'create');
    file.write(new TextEncoder().encode(typeof content === 'string' ? content : JSON.stringify(content)), 0);
  }
  return new BlockDirectory(disk, '/bucket');
}

test('a block belongs to the tenant of our label, else of Mimir’s, else to the default tenant', () => {
  const list = listOf(
    meta(1, { tenant_id: 'a' }),
    meta(2, { __org_id__: 'b' }),
    meta(3, { tenant_id: 'c', __org_id__: 'd' }),
    meta(4, { region: 'eu' }),
    meta(5),
  );
  const everything = { minTimeMs: 0, maxTimeMs: 100 };
  const blocks = Object.fromEntries(
    ['a', 'b', 'c', 'd', 'nobody'].map((tenant) => [
      tenant,
      list.select(tenant, everything).map((one) => one.meta.ulid),
    ]),
  );
  expect(blocks).toEqual({ a: [ulid(1)], b: [ulid(2)], c: [ulid(3)], d: [], nobody: [ulid(4), ulid(5)] });
  expect(list.size).toBe(5);
  expect([...list.tenants].sort()).toEqual(['a', 'b', 'c', 'nobody']);
});

test('a range gets the blocks that overlap it, in the order in which they were made', () => {
  const list = listOf(meta(3, {}, 0, 100), meta(1, {}, 100, 200), meta(2, {}, 50, 150));
  const select = (minTimeMs: number, maxTimeMs: number): string[] =>
    list.select('nobody', { minTimeMs, maxTimeMs }).map((one) => one.meta.ulid.slice(-1));
  expect(select(0, 1000)).toEqual(['1', '2', '3']);
  expect(select(0, 50)).toEqual(['3']);
  expect(select(100, 101)).toEqual(['1', '2']);
  expect(select(200, 300)).toEqual([]);
});

test('what looks like a block and is none is skipped with the reason, the others are taken', () => {
  const skipped: string[] = [];
  const directory = directoryOf({
    [`${ulid(1)}/meta.json`]: meta(1, { tenant_id: 'a' }),
    [`${ulid(2)}/index`]: 'an upload that is not complete',
    [`${ulid(3)}/meta.json`]: '{ "ulid": ',
    [`${ulid(4)}/meta.json`]: meta(5),
    [`${ulid(6)}/meta.json`]: { ...meta(6), version: 99 },
    'debug/metas/something.json': '{}',
    [`${ulid(7)}/meta.json`]: meta(7),
  });
  const list = new BlockList(directory, rule);
  list.load((message) => void skipped.push(message));
  expect([...list].map((one) => one.ulid)).toEqual([ulid(1), ulid(7)]);
  expect(skipped.length).toBe(4);
  expect(skipped[0]).toContain(ulid(2));
  expect(skipped[1]).toContain(`${ulid(3)}/meta.json`);
  expect(skipped[2]).toBe(`${ulid(4)}/meta.json is of the block ${ulid(5)}`);
  expect(skipped[3]).toContain('99');
});
