/**
 * Chunks and blocks of bytes, coded by the kernel on a small memory of its own: for threads that read and write what is
 * no longer in the head.
 */
import { CorruptionError, StorageError } from '../lib/errors.ts';
import type { SampleBuffer } from '../model/sample-buffer.ts';
import { instantiate, type KernelExports } from './instance.ts';
import * as L from './layout.ts';

const PAGE_BYTES = 65536;
const MAX_SAMPLES = 65535; // what the count in front of a chunk can say
const MAX_BITS_PER_SAMPLE = 4 + 64 + 13 + 64;
const SLACK_BYTES = 64; // the kernel reads and writes in wide words

const TIMES = PAGE_BYTES;
const VALUES = TIMES + (MAX_SAMPLES + 1) * 8;
const STATE = VALUES + (MAX_SAMPLES + 1) * 8;
const INPUT = STATE + 64;

export class ChunkCodec {
  readonly #memory: WebAssembly.Memory;
  readonly #kernel: KernelExports;

  private constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
    this.#kernel = instantiate(memory);
    this.#kernel.initializeCodec();
  }

  static load(): ChunkCodec {
    return new ChunkCodec(new WebAssembly.Memory({ initial: 64, maximum: 65536, shared: true }));
  }

  /** Appends the samples of an XOR chunk (count in front) to `out`. Throws CorruptionError if the bytes make no sense. */
  decodeXor(bytes: Uint8Array, out: SampleBuffer): void {
    this.#reserve(INPUT + bytes.length + SLACK_BYTES);
    new Uint8Array(this.#memory.buffer).set(bytes, INPUT);
    const count = this.#kernel.decodeXor(INPUT, bytes.length, TIMES, VALUES, MAX_SAMPLES) >>> 0;
    if (count > MAX_SAMPLES) throw new CorruptionError('XOR chunk', 0, `${bytes.length} bytes end within a sample`);
    out.reserve(out.length + count);
    out.timestamps.set(new Float64Array(this.#memory.buffer, TIMES, count), out.length);
    out.values.set(new Float64Array(this.#memory.buffer, VALUES, count), out.length);
    out.length += count;
  }

  /** Encodes rows [from, to) of `samples`, between 1 and 65535, times rising. The bytes are the caller's. */
  encodeXor(samples: SampleBuffer, from: number, to: number): Uint8Array {
    const count = to - from;
    if (count < 1 || count > MAX_SAMPLES)
      throw new RangeError(`a chunk holds 1 to ${MAX_SAMPLES} samples, not ${count}`);
    const room = 32 + Math.ceil((count * MAX_BITS_PER_SAMPLE) / 8) + SLACK_BYTES;
    this.#reserve(INPUT + room);
    new Float64Array(this.#memory.buffer, TIMES, count).set(samples.timestamps.subarray(from, to));
    new Float64Array(this.#memory.buffer, VALUES, count).set(samples.values.subarray(from, to));
    const memory = new Uint8Array(this.#memory.buffer);
    memory.fill(0, STATE, INPUT + room);
    const length = this.#kernel.encodeXor(TIMES, VALUES, count, STATE, INPUT);
    return memory.slice(INPUT, INPUT + length);
  }

  /** Decodes a snappy block of at most `limit` bytes. Throws StorageError 'limit' or 'invalid'. */
  snappyDecode(bytes: Uint8Array, limit: number): Uint8Array {
    const output = INPUT + bytes.length + SLACK_BYTES;
    this.#reserve(output + Math.min(limit, declaredLength(bytes)) + SLACK_BYTES);
    const memory = new Uint8Array(this.#memory.buffer);
    memory.set(bytes, INPUT);
    const length = this.#kernel.decodeSnappy(INPUT, bytes.length, output, limit) >>> 0;
    const words = new Uint32Array(this.#memory.buffer);
    if (length === 0xffffffff)
      throw snappyError(words[L.ERROR_CODE / 4] as number, words[L.ERROR_AT / 4] as number, limit);
    return memory.slice(output, output + length);
  }

  /** CRC32C (Castagnoli). */
  crc32c(bytes: Uint8Array): number {
    this.#reserve(INPUT + bytes.length + SLACK_BYTES);
    new Uint8Array(this.#memory.buffer).set(bytes, INPUT);
    return this.#kernel.crc32c(0, INPUT, bytes.length) >>> 0;
  }

  #reserve(end: number): void {
    const missing = end - this.#memory.buffer.byteLength;
    if (missing > 0) this.#memory.grow(Math.ceil(missing / PAGE_BYTES));
  }
}

/** The decoded length that a snappy block declares; 0 if its varint is damaged. */
function declaredLength(bytes: Uint8Array): number {
  let length = 0;
  for (let i = 0; i < 5 && i < bytes.length; i++) {
    const byte = bytes[i] as number;
    length += (byte & 127) * 2 ** (7 * i);
    if (byte < 128) return length;
  }
  return 0;
}

/** The error of a snappy block that could not be decoded. */
export function snappyError(code: number, at: number, limit: number): StorageError {
  if (code === L.ERROR_TOO_LONG)
    return new StorageError('limit', `snappy: declared length ${at} exceeds limit ${limit}`);
  return new StorageError('invalid', `snappy: corrupt input at byte ${at}`);
}
