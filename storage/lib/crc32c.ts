/** CRC-32C (Castagnoli polynomial, reflected), the checksum of TSDB files and of the WAL. */
import { crc32c as castagnoli } from '@node-rs/crc32';

/** The checksum of `bytes`, or of all bytes so far if `previous` is the checksum of those before. Empty bytes give 0. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  return castagnoli(bytes, previous);
}
