/**
 * The engine: one data directory with all its tenants. Writes go to the head and the log, cuts turn the head into
 * blocks in the bucket, readers on other threads see both through snapshots.
 */
import { IndexHeaders } from './block/index-headers.ts';
import type { BlockMeta } from './block/meta.ts';
import type { BucketLocation } from './bucket/bucket-location.ts';
import { Quarantine, type QuarantinedBlock } from './bucket/quarantine.ts';
import type { BlockEvent } from './catalog/block-event.ts';
import type { BlockUsage } from './catalog/block-usage.ts';
import { type BlockSettings, Blocks, type BlocksStats } from './catalog/blocks.ts';
import type { CatalogEntry } from './catalog/catalog.ts';
import { type CheckpointerParts, HeadCheckpointer } from './compact/head-checkpointer.ts';
import { HeadCollector } from './compact/head-collector.ts';
import { type CutterParts, HeadCutter } from './compact/head-cutter.ts';
import { finishRestore, type Identity, readIdentity } from './data-directory.ts';
import { SeriesAdmission } from './head/admission.ts';
import { BackgroundThread } from './head/background-thread.ts';
import { HaGaps } from './head/ha-gaps.ts';
import { type HaClusterStatus, type HaEvent, type HaLabels, HaPairs } from './head/ha-pairs.ts';
import { type Acceptance, HeadWriter, type WriteOptions } from './head/head-writer.ts';
import { KernelGuard } from './head/kernel-guard.ts';
import { MetadataStore } from './head/metadata-store.ts';
import { type OwnBlock, type ReplayOutcome, replayLog } from './head/replay.ts';
import { SecondDefinitions } from './head/second-definitions.ts';
import { type Snapshot, Snapshots } from './head/snapshots.ts';
import type { TenantLimits } from './head/tenant-limits.ts';
import type { WriteOutcome } from './head/write-outcome.ts';
import type { Clock } from './io/clock.ts';
import type { Executor } from './io/executor.ts';
import type { DirectoryLock, FileSystem } from './io/file-system.ts';
import type { Random } from './io/random.ts';
import { isSystemError } from './io/system-error.ts';
import { Kernel, type TimeRules } from './kernel/kernel.ts';
import * as L from './kernel/layout.ts';
import { StorageError } from './lib/errors.ts';
import { UlidGenerator } from './lib/ulid.ts';
import type { MetricMetadata } from './model/extras.ts';
import type { Labels } from './model/labels.ts';
import type { SeriesPolicy } from './model/series-policy.ts';
import type { TimeRange } from './model/time-range.ts';
import type { BlockCacheSettings, ReaderInit } from './select/reader.ts';
import { MARKER_FORMAT } from './ship/shipped-log.ts';
import { NOT_SHIPPING, type ShipSettings, type ShipStats, WalShipping } from './ship/wal-shipping.ts';
import type { RecoveryProgress } from './wal/recovery.ts';
import { listWalFiles, walDirectory } from './wal/segment.ts';
import { Wal } from './wal/wal.ts';

/** What the engine reports; it does not log. */
export type DatabaseEvent =
  | ({ readonly kind: 'replay-progress' } & RecoveryProgress)
  | {
      readonly kind: 'cut';
      readonly tenant: string;
      readonly ulid: string;
      readonly minTimeMs: number;
      readonly maxTimeMs: number;
      readonly series: number;
      readonly samples: number;
      readonly durationMs: number;
    }
  | { readonly kind: 'checkpoint'; readonly bytes: number; readonly durationMs: number }
  | { readonly kind: 'wal-failing'; readonly message: string }
  | { readonly kind: 'wal-recovered' }
  /** The space that is left on the disk is kept for blocks and checkpoints: writes are refused until there is more. */
  | { readonly kind: 'disk-short'; readonly message: string }
  | { readonly kind: 'disk-roomy' }
  | HaEvent
  | BlockEvent
  /** Damaged bytes in the log. */
  | { readonly kind: 'wal-damage'; readonly message: string }
  /** A query found a damaged block: it is left out of all answers for some hours. */
  | { readonly kind: 'block-quarantined'; readonly ulid: string; readonly message: string }
  /** Work beside the writes failed and is tried again. */
  | { readonly kind: 'retry'; readonly what: string; readonly message: string }
  /** The bucket does not take the log: it is kept here and tried again. */
  | { readonly kind: 'ship-failing'; readonly message: string }
  | { readonly kind: 'ship-recovered' }
  /** A higher epoch of this instance is in the bucket: nothing is accepted, and nothing in the bucket changed, any more. */
  | { readonly kind: 'fenced'; readonly message: string }
  /** The engine must not go on: the process is to end, and the log restores what it held. */
  | { readonly kind: 'failed'; readonly message: string };

export interface DatabaseOptions {
  readonly directory: string;
  /** Bytes that the series and samples in the head may take. */
  readonly memoryBudgetBytes: number;
  /** Labels of all series of this engine besides their own. */
  readonly externalLabels: Labels;
  /** The label that names a block's tenant in its Thanos section. */
  readonly tenantLabelName: string;
  /** Whose blocks are that name no tenant. */
  readonly defaultTenant: string;
  /** Where blocks go for good; undefined: they stay in `bucket/` of the directory. */
  readonly bucket?: BucketLocation;
  /** How blocks are kept and found. */
  readonly blocks?: BlockSettings;
  /** How the log goes to the bucket; undefined: not at all. */
  readonly ship?: ShipSettings;
  /** Who ships: for people, in the bucket. */
  readonly host?: string;
  /** The file of the block catalogue; undefined: it is in memory, and made anew at each start. */
  readonly catalogPath?: string;
  /** A tenant that was silent for so long is cut whole. */
  readonly idleCutMs: number;
  /** Which times samples may have; see `defaultTimeRules`. */
  readonly times?: Partial<TimeRules>;
  /** What is done with the labels of every series before it is stored. */
  readonly policy?: SeriesPolicy;
  /** Of several senders with the same series, only what one sends is stored. */
  readonly ha?: HaLabels;
  readonly walSegmentBytes?: number;
  /** How long a write may be answered before it is synced; 0, the default: it is answered after. */
  readonly walSyncIntervalMs?: number;
  /** What writes leave free on the disk; by default half of what the head takes, and at least 64 MiB. */
  readonly minFreeBytes?: number;
  /** Dead series leave the head when there are so many, and a tenth of all. */
  readonly deadSeriesAtLeast?: number;
  /** What reader threads keep of blocks in the bucket: bytes in the memory of each, and on disk for all. */
  readonly queryCache?: { readonly memoryBytes: number; readonly diskBytes: number };
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  readonly executor: Executor;
  readonly onEvent: (event: DatabaseEvent) => void;
}

/** Plain numbers; counters count from the start of the process. */
export interface DatabaseStats extends BlocksStats, ShipStats {
  readonly headSeries: number;
  readonly headBytes: number;
  readonly memoryBudgetBytes: number;
  readonly samplesStored: number;
  readonly samplesDuplicate: number;
  readonly samplesConflicting: number;
  readonly samplesRejected: number;
  readonly exemplarsDropped: number;
  /** Descriptions of metrics that were too long, too many or no text. */
  readonly metadataDropped: number;
  readonly seriesCreated: number;
  /** New series that came with a label that an external label or the tenant's label hides. */
  readonly seriesHidden: number;
  /** Series that held nothing any more and left the head. */
  readonly seriesRemoved: number;
  readonly walBytes: number;
  readonly walPendingBytes: number;
  /** Of all records written, since the start. */
  readonly walRecordBytes: number;
  /** What the replay at the start took, and how many samples it brought into the head. */
  readonly walReplaySeconds: number;
  readonly walReplayedSamples: number;
  /** Since the oldest byte was written that is not durable yet; 0 if there is none. */
  readonly notDurableSeconds: number;
  readonly walSyncs: number;
  readonly walSegments: number;
  readonly walFailing: number;
  /** Of the disk with the data directory. */
  readonly freeBytes: number;
  /** Of these, what writes leave. */
  readonly minFreeBytes: number;
  /** 1 while writes are refused for want of space. */
  readonly shortOfSpace: number;
  readonly cuts: number;
  readonly checkpoints: number;
  /** Damaged ones that queries leave out. */
  readonly quarantinedBlocks: number;
  readonly snapshots: number;
  readonly tenants: number;
  readonly haClusters: number;
  readonly haSwitches: number;
  readonly haMissingSeries: number;
  readonly haShadowBytes: number;
  readonly haShadowSamples: number;
  readonly haShadowStored: number;
  readonly haShadowDiscarded: number;
}

const NO_SHIPMENTS: ShipSettings = { intervalMs: 0, ack: 'local' };
const WAL_SEGMENT_BYTES = 16 * 1024 * 1024;
/** Second definitions are written, and what is to stay free on the disk is estimated anew, this often. */
const UPKEEP_INTERVAL_MS = 1000;
/** A cut and a checkpoint together write about half of what the head takes. */
const FREE_SHARE_OF_HEAD = 0.5;
const LEAST_FREE_BYTES = 64 * 1024 * 1024;
/** The cache of queries stops to grow when the disk is on its way to being short for the log. */
const CACHE_FREE_SHARE_OF_HEAD = 1;
const LEAST_CACHE_FREE_BYTES = 1024 * 1024 * 1024;
const DEFAULT_QUERY_CACHE = { memoryBytes: 64 * 1024 * 1024, diskBytes: 10 * 1024 * 1024 * 1024 };
/** How often series are counted that a loser of a pair has and the leader has not. */
const HA_ROUND_MS = 60_000;
/** The share of the memory budget for what losers sent last. */
const HA_SHADOW_SHARE = 1 / 16;

/** The parts of an open engine. */
interface Parts {
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

export class Database {
  readonly #options: DatabaseOptions;
  readonly #parts: Parts;
  readonly #quarantine: Quarantine;
  /** Numbers of the reader threads that live. */
  readonly #readers = new Set<number>();
  #lastReader = 0;

  private constructor(options: DatabaseOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
    this.#quarantine = new Quarantine(options.clock);
  }

  /**
   * Takes the directory, replays its log and resolves when the engine can be written and read. Throws StorageError:
   * 'locked' if another server has the directory, 'invalid' if a newer version wrote it, 'unavailable' if the log does
   * not fit the memory budget.
   */
  static async open(options: DatabaseOptions): Promise<Database> {
    const { fileSystem, directory } = options;
    fileSystem.makeDirectory(directory);
    const lock = fileSystem.lockDirectory(directory);
    try {
      return new Database(options, await openParts(options, lock));
    } catch (error) {
      lock.close();
      throw error;
    }
  }

  /**
   * Stores a remote write request of a tenant, of 1.0 and a snappy block unless told otherwise, and resolves when it is
   * durable. Rejects with StorageError: 'invalid', 'limit' and 'rate' (LimitError) if nothing of the body was stored,
   * 'unavailable' if it is to be sent again.
   */
  write(tenant: string, body: Uint8Array, options?: WriteOptions): Promise<WriteOutcome> {
    return this.#parts.writer.write(tenant, body, options);
  }

  /** Holds tenants to these limits from now on; what they hold already stays. */
  setLimits(limitsOf: (tenant: string) => TenantLimits): void {
    this.#parts.writer.setLimits(limitsOf);
  }

  /** What the senders of a tenant said of metric families: by family, the newest description first. */
  metadata(tenant: string): ReadonlyMap<string, readonly MetricMetadata[]> {
    return this.#parts.metadata.families(tenant);
  }

  /** What a query of a tenant over a range sees, for a reader thread; to be released. */
  snapshot(tenant: string, range: TimeRange): Snapshot {
    const { snapshots, blocks, writer, cutter } = this.#parts;
    const selected = blocks.select(tenant, range);
    return snapshots.take({
      tenant,
      range,
      handle: writer.findTenant(tenant)?.handle ?? 0,
      blocks: selected.filter(({ meta }) => this.#quarantine.reasonFor(meta.ulid) === undefined),
      quarantined: selected.flatMap(({ meta: { ulid } }) => {
        const reason = this.#quarantine.reasonFor(ulid);
        return reason === undefined ? [] : [{ ulid, reason }];
      }),
      published: cutter.published(tenant),
    });
  }

  /** A query found the block damaged: snapshots are without it for some hours. */
  quarantine(ulid: string, reason: string): void {
    if (this.#quarantine.add(ulid, reason)) this.#options.onEvent({ kind: 'block-quarantined', ulid, message: reason });
  }

  /** The damaged blocks that queries leave out now. */
  quarantinedBlocks(): QuarantinedBlock[] {
    return this.#quarantine.list();
  }

  release(id: number): void {
    this.#parts.snapshots.release(id);
  }

  /**
   * What one more reader thread starts with; to be given back with `releaseReader` when the thread has ended. Throws
   * StorageError 'limit' if too many live.
   */
  readerInit(): ReaderInit {
    const { bucket, externalLabels, tenantLabelName } = this.#options;
    return {
      ...(bucket === undefined ? {} : { bucket }),
      memory: this.#parts.kernel.memory.memory,
      reader: this.#takeReader(),
      externalLabels,
      tenantLabelName,
      blockCache: this.#blockCache(),
    };
  }

  #blockCache(): BlockCacheSettings {
    const { directory, memoryBudgetBytes, queryCache = DEFAULT_QUERY_CACHE } = this.#options;
    return {
      ...queryCache,
      headersDirectory: headersDirectory(directory),
      directory: `${directory}/cache`,
      keepFreeBytes: Math.max(memoryBudgetBytes * CACHE_FREE_SHARE_OF_HEAD, LEAST_CACHE_FREE_BYTES),
    };
  }

  /** The thread that was started with `init` reads no more. A second release does nothing. */
  releaseReader({ reader }: ReaderInit): void {
    this.#readers.delete(reader);
  }

  /** A number that nobody has, and that was given back as long ago as possible. Number 0 is the background thread's. */
  #takeReader(): number {
    const last = L.MAX_READERS - 1;
    if (this.#readers.size === last) throw new StorageError('limit', `${last} reader threads live already`);
    do this.#lastReader = (this.#lastReader % last) + 1;
    while (this.#readers.has(this.#lastReader));
    this.#readers.add(this.#lastReader);
    return this.#lastReader;
  }

  /** The clusters of pairs, and who is elected of each. */
  haStatus(): HaClusterStatus[] {
    return this.#parts.gaps?.pairs.status() ?? [];
  }

  /** All blocks that are known, in whatever state; for people. */
  blockEntries(): CatalogEntry[] {
    return this.#parts.blocks.entries();
  }

  /** How much space blocks take, and how fast they become more. Looks at every block: to be asked rarely. */
  blockUsage(): BlockUsage {
    return this.#parts.blocks.usage();
  }

  /** The names of the blocks that are on this disk only, oldest first; none if no bucket is configured. */
  blocksNotUploaded(): string[] {
    return this.#parts.blocks.notUploaded();
  }

  /**
   * A query missed a block that its snapshot has: looks at the bucket now, or within seconds if that was done just now.
   * Resolves when the next snapshot knows better, or the bucket does not answer, which is reported. Never rejects.
   */
  async refreshBlocks(): Promise<void> {
    await this.#parts.blocks.refresh().catch(() => undefined);
  }

  /** Why this engine must not go on although it can still be read; undefined if it may. */
  get fenced(): string | undefined {
    return this.#parts.shipping?.fenced;
  }

  stats(): DatabaseStats {
    const {
      kernel,
      wal,
      writer,
      cutter,
      checkpointer,
      collector,
      blocks,
      snapshots,
      gaps,
      replay,
      metadata,
      shipping,
    } = this.#parts;
    const { fileSystem, directory } = this.#options;
    const files = fileSystem.list(`${directory}/wal`);
    return {
      headSeries: kernel.rowCount,
      headBytes: kernel.usedBytes,
      memoryBudgetBytes: this.#options.memoryBudgetBytes,
      samplesStored: writer.totals.stored,
      samplesDuplicate: writer.totals.duplicates,
      samplesConflicting: writer.totals.conflicts,
      samplesRejected: writer.totals.rejected,
      exemplarsDropped: writer.totals.exemplarsDropped,
      metadataDropped: metadata.dropped,
      seriesCreated: writer.totals.newSeries,
      seriesHidden: writer.hiddenSeries,
      seriesRemoved: collector.count,
      walBytes: files.reduce((sum, { name }) => sum + fileBytes(fileSystem, `${directory}/wal/${name}`), 0),
      walPendingBytes: wal.pendingBytes,
      walRecordBytes: wal.position,
      walReplaySeconds: replay.ms / 1000,
      walReplayedSamples: replay.samples,
      notDurableSeconds: wal.notDurableMs / 1000,
      walSyncs: wal.syncs,
      walSegments: checkpointer.segments,
      walFailing: wal.failure === undefined ? 0 : 1,
      freeBytes: fileSystem.volume(directory).freeBytes,
      minFreeBytes: wal.minFreeBytes,
      shortOfSpace: wal.shortage === undefined ? 0 : 1,
      cuts: cutter.count,
      checkpoints: checkpointer.count,
      ...blocks.stats(),
      quarantinedBlocks: this.#quarantine.list().length,
      ...(shipping?.stats() ?? NOT_SHIPPING),
      snapshots: snapshots.count,
      tenants: writer.tenantCount,
      haClusters: gaps?.pairs.clusterCount ?? 0,
      haSwitches: gaps?.pairs.switches ?? 0,
      haMissingSeries: gaps?.pairs.missingSeries ?? 0,
      haShadowBytes: gaps?.shadowBytes ?? 0,
      haShadowSamples: gaps?.shadowSamples ?? 0,
      haShadowStored: gaps?.totals.stored ?? 0,
      haShadowDiscarded: gaps?.discarded ?? 0,
    };
  }

  /** Refuses further writes, makes the last ones durable and gives the directory free. */
  async close(): Promise<void> {
    const { writer, cutter, wal, shipping, background, blocks, lock, stopUpkeep, stopHaRounds } = this.#parts;
    stopUpkeep();
    stopHaRounds();
    await writer.close();
    await cutter.close();
    await wal.close();
    await shipping?.close();
    background.close();
    await blocks.close();
    lock.close();
  }
}

/** Where the headers of indexes are in a data directory. */
function headersDirectory(directory: string): string {
  return `${directory}/index-headers`;
}

/** The size of a file, 0 if it has gone meanwhile. */
function fileBytes(fileSystem: FileSystem, path: string): number {
  try {
    const file = fileSystem.open(path, 'read');
    try {
      return file.size();
    } finally {
      file.close();
    }
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return 0;
    throw error;
  }
}

async function openParts(options: DatabaseOptions, lock: DirectoryLock): Promise<Parts> {
  const { directory, fileSystem, clock, random, executor, onEvent } = options;
  const ulids = new UlidGenerator(random);
  const identity = readIdentity(fileSystem, directory, () => ulids.next(clock.nowMs()));
  const blocksDirectory = makeBlocksDirectory(options);
  const snapshots = new Snapshots();
  const blocks = openBlocks(options, identity, snapshots);

  const { kernel, gaps, admission } = makeKernel(options);
  const metadata = new MetadataStore();
  await blocks.prepare();
  const startedMs = clock.monotonicMs();
  const replayed = await replayLog(fileSystem, directory, kernel, await coveringBlocks(identity, options, blocks), {
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
  const background = new BackgroundThread(executor, backgroundInit, onBroken);
  const extraRecords = (): Uint8Array[] => [...(gaps?.pairs.allRecords() ?? []), ...metadata.records()];
  const checkpointer = startCheckpointer(options, { kernel, wal, background, clock }, replayed, {
    extraRecords,
    onWritten: (number) => shipping?.noteCheckpoint(number),
  });
  // Before anything is shipped: the new epoch begins with a checkpoint of its own.
  if (identity.restored !== undefined) await writeFirstCheckpoint(checkpointer, writer);
  shipping = startShipping(options, { identity, kernel, wal, blocks, ulids, firstSegment, onBroken });
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

/** What this log is covered by: blocks of its own epoch, and after a restore those of the epoch that it comes from. */
async function coveringBlocks(
  { epoch, restored }: Identity,
  { bucket, directory }: DatabaseOptions,
  blocks: Blocks,
): Promise<OwnBlock[]> {
  if (restored === undefined) return blocks.ownBlocks(epoch);
  if (bucket === undefined) {
    const what = `${directory} was restored from a bucket, and needs it once more`;
    throw new StorageError('invalid', `${what}: start with the same --objstore.config-file`);
  }
  // A block of which nobody knows yet would be there a second time, in the head.
  await blocks.refresh();
  return [...blocks.ownBlocks(restored.epoch), ...blocks.ownBlocks(epoch)];
}

interface ShippingParts {
  readonly identity: Identity;
  readonly kernel: Kernel;
  readonly wal: Wal;
  readonly blocks: Blocks;
  readonly ulids: UlidGenerator;
  readonly firstSegment: number;
  readonly onBroken: (message: string) => void;
}

/** With a bucket there is always a ship thread: it looks for a higher epoch, also if nothing is shipped. */
function startShipping(
  options: DatabaseOptions,
  { identity, kernel, wal, blocks, ulids, firstSegment, onBroken }: ShippingParts,
): WalShipping | undefined {
  const { bucket: location, ship: settings = NO_SHIPMENTS, host = '' } = options;
  const { directory, fileSystem, clock, executor, onEvent } = options;
  if (location === undefined) return undefined;
  const { instance, epoch } = identity;
  const now = clock.nowMs();
  const shipping = new WalShipping({
    location,
    settings,
    memory: kernel.memory.memory.buffer,
    dataDirectory: directory,
    firstSegment,
    marker: {
      format: MARKER_FORMAT,
      instance,
      epoch,
      ulid: ulids.next(now),
      host,
      opened: new Date(now).toISOString(),
    },
    executor,
    clock,
    position: () => wal.position,
    blocksNotUploaded: () => blocks.notUploaded(),
    onFailing: (message) => onEvent({ kind: 'ship-failing', message }),
    onRecovered: () => onEvent({ kind: 'ship-recovered' }),
    onFenced: (message) => {
      blocks.leaveBucketAlone();
      onEvent({ kind: 'fenced', message });
    },
    onBroken,
  });
  const checkpoint = newestCheckpoint(fileSystem, directory);
  if (checkpoint !== undefined) shipping.noteCheckpoint(checkpoint);
  return shipping;
}

function acceptanceOf(wal: Wal, shipping: () => WalShipping | undefined, { ack } = NO_SHIPMENTS): Acceptance {
  return {
    refusal: () => shipping()?.refusal,
    async whenAccepted(position) {
      if (ack === 'local') return await wal.whenAccepted(position);
      await wal.whenDurable(position);
      await shipping()?.whenShipped(position);
    },
  };
}

/** Puts a checkpoint in the place of the log that a restore brought. Throws StorageError if the disk does not take it. */
async function writeFirstCheckpoint(checkpointer: HeadCheckpointer, writer: HeadWriter): Promise<void> {
  await checkpointer.write(writer.tenants, () => []);
  if (checkpointer.count === 0)
    throw new StorageError('unavailable', 'the checkpoint of the restored log cannot be written');
}

/**
 * Makes a restored log this epoch's own: its checkpoint goes to the bucket, if the log is shipped. Until then the older
 * epoch has everything, and no write is accepted. Throws StorageError if somebody else has been restored since.
 */
async function makeOwn(
  { fileSystem, directory, ship = NO_SHIPMENTS }: DatabaseOptions,
  identity: Identity,
  checkpointer: HeadCheckpointer,
  shipping: WalShipping | undefined,
): Promise<void> {
  if (ship.intervalMs > 0) await shipping?.whenCheckpointShipped(checkpointer.oldestSegment - 1);
  finishRestore(fileSystem, directory, identity);
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

function newestCheckpoint(fileSystem: FileSystem, directory: string): number | undefined {
  return listWalFiles(fileSystem, walDirectory(directory)).findLast(({ kind }) => kind === 'checkpoint')?.number;
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
