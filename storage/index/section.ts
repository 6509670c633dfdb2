/** A length-prefixed, checksummed section of an index file: `length u32 | content | crc u32`. */
import { ByteReader } from '../lib/bytes.ts';
import { crc32c } from '../lib/crc32c.ts';
import { CorruptionError } from '../lib/errors.ts';
import { CHECKSUM_BYTES } from './format.ts';

/** Bytes of a file, and what its errors name: the file, and where in it the bytes begin. */
export interface IndexBytes {
  readonly file: string;
  readonly bytes: Uint8Array;
  /** 0 if absent. */
  readonly start?: number;
}

/** The content of the section at `offset` of the file, a view. Throws CorruptionError if it does not fit or its checksum is wrong. */
export function readSection(index: IndexBytes, offset: number, what: string): Uint8Array {
  const reader = new ByteReader(index.bytes, offset - (index.start ?? 0));
  return checkedContent(index, offset, reader, reader.u32be(), what);
}

/** The content of `length` bytes at the reader's position, after its checksum was found right. */
export function checkedContent(
  { file }: Pick<IndexBytes, 'file'>,
  offset: number,
  reader: ByteReader,
  length: number,
  what: string,
): Uint8Array {
  const content = reader.raw(length);
  const expected = reader.u32be();
  if (reader.failed) {
    throw new CorruptionError(file, offset, `${what} of ${length} + ${CHECKSUM_BYTES} bytes, but the file ends before`);
  }
  const actual = crc32c(content);
  if (actual !== expected) {
    throw new CorruptionError(file, offset, `${what} has checksum ${hex(actual)}, but ${hex(expected)} is stored`);
  }
  return content;
}

function hex(checksum: number): string {
  return checksum.toString(16).padStart(8, '0');
}
