/** An index file that lies in memory as a whole: what it answers to everything, list by list and entry by entry. */
import { decodePostings, decodeSeries, type IndexedSeries } from '../../storage/index/entries.ts';
import { SERIES_ALIGNMENT, TOC_BYTES } from '../../storage/index/format.ts';
import { encodeIndexHeader, IndexHeader, readContents } from '../../storage/index/index-header.ts';
import type { Postings, PostingsIndex } from '../../storage/index/postings.ts';

export class WholeIndex implements PostingsIndex {
  readonly header: IndexHeader;
  /** The header file that is made of it. */
  readonly headerFile: Uint8Array;
  readonly #file: string;
  readonly #bytes: Uint8Array;

  constructor(file: string, bytes: Uint8Array) {
    this.#file = file;
    this.#bytes = bytes;
    const tocAt = Math.max(0, bytes.length - TOC_BYTES);
    const contents = readContents(file, bytes.length, bytes.subarray(tocAt));
    const parts = [bytes.subarray(0, contents.series), bytes.subarray(contents.postingsTable, tocAt)] as const;
    this.header = IndexHeader.fromIndex(file, contents, ...parts);
    this.headerFile = encodeIndexHeader(contents, ...parts);
  }

  all(): Postings {
    return this.postings('', '');
  }

  names(): string[] {
    return this.header.names();
  }

  values(name: string): string[] {
    return this.header.values(name);
  }

  postings(name: string, value: string): Postings {
    const offset = this.header.find(name, value)?.offset;
    if (offset === undefined) return new Uint32Array(0);
    return decodePostings({ file: this.#file, bytes: this.#bytes, at: offset, offset });
  }

  series(ref: number): IndexedSeries {
    const offset = ref * SERIES_ALIGNMENT;
    return decodeSeries({ file: this.#file, bytes: this.#bytes, at: offset, offset });
  }

  strings(symbols: readonly number[]): string[] {
    return this.header.strings(symbols);
  }
}
