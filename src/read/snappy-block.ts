/**
 * One snappy block, compressed while its content is still being made: only compressed bytes are kept. A block is its
 * length before compression (uvarint) and then literals and copies; a copy reaches back to anything before it. So blocks
 * that were compressed apart, without their lengths, one after the other are a block again.
 */
import { compressSync } from 'snappy';
import { ByteWriter } from '../../storage/index.ts';

export class SnappyBlock {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  /** Bytes before compression. */
  get length(): number {
    return this.#length;
  }

  /** Compresses bytes to the end of the block. Small ones compress badly: give some 100 kB at a time. */
  append(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const compressed = compressSync(bytes, { copyOutputData: true });
    this.#parts.push(compressed.subarray(uvarintBytes(compressed)));
    this.#length += bytes.length;
  }

  /** Appends the content of another block. */
  appendBlock(other: SnappyBlock): void {
    for (const part of other.#parts) this.#parts.push(part);
    this.#length += other.#length;
  }

  /** The block in pieces, in order. */
  *pieces(): Generator<Uint8Array, void, undefined> {
    const preamble = new ByteWriter();
    preamble.uvarint(this.#length);
    yield preamble.bytes.slice();
    yield* this.#parts;
  }
}

function uvarintBytes(bytes: Uint8Array): number {
  let count = 1;
  while ((bytes[count - 1] as number) >= 0x80) count++;
  return count;
}
