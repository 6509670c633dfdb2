/**
 * A frame: one record of the write-ahead log, found and checked by its own bytes alone. Little-endian:
 *
 *   magic u32 | payload length u32 | generation u32 | sequence u64 | crc32c u32 | payload
 *   0           4                    8                12             20           24
 *
 * The checksum covers bytes 0–19 and the payload, so a frame that passes is whole, in its place in the log and not a
 * remainder of an older one. Frames follow each other without padding; after damage the next one is found by its magic.
 * Spec: docs/formats/wal.md. The kernel writes frames too (assembly sources); both share the constants of layout.ts.
 */
import { FRAME_HEADER_BYTES, FRAME_MAGIC } from '../kernel/layout.ts';
import { crc32c } from '../lib/crc32c.ts';

/** No frame has a longer payload: a longer one would not fit into the ring. Bounds what a damaged length can cost. */
export const MAX_PAYLOAD_BYTES: number = 16 * 1024 * 1024 - FRAME_HEADER_BYTES;

const CHECKED_BYTES = 20; // the header without its checksum
const TWO_32 = 0x1_0000_0000;

const MAGIC_BYTES = new Uint8Array(4);
view(MAGIC_BYTES).setUint32(0, FRAME_MAGIC, true);

export interface Frame {
  /** The incarnation of the log that wrote it: one more at each start. */
  readonly generation: number;
  /** One more with each frame, for the life of the data directory; the first is 1. */
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** What stands at a place: a frame; or the front of one that needs `needed` bytes in all; or neither. */
export type FrameAt = Frame | { readonly needed: number } | undefined;

/** The bytes of a frame. Throws RangeError if the payload is longer than MAX_PAYLOAD_BYTES. */
export function encodeFrame({ generation, sequence, payload }: Frame): Uint8Array {
  if (payload.length > MAX_PAYLOAD_BYTES) throw new RangeError(`a frame of ${payload.length} bytes is too long`);
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + payload.length);
  const header = view(bytes);
  header.setUint32(0, FRAME_MAGIC, true);
  header.setUint32(4, payload.length, true);
  header.setUint32(8, generation, true);
  header.setUint32(12, sequence >>> 0, true);
  header.setUint32(16, Math.floor(sequence / TWO_32), true);
  bytes.set(payload, FRAME_HEADER_BYTES);
  header.setUint32(20, crc32c(bytes.subarray(FRAME_HEADER_BYTES), crc32c(bytes.subarray(0, CHECKED_BYTES))), true);
  return bytes;
}

/**
 * Checks what stands at `offset` of `bytes`. The payload of a frame is a view of `bytes`. A length field that is
 * damaged gives `needed` too: the caller knows whether the file has so many bytes.
 */
export function frameAt(bytes: Uint8Array, offset: number): FrameAt {
  const available = bytes.length - offset;
  if (available < FRAME_HEADER_BYTES) return { needed: FRAME_HEADER_BYTES };
  const header = view(bytes);
  const length = header.getUint32(offset + 4, true);
  if (header.getUint32(offset, true) !== FRAME_MAGIC || length > MAX_PAYLOAD_BYTES) return undefined;
  if (available < FRAME_HEADER_BYTES + length) return { needed: FRAME_HEADER_BYTES + length };
  const payload = bytes.subarray(offset + FRAME_HEADER_BYTES, offset + FRAME_HEADER_BYTES + length);
  const checksum = crc32c(payload, crc32c(bytes.subarray(offset, offset + CHECKED_BYTES)));
  if (header.getUint32(offset + 20, true) !== checksum) return undefined;
  const sequence = header.getUint32(offset + 12, true) + header.getUint32(offset + 16, true) * TWO_32;
  if (!Number.isSafeInteger(sequence)) return undefined;
  return { generation: header.getUint32(offset + 8, true), sequence, payload };
}

/** How many bytes the frame at `offset` takes by its length field; `offset + 24` must lie within `bytes`. */
export function frameBytesAt(bytes: Uint8Array, offset: number): number {
  return FRAME_HEADER_BYTES + view(bytes).getUint32(offset + 4, true);
}

/** How many bytes a frame takes. */
export function frameBytes(frame: Frame): number {
  return FRAME_HEADER_BYTES + frame.payload.length;
}

/** Whether a frame may begin at `offset`. */
export function isMagicAt(bytes: Uint8Array, offset: number): boolean {
  return view(bytes).getUint32(offset, true) === FRAME_MAGIC;
}

/** Where the next magic begins at or after `from`, or -1. */
export function findMagic(bytes: Uint8Array, from: number): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(MAGIC_BYTES, from);
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
