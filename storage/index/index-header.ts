/**
 * What has to be known of an index file to find all the rest of it: its symbols and its postings offset table, read from
 * the file itself or kept apart in a small one of ours, so that a block in a bucket is not asked for them again.
 *
 *   contents   magic "VARH" | version u8 | 3 zero bytes
 *              size of the index u64 | offset of its symbols u64 | of its series u64 | of its postings offset table u64
 *              crc u32 over all of that
 *   symbols    the section of the index as it is, with length and checksum
 *   table      the postings offset table as it is
 *
 * Numbers are big-endian, checksums CRC-32C. Spec: docs/formats/index-header.md.
 */
import { ByteReader, ByteWriter } from '../lib/bytes.ts';
import { crc32c } from '../lib/crc32c.ts';
import { CorruptionError } from '../lib/errors.ts';
import { CHECKSUM_BYTES, HEADER_BYTES, INDEX_MAGIC, INDEX_VERSION, TOC_BYTES } from './format.ts';
import { type PostingsPlace, PostingsTable } from './postings-table.ts';
import type { IndexBytes } from './section.ts';
import { SymbolTable } from './symbol-table.ts';

const MAGIC = 0x56415248; // "VARH"
const VERSION = 1;
const CONTENTS_BYTES: number = 4 + 1 + 3 + 4 * 8 + 4;

/** Where the parts of an index file are. */
export interface IndexContents {
  readonly indexBytes: number;
  /** The symbols end where the series begin. */
  readonly symbols: number;
  readonly series: number;
  /** The postings offset table ends where the table of contents begins, TOC_BYTES before the end. */
  readonly postingsTable: number;
}

/** The table of contents in the last TOC_BYTES of an index of this size. Throws CorruptionError. */
export function readContents(file: string, indexBytes: number, toc: Uint8Array): IndexContents {
  const offset = indexBytes - TOC_BYTES;
  if (offset < HEADER_BYTES) throw new CorruptionError(file, 0, `${indexBytes} bytes are too few for an index`);
  const reader = new ByteReader(toc);
  const symbols = reader.u64be();
  const series = reader.u64be();
  reader.skip(3 * 8); // Label indices, label offset table, postings: found through the last one, or not used.
  const postingsTable = reader.u64be();
  const expected = reader.u32be();
  if (reader.failed || expected !== crc32c(toc.subarray(0, TOC_BYTES - CHECKSUM_BYTES)))
    throw new CorruptionError(file, offset, 'the table of contents does not match its checksum');
  if (!(HEADER_BYTES <= symbols && symbols <= series && series <= postingsTable && postingsTable <= offset))
    throw new CorruptionError(file, offset, 'the table of contents names places outside of the file');
  return { indexBytes, symbols, series, postingsTable };
}

export class IndexHeader {
  readonly contents: IndexContents;
  readonly symbols: SymbolTable;
  readonly #table: PostingsTable;
  readonly #ownBytes: number;

  private constructor(contents: IndexContents, symbols: SymbolTable, table: PostingsTable, ownBytes: number) {
    this.contents = contents;
    this.symbols = symbols;
    this.#table = table;
    this.#ownBytes = ownBytes;
  }

  /**
   * From the index file: `front` are its bytes up to the series, `table` those from the postings offset table to the table
   * of contents. Both must not change. Throws CorruptionError, also if it is no index that can be read.
   */
  static fromIndex(file: string, contents: IndexContents, front: Uint8Array, table: Uint8Array): IndexHeader {
    checkFront(file, front);
    return new IndexHeader(
      contents,
      new SymbolTable({ file, bytes: front }, contents.symbols),
      new PostingsTable(
        { file, bytes: table, start: contents.postingsTable },
        contents.postingsTable,
        contents.postingsTable,
      ),
      front.length + table.length,
    );
  }

  /** From a header file; `bytes` must not change. Throws CorruptionError, also for a newer version. */
  static decode(file: string, bytes: Uint8Array): IndexHeader {
    const contents = readOwnContents({ file, bytes });
    const symbolsAt = CONTENTS_BYTES;
    const tableAt = symbolsAt + contents.series - contents.symbols;
    return new IndexHeader(
      contents,
      new SymbolTable({ file, bytes }, symbolsAt),
      new PostingsTable({ file, bytes }, tableAt, contents.postingsTable),
      bytes.length,
    );
  }

  /** Memory held. */
  get byteSize(): number {
    return this.#ownBytes + this.symbols.byteSize + this.#table.byteSize;
  }

  /** All label names, in byte order. */
  names(): string[] {
    return this.#table.names();
  }

  /** All values of a name, in byte order. */
  values(name: string): string[] {
    return this.#table.values(name);
  }

  /** Where the postings of a pair are in the index file; undefined if there is no such pair. */
  find(name: string, value: string): PostingsPlace | undefined {
    return this.#table.find(name, value);
  }

  /** Names and values alternating, as symbols are paired in a series entry. */
  strings(symbols: readonly number[]): string[] {
    return symbols.map((symbol) => this.symbols.lookup(symbol));
  }
}

/** The bytes of the header file of an index; `front` and `table` as for `IndexHeader.fromIndex`. */
export function encodeIndexHeader(contents: IndexContents, front: Uint8Array, table: Uint8Array): Uint8Array {
  const writer = new ByteWriter(CONTENTS_BYTES + front.length + table.length);
  writer.u32be(MAGIC);
  writer.u8(VERSION);
  writer.raw(new Uint8Array(3));
  writer.u64be(contents.indexBytes);
  writer.u64be(contents.symbols);
  writer.u64be(contents.series);
  writer.u64be(contents.postingsTable);
  writer.u32be(crc32c(writer.bytes));
  writer.raw(front.subarray(contents.symbols));
  writer.raw(table);
  return writer.bytes;
}

function checkFront(file: string, front: Uint8Array): void {
  const reader = new ByteReader(front);
  const magic = reader.u32be();
  const version = reader.u8();
  if (magic !== INDEX_MAGIC) throw new CorruptionError(file, 0, `not an index: it begins with ${magic.toString(16)}`);
  if (version !== INDEX_VERSION)
    throw new CorruptionError(file, 4, `index version ${version}, but only version ${INDEX_VERSION} can be read`);
}

function readOwnContents({ file, bytes }: IndexBytes): IndexContents {
  const reader = new ByteReader(bytes);
  if (reader.u32be() !== MAGIC) throw new CorruptionError(file, 0, 'not an index header');
  const version = reader.u8();
  if (version !== VERSION) throw new CorruptionError(file, 4, `version ${version}, but only ${VERSION} can be read`);
  reader.skip(3);
  const [indexBytes, symbols, series, postingsTable] = [reader.u64be(), reader.u64be(), reader.u64be(), reader.u64be()];
  const expected = reader.u32be();
  if (reader.failed || expected !== crc32c(bytes.subarray(0, CONTENTS_BYTES - CHECKSUM_BYTES)))
    throw new CorruptionError(file, 0, 'the contents do not match their checksum');
  return { indexBytes, symbols, series, postingsTable };
}
