/** All blocks of an engine: the one door to the catalogue, to the blocks on this disk, and to the bucket. */
import type { BlockPlace } from '../block/block-place.ts';
import type { BlockMeta } from '../block/meta.ts';
import type { BucketLocation } from '../bucket/bucket-location.ts';
import type { OwnBlock } from '../head/replay.ts';
import type { Clock } from '../io/clock.ts';
import type { FileSystem } from '../io/file-system.ts';
import { ulidTimeMs } from '../lib/ulid.ts';
import type { TimeRange } from '../model/time-range.ts';
import type { BlockEvent } from './block-event.ts';
import { Catalog, type CatalogRules } from './catalog.ts';
import { LocalBlocks } from './local-blocks.ts';

export interface BlocksOptions extends CatalogRules {
  readonly dataDirectory: string;
  /** Where the catalogue is kept; undefined: in memory, made anew at each start. */
  readonly catalogPath?: string;
  /** Where blocks go for good; undefined: they stay in the data directory. */
  readonly location?: BucketLocation;
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly onEvent: (event: BlockEvent) => void;
}

export class Blocks {
  readonly #options: BlocksOptions;
  readonly #catalog: Catalog;
  readonly #local: LocalBlocks;

  /** Knows the blocks of this disk, and those of the bucket as far as the catalogue has them. */
  constructor(options: BlocksOptions) {
    const { catalogPath: path, fileSystem, clock, location, dataDirectory, onEvent } = options;
    const rules = location === undefined ? options : { ...options, bucket: location.description };
    const catalog = new Catalog(path === undefined ? undefined : { path, fileSystem }, rules, onEvent);
    const cache = `${dataDirectory}/blocks`;
    const bucket = `${dataDirectory}/bucket`;
    const [home, other] = location === undefined ? [bucket, cache] : [cache, bucket];
    this.#options = options;
    this.#catalog = catalog;
    this.#local = new LocalBlocks({ fileSystem, clock, catalog }, home, [other]);
    this.#local.load((message) => onEvent({ kind: 'block-skipped', message }));
  }

  /** Blocks that can be read. */
  get size(): number {
    return this.#catalog.size;
  }

  /** See Catalog. */
  select(tenant: string, range: TimeRange): BlockPlace[] {
    return this.#catalog.select(tenant, range, this.#options.clock.nowMs());
  }

  /** See LocalBlocks. */
  adopt(directory: string, meta: BlockMeta): void {
    this.#local.adopt(directory, meta);
  }

  /** The blocks that were cut from the log of this instance in an epoch. */
  ownBlocks(epoch: number): OwnBlock[] {
    return this.#catalog.ownBlocks(epoch);
  }

  /** The time in the greatest name of a block that was cut here; -1 if there is none. */
  newestOwnMs(): number {
    const ulid = this.#catalog.newestOwn();
    return ulid === undefined ? -1 : ulidTimeMs(ulid);
  }

  close(): void {
    this.#catalog.close();
  }
}
