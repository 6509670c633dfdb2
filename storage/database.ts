/**
 * The engine: one data directory with all its tenants. Writes go to the head and the log, cuts turn the head into
 * blocks in the bucket, readers on other threads see both through snapshots.
 */
import { type BlockMeta, blockCoverage } from './block/meta.ts';
import { BlockList } from './bucket/block-list.ts';
import type { Bucket } from './bucket/bucket.ts';
import { DirectoryBucket } from './bucket/directory-bucket.ts';
import { HeadCutter } from './compact/head-cutter.ts';
import { type Identity, readIdentity } from './data-directory.ts';
import type { BackgroundInit } from './head/background.ts';
import { HeadWriter } from './head/head-writer.ts';
import { type Snapshot, Snapshots } from './head/snapshots.ts';
import type { WriteOutcome } from './head/write-outcome.ts';
import type { Clock } from './io/clock.ts';
import { type DirectoryLock, lockDirectory } from './io/directory-lock.ts';
import { type Executor, moduleUrl, nextTurn, type Port } from './io/executor.ts';
import type { FileSystem } from './io/file-system.ts';
import type { Random } from './io/random.ts';
import { Kernel } from './kernel/kernel.ts';
import * as L from './kernel/layout.ts';
import { CorruptionError, StorageError } from './lib/errors.ts';
import { UlidGenerator } from './lib/ulid.ts';
import type { Labels } from './model/labels.ts';
import type { TimeRange } from './model/time-range.ts';
import type { ReaderInit } from './select/reader.ts';
import { type RecoveryReport, recoverWal } from './wal/recovery.ts';
import { listWalFiles, walDirectory } from './wal/segment.ts';
import { Wal } from './wal/wal.ts';

/** What the engine reports; it does not log. */
export type DatabaseEvent =
  | { readonly kind: 'replay-progress'; readonly replayedBytes: number; readonly totalBytes: number }
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
  /** Damaged bytes in the log, or in a block that was left out. */
  | { readonly kind: 'wal-damage'; readonly message: string }
  | { readonly kind: 'block-skipped'; readonly message: string }
  /** Work beside the writes failed and is tried again. */
  | { readonly kind: 'retry'; readonly what: string; readonly message: string }
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
  /** A tenant that was silent for so long is cut whole. */
  readonly idleCutMs: number;
  readonly walSegmentBytes?: number;
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  readonly executor: Executor;
  readonly onEvent: (event: DatabaseEvent) => void;
}

/** Plain numbers; counters count from the start of the process. */
export interface DatabaseStats {
  readonly headSeries: number;
  readonly headBytes: number;
  readonly memoryBudgetBytes: number;
  readonly samplesStored: number;
  readonly samplesDuplicate: number;
  readonly samplesConflicting: number;
  readonly samplesRejected: number;
  readonly exemplarsDropped: number;
  readonly seriesCreated: number;
  readonly walBytes: number;
  readonly walPendingBytes: number;
  readonly walSyncs: number;
  readonly walSegments: number;
  readonly walFailing: number;
  readonly cuts: number;
  readonly checkpoints: number;
  readonly blocks: number;
  readonly snapshots: number;
  readonly tenants: number;
}

const WAL_SEGMENT_BYTES = 16 * 1024 * 1024;
/** While it replays, the thread answers others this often. */
const REPLAY_TURN_BYTES = 8 * 1024 * 1024;

/** The parts of an open engine. */
interface Parts {
  readonly lock: DirectoryLock;
  readonly kernel: Kernel;
  readonly wal: Wal;
  readonly writer: HeadWriter;
  readonly cutter: HeadCutter;
  readonly blocks: BlockList;
  readonly snapshots: Snapshots;
  readonly background: Port;
}

export class Database {
  readonly #options: DatabaseOptions;
  readonly #parts: Parts;
  #nextReader = 1;

  private constructor(options: DatabaseOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
  }

  /**
   * Takes the directory, replays its log and resolves when the engine can be written and read. Throws StorageError:
   * 'locked' if another server has the directory, 'invalid' if a newer version wrote it, 'unavailable' if the log does
   * not fit the memory budget.
   */
  static async open(options: DatabaseOptions): Promise<Database> {
    const { fileSystem, directory } = options;
    fileSystem.makeDirectory(directory);
    const lock = lockDirectory(directory);
    try {
      return new Database(options, await openParts(options, lock));
    } catch (error) {
      lock.close();
      throw error;
    }
  }

  /**
   * Stores a snappy-compressed remote write 1.0 request of a tenant and resolves when it is durable. Rejects with
   * StorageError: 'invalid' and 'limit' if nothing of the body was stored, 'unavailable' if it is to be sent again.
   */
  write(tenant: string, body: Uint8Array): Promise<WriteOutcome> {
    return this.#parts.writer.write(tenant, body);
  }

  /** What a query of a tenant over a range sees, for a reader thread; to be released. */
  snapshot(tenant: string, range: TimeRange): Snapshot {
    const { snapshots, blocks, writer, cutter } = this.#parts;
    return snapshots.take({
      tenant,
      range,
      handle: writer.findTenant(tenant)?.handle ?? 0,
      blocks: blocks.select(tenant, range),
      published: cutter.published(tenant),
    });
  }

  release(id: number): void {
    this.#parts.snapshots.release(id);
  }

  /** What one more reader thread starts with. Throws StorageError 'limit' beyond 63 in the life of the engine at once. */
  readerInit(): ReaderInit {
    const reader = 1 + (this.#nextReader++ % (L.MAX_READERS - 1));
    const { externalLabels, tenantLabelName } = this.#options;
    return {
      memory: this.#parts.kernel.memory.memory,
      reader,
      bucketDirectory: bucketDirectory(this.#options.directory),
      externalLabels,
      tenantLabelName,
    };
  }

  stats(): DatabaseStats {
    const { kernel, wal, writer, cutter, blocks, snapshots } = this.#parts;
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
      seriesCreated: writer.totals.newSeries,
      walBytes: files.reduce((sum, { name }) => sum + fileBytes(fileSystem, `${directory}/wal/${name}`), 0),
      walPendingBytes: wal.pendingBytes,
      walSyncs: wal.syncs,
      walSegments: cutter.segments,
      walFailing: wal.failure === undefined ? 0 : 1,
      cuts: cutter.totals.cuts,
      checkpoints: cutter.totals.checkpoints,
      blocks: blocks.size,
      snapshots: snapshots.count,
      tenants: [...writer.tenants].length,
    };
  }

  /** Refuses further writes, makes the last ones durable and gives the directory free. */
  async close(): Promise<void> {
    const { writer, cutter, wal, background, lock } = this.#parts;
    writer.close();
    await cutter.close();
    await wal.close();
    background.close();
    lock.close();
  }
}

function bucketDirectory(directory: string): string {
  return `${directory}/bucket`;
}

function fileBytes(fileSystem: FileSystem, path: string): number {
  const file = fileSystem.open(path, 'read');
  try {
    return file.size();
  } finally {
    file.close();
  }
}

async function openParts(options: DatabaseOptions, lock: DirectoryLock): Promise<Parts> {
  const { directory, fileSystem, clock, random, executor, onEvent } = options;
  const ulids = new UlidGenerator(random);
  const identity = readIdentity(fileSystem, directory, () => ulids.next(clock.nowMs()));
  const blocksDirectory = `${directory}/blocks`;
  // What a crash left half-written; the log still has its samples.
  fileSystem.remove(blocksDirectory);
  fileSystem.makeDirectory(blocksDirectory);
  const bucket: Bucket = new DirectoryBucket(fileSystem, bucketDirectory(directory));
  const blocks = new BlockList({ tenantLabelName: options.tenantLabelName, defaultTenant: options.defaultTenant });
  await blocks.load(bucket, (message) => onEvent({ kind: 'block-skipped', message }));

  const seed = new Uint8Array(4);
  random.fill(seed);
  const kernel = new Kernel({ budgetBytes: options.memoryBudgetBytes, seed: new DataView(seed.buffer).getUint32(0) });
  const report = await replay(options, kernel, identity, blocks);
  const fail = (message: string): void => onEvent({ kind: 'failed', message });
  const wal = new Wal(kernel.memory, {
    dataDirectory: directory,
    segmentBytes: options.walSegmentBytes ?? WAL_SEGMENT_BYTES,
    firstSegment: report.nextSegment,
    executor,
    onFailing: (message) => onEvent({ kind: 'wal-failing', message }),
    onRecovered: () => onEvent({ kind: 'wal-recovered' }),
    onBroken: fail,
  });
  const writer = new HeadWriter(kernel, wal, clock, (error) =>
    fail(error instanceof Error ? (error.stack ?? error.message) : String(error)),
  );
  for (const tenant of kernel.tenantKeys()) writer.tenant(tenant);
  const backgroundInit: BackgroundInit = {
    memory: kernel.memory.memory,
    reader: 0,
    dataDirectory: directory,
    blocksDirectory,
  };
  const background = executor.start(moduleUrl('./head/background', import.meta.url), backgroundInit);
  background.onClose((error) => fail(error?.message ?? 'the background thread ended'));
  const snapshots = new Snapshots();
  const cutter = new HeadCutter(
    { kernel, wal, writer, bucket, blocks, snapshots, background, clock, ulids },
    {
      instance: identity.instance,
      epoch: identity.epoch,
      idleCutMs: options.idleCutMs,
      generation: report.nextGeneration,
      oldestSegment: oldestSegment(fileSystem, directory) ?? report.nextSegment,
      thanosLabels: (tenant) => thanosLabels(options, tenant),
      onCut: (tenant, meta, durationMs) => onEvent(cutEvent(tenant, meta, durationMs)),
      onCheckpoint: (bytes, durationMs) => onEvent({ kind: 'checkpoint', bytes, durationMs }),
      onRetry: (what, message) => onEvent({ kind: 'retry', what, message }),
    },
  );
  return { lock, kernel, wal, writer, cutter, blocks, snapshots, background };
}

/** The oldest segment that the log still has. */
function oldestSegment(fileSystem: FileSystem, directory: string): number | undefined {
  const numbers = listWalFiles(fileSystem, walDirectory(directory))
    .filter(({ kind }) => kind === 'segment')
    .map(({ number }) => number);
  return numbers.length === 0 ? undefined : Math.min(...numbers);
}

/** Brings the log back into the head, without what the blocks of this log hold already. */
async function replay(
  { fileSystem, directory, onEvent }: DatabaseOptions,
  kernel: Kernel,
  identity: Identity,
  blocks: BlockList,
): Promise<RecoveryReport> {
  for (const meta of blocks) coverBlock(kernel, identity, meta, onEvent);
  const recovery = recoverWal(fileSystem, directory, (replayedBytes, totalBytes) =>
    onEvent({ kind: 'replay-progress', replayedBytes, totalBytes }),
  );
  let sinceTurn = 0;
  for (const { kind, sequence, payload, segment, offset } of recovery.frames()) {
    const status = kernel.replay(payload, BigInt(kind === 'checkpoint' ? 0 : sequence));
    if (status === L.OUT_OF_MEMORY) {
      throw new StorageError(
        'unavailable',
        'the log does not fit the memory budget: start with a larger --head.memory-budget',
      );
    }
    if (status === L.REPLAY_DAMAGED)
      onEvent({
        kind: 'wal-damage',
        message: `${kind} ${segment} at ${offset}: a record of type ${payload[0]} makes no sense`,
      });
    sinceTurn += payload.length;
    if (sinceTurn < REPLAY_TURN_BYTES) continue;
    sinceTurn = 0;
    await nextTurn();
  }
  const { report } = recovery;
  for (const { file, offset, length, quarantine } of report.damages) {
    onEvent({
      kind: 'wal-damage',
      message: `${file} at ${offset}: ${length} bytes are damaged, kept as ${quarantine ?? '(could not be kept)'}`,
    });
  }
  for (const { first, last } of report.gaps)
    onEvent({ kind: 'wal-damage', message: `records ${first} to ${last} are missing` });
  const orphans = kernel.orphanSamples;
  if (orphans > 0)
    onEvent({ kind: 'wal-damage', message: `${orphans} samples belong to series whose definitions are lost` });
  kernel.continueLog(BigInt(report.nextSequence), report.nextGeneration);
  return report;
}

function coverBlock(
  kernel: Kernel,
  { instance, epoch }: Identity,
  meta: BlockMeta,
  onEvent: DatabaseOptions['onEvent'],
): void {
  try {
    const coverage = blockCoverage(meta, `${meta.ulid}/meta.json`);
    if (coverage === undefined || coverage.instance !== instance || coverage.epoch !== epoch) return;
    kernel.cover(kernel.tenant(coverage.tenant), coverage.window, coverage.generation, BigInt(coverage.position));
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    onEvent({ kind: 'block-skipped', message: error.message });
  }
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
