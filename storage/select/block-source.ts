/** A block as a source of one read, which may do without it. */
import type { BlockPlace } from '../block/block-place.ts';
import type { BlockReader } from '../block/block-reader.ts';
import type { Labels } from '../model/labels.ts';
import type { Matcher } from '../model/matcher.ts';
import type { Chunk, SeriesSource, SourceSeries } from '../model/series-source.ts';
import type { TimeRange } from '../model/time-range.ts';
import { BlockError, type BlockFaults } from './block-faults.ts';
import type { OpenBlocks } from './open-blocks.ts';

/**
 * While series are looked for, a block that cannot be read has none, if the read may be partial. One that fails later, when
 * its series are merged with others already, fails the read with a BlockError: it can be begun again without the block.
 */
export class BlockSource implements SeriesSource {
  readonly externalLabels: Labels;
  readonly #place: BlockPlace;
  readonly #blocks: OpenBlocks;
  readonly #faults: BlockFaults;

  constructor(place: BlockPlace, externalLabels: Labels, blocks: OpenBlocks, faults: BlockFaults) {
    this.#place = place;
    this.externalLabels = externalLabels;
    this.#blocks = blocks;
    this.#faults = faults;
  }

  labelNames(matchers: readonly Matcher[], range: TimeRange): Promise<string[]> {
    return this.#list((reader) => reader.labelNames(matchers, range));
  }

  labelValues(name: string, matchers: readonly Matcher[], range: TimeRange): Promise<string[]> {
    return this.#list((reader) => reader.labelValues(name, matchers, range));
  }

  select(matchers: readonly Matcher[], range: TimeRange): Promise<SourceSeries[]> {
    return this.#list((reader) => reader.select(matchers, range));
  }

  readChunks(series: readonly SourceSeries[], range: TimeRange): Promise<Chunk[][]> {
    return this.#blocks.ask(this.#place, this.externalLabels, (reader) => reader.readChunks(series, range));
  }

  async #list<T>(question: (reader: BlockReader) => Promise<T[]>): Promise<T[]> {
    if (this.#faults.isLeftOut(this.#place.meta.ulid)) return [];
    try {
      return await this.#blocks.ask(this.#place, this.externalLabels, question);
    } catch (error) {
      if (error instanceof BlockError && this.#faults.leaveOut(error)) return [];
      throw error;
    }
  }
}
