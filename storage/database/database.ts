/**
 * The engine: one data directory with all its tenants. Writes go to the head and the log, cuts turn the head into
 * blocks in the bucket, readers on other threads see both through snapshots.
 */
import { Quarantine, type QuarantinedBlock } from '../bucket/quarantine.ts';
import type { BlockUsage } from '../catalog/block-usage.ts';
import type { BlocksStats } from '../catalog/blocks.ts';
import type { CatalogEntry } from '../catalog/catalog.ts';
import type { HaClusterStatus } from '../head/ha-pairs.ts';
import type { WriteOptions } from '../head/head-writer.ts';
import type { Snapshot } from '../head/snapshots.ts';
import type { TenantLimits } from '../head/tenant-limits.ts';
import type { WriteOutcome } from '../head/write-outcome.ts';
import type { FileSystem } from '../io/file-system.ts';
import { isSystemError } from '../io/system-error.ts';
import * as L from '../kernel/layout.ts';
import { StorageError } from '../lib/errors.ts';
import type { MetricMetadata } from '../model/extras.ts';
import type { TimeRange } from '../model/time-range.ts';
import type { BlockCacheSettings, ReaderInit } from '../select/reader.ts';
import type { TenantBacklog } from '../ship/ship-backlog.ts';
import { NOT_SHIPPING, type ShipStats } from '../ship/wal-shipping.ts';
import type { DatabaseOptions } from './database-options.ts';
import { type DatabaseParts, headersDirectory, openParts } from './database-parts.ts';

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

/** The cache of queries stops to grow when the disk is on its way to being short for the log. */
const CACHE_FREE_SHARE_OF_HEAD = 1;
const LEAST_CACHE_FREE_BYTES = 1024 * 1024 * 1024;
const DEFAULT_QUERY_CACHE = { memoryBytes: 64 * 1024 * 1024, diskBytes: 10 * 1024 * 1024 * 1024 };

export class Database {
  readonly #options: DatabaseOptions;
  readonly #parts: DatabaseParts;
  readonly #quarantine: Quarantine;
  /** Numbers of the reader threads that live. */
  readonly #readers = new Set<number>();
  #lastReader = 0;

  private constructor(options: DatabaseOptions, parts: DatabaseParts) {
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

  /** What of each tenant's log would be lost with the machine now; none of them if the log is not shipped. */
  tenantBacklogs(): TenantBacklog[] {
    return this.#parts.shipping?.tenantBacklogs() ?? [];
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
