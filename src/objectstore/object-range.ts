/** A part of an object: how it is asked for, and whether the answer is all of it. */
import { StorageError } from '../../storage/index.ts';

export interface ObjectRange {
  readonly offset: number;
  readonly length: number;
}

/** The value of the header Range. */
export function rangeHeader({ offset, length }: ObjectRange): string {
  return `bytes=${offset}-${Math.min(offset + length - 1, Number.MAX_SAFE_INTEGER)}`;
}

/**
 * The bytes of the range, from an answer that says `contentRange` (undefined: the store ignored the range and sent all).
 * Throws StorageError 'unavailable' for one that is less than asked for: it must not pass for the end of the object.
 */
export function checkedRange(
  bytes: Uint8Array,
  { offset, length }: ObjectRange,
  { contentRange, what }: { readonly contentRange: string | undefined; readonly what: string },
): Uint8Array {
  if (contentRange === undefined) return bytes.subarray(offset, offset + length);
  const [, first, size] = /^bytes (\d+)-\d+\/(\d+)$/.exec(contentRange) ?? [];
  if (Number(first) === offset && bytes.length === Math.min(length, Number(size) - offset)) return bytes;
  const got = `${bytes.length} bytes as "${contentRange}"`;
  throw new StorageError('unavailable', `${what}: asked for ${length} bytes from ${offset}, got ${got}`);
}
