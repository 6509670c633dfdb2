/**
 * The pieces of a long range of which little is wanted, without what lies between them: what a cache keeps of such a range.
 *
 *   count u32 | offsets in the file, f64 each | the pieces, one behind the other
 *
 * Numbers are little-endian. The offsets are compared, so that a key that two sets of pieces share does no harm.
 */
import { crc32c } from '../lib/crc32c.ts';

/** A piece with all its bytes, as far as the file has them. */
export interface PieceBytes {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly extent: number;
}

const COUNT_BYTES = 4;
const OFFSET_BYTES = 8;

/** What the pieces at these offsets are kept under. */
export function packKey(offsets: Float64Array): string {
  const sum = crc32c(new Uint8Array(offsets.buffer, offsets.byteOffset, offsets.byteLength));
  return `${offsets[0]}+${offsets.length}+${sum}`;
}

export function packPieces(offsets: Float64Array, pieces: readonly PieceBytes[]): Uint8Array {
  const head = COUNT_BYTES + offsets.length * OFFSET_BYTES;
  const packed = new Uint8Array(pieces.reduce((sum, { extent }) => sum + extent, head));
  const view = new DataView(packed.buffer);
  view.setUint32(0, offsets.length, true);
  for (const [i, offset] of offsets.entries()) view.setFloat64(COUNT_BYTES + i * OFFSET_BYTES, offset, true);
  let at = head;
  for (const { bytes, at: from, extent } of pieces) {
    packed.set(bytes.subarray(from, from + extent), at);
    at += extent;
  }
  return packed;
}

/** Where the first piece begins in what was packed; undefined if that is of other pieces. The next follows its end. */
export function packedStart(packed: Uint8Array, offsets: Float64Array): number | undefined {
  const head = COUNT_BYTES + offsets.length * OFFSET_BYTES;
  if (packed.length < head) return undefined;
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  if (view.getUint32(0, true) !== offsets.length) return undefined;
  const isSame = offsets.every((offset, i) => view.getFloat64(COUNT_BYTES + i * OFFSET_BYTES, true) === offset);
  return isSame ? head : undefined;
}
