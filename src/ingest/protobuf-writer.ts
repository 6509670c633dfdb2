/**
 * Writes a protobuf message front to back, messages in messages too. A length is written before what it measures is
 * known, so it always takes four bytes, filled up with zero bits: 81 80 80 00 is 1. Readers of protobuf take that.
 */
import { StorageError } from '../../storage/index.ts';

const LENGTH_BYTES = 4;

export class ProtobufWriter {
  readonly #limitBytes: number;
  #bytes: Uint8Array = new Uint8Array(4096);
  #view: DataView = new DataView(this.#bytes.buffer);
  #length = 0;

  /** Writing beyond `limitBytes` throws StorageError 'limit'. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** The message so far; a view that is valid until the next write. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Field numbers are below 16, so a tag is one byte. */
  tag(number: number, wireType: number): void {
    this.#byte((number << 3) | wireType);
  }

  uvarint(value: bigint): void {
    let rest = value;
    for (; rest >= 0x80n; rest >>= 7n) this.#byte(Number(rest & 0x7fn) | 0x80);
    this.#byte(Number(rest));
  }

  /** Signed or not. */
  fixed64(value: bigint): void {
    const at = this.#extend(8);
    this.#view.setBigUint64(at, BigInt.asUintN(64, value), true);
  }

  double(value: number): void {
    const at = this.#extend(8);
    this.#view.setFloat64(at, value, true);
  }

  /** Bytes or text, with their length. */
  content(bytes: Uint8Array): void {
    const start = this.begin();
    const at = this.#extend(bytes.length);
    this.#bytes.set(bytes, at);
    this.end(start);
  }

  /** Leaves room for a length; to be given to `end` when all of what it measures is there. */
  begin(): number {
    return this.#extend(LENGTH_BYTES) + LENGTH_BYTES;
  }

  end(start: number): void {
    const length = this.#length - start;
    for (let i = 0; i < LENGTH_BYTES; i++) {
      const isLast = i === LENGTH_BYTES - 1;
      this.#bytes[start - LENGTH_BYTES + i] = ((length >>> (7 * i)) & 0x7f) | (isLast ? 0 : 0x80);
    }
  }

  #byte(value: number): void {
    const at = this.#extend(1); // Before the buffer is looked at: it may be another one then.
    this.#bytes[at] = value;
  }

  #extend(count: number): number {
    const at = this.#length;
    const length = at + count;
    if (length > this.#limitBytes) {
      throw new StorageError('limit', `the request takes more than ${this.#limitBytes} bytes as protobuf`);
    }
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(length, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#length = length;
    return at;
  }
}
