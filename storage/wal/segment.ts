/**
 * The files of the write-ahead log: their names and the header they share. A segment holds frames of one generation in
 * the order of their sequence; a checkpoint stands for all segments up to its number.
 *
 *   wal/00000007              a segment; frames, then zeros written ahead
 *   wal/.spare, .spare-2      zeros: the next segments, made in advance; worth nothing to recovery
 *   wal/checkpoint.00000006   replaces segments up to 6
 *   wal/checkpoint.tmp        a checkpoint being written; worth nothing to recovery
 *
 *   header: magic 8 bytes | version u32 | number u32 | generation u32 | sequence u64 | crc32c u32
 *           0               8             12           16               20             28
 *
 * A segment's header is written together with its first frames. Magic, version and checksum stay where they are in
 * every version, so that an older program can tell a newer file from a damaged one.
 * Spec: docs/formats/wal.md.
 */
import type { File, FileSystem } from '../io/file-system.ts';
import { crc32c } from '../lib/crc32c.ts';

export const FILE_HEADER_BYTES = 32;
/** The newest version of segments and checkpoints that this program reads, and the one that it writes. */
export const WAL_VERSION = 1;
export const SPARE_NAMES: readonly string[] = ['.spare', '.spare-2'];
export const CHECKPOINT_TMP_NAME = 'checkpoint.tmp';

const CHECKED_BYTES = 28;
const TWO_32 = 0x1_0000_0000;
const MAGICS = { segment: 'VARVEWAL', checkpoint: 'VARVECKP' } as const;
const SEGMENT_NAME = /^(\d{8,})$/;
const CHECKPOINT_NAME = /^checkpoint\.(\d{8,})$/;

export type WalFileKind = keyof typeof MAGICS;

export interface FileHeader {
  readonly version: number;
  /** Of the segment; of a checkpoint: 0, its number is in its name and its end frame. */
  readonly number: number;
  readonly generation: number;
  /** Segment: of its first frame. Checkpoint: no frame of the segments it replaces has a higher one. */
  readonly sequence: number;
}

/** A file of the log by its name. */
export interface WalFile {
  readonly kind: WalFileKind;
  readonly number: number;
  readonly name: string;
}

/** Where the log of a data directory lies. */
export function walDirectory(dataDirectory: string): string {
  return `${dataDirectory}/wal`;
}

export function segmentName(number: number): string {
  return String(number).padStart(8, '0');
}

export function checkpointName(number: number): string {
  return `checkpoint.${segmentName(number)}`;
}

/** The segments and checkpoints in a log's directory, by number; other names are left out. */
export function listWalFiles(fileSystem: FileSystem, directory: string): WalFile[] {
  const files: WalFile[] = [];
  for (const { name, isDirectory } of fileSystem.list(directory)) {
    const segment = SEGMENT_NAME.exec(name);
    const checkpoint = CHECKPOINT_NAME.exec(name);
    if (isDirectory) continue;
    if (segment !== null) files.push({ kind: 'segment', number: Number(segment[1]), name });
    if (checkpoint !== null) files.push({ kind: 'checkpoint', number: Number(checkpoint[1]), name });
  }
  return files.sort((a, b) => a.number - b.number);
}

/** Writes a header into the first bytes of `target`. */
export function encodeFileHeader(target: Uint8Array, kind: WalFileKind, header: Omit<FileHeader, 'version'>): void {
  const view = new DataView(target.buffer, target.byteOffset, FILE_HEADER_BYTES);
  for (let i = 0; i < 8; i++) view.setUint8(i, MAGICS[kind].charCodeAt(i));
  view.setUint32(8, WAL_VERSION, true);
  view.setUint32(12, header.number, true);
  view.setUint32(16, header.generation, true);
  view.setUint32(20, header.sequence >>> 0, true);
  view.setUint32(24, Math.floor(header.sequence / TWO_32), true);
  view.setUint32(28, crc32c(target.subarray(0, CHECKED_BYTES)), true);
}

/** The header of a file, or undefined if there is none that passes its checksum. The version may be a newer one. */
export function readFileHeader(file: Pick<File, 'read'>, kind: WalFileKind): FileHeader | undefined {
  const bytes = new Uint8Array(FILE_HEADER_BYTES);
  if (file.read(bytes, 0) < FILE_HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 8; i++) if (bytes[i] !== MAGICS[kind].charCodeAt(i)) return undefined;
  if (view.getUint32(28, true) !== crc32c(bytes.subarray(0, CHECKED_BYTES))) return undefined;
  return {
    version: view.getUint32(8, true),
    number: view.getUint32(12, true),
    generation: view.getUint32(16, true),
    sequence: view.getUint32(20, true) + view.getUint32(24, true) * TWO_32,
  };
}
