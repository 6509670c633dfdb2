/**
 * Writes a TSDB index file in one pass from front to back, byte for byte as Prometheus 3 does (see format.ts). Symbols,
 * the refs of each label pair and the postings offset table are held in memory; series and postings flow through.
 */
import { ByteWriter } from '../lib/bytes.ts';
import { crc32c } from '../lib/crc32c.ts';
import { compareUtf8 } from '../model/labels.ts';
import {
  ALL_POSTINGS,
  type ChunkMeta,
  HEADER_BYTES,
  INDEX_MAGIC,
  INDEX_VERSION,
  PAIR_STRINGS,
  POSTINGS_ALIGNMENT,
  SERIES_ALIGNMENT,
} from './format.ts';
import { PairPostings } from './pair-postings.ts';

const FLUSH_BYTES: number = 1 << 20;

/** Takes the next bytes of the file. They are valid during the call only. */
export type AppendBytes = (bytes: Uint8Array) => void;

export class IndexWriter {
  readonly #append: AppendBytes;
  readonly #symbols: readonly string[];
  readonly #postings: PairPostings;
  readonly #out = new ByteWriter(FLUSH_BYTES + 65_536);
  /** One series entry or one postings list: its length and checksum are known only when it is complete. */
  readonly #entry = new ByteWriter(4096);
  #flushed = 0;
  #seriesStart = 0;
  /** Copied, because a caller may use one array for all its series. */
  #lastLabels: number[] = [];
  #lastChunkRef = -1;
  #maxSeriesBytes = 0;

  /** `symbols`: all label names and values of the block, each once, in UTF-8 byte order. */
  constructor(symbols: readonly string[], append: AppendBytes) {
    this.#append = append;
    this.#symbols = symbols;
    this.#postings = new PairPostings(symbols.length);
    this.#out.u32be(INDEX_MAGIC);
    this.#out.u8(INDEX_VERSION);
    this.#writeSymbols();
    this.#seriesStart = this.#position;
  }

  /** The size of the largest series entry so far, with its length and checksum. */
  get maxSeriesBytes(): number {
    return this.#maxSeriesBytes;
  }

  /**
   * Adds a series and returns its ref. `labels` are flat pairs of symbol numbers (name, value), sorted by name; series
   * come in label order; chunks in time order without overlap, their refs ascending through the whole file.
   */
  addSeries(labels: ArrayLike<number>, chunks: readonly ChunkMeta[]): number {
    if (compareSymbols(this.#lastLabels, labels) >= 0) throw new Error('series must ascend in label order');
    const entry = this.#entry;
    entry.reset();
    entry.uvarint(labels.length / 2);
    this.#lastLabels.length = labels.length;
    for (let i = 0; i < labels.length; i++) {
      const symbol = labels[i] as number;
      entry.uvarint(symbol);
      this.#lastLabels[i] = symbol;
    }
    this.#encodeChunks(chunks);

    this.#align(SERIES_ALIGNMENT);
    const start = this.#position;
    const ref = start / SERIES_ALIGNMENT;
    if (ref > 0xffffffff) throw new Error('an index of more than 64 GiB');
    this.#out.uvarint(entry.length);
    this.#out.raw(entry.bytes);
    this.#out.u32be(crc32c(entry.bytes));
    this.#maxSeriesBytes = Math.max(this.#maxSeriesBytes, this.#position - start);
    this.#postings.add(ref, labels);
    this.#flushIfFull();
    return ref;
  }

  /** Writes postings and tables and returns the size of the file. The writer is of no use afterwards. */
  finish(): number {
    const seriesEnd = this.#position;
    const table = new ByteWriter(65_536);
    table.u32be(this.#postings.pairCount + 1);
    this.#writePostings(table, ALL_POSTINGS, ALL_POSTINGS, this.#postings.refs);
    this.#postings.visit((name, value, refs) => {
      this.#writePostings(table, this.#symbols[name] as string, this.#symbols[value] as string, refs);
    });
    const tableStart = this.#position;
    this.#writeSection(table);
    this.#writeContents(seriesEnd, tableStart);
    this.#flush();
    return this.#flushed;
  }

  get #position(): number {
    return this.#flushed + this.#out.length;
  }

  #writeSymbols(): void {
    const section = new ByteWriter(65_536);
    section.u32be(this.#symbols.length);
    let previous: string | undefined;
    for (const symbol of this.#symbols) {
      if (previous !== undefined && compareUtf8(previous, symbol) >= 0) {
        throw new Error(`symbols must ascend in UTF-8 byte order: ${previous}, then ${symbol}`);
      }
      section.text(symbol);
      previous = symbol;
    }
    this.#writeSection(section);
  }

  #encodeChunks(chunks: readonly ChunkMeta[]): void {
    const entry = this.#entry;
    entry.uvarint(chunks.length);
    let previous: ChunkMeta | undefined;
    for (const chunk of chunks) {
      const { minTimeMs, maxTimeMs, ref } = chunk;
      const ordered = minTimeMs <= maxTimeMs && ref > this.#lastChunkRef;
      if (!ordered || (previous !== undefined && minTimeMs <= previous.maxTimeMs)) {
        throw new Error('the chunks of a series must ascend in time and in refs, without overlap');
      }
      if (previous === undefined) entry.varint(minTimeMs);
      else entry.uvarint(minTimeMs - previous.maxTimeMs);
      entry.uvarint(maxTimeMs - minTimeMs);
      if (previous === undefined) entry.uvarint(ref);
      else entry.varint(ref - previous.ref);
      previous = chunk;
      this.#lastChunkRef = ref;
    }
  }

  /** Writes one postings list and its entry of the postings offset table. */
  #writePostings(table: ByteWriter, name: string, value: string, refs: Uint32Array): void {
    this.#align(POSTINGS_ALIGNMENT);
    table.u8(PAIR_STRINGS);
    table.text(name);
    table.text(value);
    table.uvarint(this.#position);
    const entry = this.#entry;
    entry.reset();
    entry.u32be(refs.length);
    for (let i = 0; i < refs.length; i++) entry.u32be(refs[i] as number);
    this.#writeSection(entry);
    this.#flushIfFull();
  }

  #writeContents(seriesEnd: number, tableStart: number): void {
    const toc = this.#entry;
    toc.reset();
    toc.u64be(HEADER_BYTES); // Symbols.
    toc.u64be(this.#seriesStart);
    toc.u64be(seriesEnd); // Label indices: none.
    toc.u64be(tableStart); // Label offset table: none.
    toc.u64be(seriesEnd); // Postings: before the padding to the first of them, as Prometheus has it.
    toc.u64be(tableStart);
    this.#out.raw(toc.bytes);
    this.#out.u32be(crc32c(toc.bytes));
  }

  #writeSection(section: ByteWriter): void {
    if (section.length > 0xffffffff) throw new Error('an index section of more than 4 GiB');
    const bytes = section.bytes;
    this.#out.u32be(bytes.length);
    if (bytes.length < FLUSH_BYTES) {
      this.#out.raw(bytes);
    } else {
      this.#flush();
      this.#append(bytes);
      this.#flushed += bytes.length;
    }
    this.#out.u32be(crc32c(bytes));
  }

  #align(alignment: number): void {
    while (this.#position % alignment !== 0) this.#out.u8(0);
  }

  #flushIfFull(): void {
    if (this.#out.length >= FLUSH_BYTES) this.#flush();
  }

  #flush(): void {
    this.#append(this.#out.bytes);
    this.#flushed += this.#out.length;
    this.#out.reset();
  }
}

/** The order of label sets, which is that of their symbol numbers because symbols are sorted. */
function compareSymbols(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    if (a[i] !== b[i]) return (a[i] as number) - (b[i] as number);
  }
  return a.length - b.length;
}
