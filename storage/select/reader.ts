/** The engine as a reading thread sees it: turns snapshots into sources. */

import { DirectoryBlockFiles } from '../block/block-files.ts';
import { BlockReader } from '../block/block-reader.ts';
import { blockExternalLabels } from '../block/meta.ts';
import { HeadSource } from '../head/head-source.ts';
import { HeadView } from '../head/head-view.ts';
import type { Snapshot } from '../head/snapshots.ts';
import type { FileSystem } from '../io/file-system.ts';
import { ChunkCodec } from '../kernel/chunk-codec.ts';
import type { Labels } from '../model/labels.ts';
import type { SeriesSource } from '../model/series-source.ts';
import { OpenBlocks } from './open-blocks.ts';

/** What a reading thread starts with; survives a structured clone, the memory is shared. */
export interface ReaderInit {
  readonly memory: WebAssembly.Memory;
  /** This thread's number among the readers of the memory. */
  readonly reader: number;
  readonly externalLabels: Labels;
  readonly tenantLabelName: string;
}

export interface Reader {
  /** What the snapshot sees, oldest first: at one timestamp an earlier source wins. For this thread, until its release. */
  sources(snapshot: Snapshot): SeriesSource[];
  readonly codec: ChunkCodec;
}

/** Memory for the indexes of blocks that stay open on one thread. */
const OPEN_BLOCK_BYTES = 256 * 1024 * 1024;

/** Called once on a reading thread, with the file system that its blocks are on. */
export function openReader(init: ReaderInit, fileSystem: FileSystem): Reader {
  const view = new HeadView(init.memory, init.reader);
  const blocks = new OpenBlocks(OPEN_BLOCK_BYTES, async ({ meta, localDirectory = '' }) => {
    const files = new DirectoryBlockFiles(fileSystem, localDirectory);
    const reader = await BlockReader.open(files, meta, blockExternalLabels(meta, init.tenantLabelName));
    return { reader, close: () => files.close() };
  });
  return {
    codec: ChunkCodec.load(),
    sources(snapshot) {
      const sources: SeriesSource[] = snapshot.blocks.map((place) =>
        blocks.source(place, blockExternalLabels(place.meta, init.tenantLabelName)),
      );
      if (snapshot.handle !== 0)
        sources.push(new HeadSource(view, snapshot.handle, init.externalLabels, snapshot.published));
      return sources;
    },
  };
}
