/** The engine as a reading thread sees it: turns snapshots into sources. */
import type { BlockPlace } from '../block/block-place.ts';
import { IndexHeaders } from '../block/index-headers.ts';
import { blockExternalLabels } from '../block/meta.ts';
import { type BucketLocation, openBucketAt } from '../bucket/bucket-location.ts';
import { BucketReads } from '../bucket/bucket-reads.ts';
import { DiskPages } from '../bucket/disk-pages.ts';
import { PageCache } from '../bucket/page-cache.ts';
import { HeadSource } from '../head/head-source.ts';
import { HeadView } from '../head/head-view.ts';
import type { Snapshot } from '../head/snapshots.ts';
import type { World } from '../io/world.ts';
import { ChunkCodec } from '../kernel/chunk-codec.ts';
import type { Labels } from '../model/labels.ts';
import type { SeriesSource } from '../model/series-source.ts';
import { BlockError, BlockFaults } from './block-faults.ts';
import { BlockSource } from './block-source.ts';
import { OpenBlocks, type RemoteBlocks } from './open-blocks.ts';
import { rawBlocks } from './raw-blocks.ts';

/** What a thread keeps of blocks in the bucket. Everything in the directories can be deleted at any time. */
export interface BlockCacheSettings {
  /** Headers of indexes. */
  readonly headersDirectory: string;
  /** Pages of files, shared by all threads. */
  readonly directory: string;
  readonly diskBytes: number;
  /** The cache stops to grow when less is free on the disk. */
  readonly keepFreeBytes: number;
  /** Pages in the memory of this one thread. */
  readonly memoryBytes: number;
}

/** What a reading thread starts with; survives a structured clone, the memory is shared. */
export interface ReaderInit {
  readonly memory: WebAssembly.Memory;
  /** This thread's number among the readers of the memory. */
  readonly reader: number;
  readonly externalLabels: Labels;
  readonly tenantLabelName: string;
  /** Where blocks are that are in no directory of this machine, if there is such a place. */
  readonly bucket?: BucketLocation;
  readonly blockCache: BlockCacheSettings;
}

export interface Reader {
  /**
   * What the snapshot sees, oldest first: at one timestamp an earlier source wins. For this thread, until its release.
   * `faults` says what becomes of blocks that cannot be read; without it any of them fails the read. Throws BlockError for
   * one that is known to be damaged.
   */
  sources(snapshot: Snapshot, faults?: BlockFaults): SeriesSource[];
  readonly codec: ChunkCodec;
}

/** Memory for the headers of the indexes of blocks that stay open on one thread. */
const OPEN_BLOCK_BYTES = 128 * 1024 * 1024;

/** Called once on a reading thread, with the world that its blocks are in. The bucket is opened when it is first needed. */
export function openReader(init: ReaderInit, world: Omit<World, 'wait'>): Reader {
  const view = new HeadView(init.memory, init.reader);
  const blocks = new OpenBlocks(OPEN_BLOCK_BYTES, world.fileSystem, remoteBlocks(init, world));
  const blockSource = (place: BlockPlace, faults: BlockFaults): SeriesSource =>
    new BlockSource(place, blockExternalLabels(place.meta, init.tenantLabelName), blocks, faults);
  return {
    codec: ChunkCodec.load(),
    sources(snapshot, faults = new BlockFaults()) {
      for (const { ulid, reason } of snapshot.quarantined) {
        const error = new BlockError('corrupt', ulid, reason);
        if (!faults.leaveOut(error)) throw error;
      }
      const sources = rawBlocks(snapshot, (remark) => faults.remark(remark)).map((place) => blockSource(place, faults));
      if (snapshot.handle !== 0)
        sources.push(new HeadSource(view, snapshot.handle, init.externalLabels, snapshot.published));
      return sources;
    },
  };
}

function remoteBlocks(
  { bucket: location, blockCache }: ReaderInit,
  world: Omit<World, 'wait'>,
): RemoteBlocks | undefined {
  if (location === undefined) return undefined;
  const { fileSystem, clock } = world;
  const open = async () => (await openBucketAt(location, world)).for('query');
  const { directory, diskBytes, keepFreeBytes, memoryBytes, headersDirectory } = blockCache;
  const disk = new DiskPages({ fileSystem, clock, directory, maxBytes: diskBytes, keepFreeBytes });
  return {
    bucket: new BucketReads(open, clock),
    cache: new PageCache(memoryBytes, disk),
    headers: new IndexHeaders(fileSystem, headersDirectory),
  };
}
