/** The catalogue of blocks on this disk: what it finds, whose it is, and that it may be lost. */
import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { BlockMeta } from '../../../storage/block/meta.ts';
import type { BlockEvent } from '../../../storage/catalog/block-event.ts';
import { Blocks, type BlocksOptions } from '../../../storage/catalog/blocks.ts';
import { Catalog } from '../../../storage/catalog/catalog.ts';
import type { FileSystem } from '../../../storage/io/file-system.ts';
import { nodeFileSystem } from '../../../storage/io/node-file-system.ts';
import { FaultyFileSystem } from '../../support/faulty-file-system.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';
import { SimMachine } from '../../support/sim-machine.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';

const EVERYTHING = { minTimeMs: 0, maxTimeMs: 1000 };
const ulid = (last: number): string => `01HZZZZZZZZZZZZZZZZZZZZZZ${last}`;
const INSTANCE = '01HZZZZZZZZZZZZZZZZZZZZZZZ';

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

function covering(block: BlockMeta, coverage: object): BlockMeta {
  const varve = { format: 1, instance: INSTANCE, epoch: 1, tenant: 'a', window: 5, generation: 2, position: 9 };
  const thanos = { labels: {}, downsample: { resolution: 0 }, source: 'receive' };
  return { ...block, thanos: { ...thanos, ...block.thanos, extensions: { varve: { ...varve, ...coverage } } } };
}

function put(disk: FileSystem, path: string, content: string | object): void {
  disk.makeDirectory(path.slice(0, path.lastIndexOf('/')));
  const file = disk.open(path, 'create');
  file.write(new TextEncoder().encode(typeof content === 'string' ? content : JSON.stringify(content)), 0);
  file.sync();
  file.close();
}

function blocksOn(
  fileSystem: FileSystem,
  { events = [], dataDirectory = '/data', ...options }: Partial<BlocksOptions> & { events?: BlockEvent[] } = {},
): Blocks {
  fileSystem.makeDirectory(dataDirectory);
  return new Blocks({
    dataDirectory,
    instance: INSTANCE,
    tenantLabelName: 'tenant_id',
    defaultTenant: 'nobody',
    ...new SimMachine(new SimFileSystem(), 0, seededChance(1)),
    fileSystem,
    settings: {},
    whenSnapshotsAreGone: async () => {},
    onVanished: () => {},
    onEvent: (event) => void events.push(event),
    ...options,
  });
}

function holding(...metas: BlockMeta[]): SimFileSystem {
  const disk = new SimFileSystem();
  for (const one of metas) put(disk, `/data/bucket/${one.ulid}/meta.json`, one);
  return disk;
}

const names = (blocks: Blocks, tenant: string, range = EVERYTHING): string[] =>
  blocks.select(tenant, range).map((place) => place.meta.ulid);

test('a block belongs to the tenant of our label, else of Mimir’s, else to the default tenant', () => {
  const disk = holding(
    meta(1, { tenant_id: 'a' }),
    meta(2, { __org_id__: 'b' }),
    meta(3, { tenant_id: 'c', __org_id__: 'd' }),
    meta(4, { region: 'eu' }),
    meta(5),
  );
  const blocks = blocksOn(disk);
  const found = ['a', 'b', 'c', 'd', 'nobody'].map((tenant) => names(blocks, tenant));
  expect(found).toEqual([[ulid(1)], [ulid(2)], [ulid(3)], [], [ulid(4), ulid(5)]]);
  expect(blocks.stats()).toMatchObject({ blocks: 5, blocksLocal: 5, backlogBlocks: 0 });
});

test('a range gets the blocks that overlap it, in the order in which they were made', () => {
  const blocks = blocksOn(holding(meta(3, {}, 0, 100), meta(1, {}, 100, 200), meta(2, {}, 50, 150)));
  const select = (minTimeMs: number, maxTimeMs: number): string[] =>
    names(blocks, 'nobody', { minTimeMs, maxTimeMs }).map((name) => name.slice(-1));
  expect(select(0, 1000)).toEqual(['1', '2', '3']);
  expect(select(0, 50)).toEqual(['3']);
  expect(select(100, 101)).toEqual(['1', '2']);
  expect(select(200, 300)).toEqual([]);
  expect(select(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)).toEqual(['1', '2', '3']);
});

test('a block comes back with the meta that it was given, unknown fields too, and with its place', () => {
  const given = { ...meta(1, { tenant_id: 'a', 'näme"': 'x' }), further: { b: 1, a: [2] } };
  const [place] = blocksOn(holding(given)).select('a', EVERYTHING);
  expect(place).toEqual({ meta: given, localDirectory: `/data/bucket/${ulid(1)}` });
});

test('what looks like a block and is none is skipped with the reason, the others are taken', () => {
  const disk = holding(meta(1, { tenant_id: 'a' }), meta(7));
  put(disk, `/data/bucket/${ulid(2)}/index`, 'an upload that is not complete');
  put(disk, `/data/bucket/${ulid(3)}/meta.json`, '{ "ulid": ');
  put(disk, `/data/bucket/${ulid(4)}/meta.json`, meta(5));
  put(disk, `/data/bucket/${ulid(6)}/meta.json`, { ...meta(6), version: 99 });
  put(disk, '/data/bucket/debug/metas/something.json', '{}');
  const events: BlockEvent[] = [];
  const blocks = blocksOn(disk, { events });
  expect([...names(blocks, 'a'), ...names(blocks, 'nobody')]).toEqual([ulid(1), ulid(7)]);
  const reasons = events.map((event) => (event.kind === 'block-skipped' ? event.message : event.kind));
  expect(reasons.length).toBe(4);
  expect(reasons[0]).toContain(ulid(2));
  expect(reasons[1]).toContain(`${ulid(3)}/meta.json`);
  expect(reasons[2]).toBe(`${ulid(4)}/meta.json is of the block ${ulid(5)}`);
  expect(reasons[3]).toContain('99');
});

test('own blocks are those of this instance and epoch; one whose coverage makes no sense is read all the same', () => {
  const events: BlockEvent[] = [];
  const disk = holding(
    covering(meta(1), {}),
    covering(meta(2), { epoch: 2 }),
    covering(meta(3), { instance: ulid(9) }),
    covering(meta(4), { window: 'x' }),
    meta(5),
  );
  const blocks = blocksOn(disk, { events });
  expect(blocks.ownBlocks(1)).toEqual([
    {
      ulid: ulid(1),
      coverage: { format: 1, instance: INSTANCE, epoch: 1, tenant: 'a', window: 5, generation: 2, position: 9 },
    },
  ]);
  expect(blocks.ownBlocks(2).map((own) => own.ulid)).toEqual([ulid(2)]);
  expect(names(blocks, 'nobody').length).toBe(5);
  expect(events.length).toBe(1);
});

test('a block that is adopted is durable and read at once; one that the disk refuses is gone', () => {
  const faulty = new FaultyFileSystem(holding());
  const blocks = blocksOn(faulty);
  const made = (last: number): string => {
    put(faulty, `/data/blocks/${ulid(last)}.tmp/meta.json`, meta(last));
    return `/data/blocks/${ulid(last)}.tmp`;
  };
  const first = made(1);
  blocks.adopt(first, meta(1));
  expect(names(blocks, 'nobody')).toEqual([ulid(1)]);
  const second = made(2);
  faulty.breakAt({ at: 1, calls: ['rename'], code: 'EIO' });
  expect(() => blocks.adopt(second, meta(2))).toThrow('EIO');
  expect(names(blocks, 'nobody')).toEqual([ulid(1)]);
  faulty.repair();
  expect(names(blocksOn(faulty), 'nobody')).toEqual([ulid(1)]);
});

/** On the real disk, with a file. */
async function onFile(
  work: (open: (options?: Partial<BlocksOptions>) => Blocks, events: BlockEvent[], path: string) => Promise<void>,
): Promise<void> {
  using temporary = new TemporaryDirectory('catalog');
  const events: BlockEvent[] = [];
  const path = `${temporary.path}/catalog.sqlite`;
  put(nodeFileSystem, `${temporary.path}/bucket/${ulid(1)}/meta.json`, meta(1, { tenant_id: 'a', team: 'b' }));
  put(nodeFileSystem, `${temporary.path}/bucket/${ulid(2)}/meta.json`, meta(2));
  await work(
    (options) => blocksOn(nodeFileSystem, { dataDirectory: temporary.path, catalogPath: path, events, ...options }),
    events,
    temporary.path,
  );
}

test('the file is taken up again, and follows what was put into or taken from the directory meanwhile', async () => {
  await onFile(async (open, events, directory) => {
    const before = open();
    expect(names(before, 'nobody')).toEqual([ulid(2)]);
    await before.close();
    nodeFileSystem.remove(`${directory}/bucket/${ulid(2)}`);
    put(nodeFileSystem, `${directory}/bucket/${ulid(3)}/meta.json`, meta(3));
    // Half removed, as a loss of power may leave it.
    put(nodeFileSystem, `${directory}/bucket/${ulid(1)}/index`, 'x');
    nodeFileSystem.remove(`${directory}/bucket/${ulid(1)}/meta.json`);
    const after = open();
    expect([...names(after, 'nobody'), ...names(after, 'a')]).toEqual([ulid(3)]);
    await after.close();
    expect(events).toEqual([]);
  });
});

test('a damaged file, or one of another format, is made anew from the directories, and said so', async () => {
  await onFile(async (open, events, directory) => {
    await open().close();
    const damages = [
      () => writeFileSync(`${directory}/catalog.sqlite`, 'SQLite format 3\0 and then nothing of the kind'),
      () => writeFileSync(`${directory}/catalog.sqlite`, new Uint8Array(20_000).fill(0x5a), { flag: 'r+' }),
    ];
    for (const damage of damages) {
      damage();
      const blocks = open();
      expect(names(blocks, 'a')).toEqual([ulid(1)]);
      await blocks.close();
    }
    expect(events.map((event) => event.kind)).toEqual(['catalog-lost', 'catalog-lost']);
  });
});

test('another tenant label, or another instance, counts for the blocks that are known already', async () => {
  await onFile(async (open) => {
    await open().close();
    const renamed = open({ tenantLabelName: 'team', defaultTenant: 'all' });
    expect([names(renamed, 'b'), names(renamed, 'all')]).toEqual([[ulid(1)], [ulid(2)]]);
    await renamed.close();
    const other = open({ instance: ulid(8) });
    expect(names(other, 'a')).toEqual([ulid(1)]);
    await other.close();
  });
});

test('a directory that survives a loss of power tells the same again', () => {
  const disk = holding(meta(1));
  const blocks = blocksOn(disk);
  put(disk, `/data/blocks/${ulid(2)}.tmp/meta.json`, meta(2));
  disk.syncDirectory(`/data/blocks/${ulid(2)}.tmp`);
  for (const path of ['/', '/data', '/data/blocks', '/data/bucket', `/data/bucket/${ulid(1)}`])
    disk.syncDirectory(path);
  blocks.adopt(`/data/blocks/${ulid(2)}.tmp`, meta(2));
  disk.crash(seededChance(1));
  expect(names(blocksOn(disk), 'nobody')).toEqual([ulid(1), ulid(2)]);
});

test('of another bucket nothing is known: blocks of the old one are forgotten, those on this disk are to be uploaded', () => {
  using temporary = new TemporaryDirectory('catalog');
  const open = (bucket: string): Catalog => {
    const rules = { instance: INSTANCE, tenantLabelName: 'tenant_id', defaultTenant: 'nobody', bucket };
    return new Catalog({ path: `${temporary.path}/catalog.sqlite`, fileSystem: nodeFileSystem }, rules, () => {});
  };
  const before = open('s3 one');
  before.addLocal(meta(1), '/data/blocks', 0);
  before.noteUploaded(ulid(1), 5);
  before.addLocal(meta(2), '/data/blocks', 0);
  before.noteUploaded(ulid(2), 5);
  before.removeLocal(ulid(2));
  before.close();
  const same = open('s3 one');
  expect(same.entries().map(({ state }) => state)).toEqual(['uploaded', 'uploaded']);
  same.close();
  const other = open('s3 two');
  expect(other.entries()).toMatchObject([{ ulid: ulid(1), state: 'local', bucketDirectory: null, uploadedMs: null }]);
  other.close();
});

test('when the file can be written no more, the catalogue goes on in memory with all that it holds', () => {
  using temporary = new TemporaryDirectory('catalog');
  const events: BlockEvent[] = [];
  const rules = { instance: INSTANCE, tenantLabelName: 'tenant_id', defaultTenant: 'nobody' };
  const path = `${temporary.path}/catalog.sqlite`;
  const catalog = new Catalog({ path, fileSystem: nodeFileSystem }, rules, (event) => void events.push(event));
  catalog.addLocal(meta(1), '/data/blocks', 0);
  // As on a full disk: no page more.
  const pages = catalog.sql('PRAGMA page_count').pluck().get() as number;
  catalog.sql(`PRAGMA max_page_count = ${pages}`).get();
  for (let last = 2; last <= 9; last++) catalog.addLocal(meta(last, { long: 'x'.repeat(20_000) }), '/data/blocks', 0);
  expect(events.map(({ kind }) => kind)).toEqual(['catalog-lost']);
  expect(catalog.select('nobody', EVERYTHING, 0).length).toBe(9);
  catalog.close();
});
