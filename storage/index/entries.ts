/**
 * What lies in an index file between its tables: series entries and postings lists (format.ts), decoded one by one from
 * bytes that were read of it. Each is under a checksum of its own; damage gives a CorruptionError with file and offset.
 */
import { ByteReader } from '../lib/bytes.ts';
import { CorruptionError } from '../lib/errors.ts';
import { CHECKSUM_BYTES, type ChunkMeta } from './format.ts';
import type { Postings } from './postings.ts';
import { checkedContent } from './section.ts';

/** A series entry. */
export interface IndexedSeries {
  /** Flat pairs of symbols (name, value), sorted by name. Symbols are numbered in byte order. */
  readonly symbols: readonly number[];
  /** In time order. */
  readonly chunks: readonly ChunkMeta[];
}

/** Bytes of an index file, and an entry in them: `at` in the bytes, `offset` in the file. */
export interface EntryPlace {
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly offset: number;
}

/** No series comes near: 2^20 chunks of 10 bytes. A greater length is damage, not a reason to read it all. */
const MAX_SERIES_BYTES: number = 64 * 1024 * 1024;
/** As many refs as there can be series: 2^32 / 16 of 4 bytes. */
const MAX_POSTINGS_BYTES: number = 2 ** 30;

/** The bytes that the series entry takes; they may be more than there are. */
export function seriesExtent({ file, bytes, at, offset }: EntryPlace): number {
  const reader = new ByteReader(bytes, at);
  const length = reader.uvarint();
  if (reader.failed || length > MAX_SERIES_BYTES)
    throw new CorruptionError(file, offset, 'no series entry begins here');
  return reader.offset - at + length + CHECKSUM_BYTES;
}

export function decodeSeries({ file, bytes, at, offset }: EntryPlace): IndexedSeries {
  const reader = new ByteReader(bytes, at);
  const content = checkedContent({ file }, offset, reader, reader.uvarint(), 'a series entry');
  const entry = new ByteReader(content);
  const symbols: number[] = [];
  for (let i = 2 * entry.uvarint(); i > 0 && !entry.failed; i--) symbols.push(entry.uvarint());
  const chunks = decodeChunks(entry);
  if (entry.failed) throw new CorruptionError(file, offset, 'a series entry ends before its last field');
  return { symbols, chunks };
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

/** The bytes that the postings list takes; they may be more than there are. */
export function postingsExtent({ file, bytes, at, offset }: EntryPlace): number {
  const reader = new ByteReader(bytes, at);
  const length = reader.u32be();
  if (reader.failed || length > MAX_POSTINGS_BYTES)
    throw new CorruptionError(file, offset, 'no postings list begins here');
  return 4 + length + CHECKSUM_BYTES;
}

/** The refs, in a memory of their own. */
export function decodePostings({ file, bytes, at, offset }: EntryPlace): Postings {
  const reader = new ByteReader(bytes, at);
  const content = checkedContent({ file }, offset, reader, reader.u32be(), 'a postings list');
  const count = new ByteReader(content).u32be();
  if (content.length !== 4 + count * 4)
    throw new CorruptionError(file, offset, `a postings list of ${count} refs in ${content.length} bytes`);
  // A copy, also of a Buffer, whose slice would be a view.
  const refs = new Uint8Array(content.subarray(4));
  Buffer.from(refs.buffer).swap32();
  return new Uint32Array(refs.buffer);
}
