/** Blocks on their way to a bucket and back, as a whole engine's parts do it on a simulated machine. */
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { writeBlock } from '../../../storage/block/block-writer.ts';
import { type BlockMeta, encodeMeta, parseMeta } from '../../../storage/block/meta.ts';
import { bytesContent } from '../../../storage/bucket/bucket.ts';
import { openBucketAt } from '../../../storage/bucket/bucket-location.ts';
import { DirectoryBucket } from '../../../storage/bucket/directory-bucket.ts';
import type { BlockEvent } from '../../../storage/catalog/block-event.ts';
import { type BlockSettings, Blocks } from '../../../storage/catalog/blocks.ts';
import { encodeUlid } from '../../../storage/lib/ulid.ts';
import { blockInput, smallSeries } from '../../support/blocks.ts';
import { BucketControl } from '../../support/controlled-bucket.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';
import { SimMachine } from '../../support/sim-machine.ts';

const NOW_MS = 1_700_000_000_000;
const INSTANCE = '01HZZZZZZZZZZZZZZZZZZZZZZZ';
const EVERYTHING = { minTimeMs: -1, maxTimeMs: 2 ** 45 };
const HOUR_MS = 3_600_000;
const ulidAt = (ms: number, last = 0): string => encodeUlid(ms, new Uint8Array(10).fill(last));

let disk: SimFileSystem;
let machine: SimMachine;
let control: BucketControl;
let events: BlockEvent[];
let store: DirectoryBucket;
let live: number;
let vanished: string[];

// Loading takes turns that no test counts.
beforeAll(async () => {
  const world = new SimMachine(new SimFileSystem(), NOW_MS, seededChance(1));
  await openBucketAt(new BucketControl().location, world);
});

beforeEach(() => {
  disk = new SimFileSystem();
  machine = new SimMachine(disk, NOW_MS, seededChance(1));
  control = new BucketControl();
  store = new DirectoryBucket(disk, '/store');
  events = [];
  live = 0;
  vanished = [];
});

/** Blocks of a life of the process. */
function open(settings: BlockSettings = {}): Blocks {
  disk.makeDirectory('/data/blocks');
  const blocks = new Blocks({
    dataDirectory: '/data',
    instance: INSTANCE,
    tenantLabelName: 'tenant_id',
    defaultTenant: 'nobody',
    settings,
    location: control.location,
    ...machine,
    whenSnapshotsAreGone: async () => {
      while (live > 0) await machine.turns(1);
    },
    onVanished: (ulid) => void vanished.push(ulid),
    onEvent: (event) => void events.push(event),
  });
  return blocks;
}

/** A block is cut. */
function cut(blocks: Blocks, ulid: string): BlockMeta {
  const directory = `/data/blocks/${ulid}.tmp`;
  const varve = { format: 1, instance: INSTANCE, epoch: 1, tenant: 'a', window: 1, generation: 1, position: 1 };
  const input = blockInput(smallSeries, { ulid, thanosLabels: { tenant_id: 'a' }, extensions: { varve } });
  const meta = writeBlock(disk, directory, input);
  blocks.adopt(directory, meta);
  return meta;
}

const objects = async (): Promise<string[]> => {
  const names: string[] = [];
  for await (const page of store.list('')) names.push(...page.map(({ name }) => name));
  return names;
};
const names = (blocks: Blocks, tenant = 'a'): string[] =>
  blocks.select(tenant, EVERYTHING).map((place) => place.meta.ulid);
const kinds = (kind: BlockEvent['kind']): BlockEvent[] => events.filter((event) => event.kind === kind);
const uploads = (): string[] => events.flatMap((event) => (event.kind === 'block-uploaded' ? [event.ulid] : []));

/** Puts a block of somebody else's. */
async function putForeign(
  ulid: string,
  { directory = ulid, ...meta }: Record<string, unknown> & { directory?: string } = {},
): Promise<void> {
  const whole = {
    ulid,
    minTime: 0,
    maxTime: 100,
    stats: {},
    compaction: { level: 1, sources: [ulid] },
    version: 1,
    thanos: { labels: { cluster: 'x' }, downsample: { resolution: 0 }, source: 'sidecar' },
    ...meta,
  } as unknown as BlockMeta;
  await store.put(`${directory}/index`, bytesContent(new Uint8Array(10)));
  await store.put(`${directory}/meta.json`, bytesContent(encodeMeta(whole)));
}

const ONE = ulidAt(NOW_MS, 1);
const TWO = ulidAt(NOW_MS + 1, 2);

test('a block is read at once, goes to the bucket with meta.json last, and is read from both places then', async () => {
  const blocks = open();
  blocks.start();
  const meta = cut(blocks, ONE);
  expect(blocks.select('a', EVERYTHING)).toEqual([{ meta, localDirectory: `/data/blocks/${ONE}` }]);
  expect(blocks.notUploaded()).toEqual([ONE]);
  await machine.until('the upload', () => uploads().length === 1);
  const puts = control.calls.filter(({ operation }) => operation === 'put').map(({ name }) => name);
  expect(puts).toEqual([`${ONE}/chunks/000001`, `${ONE}/index`, `${ONE}/meta.json`]);
  expect(control.calls.filter(({ purpose }) => purpose === 'upload').length).toBeLessThanOrEqual(12);
  const uploaded = parseMeta(await store.get(`${ONE}/meta.json`), 'meta.json');
  expect(uploaded).toEqual({ ...meta, thanos: { ...meta.thanos, upload_time: expect.stringMatching(/^20.*Z$/) } });
  expect(blocks.select('a', EVERYTHING)).toEqual([
    { meta, localDirectory: `/data/blocks/${ONE}`, bucketDirectory: ONE },
  ]);
  expect(blocks.notUploaded()).toEqual([]);
  expect(blocks.stats()).toMatchObject({ blocks: 1, blocksUploaded: 1, backlogBlocks: 0, uploads: 1 });
  await blocks.close();
});

test('whatever request fails or is left without an answer by a kill, the block comes whole, once, and only at its end', async () => {
  for (let at = 0; ; at++) {
    for (const fate of ['before', 'after', 'hang'] as const) {
      disk = new SimFileSystem();
      machine = new SimMachine(disk, NOW_MS, seededChance(at));
      control = new BucketControl();
      store = new DirectoryBucket(disk, '/store');
      events = [];
      let uploadCalls = 0;
      control.fate = ({ purpose }) => (purpose === 'upload' && uploadCalls++ === at ? fate : undefined);
      let blocks = open();
      blocks.start();
      cut(blocks, ONE);
      await machine.turns(100);
      if (uploadCalls <= at) {
        expect(at).toBeGreaterThan(4);
        return;
      }
      const there = await objects();
      // Whoever reads the bucket now sees all of the block or none.
      if (there.includes(`${ONE}/meta.json`)) expect(there.length).toBe(3);
      expect(names(blocks)).toEqual([ONE]);
      if (fate === 'hang') {
        // The process is killed, and the machine has lost nothing.
        machine = new SimMachine(disk, NOW_MS + 1000, seededChance(at));
        blocks = open();
        blocks.start();
      }
      await machine.until('the upload', () => uploads().length === 1, { stepMs: 1000 });
      expect(await objects()).toEqual([`${ONE}/chunks/000001`, `${ONE}/index`, `${ONE}/meta.json`]);
      expect(names(blocks)).toEqual([ONE]);
      await blocks.close();
    }
  }
});

test('a file that the bucket has verified is not sent again, one of which that is not known is', async () => {
  const blocks = open();
  blocks.start();
  control.fate = ({ name, operation }) => (operation === 'put' && name.endsWith('index') ? 'after' : undefined);
  cut(blocks, ONE);
  await machine.turns(60);
  expect(kinds('upload-retry').length).toBe(1);
  control.fate = () => undefined;
  await machine.until('the upload', () => uploads().length === 1);
  expect(control.count('put', 'chunks')).toBe(1);
  expect(control.count('put', 'index')).toBe(2);
  await blocks.close();
});

test('a catalogue that was lost learns that blocks are uploaded without sending them again', async () => {
  const before = open();
  before.start();
  cut(before, ONE);
  await machine.until('the upload', () => uploads().length === 1);
  await before.close();
  const puts = control.count('put');
  const after = open();
  expect(names(after)).toEqual([ONE]);
  after.start();
  await machine.until('the second look', () => uploads().length === 2);
  expect(control.count('put')).toBe(puts);
  expect(after.stats()).toMatchObject({ blocksUploaded: 1, blocksLocal: 0 });
  await after.close();
});

test('a store that refuses is asked seldom, and what has gathered goes oldest first when it is back', async () => {
  const blocks = open();
  control.fate = () => 'before';
  blocks.start();
  const cuts = Array.from({ length: 30 }, (_, i) => ulidAt(NOW_MS + i, 1));
  for (const ulid of cuts) cut(blocks, ulid);
  await machine.turns(100);
  for (let minute = 0; minute < 60; minute++) {
    for (let s = 0; s < 60; s += 10) {
      machine.clock.advance(10_000);
      await machine.turns(10);
    }
  }
  expect(names(blocks)).toEqual(cuts);
  expect(blocks.stats()).toMatchObject({ backlogBlocks: 30, backlogSeconds: 3600, bucketFailing: 1 });
  expect(blocks.stats().backlogBytes).toBeGreaterThan(30 * 100);
  expect(kinds('bucket-failing').length).toBe(1);
  // Uploads and syncs each about once a minute, jittered.
  expect(control.calls.length).toBeLessThan(300);
  control.fate = () => undefined;
  await machine.until('the backlog', () => blocks.stats().backlogBlocks === 0, { stepMs: 1000, steps: 120 });
  expect(uploads()).toEqual(cuts);
  expect(kinds('bucket-recovered').length).toBe(1);
  await blocks.close();
});

test('a block that cannot be uploaded holds up no other', async () => {
  const blocks = open();
  blocks.start();
  control.fate = ({ name, operation }) => (operation === 'put' && name.startsWith(ONE) ? 'before' : undefined);
  cut(blocks, ONE);
  cut(blocks, TWO);
  await machine.until('the other', () => uploads().includes(TWO));
  disk.open(`/data/blocks/${ONE}/index`, 'update').truncate(3);
  await machine.until('a look at the file', () => kinds('upload-retry').length > 1, { steps: 1000 });
  expect(kinds('upload-retry').at(-1)).toMatchObject({ ulid: ONE, message: expect.stringContaining('3 bytes') });
  disk.remove(`/data/blocks/${ONE}/index`);
  await machine.until('further looks', () => kinds('upload-retry').length > 6, { steps: 1000 });
  expect(kinds('upload-retry').at(-1)).toMatchObject({ message: expect.stringContaining('ENOENT') });
  expect(kinds('bucket-failing')).toEqual([]);
  await blocks.close();
});

test('copies go when they are too many: the oldest, uploaded, and when nobody reads them any more', async () => {
  const blocks = open({ localBlocksBytes: 500 });
  blocks.start();
  control.fate = ({ purpose }) => (purpose === 'upload' ? 'before' : undefined);
  const size = Number(cut(blocks, ONE).thanos?.files?.reduce((sum, file) => sum + (file.size_bytes ?? 0), 0));
  expect(size).toBeGreaterThan(400);
  cut(blocks, TWO);
  await machine.turns(100);
  // Nothing goes before it is uploaded.
  expect(kinds('block-evicted')).toEqual([]);
  live = 1;
  const held = blocks.select('a', EVERYTHING);
  expect(held[0]).toMatchObject({ localDirectory: `/data/blocks/${ONE}` });
  control.fate = () => undefined;
  await machine.until('the uploads', () => uploads().length === 2);
  expect(kinds('block-evicted')).toEqual([{ kind: 'block-evicted', ulid: ONE, bytes: size }]);
  expect(blocks.select('a', EVERYTHING).map((place) => [place.localDirectory, place.bucketDirectory])).toEqual([
    [undefined, ONE],
    [`/data/blocks/${TWO}`, TWO],
  ]);
  await machine.turns(50);
  expect(disk.exists(`/data/blocks/${ONE}/index`)).toBe(true);
  live = 0;
  await machine.turns(50);
  expect(disk.exists(`/data/blocks/${ONE}`)).toBe(false);
  expect(disk.exists(`/data/blocks/${TWO}`)).toBe(true);
  await blocks.close();
});

test('blocks of others appear with their tenant after the delay, one listing a sync, and each meta.json is read once', async () => {
  const fresh = ulidAt(NOW_MS - 60_000, 1);
  const uploadedLately = ulidAt(NOW_MS - 50 * HOUR_MS, 2);
  const compacted = ulidAt(NOW_MS - 1000, 3);
  const unset = ulidAt(NOW_MS - 40 * 60_000, 6);
  const mimir = ulidAt(NOW_MS - HOUR_MS, 4);
  const bare = ulidAt(NOW_MS - HOUR_MS, 5);
  const thanos = { labels: {}, downsample: { resolution: 0 }, source: 'sidecar' };
  await putForeign(fresh);
  await putForeign(uploadedLately, { thanos: { ...thanos, upload_time: new Date(NOW_MS - 1000).toISOString() } });
  await putForeign(compacted, { thanos: { ...thanos, source: 'compactor' } });
  await putForeign(mimir, { directory: `team/${mimir}`, thanos: { ...thanos, labels: { __org_id__: 'team' } } });
  await putForeign(bare, { thanos: null });
  await putForeign(unset, { thanos: { ...thanos, upload_time: '0001-01-01T00:00:00Z' } });
  const blocks = open({ consistencyDelayMs: 30 * 60_000 });
  blocks.start();
  await machine.turns(100);
  expect(names(blocks, 'nobody')).toEqual([bare, unset, compacted].sort());
  expect(blocks.select('team', EVERYTHING)).toMatchObject([{ bucketDirectory: `team/${mimir}` }]);
  machine.clock.advance(29 * 60_000 + 1);
  expect(names(blocks, 'nobody')).toEqual([bare, unset, fresh, compacted].sort());
  machine.clock.advance(60_000);
  expect(names(blocks, 'nobody')).toEqual([uploadedLately, bare, unset, fresh, compacted].sort());
  await machine.turns(100);
  const reads = control.count('get');
  expect(reads).toBe(6);
  const lists = control.count('list');
  await sync(blocks);
  expect(control.count('get')).toBe(reads);
  expect(control.count('list')).toBe(lists + 1);
  expect(control.count('head')).toBe(0);
  await blocks.close();
});

test('a mark for deletion is honoured after its delay, and taken back with the mark', async () => {
  const ulid = ulidAt(NOW_MS - 50 * HOUR_MS, 1);
  const mark = { id: ulid, version: 1, deletion_time: NOW_MS / 1000 };
  await putForeign(ulid);
  await store.put(`${ulid}/deletion-mark.json`, bytesContent(new TextEncoder().encode(JSON.stringify(mark))));
  const blocks = open();
  await blocks.refresh();
  expect(names(blocks, 'nobody')).toEqual([ulid]);
  expect(blocks.stats()).toMatchObject({ blocksMarked: 1 });
  machine.clock.advance(24 * HOUR_MS + 1000);
  expect(names(blocks, 'nobody')).toEqual([]);
  await store.delete(`${ulid}/deletion-mark.json`);
  await blocks.refresh();
  expect(names(blocks, 'nobody')).toEqual([ulid]);
  await blocks.close();
});

/** Looks at the bucket once more; syncs are not done faster than every few seconds. */
async function sync(blocks: Blocks): Promise<void> {
  machine.clock.advance(10_000);
  await blocks.refresh();
}

test('what one listing has not is asked for: a stale listing hides nothing, a deleted block goes', async () => {
  const stays = ulidAt(NOW_MS - HOUR_MS, 1);
  const goes = ulidAt(NOW_MS - HOUR_MS, 2);
  await putForeign(stays);
  await putForeign(goes);
  const blocks = open();
  await blocks.refresh();
  control.listed = (all) => all.filter(({ name }) => !name.startsWith(stays));
  await store.delete(`${goes}/meta.json`);
  for (let i = 0; i < 3; i++) {
    await sync(blocks);
    expect(names(blocks, 'nobody')).toEqual([stays]);
  }
  control.listed = (all) => all.filter(({ name }) => name !== `${stays}/meta.json`);
  await sync(blocks);
  expect(names(blocks, 'nobody')).toEqual([stays]);
  expect(vanished).toEqual([goes]);
  await blocks.close();
});

test('where a block cannot be asked for, two listings have to agree', async () => {
  const ulid = ulidAt(NOW_MS - HOUR_MS, 1);
  await putForeign(ulid);
  const other = ulidAt(NOW_MS - HOUR_MS, 2);
  await putForeign(other);
  const blocks = open();
  await blocks.refresh();
  control.listed = (all) => all.filter(({ name }) => !name.startsWith(ulid));
  control.fate = ({ operation }) => (operation === 'get' ? 'before' : undefined);
  await sync(blocks);
  expect(names(blocks, 'nobody')).toEqual([ulid, other].sort());
  await sync(blocks);
  expect(names(blocks, 'nobody')).toEqual([other]);
  await blocks.close();
});

test('where a listing has nothing at all, blocks that are nowhere else stay known: queries say that they miss them', async () => {
  const foreign = ulidAt(NOW_MS - HOUR_MS, 9);
  await putForeign(foreign);
  const blocks = open();
  await blocks.refresh();
  disk.remove('/store');
  disk.makeDirectory('/store');
  for (let i = 0; i < 4; i++) await sync(blocks);
  expect(names(blocks, 'nobody')).toEqual([foreign]);
  expect(kinds('bucket-emptied').length).toBe(4);
  await blocks.close();
});

test('a bucket that was emptied under us is said so, and gets again what is on this disk', async () => {
  const foreign = ulidAt(NOW_MS - HOUR_MS, 9);
  await putForeign(foreign);
  const blocks = open();
  blocks.start();
  cut(blocks, ONE);
  await machine.until('the upload', () => uploads().length === 1);
  disk.remove('/store');
  disk.makeDirectory('/store');
  await sync(blocks);
  expect(kinds('bucket-emptied')).toEqual([{ kind: 'bucket-emptied', known: 2 }]);
  expect(names(blocks)).toEqual([ONE]);
  await sync(blocks);
  await machine.until('the second upload', () => uploads().length === 2);
  expect(await objects()).toEqual([`${ONE}/chunks/000001`, `${ONE}/index`, `${ONE}/meta.json`]);
  expect(disk.exists(`/data/blocks/${ONE}/meta.json`)).toBe(true);
  expect(names(blocks)).toEqual([ONE]);
  await blocks.close();
});

test('a block of ours that lost a file in the bucket is uploaded again from here, after two listings', async () => {
  const blocks = open();
  blocks.start();
  cut(blocks, ONE);
  await machine.until('the upload', () => uploads().length === 1);
  disk.remove(`/store/${ONE}/index`);
  await sync(blocks);
  expect(kinds('block-damaged')).toEqual([]);
  expect(names(blocks)).toEqual([ONE]);
  await sync(blocks);
  expect(kinds('block-damaged')).toEqual([
    { kind: 'block-damaged', ulid: ONE, message: 'index is not there', isUploadedAgain: true },
  ]);
  await machine.until('the second upload', () => uploads().length === 2);
  expect(await objects()).toEqual([`${ONE}/chunks/000001`, `${ONE}/index`, `${ONE}/meta.json`]);
  for (let i = 0; i < 3; i++) await sync(blocks);
  expect(kinds('block-damaged').length).toBe(1);
  expect(names(blocks)).toEqual([ONE]);
  await blocks.close();
});

test('a damaged block that lies in the bucket only is told once, and left as it is', async () => {
  const ulid = ulidAt(NOW_MS - HOUR_MS, 1);
  const files = [{ rel_path: 'index', size_bytes: 11 }, { rel_path: 'meta.json' }];
  const thanos = { labels: {}, downsample: { resolution: 0 }, source: 'sidecar', files };
  await putForeign(ulid, { thanos });
  const blocks = open();
  for (let i = 0; i < 4; i++) await sync(blocks);
  expect(kinds('block-damaged')).toEqual([
    { kind: 'block-damaged', ulid, message: 'index has 10 bytes instead of 11', isUploadedAgain: false },
  ]);
  expect(names(blocks, 'nobody')).toEqual([ulid]);
  expect(await objects()).toEqual([`${ulid}/index`, `${ulid}/meta.json`]);
  await blocks.close();
});

test('a block of ours that a compactor marked and deleted is not brought back, its copy goes', async () => {
  const blocks = open();
  blocks.start();
  cut(blocks, ONE);
  await machine.until('the upload', () => uploads().length === 1);
  await putForeign(TWO);
  const mark = { id: ONE, version: 1, deletion_time: NOW_MS / 1000 };
  await store.put(`${ONE}/deletion-mark.json`, bytesContent(new TextEncoder().encode(JSON.stringify(mark))));
  await sync(blocks);
  for (const name of await objects()) if (name.startsWith(ONE)) await store.delete(name);
  await sync(blocks);
  await machine.turns(50);
  expect(names(blocks)).toEqual([]);
  expect(disk.exists(`/data/blocks/${ONE}`)).toBe(false);
  expect(uploads()).toEqual([ONE]);
  await blocks.close();
});

test('partial, unreadable and unknown things are left alone and listed; an unreadable one is said once, until it changes', async () => {
  const partial = ulidAt(NOW_MS, 1);
  const broken = ulidAt(NOW_MS, 2);
  await store.put(`${partial}/index`, bytesContent(new Uint8Array(3)));
  await store.put(`${broken}/meta.json`, bytesContent(new TextEncoder().encode('{"ulid":')));
  await store.put('holiday.jpg', bytesContent(new Uint8Array(3)));
  await store.put('varve/wal/x', bytesContent(new Uint8Array(3)));
  await store.put('debug/metas/x.json', bytesContent(new Uint8Array(3)));
  const before = await objects();
  const blocks = open();
  await blocks.refresh();
  await sync(blocks);
  expect(kinds('block-skipped').length).toBe(1);
  expect(blocks.stats()).toMatchObject({ blocks: 0, blocksPartial: 1, blocksUnreadable: 1 });
  expect(kinds('bucket-synced').at(-1)).toMatchObject({ blocks: 2, strays: ['holiday.jpg'] });
  expect(blocks.entries()).toMatchObject([
    { ulid: partial, state: 'partial' },
    { ulid: broken, state: 'unreadable', reason: expect.stringContaining('not JSON') },
  ]);
  expect(await objects()).toEqual(before);
  await putForeign(broken);
  await putForeign(partial);
  await sync(blocks);
  expect(names(blocks, 'nobody')).toEqual([partial, broken].sort());
  await blocks.close();
});

test('a listing that never ends is given up, and counts as an outage', async () => {
  await putForeign(ONE);
  const blocks = open();
  let pages = 0;
  const { list } = DirectoryBucket.prototype;
  DirectoryBucket.prototype.list = async function* () {
    for await (const page of list.call(this, '')) for (; pages < 1000; pages++) yield page;
  };
  try {
    await expect(blocks.refresh()).rejects.toMatchObject({ kind: 'unavailable' });
  } finally {
    DirectoryBucket.prototype.list = list;
  }
  expect(pages).toBeLessThan(5);
  expect(blocks.stats().bucketFailing).toBe(1);
  await sync(blocks);
  expect(names(blocks, 'nobody')).toEqual([ONE]);
  await blocks.close();
});

test('an upload that ends while the engine is closed counts', async () => {
  const blocks = open();
  blocks.start();
  cut(blocks, ONE);
  await blocks.close();
  expect(uploads()).toEqual([ONE]);
});

test('a store that hangs does not hold up a stop', async () => {
  const blocks = open();
  control.fate = () => 'hang';
  blocks.start();
  cut(blocks, ONE);
  await machine.turns(50);
  let isClosed = false;
  void blocks.close().then(() => {
    isClosed = true;
  });
  await machine.until('the stop', () => isClosed, { stepMs: 1000, steps: 10 });
});

test('blocks outside of the limits of time are not read', async () => {
  const day = 86_400_000;
  const [old, recent, future] = [1, 2, 3].map((last) => ulidAt(NOW_MS, last)) as [string, string, string];
  await putForeign(old, { minTime: NOW_MS - 3 * day, maxTime: NOW_MS - 2 * day });
  await putForeign(recent, { minTime: NOW_MS - 2 * day, maxTime: NOW_MS - day });
  await putForeign(future, { minTime: NOW_MS - day + 1, maxTime: NOW_MS });
  const blocks = open({ minTime: { agoMs: 2 * day }, maxTime: { atMs: NOW_MS - day } });
  await blocks.refresh();
  expect(names(blocks, 'nobody')).toEqual([recent]);
  await blocks.close();
});
