/**
 * Protobuf's wire format as OTLP has it, read where it lies: a request of a million data points makes no million
 * objects. First `checkMessage` looks at every byte of a request, then cursors walk over what it passed and ask no
 * questions.
 *
 *   message = (tag uvarint: field number × 8 + wire type | content)*
 *   content = uvarint (0) | 8 bytes (1) | length uvarint and bytes (2) | 4 bytes (5); groups (3, 4) are refused
 *
 * Source: protobuf.dev, Encoding.
 */
import { isUtf8 } from 'node:buffer';
import { StorageError } from '../../storage/index.ts';
import { type Field, type Message, WireType, wireTypeOf } from './otlp-schema.ts';

/** Messages in messages, of which a request without nested attribute values has eight. */
export const MAX_DEPTH = 64;
/** A data point with two attributes and its 100 bytes is five messages: no real request of 32 MiB comes near. */
const MAX_MESSAGES = 4_000_000;
const MAX_VARINT_BYTES = 10;
const MAX_TAG_BYTES = 5;
const TWO_32 = 0x1_0000_0000;

/** Throws StorageError 'invalid' (`protobuf: <what> at byte N`) unless all of `bytes` is a well-formed `message`. */
export function checkMessage(bytes: Uint8Array, message: Message): void {
  new MessageCheck(bytes).check(message, bytes.length, 1);
}

class MessageCheck {
  readonly #bytes: Uint8Array;
  #at = 0;
  #messages = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** From the current position to `end`. */
  check(message: Message, end: number, depth: number): void {
    if (++this.#messages > MAX_MESSAGES) throw damage(`more than ${MAX_MESSAGES} messages`, this.#at);
    if (depth > MAX_DEPTH) throw damage(`messages nested deeper than ${MAX_DEPTH}`, this.#at);
    let seen = 0;
    while (this.#at < end) {
      const start = this.#at;
      const tag = this.#uvarint(end, MAX_TAG_BYTES);
      const number = Math.floor(tag / 8);
      if (number === 0 || tag >= TWO_32) throw damage('no valid field number', start);
      const wireType = tag & 7;
      const contentEnd = this.#contentEnd(wireType, end);
      const field = message.byNumber[number];
      if (field !== undefined) {
        if ((seen & field.exclusive) !== 0) throw damage(`${message.name}.${field.name} beside another value`, start);
        seen |= 1 << number;
        this.#checkField(field, wireType, contentEnd, depth);
      }
      this.#at = contentEnd;
    }
  }

  #checkField(field: Field, wireType: number, end: number, depth: number): void {
    const start = this.#at;
    const wanted = wireTypeOf(field.kind);
    if (wireType !== wanted) {
      const isPacked = field.isRepeated && wireType === WireType.BYTES && wanted !== WireType.BYTES;
      if (!isPacked) throw damage(`${field.name} with wire type ${wireType}`, start);
      if (wanted === WireType.VARINT) this.#checkVarints(end);
      else if ((end - start) % 8 !== 0) throw damage(`${field.name} of ${end - start} bytes`, start);
    } else if (field.message !== undefined) {
      this.check(field.message, end, depth + 1);
    } else if (field.kind === 'string' && !isUtf8(this.#bytes.subarray(start, end))) {
      throw damage(`${field.name} is not valid UTF-8`, start);
    }
  }

  #checkVarints(end: number): void {
    while (this.#at < end) this.#uvarint(end, MAX_VARINT_BYTES);
  }

  /** Where the content of a field ends; its beginning, after the length of bytes, becomes the current position. */
  #contentEnd(wireType: number, end: number): number {
    const start = this.#at;
    let contentEnd: number;
    if (wireType === WireType.VARINT) {
      this.#uvarint(end, MAX_VARINT_BYTES);
      contentEnd = this.#at;
      this.#at = start;
    } else if (wireType === WireType.FIXED64) {
      contentEnd = start + 8;
    } else if (wireType === WireType.FIXED32) {
      contentEnd = start + 4;
    } else if (wireType === WireType.BYTES) {
      const length = this.#uvarint(end, MAX_VARINT_BYTES);
      contentEnd = this.#at + length;
    } else {
      throw damage(`wire type ${wireType}`, start);
    }
    if (contentEnd > end) throw damage('length past the end', start);
    return contentEnd;
  }

  /** The number at the current position, which moves behind it. Beyond 2^53 it is not exact. */
  #uvarint(end: number, maxBytes: number): number {
    const start = this.#at;
    let value = 0;
    let scale = 1;
    for (let i = 0; i < maxBytes; i++) {
      if (start + i >= end) throw damage('cut number', start);
      const byte = this.#bytes[start + i] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        this.#at = start + i + 1;
        return value;
      }
      scale *= 128;
    }
    throw damage(`number of more than ${maxBytes} bytes`, start);
  }
}

function damage(what: string, at: number): StorageError {
  return new StorageError('invalid', `protobuf: ${what} at byte ${at}`);
}

/**
 * Goes over the fields of one message in the order of the wire. The message must have passed `checkMessage`: nothing is
 * checked here.
 */
export class FieldCursor {
  /** Of the current field. */
  number = 0;
  wireType = 0;
  /** Its content is `bytes[from, to)`. */
  from = 0;
  to = 0;
  readonly #bytes: Uint8Array;
  #next: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, from: number, to: number) {
    this.#bytes = bytes;
    this.#next = from;
    this.#end = to;
  }

  /** Steps to the next field; false at the end. */
  next(): boolean {
    if (this.#next >= this.#end) return false;
    const tag = this.#uvarint();
    this.number = tag >>> 3;
    this.wireType = tag & 7;
    this.from = this.#next;
    if (this.wireType === WireType.VARINT) {
      this.#uvarint();
      this.to = this.#next;
    } else if (this.wireType === WireType.BYTES) {
      const length = this.#uvarint();
      this.from = this.#next;
      this.to = this.from + length;
    } else {
      this.to = this.from + (this.wireType === WireType.FIXED64 ? 8 : 4);
    }
    this.#next = this.to;
    return true;
  }

  /** The lower 32 bits of a varint. */
  uint32(): number {
    let value = 0;
    for (let at = this.from, shift = 0; at < this.to && shift < 32; at++, shift += 7) {
      value |= ((this.#bytes[at] as number) & 0x7f) << shift;
    }
    return value >>> 0;
  }

  /** A varint of 32 bits whose sign is its last one. */
  sint32(): number {
    const value = this.uint32();
    return (value >>> 1) ^ -(value & 1);
  }

  /** Appends the unsigned varints that stand one behind the other. */
  packed64(values: bigint[]): void {
    let value = 0n;
    let shift = 0n;
    for (let at = this.from; at < this.to; at++) {
      const byte = this.#bytes[at] as number;
      value |= BigInt(byte & 0x7f) << shift;
      shift += 7n;
      if (byte >= 0x80) continue;
      values.push(BigInt.asUintN(64, value));
      value = shift = 0n;
    }
  }

  /** A varint of 64 bits in two's complement. */
  int64(): bigint {
    let value = 0n;
    for (let at = this.to - 1; at >= this.from; at--) {
      value = (value << 7n) | BigInt((this.#bytes[at] as number) & 0x7f);
    }
    return BigInt.asIntN(64, value);
  }

  text(): string {
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + this.from, this.to - this.from).toString();
  }

  /** 31 bits are enough: no length in a request of 32 MiB has more, and of a tag only the lower ones count. */
  #uvarint(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.#bytes[this.#next++] as number;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
  }
}
