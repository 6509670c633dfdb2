/** The parts of an open engine, and how they come together. */
import { IndexHeaders } from '../block/index-headers.ts';
import type { BlockMeta } from '../block/meta.ts';
import { Blocks } from '../catalog/blocks.ts';
import { type CheckpointerParts, HeadCheckpointer } from '../compact/head-checkpointer.ts';
import { HeadCollector } from '../compact/head-collector.ts';
import { type CutterParts, HeadCutter } from '../compact/head-cutter.ts';
import { type Identity, readIdentity } from '../data-directory.ts';
import { SeriesAdmission } from '../head/admission.ts';
import { BackgroundThread } from '../head/background-thread.ts';
import { HaGaps } from '../head/ha-gaps.ts';
import { type HaLabels, HaPairs } from '../head/ha-pairs.ts';
import { HeadWriter } from '../head/head-writer.ts';
import { KernelGuard } from '../head/kernel-guard.ts';
import { MetadataStore } from '../head/metadata-store.ts';
import { type ReplayOutcome, replayLog } from '../head/replay.ts';
import { SecondDefinitions } from '../head/second-definitions.ts';
import { Snapshots } from '../head/snapshots.ts';
import type { Clock } from '../io/clock.ts';
import type { DirectoryLock, FileSystem } from '../io/file-system.ts';
import type { Random } from '../io/random.ts';
import { Kernel } from '../kernel/kernel.ts';
import { UlidGenerator } from '../lib/ulid.ts';
import type { WalShipping } from '../ship/wal-shipping.ts';
import { listWalFiles, walDirectory } from '../wal/segment.ts';
import { Wal } from '../wal/wal.ts';
import type { DatabaseEvent, DatabaseOptions } from './database-options.ts';
import { acceptanceOf, coveringBlocks, makeOwn, startShipping, writeFirstCheckpoint } from './database-shipping.ts';

const WAL_SEGMENT_BYTES = 16 * 1024 * 1024;
/** Second definitions are written, and what is to stay free on the disk is estimated anew, this often. */
const UPKEEP_INTERVAL_MS = 1000;
/** A cut and a checkpoint together write about half of what the head takes. */
const FREE_SHARE_OF_HEAD = 0.5;
const LEAST_FREE_BYTES = 64 * 1024 * 1024;
/** How often series are counted that a loser of a pair has and the leader has not. */
const HA_ROUND_MS = 60_000;
/** The share of the memory budget for what losers sent last. */
const HA_SHADOW_SHARE = 1 / 16;

/** The parts of an open engine. */
export interface DatabaseParts {
  readonly lock: DirectoryLock;
  readonly kernel: Kernel;
  readonly wal: Wal;
  readonly writer: HeadWriter;
  readonly metadata: MetadataStore;
  readonly cutter: HeadCutter;
  readonly collector: HeadCollector;
  readonly checkpointer: HeadCheckpointer;
  readonly blocks: Blocks;
  readonly snapshots: Snapshots;
  readonly background: BackgroundThread;
  readonly shipping: WalShipping | undefined;
  readonly gaps: HaGaps | undefined;
  readonly stopUpkeep: () => void;
  readonly replay: { readonly ms: number; readonly samples: number };
  readonly stopHaRounds: () => void;
}

/** Where the headers of indexes are in a data directory. */
export function headersDirectory(directory: string): string {
  return `${directory}/index-headers`;
}

/** Replays the log of a directory that is locked, and starts the threads. Rejects as Database.open does. */
export async function openParts(options: DatabaseOptions, lock: DirectoryLock): Promise<DatabaseParts> {
  const { directory, fileSystem, clock, random, executor, onEvent } = options;
  const ulids = new UlidGenerator(random);
  const identity = readIdentity(fileSystem, directory, () => ulids.next(clock.nowMs()));
  const blocksDirectory = makeBlocksDirectory(options);
  const snapshots = new Snapshots();
  const blocks = openBlocks(options, identity, snapshots);

  const { kernel, gaps, admission } = makeKernel(options);
  const metadata = new MetadataStore();
  const covering = await coveringBlocks(identity, options, blocks);
  const startedMs = clock.monotonicMs();
  const replayed = await replayLog(fileSystem, directory, kernel, covering, {
    onElection: (election) => gaps?.pairs.restore(election),
    onProgress: (progress) => onEvent({ kind: 'replay-progress', ...progress }),
    onDamage: (message) => onEvent({ kind: 'wal-damage', message }),
    onMetadata: (record) => metadata.restore(record),
  });
  const replay = { ms: clock.monotonicMs() - startedMs, samples: kernel.sampleCount() };
  const onBroken = (message: string): void => onEvent({ kind: 'failed', message });
  const guard = new KernelGuard(onBroken);
  const firstSegment = replayed.report.nextSegment;
  const wal = startWal(options, kernel, firstSegment, onBroken);
  let shipping: WalShipping | undefined;
  const rules = { admission, gaps, metadata };
  const acceptance = acceptanceOf(wal, () => shipping, options.ship);
  const writer = new HeadWriter(kernel, guard, wal, clock, rules, acceptance);
  for (const tenant of kernel.tenantKeys()) writer.tenant(tenant);
  kernel.reserveNames([...options.externalLabels.filter((_, i) => i % 2 === 0), options.tenantLabelName]);
  const stopUpkeep = startUpkeep(options, { kernel, wal, guard, blocks });
  const stopHaRounds = gaps === undefined ? () => {} : clock.every(HA_ROUND_MS, () => gaps.pairs.endRound());

  const { memory } = kernel.memory;
  const headers = options.bucket === undefined ? {} : { headersDirectory: headersDirectory(directory) };
  const backgroundInit = { memory, reader: 0, dataDirectory: directory, blocksDirectory, ...headers };
  const background = new BackgroundThread(backgroundInit, { executor, onBroken });
  const extraRecords = (): Uint8Array[] => [...(gaps?.pairs.allRecords() ?? []), ...metadata.records()];
  const checkpointer = startCheckpointer(options, { kernel, wal, background, clock }, replayed, {
    extraRecords,
    onWritten: (number) => shipping?.noteCheckpoint(number),
  });
  // Before anything is shipped: the new epoch begins with a checkpoint of its own.
  if (identity.restored !== undefined) await writeFirstCheckpoint(checkpointer, writer);
  shipping = startShipping(options, { identity, kernel, wal, writer, blocks, ulids, firstSegment, onBroken });
  if (identity.restored !== undefined) await makeOwn(options, identity, checkpointer, shipping);
  const shared = { kernel, guard, wal, writer, snapshots, clock };
  const collector = new HeadCollector({ ...shared, checkpointer }, options.deadSeriesAtLeast);
  const cutter = startCutter(
    options,
    { ...shared, blocks, background, checkpointer, collector, metadata },
    identity,
    ulidsAfter(blocks.newestOwnMs(), ulids, clock),
  );
  blocks.start();
  return {
    lock,
    kernel,
    wal,
    writer,
    metadata,
    cutter,
    collector,
    checkpointer,
    blocks,
    snapshots,
    background,
    shipping,
    gaps,
    stopUpkeep,
    stopHaRounds,
    replay,
  };
}

interface HeadParts {
  readonly kernel: Kernel;
  readonly gaps: HaGaps | undefined;
  readonly admission: SeriesAdmission | undefined;
}

/** The head, empty, and what decides which series come into it. */
function makeKernel(options: DatabaseOptions): HeadParts {
  const shadowBytes = options.ha === undefined ? 0 : Math.floor(options.memoryBudgetBytes * HA_SHADOW_SHARE);
  let admission: SeriesAdmission | undefined;
  const kernel = new Kernel({
    budgetBytes: options.memoryBudgetBytes - shadowBytes,
    seed: randomWord(options.random),
    admit: (labels) => admission?.admit(labels) ?? { labels, replica: 0 },
    ...(options.times === undefined ? {} : { times: options.times }),
  });
  const gaps = options.ha && new HaGaps(haPairs(options.ha, kernel, options), kernel, shadowBytes);
  if (options.policy !== undefined || gaps !== undefined) admission = new SeriesAdmission(options.policy, gaps?.pairs);
  return { kernel, gaps, admission };
}

interface UpkeepParts {
  readonly kernel: Kernel;
  readonly wal: Wal;
  readonly guard: KernelGuard;
  readonly blocks: Blocks;
}

/** What is done each second; the returned function ends it. */
function startUpkeep(options: DatabaseOptions, { kernel, wal, guard, blocks }: UpkeepParts): () => void {
  const secondDefinitions = new SecondDefinitions(kernel, wal, guard);
  const keepFree = (): void =>
    wal.keepFree(options.minFreeBytes ?? Math.max(kernel.usedBytes * FREE_SHARE_OF_HEAD, LEAST_FREE_BYTES));
  keepFree();
  return options.clock.every(UPKEEP_INTERVAL_MS, () => {
    secondDefinitions.write();
    keepFree();
    blocks.setShortOfSpace(wal.shortage !== undefined);
  });
}

function haPairs(labels: HaLabels, kernel: Kernel, { clock, onEvent }: DatabaseOptions): HaPairs {
  return new HaPairs(labels, { memory: kernel.memory, makeReplica: () => kernel.makeReplica(), clock, onEvent });
}

/** Where blocks are built, without what a crash left half-written: the log still has its samples. */
function makeBlocksDirectory({ fileSystem, directory }: DatabaseOptions): string {
  const path = `${directory}/blocks`;
  for (const { name } of fileSystem.list(path)) if (name.endsWith('.tmp')) fileSystem.remove(`${path}/${name}`);
  fileSystem.makeDirectory(path);
  return path;
}

function openBlocks(options: DatabaseOptions, { instance }: Identity, snapshots: Snapshots): Blocks {
  const { directory, bucket, fileSystem } = options;
  const headers = new IndexHeaders(fileSystem, headersDirectory(directory));
  return new Blocks({
    ...options,
    dataDirectory: directory,
    instance,
    settings: options.blocks ?? {},
    ...(bucket === undefined ? {} : { location: bucket }),
    whenSnapshotsAreGone: () => snapshots.whenPresentOnesAreGone(),
    onVanished: (ulid) => headers.remove(ulid),
  });
}

function startWal(
  { directory, walSegmentBytes, walSyncIntervalMs = 0, executor, clock, onEvent }: DatabaseOptions,
  kernel: Kernel,
  firstSegment: number,
  onBroken: (message: string) => void,
): Wal {
  return new Wal(kernel.memory, {
    dataDirectory: directory,
    segmentBytes: walSegmentBytes ?? WAL_SEGMENT_BYTES,
    firstSegment,
    syncIntervalMs: walSyncIntervalMs,
    executor,
    clock,
    onFailing: (message) => onEvent({ kind: 'wal-failing', message }),
    onRecovered: () => onEvent({ kind: 'wal-recovered' }),
    onShortage: (message) => onEvent(message === undefined ? { kind: 'disk-roomy' } : { kind: 'disk-short', message }),
    onBroken,
  });
}

function startCheckpointer(
  { fileSystem, directory, onEvent }: DatabaseOptions,
  parts: CheckpointerParts,
  { report, isStale }: ReplayOutcome,
  { extraRecords, onWritten }: { extraRecords: () => Uint8Array[]; onWritten: (number: number) => void },
): HeadCheckpointer {
  return new HeadCheckpointer(parts, {
    generation: report.nextGeneration,
    oldestSegment: oldestSegment(fileSystem, directory) ?? report.nextSegment,
    isStale,
    extraRecords,
    onCheckpoint: (number, bytes, durationMs) => {
      onWritten(number);
      onEvent({ kind: 'checkpoint', bytes, durationMs });
    },
    onRetry: (message) => onEvent({ kind: 'retry', what: 'checkpoint', message }),
  });
}

function startCutter(
  options: DatabaseOptions,
  parts: CutterParts,
  { instance, epoch }: Identity,
  nextUlid: () => string,
): HeadCutter {
  const { idleCutMs, onEvent } = options;
  return new HeadCutter(parts, {
    instance,
    epoch,
    idleCutMs,
    nextUlid,
    thanosLabels: (tenant) => thanosLabels(options, tenant),
    onCut: (tenant, meta, durationMs) => onEvent(cutEvent(tenant, meta, durationMs)),
    onRetry: (message) => onEvent({ kind: 'retry', what: 'cut', message }),
  });
}

/** Names for blocks, greater than those of the blocks that are there, even if the clock went back since the last start. */
function ulidsAfter(newestMs: number, ulids: UlidGenerator, clock: Clock): () => string {
  return () => ulids.next(Math.max(clock.nowMs(), newestMs + 1));
}

function randomWord(random: Random): number {
  const bytes = new Uint8Array(4);
  random.fill(bytes);
  return new DataView(bytes.buffer).getUint32(0);
}

/** The oldest segment that the log still has. */
function oldestSegment(fileSystem: FileSystem, directory: string): number | undefined {
  const numbers = listWalFiles(fileSystem, walDirectory(directory))
    .filter(({ kind }) => kind === 'segment')
    .map(({ number }) => number);
  return numbers.length === 0 ? undefined : Math.min(...numbers);
}

function thanosLabels({ externalLabels, tenantLabelName }: DatabaseOptions, tenant: string): Record<string, string> {
  const labels: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let i = 0; i < externalLabels.length; i += 2)
    labels[externalLabels[i] as string] = externalLabels[i + 1] as string;
  labels[tenantLabelName] = tenant;
  return labels;
}

function cutEvent(tenant: string, meta: BlockMeta, durationMs: number): DatabaseEvent {
  const { ulid, minTime, maxTime, stats } = meta;
  return {
    kind: 'cut',
    tenant,
    ulid,
    minTimeMs: minTime,
    maxTimeMs: maxTime,
    series: stats.numSeries ?? 0,
    samples: stats.numSamples ?? 0,
    durationMs,
  };
}
