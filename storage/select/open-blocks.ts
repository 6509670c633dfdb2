/** Blocks that a thread has open, as many as fit the memory given for their indexes; the least used ones are closed. */
import { LRUCache } from 'lru-cache';
import type { BlockPlace } from '../block/block-place.ts';
import type { BlockReader } from '../block/block-reader.ts';
import type { Labels } from '../model/labels.ts';
import type { SeriesSource } from '../model/series-source.ts';

export interface OpenBlock {
  readonly reader: BlockReader;
  close(): void;
}

export class OpenBlocks {
  readonly #open: (place: BlockPlace) => Promise<OpenBlock>;
  readonly #opening = new Map<string, Promise<OpenBlock>>();
  readonly #blocks: LRUCache<string, OpenBlock>;

  constructor(maxBytes: number, open: (place: BlockPlace) => Promise<OpenBlock>) {
    this.#open = open;
    this.#blocks = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: ({ reader }) => Math.max(1, reader.byteSize),
      // Files are opened again by a query that is still at it: see DirectoryBlockFiles.
      dispose: (block) => block.close(),
    });
  }

  /** The block as a source; it is opened when it is first asked. */
  source(place: BlockPlace, externalLabels: Labels): SeriesSource {
    const reader = async (): Promise<BlockReader> => (await this.#get(place)).reader;
    return {
      externalLabels,
      labelNames: async (matchers, range) => await (await reader()).labelNames(matchers, range),
      labelValues: async (name, matchers, range) => await (await reader()).labelValues(name, matchers, range),
      select: async (matchers, range) => await (await reader()).select(matchers, range),
      readChunks: async (series, range) => await (await reader()).readChunks(series, range),
    };
  }

  async #get(place: BlockPlace): Promise<OpenBlock> {
    const { ulid } = place.meta;
    const known = this.#blocks.get(ulid);
    if (known !== undefined) return known;
    let opening = this.#opening.get(ulid);
    if (opening === undefined) {
      opening = this.#open(place).finally(() => this.#opening.delete(ulid));
      this.#opening.set(ulid, opening);
      void opening.then((block) => this.#blocks.set(ulid, block)).catch(() => {});
    }
    return await opening;
  }
}
