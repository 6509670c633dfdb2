/**
 * Chunk segments of a block. A chunk's ref is segment · 2^32 + offset of its first byte; a chunk lies in one segment.
 *
 *   segment   magic u32 | version u8 | 3 zero bytes | chunk *
 *   chunk     length uvarint | encoding u8 | bytes | CRC-32C u32 over encoding and bytes      (fixed numbers big-endian)
 *
 * `length` counts the bytes alone. Source: Prometheus, tsdb/docs/format/chunks.md and tsdb/chunks/chunks.go.
 */
import type { File, FileSystem } from '../io/file-system.ts';
import { ByteReader, ByteWriter } from '../lib/bytes.ts';
import { crc32c } from '../lib/crc32c.ts';
import { CorruptionError } from '../lib/errors.ts';
import { type Chunk, chunkSampleCount, Encoding } from '../model/series-source.ts';
import { CHUNKS_DIRECTORY, segmentPath } from './layout.ts';

const CHUNKS_MAGIC = 0x85bd40dd;
const CHUNKS_VERSION = 1;
const SEGMENT_HEADER_BYTES = 8;
const SEGMENT_REFS = 0x1_0000_0000;

/** What a chunk adds to its own bytes at most: length, encoding, checksum. */
const MAX_FRAME_BYTES: number = 5 + 1 + 4;

/** Segments end before this size, as in Prometheus; a ref could address 4 GiB. */
const MAX_SEGMENT_BYTES: number = 512 * 1024 * 1024;

/** No encoding comes near: 65535 samples of XOR are 1.2 MB. A greater length is damage, not a reason to read it all. */
const MAX_CHUNK_BYTES: number = 64 * 1024 * 1024;

const FLUSH_BYTES: number = 1 << 20;

/** How many samples a chunk holds, and of what kind; 0 for an encoding that says it elsewhere. */
export function chunkSamples(chunk: Chunk): { floats: number; histograms: number } {
  const count = chunkSampleCount(chunk);
  const isFloat = chunk.encoding === Encoding.XOR || chunk.encoding === Encoding.XOR2;
  return isFloat ? { floats: count, histograms: 0 } : { floats: 0, histograms: count };
}

/** A finished segment: its path in the block and its size. */
export interface SegmentFile {
  readonly path: string;
  readonly sizeBytes: number;
}

/** Writes the chunk segments of one block, in order. */
export class ChunkWriter {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  readonly #segmentBytes: number;
  readonly #segments: SegmentFile[] = [];
  readonly #buffer = new ByteWriter(FLUSH_BYTES + 65_536);
  readonly #payload = new ByteWriter(4096);
  #file: File | undefined;
  #flushed = 0;
  #maxChunkBytes = 0;

  /** Makes `chunks/` in the block's directory. */
  constructor(fileSystem: FileSystem, directory: string, segmentBytes: number = MAX_SEGMENT_BYTES) {
    this.#fileSystem = fileSystem;
    this.#directory = directory;
    this.#segmentBytes = segmentBytes;
    fileSystem.makeDirectory(`${directory}/${CHUNKS_DIRECTORY}`);
  }

  /** The size of the largest chunk so far, with its length, encoding and checksum. */
  get maxChunkBytes(): number {
    return this.#maxChunkBytes;
  }

  /** Appends a chunk and returns its ref. Throws the file system's errors. */
  append(chunk: Chunk): number {
    const position = this.#flushed + this.#buffer.length;
    const full = position + chunk.bytes.length + MAX_FRAME_BYTES > this.#segmentBytes;
    if (this.#file === undefined || (full && position > SEGMENT_HEADER_BYTES)) this.#cut();
    const start = this.#flushed + this.#buffer.length;
    const ref = this.#segments.length * SEGMENT_REFS + start;
    this.#payload.reset();
    this.#payload.u8(chunk.encoding);
    this.#payload.raw(chunk.bytes);
    this.#buffer.uvarint(chunk.bytes.length);
    this.#buffer.raw(this.#payload.bytes);
    this.#buffer.u32be(crc32c(this.#payload.bytes));
    this.#maxChunkBytes = Math.max(this.#maxChunkBytes, this.#flushed + this.#buffer.length - start);
    if (this.#buffer.length >= FLUSH_BYTES) this.#flush();
    return ref;
  }

  /** Makes all segments durable, their names too, and returns them. */
  finish(): readonly SegmentFile[] {
    this.#endSegment();
    this.#fileSystem.syncDirectory(`${this.#directory}/${CHUNKS_DIRECTORY}`);
    return this.#segments;
  }

  /** Closes what is open after a failure; the files are the caller's to remove. */
  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #cut(): void {
    this.#endSegment();
    this.#file = this.#fileSystem.open(`${this.#directory}/${segmentPath(this.#segments.length)}`, 'create');
    this.#flushed = 0;
    this.#buffer.u32be(CHUNKS_MAGIC);
    this.#buffer.u32be(CHUNKS_VERSION << 24); // And three bytes of zeros.
  }

  #endSegment(): void {
    if (this.#file === undefined) return;
    this.#flush();
    this.#file.sync();
    this.close();
    this.#segments.push({ path: segmentPath(this.#segments.length), sizeBytes: this.#flushed });
  }

  #flush(): void {
    this.#file?.write(this.#buffer.bytes, this.#flushed);
    this.#flushed += this.#buffer.length;
    this.#buffer.reset();
  }
}

/** The segment and the offset that a chunk ref names. */
export function chunkPlace(ref: number): { segment: number; offset: number } {
  return { segment: Math.floor(ref / SEGMENT_REFS), offset: ref % SEGMENT_REFS };
}

/**
 * How many bytes the chunk that begins at `bytes[at]` takes; `file` and `offset` name the place in errors. It may be
 * more than there are. Throws CorruptionError if its length is none.
 */
export function chunkExtent(bytes: Uint8Array, at: number, file: string, offset: number): number {
  const reader = new ByteReader(bytes, at);
  const length = reader.uvarint();
  if (reader.failed) throw new CorruptionError(file, offset, 'no chunk begins here');
  if (length > MAX_CHUNK_BYTES) throw new CorruptionError(file, offset, `a chunk of ${length} bytes`);
  return reader.offset - at + 1 + length + 4;
}

/** The encoding and the bytes, a view, of the chunk at `bytes[at]`. Throws CorruptionError. */
export function decodeChunk(
  bytes: Uint8Array,
  at: number,
  file: string,
  offset: number,
): { encoding: number; bytes: Uint8Array } {
  const reader = new ByteReader(bytes, at);
  const payload = reader.raw(1 + reader.uvarint());
  const expected = reader.u32be();
  if (reader.failed) throw new CorruptionError(file, offset, 'the segment ends inside a chunk');
  const actual = crc32c(payload);
  if (actual !== expected) {
    const [is, was] = [actual, expected].map((checksum) => checksum.toString(16).padStart(8, '0'));
    throw new CorruptionError(file, offset, `a chunk has checksum ${is}, but ${was} is stored`);
  }
  return { encoding: payload[0] as number, bytes: payload.subarray(1) };
}
