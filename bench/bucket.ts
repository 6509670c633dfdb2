/**
 * What a bucket costs: the upload of a block, queries over a month of blocks there, and a start with many blocks; in requests
 * and bytes, which a store bills, beside time.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { parseBucketConfig } from '../src/objectstore/bucket-config.ts';
import { bucketLocation } from '../src/objectstore/open-bucket.ts';
import { uploadBlock } from '../storage/bucket/block-upload.ts';
import { type BucketLocation, BucketUsage, nodeFileSystem, openBucketAt } from '../storage/index.ts';
import { threadWorld } from '../storage/io/world.ts';
import { encodeUlid } from '../storage/lib/ulid.ts';
import { WINDOW_MS } from '../storage/model/time-range.ts';
import { objectStores, startSwift } from '../test/support/object-stores.ts';
import type { QueryCost, QueryOrder, QueryResult } from './bucket-query.ts';
import { type CatalogReport, runCatalog } from './catalog.ts';
import type { CatalogStart } from './catalog-start.ts';
import { formatAligned, workDirectory } from './ingest.ts';
import { BlockCopies, blockMetaIn, cutBlock } from './load/blocks.ts';
import { diskBytes, fileSystemType, machine } from './usage.ts';

export interface BucketOptions {
  readonly series: number;
  /** Blocks of 2 h that queries go over. */
  readonly blocks: number;
  /** Of the samples in these. */
  readonly intervalMs: number;
  /** Of the samples in the block that is uploaded. */
  readonly uploadIntervalMs: number;
  /** What each request takes longer in the second half of the queries; 0: there is none. */
  readonly delayMs: number;
  readonly cacheDiskBytes: number;
  /** Blocks in the bucket when the catalogue is started. */
  readonly catalogBlocks: number;
  readonly directory: string | undefined;
}

/** Uploads of one block to one kind of store, each under another name. */
export interface UploadFigures {
  readonly store: string;
  readonly bytes: number;
  readonly samples: number;
  /** Of one upload. */
  readonly requests: number;
  /** Of the quickest. */
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** A query with the caches in one state. */
export interface QueryFigures extends QueryCost {
  readonly selector: string;
  readonly caches: CacheState;
  readonly delayMs: number;
  readonly blocks: number;
  readonly series: number;
  readonly answerBytes: number;
  /** Of the process that asked. */
  readonly peakRssBytes: number;
}

export interface BucketReport {
  readonly machine: string;
  readonly fileSystem: string;
  readonly uploads: readonly UploadFigures[];
  readonly bytesOfMonth: number;
  readonly queries: readonly QueryFigures[];
  readonly catalog: CatalogReport;
}

/** Nothing at all is there; only the headers of the indexes are; the same query was asked before. */
export type CacheState = 'nothing' | 'header' | 'warm';

/** Requests that a query may make for a block that it touches. */
const MOST_REQUESTS_OF_BLOCK: Readonly<Record<CacheState, number>> = { nothing: 7, header: 4, warm: 0 };
const MOST_REQUESTS_OF_UPLOAD = 12;

const SELECTORS: readonly Readonly<Record<string, string>>[] = [
  { __name__: 'node_load1', job: 'node-exporter' },
  { instance: 'host-00000.eu-central-1.example.com:9100' },
  { __name__: 'node_memory_MemAvailable_bytes' },
];

const UPLOADS = 3;
const MIB = 2 ** 20;

/** `log` gets a line on what is going on. */
export async function runBucket(options: BucketOptions, log: (line: string) => void): Promise<BucketReport> {
  const directory = workDirectory(options.directory);
  try {
    const uploads = await measureUploads(directory, options, log);
    const { bytesOfMonth, queries } = await measureQueries(directory, options, log);
    const catalog = runCatalog({ blocks: options.catalogBlocks }, log);
    return { machine: machine(), fileSystem: fileSystemType(directory), uploads, bytesOfMonth, queries, catalog };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measureUploads(
  directory: string,
  { series, uploadIntervalMs }: BucketOptions,
  log: (line: string) => void,
): Promise<UploadFigures[]> {
  log(`a server cuts 2 h of ${series} series at ${uploadIntervalMs / 1000} s`);
  const data = join(directory, 'uploaded');
  const block = await cutBlock(data, { series, intervalMs: uploadIntervalMs });
  const store = join(directory, 'upload-store');
  const locations = [
    { store: 'FILESYSTEM', location: locationOf(`{type: FILESYSTEM, config: {directory: ${store}}}`) },
  ];
  await using stack = new AsyncDisposableStack();
  if (objectStores.swift) {
    const swift = stack.use(await startSwift());
    await swift.makeBucket('bench');
    locations.push({ store: 'S3 (Swift)', location: locationOf(swift.configText('bench')) });
  } else log('no S3: npm run objectstores installs one');
  const figures: UploadFigures[] = [];
  for (const { store, location } of locations) {
    log(`the block goes to ${store}`);
    figures.push(await measureUpload(store, location, block));
  }
  for (const made of [data, store]) rmSync(made, { recursive: true, force: true });
  return figures;
}

function locationOf(text: string): BucketLocation {
  const source = {
    name: 'bench',
    environment: process.env,
    readFile: (path: string): Buffer => {
      throw new Error(`${path} is not read here`);
    },
  };
  return bucketLocation(parseBucketConfig(text, source).config);
}

async function measureUpload(store: string, location: BucketLocation, blockDirectory: string): Promise<UploadFigures> {
  const opened = await openBucketAt(location, threadWorld);
  const bucket = opened.for('upload');
  const meta = blockMetaIn(blockDirectory);
  const usage = new BucketUsage(location.usage);
  const tries: Omit<UploadFigures, 'store' | 'samples'>[] = [];
  for (let i = 0; i < UPLOADS; i++) {
    const ulid = encodeUlid(meta.maxTime, new Uint8Array(10).fill(i));
    const order = {
      meta: { ...meta, ulid },
      localDirectory: blockDirectory,
      sent: [],
      uploadTime: '2026-01-01T00:00:00Z',
    };
    const requestsBefore = requestsOf(usage);
    const cpuBefore = process.cpuUsage();
    const startedMs = performance.now();
    const { sentBytes } = await uploadBlock(order, { bucket, fileSystem: nodeFileSystem, onSent: () => {} });
    const seconds = (performance.now() - startedMs) / 1000;
    const { user, system } = process.cpuUsage(cpuBefore);
    const requests = requestsOf(usage) - requestsBefore;
    tries.push({ bytes: sentBytes, requests, seconds, cpuSeconds: (user + system) / 1e6 });
  }
  opened.close();
  const quickest = tries.reduce((best, one) => (one.seconds < best.seconds ? one : best));
  return { store, samples: meta.stats.numSamples ?? 0, ...quickest };
}

function requestsOf(usage: BucketUsage): number {
  return usage.rows().reduce((sum, { requests }) => sum + requests, 0);
}

async function measureQueries(
  directory: string,
  options: BucketOptions,
  log: (line: string) => void,
): Promise<Pick<BucketReport, 'bytesOfMonth' | 'queries'>> {
  const store = join(directory, 'store');
  mkdirSync(store);
  log(`a server cuts 2 h of ${options.series} series at ${options.intervalMs / 1000} s`);
  const copies = await BlockCopies.of(await cutBlock(join(directory, 'cut'), options));
  log(`${options.blocks} blocks are made of it`);
  for (let i = 0; i < options.blocks; i++) copies.write(store, i);
  const { minTime, maxTime, thanos } = copies.meta;
  const dataDirectory = join(directory, 'data');
  const order = {
    dataDirectory,
    bucketDirectory: store,
    cacheDiskBytes: options.cacheDiskBytes,
    tenant: thanos?.labels.tenant_id ?? '',
    range: { minTimeMs: minTime - (options.blocks - 1) * WINDOW_MS, maxTimeMs: maxTime },
  };
  const queries: QueryFigures[] = [];
  for (const labels of SELECTORS) {
    for (const delayMs of new Set([0, options.delayMs])) {
      for (const caches of ['nothing', 'header'] as const) {
        log(`${selectorText(labels)}: ${delayMs} ms a request, ${caches} is there`);
        rmSync(join(dataDirectory, 'cache'), { recursive: true, force: true });
        if (caches === 'nothing') rmSync(join(dataDirectory, 'index-headers'), { recursive: true, force: true });
        queries.push(...figuresOf({ ...order, labels, delayMs }, caches));
      }
    }
  }
  return { bytesOfMonth: diskBytes(store), queries };
}

/** Both queries of a process; the second one after the first touch says nothing that the other does not. */
function figuresOf(order: QueryOrder, caches: CacheState): QueryFigures[] {
  const { first, second, ...size } = askInProcess(order);
  const common = { selector: selectorText(order.labels), delayMs: order.delayMs, ...size };
  const figures: QueryFigures[] = [{ ...common, caches, ...first }];
  if (caches === 'header') figures.push({ ...common, caches: 'warm', ...second });
  return figures;
}

function askInProcess(order: QueryOrder): QueryResult {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));
  // As scripts/varve.sh has it.
  const env = { ...process.env, MALLOC_ARENA_MAX: '2' };
  const args = ['--max-semi-space-size=4', main, 'bucket-query', JSON.stringify(order)];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { env });
  if (status !== 0) throw new Error(String(stderr));
  return JSON.parse(String(stdout)) as QueryResult;
}

function selectorText(labels: Readonly<Record<string, string>>): string {
  const { __name__ = '', ...others } = labels;
  const matchers = Object.entries(others).map(([name, value]) => `${name}="${value.replace(/\..*/, '…')}"`);
  return matchers.length === 0 ? __name__ : `${__name__}{${matchers.join(',')}}`;
}

/** The options of `bucket` on the command line. Throws on one that it does not know. */
export function parseBucketOptions(args: readonly string[]): BucketOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      series: { type: 'string', default: '100000' },
      blocks: { type: 'string', default: '360' },
      interval: { type: 'string', default: '60' },
      'upload-interval': { type: 'string', default: '15' },
      delay: { type: 'string', default: '30' },
      'cache-disk': { type: 'string', default: '10240' },
      'catalog-blocks': { type: 'string', default: '10000' },
      directory: { type: 'string' },
    },
  });
  const options = {
    series: Number(values.series),
    blocks: Number(values.blocks),
    intervalMs: Number(values.interval) * 1000,
    uploadIntervalMs: Number(values['upload-interval']) * 1000,
    delayMs: Number(values.delay),
    cacheDiskBytes: Number(values['cache-disk']) * MIB,
    catalogBlocks: Number(values['catalog-blocks']),
    directory: values.directory,
  };
  const { directory: _, delayMs, ...numbers } = options;
  if (![...Object.values(numbers), delayMs + 1].every((n) => Number.isInteger(n) && n > 0))
    throw new Error(
      'series, blocks, interval, upload-interval, cache-disk and catalog-blocks are numbers above 0, delay one from 0',
    );
  return options;
}

/** The report for people, with what it is to be held against. */
export function formatBucketReport(report: BucketReport, options: BucketOptions): string {
  const { series, blocks, intervalMs, uploadIntervalMs } = options;
  return [
    `${report.machine}, ${report.fileSystem}`,
    '',
    `Upload of one block: 2 h of ${series} series at ${uploadIntervalMs / 1000} s, cut by a server`,
    '',
    ...formatAligned(uploadRows(report.uploads), 1),
    '',
    `Queries over ${blocks} blocks of 2 h, ${series} series at ${intervalMs / 1000} s each (${mib(report.bytesOfMonth)} MiB):`,
    'one cut by a server, and copies of it at other times; the bucket is a directory, in the memory of the machine or not',
    '',
    ...formatAligned(queryRows(report.queries), 2),
    '',
    'Start with a catalogue of the bucket, and without one',
    '',
    ...formatAligned(catalogRows(report.catalog), 1),
  ].join('\n');
}

function uploadRows(uploads: readonly UploadFigures[]): string[][] {
  return [
    ['store', 'MiB', 'samples', 'requests', `≤ ${MOST_REQUESTS_OF_UPLOAD}`, 's', 'MiB/s', 'CPU s'],
    ...uploads.map(({ store, bytes, samples, requests, seconds, cpuSeconds }) => [
      store,
      mib(bytes),
      String(samples),
      String(requests),
      verdict(requests, MOST_REQUESTS_OF_UPLOAD),
      seconds.toFixed(2),
      (bytes / MIB / seconds).toFixed(0),
      cpuSeconds.toFixed(2),
    ]),
  ];
}

function queryRows(queries: readonly QueryFigures[]): string[][] {
  return [
    [
      'selector',
      'caches',
      '+ms',
      'series',
      'touched',
      'requests',
      'a block',
      'most',
      'bar',
      '',
      'MiB',
      'KiB/block',
      'wall s',
      'CPU s',
      'RSS MiB',
    ],
    ...queries.map((query) => {
      const bar = MOST_REQUESTS_OF_BLOCK[query.caches];
      const touched = Math.max(1, query.blocksTouched);
      return [
        query.selector,
        query.caches,
        String(query.delayMs),
        String(query.series),
        `${query.blocksTouched}/${query.blocks}`,
        String(query.requests),
        (query.requests / touched).toFixed(2),
        String(query.mostRequestsOfBlock),
        `≤ ${bar}`,
        verdict(query.mostRequestsOfBlock, bar),
        mib(query.bytes),
        (query.bytes / 1024 / touched).toFixed(0),
        (query.wallMs / 1000).toFixed(2),
        (query.cpuMs / 1000).toFixed(2),
        mib(query.peakRssBytes),
      ];
    }),
  ];
}

/** The bars are those of a server that has its catalogue: without one it reads each meta.json first. */
function catalogRows({ warm, cold }: CatalogReport): string[][] {
  const row = (name: string, { blocks, openMs, allMs, peakRssBytes }: CatalogStart, bars: string[]): string[] => [
    name,
    String(blocks),
    (openMs / 1000).toFixed(2),
    bars[0] ?? '',
    (allMs / 1000).toFixed(2),
    mib(peakRssBytes),
    bars[1] ?? '',
  ];
  return [
    ['start', 'blocks', 'open s', '≤ 2 s', 'all readable s', 'RSS MiB', '≤ 200 MB'],
    row('with', warm, [verdict(warm.openMs, 2000), verdict(warm.peakRssBytes, 200e6)]),
    row('without', cold, []),
  ];
}

function verdict(value: number, bar: number): string {
  return value <= bar ? 'met' : 'MISSED';
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(bytes < 100 * MIB ? 1 : 0);
}
