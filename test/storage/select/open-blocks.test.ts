/** Many blocks, and blocks of others, as a reading thread opens them. */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DirectoryBlockFiles } from '../../../storage/block/block-files.ts';
import { BlockReader } from '../../../storage/block/block-reader.ts';
import { encodeMeta, parseMeta } from '../../../storage/block/meta.ts';
import { nodeFileSystem } from '../../../storage/io/node-file-system.ts';
import { threadWorld } from '../../../storage/io/world.ts';
import { Matcher } from '../../../storage/model/matcher.ts';
import { openReader } from '../../../storage/select/reader.ts';
import { EVER, readAll, smallSeries } from '../../support/blocks.ts';
import { BlocksDatabase, ulidOf } from '../../support/blocks-database.ts';
import { peers } from '../../support/peers.ts';
import { promtool } from '../../support/promtool.ts';
import { SimFileSystem } from '../../support/sim-file-system.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';

test('10 000 blocks are sources within 2 s, and take no more than 200 MB, because none is opened before it is asked', () => {
  const database = new BlocksDatabase(new SimFileSystem(), '/many');
  const { meta } = database.addBlock(0, smallSeries);
  database.places = Array.from({ length: 10_000 }, (_, n) => {
    const ulid = ulidOf(n);
    return { meta: { ...structuredClone(meta), ulid }, bucketDirectory: ulid };
  });
  const reader = openReader(database.readerInit(), { ...threadWorld, fileSystem: database.fileSystem });
  const before = process.memoryUsage().rss;
  const startedMs = performance.now();
  const sources = reader.sources(structuredClone(database.snapshot('t', EVER)));
  expect(sources).toHaveLength(10_000);
  expect(performance.now() - startedMs).toBeLessThan(2000);
  expect(process.memoryUsage().rss - before).toBeLessThan(200_000_000);
  expect(database.watch.requests).toEqual([]);
});

/** 300 series over six hours, as promtool makes blocks of them. */
async function blocksOfPromtool(directory: string): Promise<string> {
  const lines: string[] = [];
  for (let i = 0; i < 300; i++) {
    for (let minute = 0; minute < 360; minute += 10)
      lines.push(`m${i % 3}{i="${i}"} ${i + minute} ${1_600_000_000 + minute * 60}`);
  }
  const source = join(directory, 'source.om');
  writeFileSync(source, `${lines.sort().join('\n')}\n# EOF\n`);
  const output = join(directory, 'blocks');
  for await (const _ of promtool('tsdb', 'create-blocks-from', 'openmetrics', source, output));
  return output;
}

test.skipIf(!peers.promtool)(
  'blocks of Prometheus are read in the bucket as on the disk, with Thanos metadata or none',
  async () => {
    using directory = new TemporaryDirectory('foreign');
    const made = await blocksOfPromtool(directory.path);
    const database = new BlocksDatabase(nodeFileSystem, directory.path);
    const ulids = readdirSync(made).filter((name) => name.length === 26);
    expect(ulids.length).toBeGreaterThan(1);
    for (const [n, ulid] of ulids.entries()) {
      const meta = parseMeta(readFileSync(join(made, ulid, 'meta.json')), ulid);
      const labels = { cluster: 'eu', replica: String(n) };
      const thanos = { labels, downsample: { resolution: 0 }, source: 'sidecar' };
      const place = { meta: n === 0 ? meta : { ...meta, thanos }, bucketDirectory: `tenant/${ulid}` };
      const target = join(directory.path, 'bucket', place.bucketDirectory);
      mkdirSync(join(target, 'chunks'), { recursive: true });
      copyFileSync(join(made, ulid, 'index'), join(target, 'index'));
      copyFileSync(join(made, ulid, 'chunks', '000001'), join(target, 'chunks', '000001'));
      writeFileSync(join(target, 'meta.json'), encodeMeta(place.meta));
      database.places.push(place);
    }
    const reader = openReader(database.readerInit(), threadWorld);
    const sources = reader.sources(database.snapshot('t', EVER));
    for (const matchers of [[], [new Matcher('=', '__name__', 'm1'), new Matcher('=~', 'i', '1.*')]]) {
      for (const [n, source] of sources.entries()) {
        const { meta } = database.places[n] as (typeof database.places)[number];
        const files = new DirectoryBlockFiles(nodeFileSystem, join(made, meta.ulid));
        const here = await BlockReader.open(files, meta, []);
        const expected = await readAll(here, matchers, EVER);
        expect(expected.length).toBeGreaterThan(10);
        expect(await readAll(source, matchers, EVER)).toEqual(expected);
        expect(source.externalLabels).toEqual(n === 0 ? [] : ['cluster', 'eu', 'replica', String(n)]);
        files.close();
      }
    }
    // Sizes are not in their meta.json: one request more, and still no more than seven for the first touch.
    for (const count of database.watch.takeCounts().values()) expect(count).toBeLessThanOrEqual(7 * ulids.length);
  },
);
