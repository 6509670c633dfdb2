/**
 * Reads a TSDB index file (see format.ts) from its bytes, in place. Opening checks header, table of contents, symbols
 * and postings offset table; a series entry or a postings list is checked whenever it is read. Damage gives a
 * CorruptionError with the file and the offset, never a wrong answer: all that is used is under a checksum.
 */
import { ByteReader } from '../lib/bytes.ts';
import { crc32c } from '../lib/crc32c.ts';
import { CorruptionError } from '../lib/errors.ts';
import {
  ALL_POSTINGS,
  CHECKSUM_BYTES,
  type ChunkMeta,
  HEADER_BYTES,
  INDEX_MAGIC,
  INDEX_VERSION,
  SERIES_ALIGNMENT,
  TOC_BYTES,
} from './format.ts';
import type { Postings, PostingsIndex } from './postings.ts';
import { PostingsTable } from './postings-table.ts';
import { checkedContent, type IndexBytes, readSection } from './section.ts';
import { SymbolTable } from './symbol-table.ts';

/** A series entry. */
export interface IndexedSeries {
  /** Flat pairs of symbols (name, value), sorted by name. Symbols are numbered in byte order. */
  readonly symbols: readonly number[];
  /** In time order. */
  readonly chunks: readonly ChunkMeta[];
}

const NONE: Postings = new Uint32Array(0);

export class IndexReader implements PostingsIndex {
  readonly symbols: SymbolTable;
  readonly #index: IndexBytes;
  readonly #table: PostingsTable;

  /** `bytes` is the whole file and must not change; `file` is the name that errors give. Throws CorruptionError. */
  constructor(file: string, bytes: Uint8Array) {
    this.#index = { file, bytes };
    checkHeader(this.#index);
    const contents = readContents(this.#index);
    this.symbols = new SymbolTable(this.#index, contents.symbols);
    this.#table = new PostingsTable(this.#index, contents.postingsTable);
  }

  /** Memory held, the file's bytes included. */
  get byteSize(): number {
    return this.#index.bytes.length + this.symbols.byteSize + this.#table.byteSize;
  }

  all(): Postings {
    return this.postings(ALL_POSTINGS, ALL_POSTINGS);
  }

  names(): string[] {
    return this.#table.names();
  }

  values(name: string): string[] {
    return this.#table.values(name);
  }

  postings(name: string, value: string): Postings {
    const offset = this.#table.find(name, value);
    if (offset === undefined) return NONE;
    const content = readSection(this.#index, offset, 'a postings list');
    const count = new ByteReader(content).u32be();
    if (content.length !== 4 + count * 4) {
      throw new CorruptionError(
        this.#index.file,
        offset,
        `a postings list of ${count} refs in ${content.length} bytes`,
      );
    }
    // A copy, also of a Buffer, whose slice would be a view.
    const refs = new Uint8Array(content.subarray(4));
    Buffer.from(refs.buffer).swap32();
    return new Uint32Array(refs.buffer);
  }

  /** The series with a ref from a postings list. */
  series(ref: number): IndexedSeries {
    const offset = ref * SERIES_ALIGNMENT;
    const reader = new ByteReader(this.#index.bytes, offset);
    const content = checkedContent(this.#index, offset, reader, reader.uvarint(), 'a series entry');
    const entry = new ByteReader(content);
    const symbols: number[] = [];
    for (let i = 2 * entry.uvarint(); i > 0 && !entry.failed; i--) symbols.push(entry.uvarint());
    const chunks = decodeChunks(entry);
    if (entry.failed) throw new CorruptionError(this.#index.file, offset, 'a series entry ends before its last field');
    return { symbols, chunks };
  }

  /** Names and values alternating, as symbols are paired in a series entry. */
  strings(symbols: readonly number[]): string[] {
    return symbols.map((symbol) => this.symbols.lookup(symbol));
  }
}

function decodeChunks(entry: ByteReader): ChunkMeta[] {
  const chunks: ChunkMeta[] = [];
  const count = entry.uvarint();
  let lastMaxTimeMs = 0;
  let lastRef = 0;
  for (let i = 0; i < count && !entry.failed; i++) {
    const minTimeMs = i === 0 ? entry.varint() : lastMaxTimeMs + entry.uvarint();
    const maxTimeMs = minTimeMs + entry.uvarint();
    const ref = i === 0 ? entry.uvarint() : lastRef + entry.varint();
    chunks.push({ minTimeMs, maxTimeMs, ref });
    lastMaxTimeMs = maxTimeMs;
    lastRef = ref;
  }
  return chunks;
}

function checkHeader({ file, bytes }: IndexBytes): void {
  const reader = new ByteReader(bytes);
  const magic = reader.u32be();
  const version = reader.u8();
  if (bytes.length < HEADER_BYTES + TOC_BYTES) {
    throw new CorruptionError(file, 0, `${bytes.length} bytes are too few for an index`);
  }
  if (magic !== INDEX_MAGIC) throw new CorruptionError(file, 0, `not an index: it begins with ${magic.toString(16)}`);
  if (version !== INDEX_VERSION) {
    throw new CorruptionError(file, 4, `index version ${version}, but only version ${INDEX_VERSION} can be read`);
  }
}

function readContents({ file, bytes }: IndexBytes): { symbols: number; postingsTable: number } {
  const offset = bytes.length - TOC_BYTES;
  const toc = bytes.subarray(offset, bytes.length - CHECKSUM_BYTES);
  const reader = new ByteReader(bytes, offset);
  const symbols = reader.u64be();
  reader.skip(4 * 8); // Series, label indices, label offset table, postings: found through the two others.
  const postingsTable = reader.u64be();
  if (reader.u32be() !== crc32c(toc) || reader.failed) {
    throw new CorruptionError(file, offset, 'the table of contents does not match its checksum');
  }
  return { symbols, postingsTable };
}
