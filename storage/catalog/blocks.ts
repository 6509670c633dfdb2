/** All blocks of an engine: the one door to the catalogue, to the blocks on this disk, and to the bucket. */
import type { BlockPlace } from '../block/block-place.ts';
import type { BlockMeta } from '../block/meta.ts';
import type { BucketLocation } from '../bucket/bucket-location.ts';
import type { OwnBlock } from '../head/replay.ts';
import type { Clock } from '../io/clock.ts';
import type { Executor } from '../io/executor.ts';
import type { FileSystem } from '../io/file-system.ts';
import type { Random } from '../io/random.ts';
import { ulidTimeMs } from '../lib/ulid.ts';
import type { TimeRange } from '../model/time-range.ts';
import type { BlockEvent } from './block-event.ts';
import { type BlockUsage, blockUsage } from './block-usage.ts';
import { BucketBlocks, type BucketSettings, type BucketStats } from './bucket-blocks.ts';
import { Catalog, type CatalogEntry, type CatalogRules } from './catalog.ts';
import { LocalBlocks } from './local-blocks.ts';

/** What may be set of blocks besides where they are. */
export type BlockSettings = Omit<CatalogRules, 'instance' | 'tenantLabelName' | 'defaultTenant' | 'bucket'> &
  BucketSettings;

export interface BlocksOptions extends Pick<CatalogRules, 'instance' | 'tenantLabelName' | 'defaultTenant'> {
  readonly dataDirectory: string;
  /** Where the catalogue is kept; undefined: in memory, made anew at each start. */
  readonly catalogPath?: string;
  /** Where blocks go for good; undefined: they stay in the data directory. */
  readonly location?: BucketLocation;
  readonly settings: BlockSettings;
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  readonly executor: Executor;
  /** Resolves when every snapshot that was taken before now is released. */
  readonly whenSnapshotsAreGone: () => Promise<void>;
  /** The bucket has a block no more. */
  readonly onVanished: (ulid: string) => void;
  readonly onEvent: (event: BlockEvent) => void;
}

/** Blocks by state, and what is known of the bucket. */
export interface BlocksStats extends BucketStats {
  /** That can be read. */
  readonly blocks: number;
  readonly blocksLocal: number;
  readonly blocksUploaded: number;
  readonly blocksForeign: number;
  readonly blocksMarked: number;
  readonly blocksPartial: number;
  readonly blocksUnreadable: number;
  readonly localBlockBytes: number;
}

/** How long a start waits for the bucket. */
const START_PATIENCE_MS = 10_000;

export class Blocks {
  readonly #options: BlocksOptions;
  readonly #catalog: Catalog;
  readonly #local: LocalBlocks;
  readonly #bucket: BucketBlocks | undefined;
  /** The catalogue knows all blocks of this instance. */
  readonly #isSure: boolean;

  /** Knows the blocks of this disk, and those of the bucket as far as the catalogue has them. */
  constructor(options: BlocksOptions) {
    const { catalogPath: path, fileSystem, clock, location, dataDirectory, onEvent, settings } = options;
    const rules = { ...settings, ...options, ...(location === undefined ? {} : { bucket: location.description }) };
    const catalog = new Catalog(path === undefined ? undefined : { path, fileSystem }, rules, onEvent);
    const cache = `${dataDirectory}/blocks`;
    const bucket = `${dataDirectory}/bucket`;
    const [home, other] = location === undefined ? [bucket, cache] : [cache, bucket];
    this.#options = options;
    this.#catalog = catalog;
    this.#local = new LocalBlocks({ fileSystem, clock, catalog }, home, [other]);
    const isSure = this.#local.load((message) => onEvent({ kind: 'block-skipped', message }));
    this.#isSure = isSure && !catalog.isNew;
    if (location === undefined) return;
    this.#bucket = new BucketBlocks({ ...options, location, catalog, directory: home }, settings);
  }

  /**
   * Asks the bucket for blocks of this instance if the catalogue may have lost some: a replay must know them, or it brings
   * back what they hold. Waits some seconds at most; a bucket that does not answer keeps no start up.
   */
  async prepare(): Promise<void> {
    if (!this.#isSure) await this.#bucket?.refreshInTime(START_PATIENCE_MS);
  }

  /** Lets blocks go to the bucket and looks at the bucket, now and from time to time. */
  start(): void {
    this.#bucket?.start();
  }

  /** Another process has the instance now: nothing goes to the bucket any more, but it is still read. */
  leaveBucketAlone(): void {
    this.#bucket?.leaveAlone();
  }

  /** Looks at the bucket now, or soon if that was done just now; rejects with StorageError if it does not answer. */
  async refresh(): Promise<void> {
    await this.#bucket?.refresh();
  }

  /** See Catalog. */
  select(tenant: string, range: TimeRange): BlockPlace[] {
    return this.#catalog.select(tenant, range, this.#options.clock.nowMs());
  }

  /** Keeps fewer copies of uploaded blocks while the disk is nearly full. */
  setShortOfSpace(isShort: boolean): void {
    this.#bucket?.setShortOfSpace(isShort);
  }

  /** See LocalBlocks. */
  adopt(directory: string, meta: BlockMeta): void {
    this.#local.adopt(directory, meta);
    this.#bucket?.noteNew();
  }

  /** The blocks that were cut from the log of this instance in an epoch. */
  ownBlocks(epoch: number): OwnBlock[] {
    return this.#catalog.ownBlocks(epoch);
  }

  /** The names of the blocks that are on this disk only, oldest first; none if no bucket is configured. */
  notUploaded(): string[] {
    return this.#bucket === undefined ? [] : this.#catalog.notUploaded();
  }

  /** All that is known, by name; for people. */
  entries(): CatalogEntry[] {
    return this.#catalog.entries();
  }

  /** See BlockUsage. */
  usage(): BlockUsage {
    return blockUsage(this.#catalog, this.#options.clock.nowMs());
  }

  /** The time in the greatest name of a block that was cut here; -1 if there is none. */
  newestOwnMs(): number {
    const ulid = this.#catalog.newestOwn();
    return ulid === undefined ? -1 : ulidTimeMs(ulid);
  }

  stats(): BlocksStats {
    const counts = this.#catalog.counts();
    const count = (state: Parameters<typeof counts.get>[0]): number => counts.get(state)?.blocks ?? 0;
    const local = count('local') + count('uploading');
    return {
      blocks: local + count('uploaded') + count('foreign'),
      blocksLocal: local,
      blocksUploaded: count('uploaded'),
      blocksForeign: count('foreign'),
      blocksMarked: count('marked'),
      blocksPartial: count('partial') + count('unread'),
      blocksUnreadable: count('unreadable'),
      localBlockBytes: this.#catalog.localBytes(),
      ...(this.#bucket?.stats() ?? NO_BUCKET),
    };
  }

  /** Lets uploads end that are nearly done, and gives up the others: they are taken up at the next start. */
  async close(): Promise<void> {
    await this.#bucket?.close();
    this.#catalog.close();
  }
}

const NO_BUCKET: BucketStats = {
  backlogBlocks: 0,
  backlogBytes: 0,
  backlogSeconds: 0,
  bucketFailing: 0,
  lastSyncSeconds: 0,
  lastUploadSeconds: 0,
  uploads: 0,
  uploadedBytes: 0,
  syncs: 0,
  evictions: 0,
};
