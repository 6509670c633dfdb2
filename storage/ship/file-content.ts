import type { ObjectContent } from '../bucket/bucket.ts';
import { CorruptionError } from '../lib/errors.ts';

/** `bytes` bytes of an open file from `offset` on, as the content of an object. */
export function fileContent(
  file: { read(target: Uint8Array, position: number): number },
  path: string,
  offset: number,
  bytes: number,
): ObjectContent {
  let buffer = new Uint8Array(0);
  return {
    bytes,
    read(from, length) {
      if (buffer.length < length) buffer = new Uint8Array(length);
      const target = buffer.subarray(0, length);
      const count = file.read(target, offset + from);
      if (count < length) throw new CorruptionError(path, offset + from + count, 'the file is shorter than it was');
      return target;
    },
  };
}
