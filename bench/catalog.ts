/**
 * What a start costs with many blocks in the bucket: with the catalogue of the last run, and without one, when each
 * meta.json is read again. Each start is a process of its own.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { encodeMeta } from '../storage/block/meta.ts';
import { encodeUlid } from '../storage/lib/ulid.ts';
import { WINDOW_MS } from '../storage/model/time-range.ts';
import { TemporaryDirectory } from '../test/support/temporary-directory.ts';
import { type CatalogStart, NEWEST_MS } from './catalog-start.ts';

export interface CatalogOptions {
  readonly blocks: number;
}

export interface CatalogReport {
  readonly cold: CatalogStart;
  readonly warm: CatalogStart;
}

export function parseCatalogOptions(args: readonly string[]): CatalogOptions {
  const { values } = parseArgs({ args: [...args], options: { blocks: { type: 'string', default: '10000' } } });
  return { blocks: Number(values.blocks) };
}

export function runCatalog({ blocks }: CatalogOptions, log: (line: string) => void): CatalogReport {
  using temporary = new TemporaryDirectory('catalog');
  log(`${blocks} blocks are made`);
  for (let i = 0; i < blocks; i++) putBlock(join(temporary.path, 'store'), i);
  // Of no interest: it compiles.
  startIn(temporary.path);
  rmSync(join(temporary.path, 'data'), { recursive: true });
  const cold = startIn(temporary.path);
  log('the first start has read each meta.json');
  const warm = startIn(temporary.path);
  return { cold, warm };
}

export function formatCatalogReport({ cold, warm }: CatalogReport): string {
  const row = (name: string, start: CatalogStart): string =>
    `| ${name} | ${start.blocks} | ${start.openMs.toFixed(0)} ms | ${start.allMs.toFixed(0)} ms | ${(start.peakRssBytes / 2 ** 20).toFixed(0)} MiB | ${start.selectMs.toFixed(1)} ms for ${start.selected} blocks |`;
  return [
    '| start | blocks | open | all can be read | RSS, peak | select of 30 days |',
    '|---|---|---|---|---|---|',
    row('with its catalogue', warm),
    row('without', cold),
  ].join('\n');
}

/** A process of its own opens the database and says what that took. */
function startIn(directory: string): CatalogStart {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));
  // As scripts/varve.sh has it. The second process finds what the first one has compiled.
  const env = { ...process.env, NODE_COMPILE_CACHE: join(directory, 'compile-cache'), MALLOC_ARENA_MAX: '2' };
  const args = ['--max-semi-space-size=4', main, 'catalog-start', directory];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { env });
  if (status !== 0) throw new Error(String(stderr));
  return JSON.parse(String(stdout)) as CatalogStart;
}

/** As Thanos Receive would leave it, but for what is in index and chunks. */
function putBlock(store: string, i: number): void {
  const maxTime = NEWEST_MS - i * WINDOW_MS;
  const ulid = encodeUlid(maxTime, new Uint8Array(10).fill(i % 256));
  const directory = join(store, ulid);
  mkdirSync(join(directory, 'chunks'), { recursive: true });
  const meta = encodeMeta({
    ulid,
    minTime: maxTime - WINDOW_MS,
    maxTime,
    stats: { numSamples: 48_000_000, numFloatSamples: 48_000_000, numSeries: 100_000, numChunks: 400_000 },
    compaction: { level: 1, sources: [ulid] },
    version: 1,
    thanos: {
      version: 1,
      labels: { cluster: 'eu-west-1', replica: 'prometheus-0', tenant_id: 'a' },
      downsample: { resolution: 0 },
      source: 'receive',
      segment_files: ['000001'],
      files: [
        { rel_path: 'chunks/000001', size_bytes: 51_234_567 },
        { rel_path: 'index', size_bytes: 9_876_543 },
        { rel_path: 'meta.json' },
      ],
      index_stats: { series_max_size: 256, chunk_max_size: 400 },
    },
  });
  writeFileSync(join(directory, 'chunks/000001'), '');
  writeFileSync(join(directory, 'index'), '');
  writeFileSync(join(directory, 'meta.json'), meta);
}
