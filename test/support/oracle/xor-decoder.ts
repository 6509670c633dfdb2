/** The oracle's decoder with values as bits, for tests that compare bits one by one. */
import { decodeXorChunk as decodeToArrays } from './xor-chunk.ts';

/** Samples of one chunk; values as bits. */
export interface DecodedChunk {
  readonly timestamps: number[];
  readonly bits: bigint[];
}

/** Decodes a chunk that begins with its sample count (u16, big-endian). Throws RangeError if it ends too early. */
export function decodeXorChunk(bytes: Uint8Array): DecodedChunk {
  const { timestamps, values } = decodeToArrays(bytes);
  const bits = new BigUint64Array(values.buffer, values.byteOffset, values.length);
  return { timestamps: [...timestamps], bits: [...bits] };
}
