/**
 * A file of a block beside those of Prometheus: an entry for each series that has something of its kind, and a table to
 * find it by.
 *
 *   header   magic "VARX" | version u8 | kind u8 | 2 zero bytes
 *   entry    CRC-32C u32 over the content | content                one after the other
 *   table    series ref u32 | offset of the entry u64              ascending in both
 *   footer   number of entries u32 | CRC-32C u32 over table and number
 *
 * An entry ends where the next one begins, the last where the table does. Numbers are big-endian. The file is written in
 * one pass and read from its end: footer, table, then the entries that are wanted. Spec: docs/formats/block.md.
 */
import type { File, FileSystem } from '../io/file-system.ts';
import { ByteReader, ByteWriter } from '../lib/bytes.ts';
import { crc32c } from '../lib/crc32c.ts';
import { CorruptionError } from '../lib/errors.ts';
import type { BlockFiles } from './block-files.ts';

/** Their numbers in the header, and their names in the block's directory. */
export const ExtraKind = { EXEMPLARS: 1, START_TIMES: 2, METADATA: 3 } as const;
export type ExtraKind = (typeof ExtraKind)[keyof typeof ExtraKind];

export const EXTRA_FILES: Readonly<Record<ExtraKind, string>> = {
  [ExtraKind.EXEMPLARS]: 'varve-exemplars',
  [ExtraKind.START_TIMES]: 'varve-start-times',
  [ExtraKind.METADATA]: 'varve-metadata',
};

const MAGIC = 0x56415258; // "VARX"
const VERSION = 1;
const HEADER_BYTES = 8;
const ROW_BYTES: number = 4 + 8;
const FOOTER_BYTES: number = 4 + 4;
const FLUSH_BYTES: number = 1 << 20;

/** No series of a 2 h window comes near. A longer entry is damage, not a reason to read it all. */
const MAX_ENTRY_BYTES: number = 64 * 1024 * 1024;

/** Writes one file; without an entry there is none. */
export class ExtraWriter {
  readonly path: string;
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  readonly #kind: ExtraKind;
  readonly #buffer = new ByteWriter(65_536);
  readonly #table = new ByteWriter(4096);
  #file: File | undefined;
  #flushed = 0;

  constructor(fileSystem: FileSystem, directory: string, kind: ExtraKind) {
    this.path = EXTRA_FILES[kind];
    this.#fileSystem = fileSystem;
    this.#directory = directory;
    this.#kind = kind;
  }

  /** Appends the entry of a series; refs ascend. Throws the file system's errors. */
  append(ref: number, content: Uint8Array): void {
    if (this.#file === undefined) this.#begin();
    this.#table.u32be(ref);
    this.#table.u64be(this.#flushed + this.#buffer.length);
    this.#buffer.u32be(crc32c(content));
    this.#buffer.raw(content);
    if (this.#buffer.length >= FLUSH_BYTES) this.#flush();
  }

  /** Makes the file durable and returns its size; 0 if there is none. */
  finish(): number {
    if (this.#file === undefined) return 0;
    this.#table.u32be(this.#table.length / ROW_BYTES);
    this.#buffer.raw(this.#table.bytes);
    this.#buffer.u32be(crc32c(this.#table.bytes));
    this.#flush();
    this.#file.sync();
    return this.#flushed;
  }

  /** To be called in any case; what there is after a failure is the caller's to remove. */
  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #begin(): void {
    this.#file = this.#fileSystem.open(`${this.#directory}/${this.path}`, 'create');
    this.#buffer.u32be(MAGIC);
    this.#buffer.u8(VERSION);
    this.#buffer.u8(this.#kind);
    this.#buffer.u16be(0);
  }

  #flush(): void {
    this.#file?.write(this.#buffer.bytes, this.#flushed);
    this.#flushed += this.#buffer.length;
    this.#buffer.reset();
  }
}

/** Reads one file of a block. */
export class ExtraReader {
  readonly #files: BlockFiles;
  readonly #path: string;
  /** The block and the file, in errors. */
  readonly #name: string;
  readonly #refs: Uint32Array;
  /** One more than refs: the last is the end of the last entry. */
  readonly #offsets: Float64Array;

  private constructor(files: BlockFiles, path: string, name: string, refs: Uint32Array, offsets: Float64Array) {
    this.#files = files;
    this.#path = path;
    this.#name = name;
    this.#refs = refs;
    this.#offsets = offsets;
  }

  /** Reads header and table. Throws CorruptionError, also for a newer version, and what `files` throws. */
  static async open(files: BlockFiles, blockName: string, kind: ExtraKind): Promise<ExtraReader> {
    const path = EXTRA_FILES[kind];
    const name = `${blockName}/${path}`;
    const size = await files.size(path);
    const header = new ByteReader(await files.read(path, 0, HEADER_BYTES));
    if (header.u32be() !== MAGIC || header.failed) throw new CorruptionError(name, 0, 'no such file begins like this');
    const [version, actualKind] = [header.u8(), header.u8()];
    if (version !== VERSION) throw new CorruptionError(name, 4, `version ${version}, but only ${VERSION} can be read`);
    if (actualKind !== kind) throw new CorruptionError(name, 5, `kind ${actualKind}, not ${kind}`);
    const end = size - FOOTER_BYTES;
    const count = new ByteReader(await files.read(path, Math.max(end, 0), FOOTER_BYTES)).u32be();
    const tableStart = end - count * ROW_BYTES;
    if (tableStart < HEADER_BYTES) throw new CorruptionError(name, end, `${count} entries do not fit`);
    const table = await files.read(path, tableStart, size - tableStart);
    const { refs, offsets } = parseTable(table, count, tableStart, name);
    return new ExtraReader(files, path, name, refs, offsets);
  }

  /** The content of a series' entry; undefined if it has none. Throws CorruptionError and what `files` throws. */
  async read(ref: number): Promise<Uint8Array | undefined> {
    const at = this.#find(ref);
    if (at < 0) return undefined;
    const offset = this.#offsets[at] as number;
    const length = (this.#offsets[at + 1] as number) - offset;
    if (length > MAX_ENTRY_BYTES) throw new CorruptionError(this.#name, offset, `an entry of ${length} bytes`);
    const bytes = await this.#files.read(this.#path, offset, length);
    const content = bytes.subarray(4);
    if (bytes.length !== length || new ByteReader(bytes).u32be() !== crc32c(content))
      throw new CorruptionError(this.#name, offset, `the entry of series ${ref} has another checksum`);
    return content;
  }

  /** An error about the content of an entry. */
  corrupt(ref: number): CorruptionError {
    return new CorruptionError(this.#name, this.#offsets[this.#find(ref)] ?? 0, `the entry of series ${ref} is none`);
  }

  /** Index of the ref in the table, or -1. */
  #find(ref: number): number {
    let low = 0;
    let high = this.#refs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#refs[middle] as number) < ref) low = middle + 1;
      else high = middle;
    }
    return this.#refs[low] === ref ? low : -1;
  }
}

function parseTable(
  table: Uint8Array,
  count: number,
  tableStart: number,
  name: string,
): { refs: Uint32Array; offsets: Float64Array } {
  const reader = new ByteReader(table);
  const covered = reader.raw(table.length - 4);
  if (reader.u32be() !== crc32c(covered) || reader.failed)
    throw new CorruptionError(name, tableStart, 'the table has another checksum');
  const refs = new Uint32Array(count);
  const offsets = new Float64Array(count + 1);
  offsets[count] = tableStart;
  const rows = new ByteReader(table);
  for (let i = 0; i < count; i++) {
    refs[i] = rows.u32be();
    offsets[i] = rows.u64be();
  }
  for (let i = 0; i < count; i++) {
    const ascends = i === 0 ? offsets[0] === HEADER_BYTES : (refs[i] as number) > (refs[i - 1] as number);
    if (!ascends || (offsets[i] as number) + 4 > (offsets[i + 1] as number))
      throw new CorruptionError(name, tableStart, `row ${i} of the table is not behind the one before`);
  }
  return { refs, offsets };
}
