/**
 * The index of a block, of which only the header is in memory: matchers are turned into postings lists by what the header
 * knows, those lists are read, and then the entries of the series that remain; each in few ranges of the file.
 */
import {
  decodePostings,
  decodeSeries,
  type EntryPlace,
  type IndexedSeries,
  postingsExtent,
  seriesExtent,
} from '../index/entries.ts';
import { ALL_POSTINGS, SERIES_ALIGNMENT } from '../index/format.ts';
import type { IndexHeader } from '../index/index-header.ts';
import { type LabelPair, type Postings, PostingsSelection } from '../index/postings.ts';
import type { Matcher } from '../model/matcher.ts';
import type { BlockFiles } from './block-files.ts';
import { INDEX_FILE } from './layout.ts';
import { readPieces } from './read-pieces.ts';

/** Series entries are some 100 bytes. The last of a range is guessed: too long reads little in vain, too short reads twice. */
const MAX_SERIES_GUESS_BYTES = 4096;
const MIN_SERIES_GUESS_BYTES = 64;

const NONE: Postings = new Uint32Array(0);

export class BlockIndex {
  readonly header: IndexHeader;
  /** The file in errors. */
  readonly #file: string;
  readonly #files: BlockFiles;
  readonly #seriesGuess: number;

  /** `maxSeriesBytes`: the size of the largest series entry, if it is known. */
  constructor(ulid: string, files: BlockFiles, header: IndexHeader, maxSeriesBytes: number | undefined) {
    this.#file = `${ulid}/${INDEX_FILE}`;
    this.#files = files;
    this.header = header;
    const guess = Math.min(maxSeriesBytes ?? MAX_SERIES_GUESS_BYTES, MAX_SERIES_GUESS_BYTES);
    this.#seriesGuess = Math.max(guess, MIN_SERIES_GUESS_BYTES);
  }

  /** The series that all matchers match. Rejects with CorruptionError and what the files reject with. */
  async select(matchers: readonly Matcher[]): Promise<Postings> {
    // No list is fetched, and no regular expression runs, where one look-up says that there is nothing.
    const isHopeless = matchers.some(
      ({ type, name, value, matchesEmpty }) =>
        type === '=' && !matchesEmpty && this.header.find(name, value) === undefined,
    );
    if (isHopeless) return NONE;
    const selection = new PostingsSelection(this.header, matchers);
    const lists = await this.#postings(selection.pairs());
    const postings = (name: string, value: string): Postings => lists.get(keyOf(name, value)) ?? NONE;
    return selection.evaluate({ all: () => postings(ALL_POSTINGS, ALL_POSTINGS), postings });
  }

  /** The entries of the series with these refs, which ascend and may repeat. Rejects as `select`. */
  async series(refs: Postings): Promise<IndexedSeries[]> {
    const entries = new Array<IndexedSeries>(refs.length);
    const offsets = Float64Array.from(refs, (ref) => ref * SERIES_ALIGNMENT);
    await readPieces(this.#files, [
      {
        path: INDEX_FILE,
        offsets,
        guessBytes: () => this.#seriesGuess,
        extent: (bytes, at, offset) => seriesExtent(this.#place(bytes, at, offset)),
        take: (index, bytes, at, offset) => {
          entries[index] = decodeSeries(this.#place(bytes, at, offset));
        },
      },
    ]);
    return entries;
  }

  /** The lists of the pairs that exist, by their key. */
  async #postings(pairs: readonly LabelPair[]): Promise<Map<string, Postings>> {
    const wanted: { key: string; offset: number; end: number }[] = [];
    for (const { name, value } of pairs) {
      const place = this.header.find(name, value);
      if (place !== undefined) wanted.push({ key: keyOf(name, value), ...place });
    }
    wanted.sort((a, b) => a.offset - b.offset);
    const lists = new Map<string, Postings>();
    await readPieces(this.#files, [
      {
        path: INDEX_FILE,
        offsets: Float64Array.from(wanted, ({ offset }) => offset),
        guessBytes: (index) => {
          const { offset, end } = wanted[index] as (typeof wanted)[number];
          return end - offset;
        },
        extent: (bytes, at, offset) => postingsExtent(this.#place(bytes, at, offset)),
        take: (index, bytes, at, offset) => {
          const { key } = wanted[index] as (typeof wanted)[number];
          lists.set(key, decodePostings(this.#place(bytes, at, offset)));
        },
      },
    ]);
    return lists;
  }

  #place(bytes: Uint8Array, at: number, offset: number): EntryPlace {
    return { file: this.#file, bytes, at, offset };
  }
}

/** No label name has a zero byte in it that would make two pairs one: lengths come first. */
function keyOf(name: string, value: string): string {
  return `${name.length} ${name}${value}`;
}
