/**
 * The layout of a TSDB index file, version 2: what writer and reader share. All fixed numbers are big-endian, all
 * checksums CRC-32C over what stands between a section's length and the checksum. Spec: docs/formats/block.md;
 * source: Prometheus, tsdb/docs/format/index.md and tsdb/index/index.go.
 *
 *   header                 magic u32 | version u8
 *   symbols                length u32 | count u32 | (uvarint length, bytes)* | crc u32
 *   series, each at 16·ref length uvarint | labels, chunks | crc u32
 *   postings, each at 4·n  length u32 | count u32 | ref u32 * | crc u32
 *   postings offset table  length u32 | count u32 | (2 u8 | name | value | offset uvarint)* | crc u32
 *   table of contents      6 offsets u64 | crc u32
 *
 * The sections "label indices" and "label offset table" of older writers are empty: version 2 readers do not use them.
 */

export const INDEX_MAGIC = 0xbaaad700;
export const INDEX_VERSION = 2;
export const HEADER_BYTES: number = 4 + 1; // magic, version
export const TOC_BYTES: number = 6 * 8 + 4; // offsets, crc
export const CHECKSUM_BYTES = 4;

/** A series ref is its offset / 16, so that 32 bits address 64 GiB. */
export const SERIES_ALIGNMENT = 16;
export const POSTINGS_ALIGNMENT = 4;

/** Each entry of the postings offset table begins with its number of strings. */
export const PAIR_STRINGS = 2;

/** The pair whose postings are all series. */
export const ALL_POSTINGS = '';

/** A chunk of a series as the index knows it: times of its first and last sample, and where it is. */
export interface ChunkMeta {
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  /** Segment number (from 0) · 2^32 + offset in the segment. */
  readonly ref: number;
}
