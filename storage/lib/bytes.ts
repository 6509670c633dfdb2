/**
 * Bytes of binary formats: a writer that grows, and a reader whose cursor remembers the first failure, so that a
 * decoder reads a whole record and asks once. Numbers are JavaScript integers up to 2^53; varints are those of
 * Go's encoding/binary and of protobuf:
 *
 *   uvarint   7 bits a byte, low bits first, high bit set on all but the last byte
 *   varint    zigzag (0, -1, 1, -2 … → 0, 1, 2, 3 …), then uvarint
 */

const TWO_32 = 0x1_0000_0000;

/** A 2^53 varint has 8 bytes; a 64-bit zigzag of it stays within 10. */
const MAX_VARINT_BYTES = 10;

/** Appends to a buffer that doubles. Signed and unsigned numbers must be integers in their range: that is not checked. */
export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(Math.max(capacity, 16));
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** How many bytes were appended since the last reset. */
  get length(): number {
    return this.#length;
  }

  /** The bytes appended so far; a view that is valid until the next append or reset. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Forgets the content and keeps the buffer. */
  reset(): void {
    this.#length = 0;
  }

  u8(value: number): void {
    const at = this.#extend(1);
    this.#bytes[at] = value;
  }

  u16be(value: number): void {
    const at = this.#extend(2);
    this.#view.setUint16(at, value);
  }

  u32be(value: number): void {
    const at = this.#extend(4);
    this.#view.setUint32(at, value);
  }

  u32le(value: number): void {
    const at = this.#extend(4);
    this.#view.setUint32(at, value, true);
  }

  u64be(value: number): void {
    const at = this.#extend(8);
    this.#view.setUint32(at, Math.floor(value / TWO_32));
    this.#view.setUint32(at + 4, value >>> 0);
  }

  u64le(value: number): void {
    const at = this.#extend(8);
    this.#view.setUint32(at, value >>> 0, true);
    this.#view.setUint32(at + 4, Math.floor(value / TWO_32), true);
  }

  uvarint(value: number): void {
    let at = this.#extend(MAX_VARINT_BYTES) - 1;
    const bytes = this.#bytes;
    let rest = value;
    while (rest >= 0x8000_0000) {
      bytes[++at] = (rest & 0x7f) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest >= 0x80) {
      bytes[++at] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[++at] = rest;
    this.#length = at + 1;
  }

  varint(value: number): void {
    // The zigzag of a 53-bit number does not fit a double, so its lowest 7 bits leave first.
    const magnitude = value < 0 ? -1 - value : value;
    const low = ((magnitude & 0x3f) << 1) | (value < 0 ? 1 : 0);
    const high = Math.floor(magnitude / 64);
    if (high === 0) {
      this.u8(low);
    } else {
      this.u8(low | 0x80);
      this.uvarint(high);
    }
  }

  /** Appends bytes as they are. */
  raw(bytes: Uint8Array): void {
    const at = this.#extend(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** A string as its UTF-8 length (uvarint) and its UTF-8 bytes. A lone surrogate becomes U+FFFD. */
  text(text: string): void {
    if (text.length < 0x80 && this.#ascii(text)) return;
    const length = Buffer.byteLength(text);
    this.uvarint(length);
    const at = this.#extend(length);
    Buffer.from(this.#bytes.buffer, at, length).write(text);
  }

  /** Most names and values are short and ASCII; a call into the runtime costs more than this loop. */
  #ascii(text: string): boolean {
    const start = this.#length;
    const at = this.#extend(1 + text.length);
    const bytes = this.#bytes;
    bytes[at] = text.length;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit >= 0x80) {
        this.#length = start;
        return false;
      }
      bytes[at + 1 + i] = unit;
    }
    return true;
  }

  /** Makes `count` more bytes part of the content and returns where they begin. */
  #extend(count: number): number {
    const at = this.#length;
    const length = at + count;
    if (length > this.#bytes.length) this.#grow(length);
    this.#length = length;
    return at;
  }

  #grow(needed: number): void {
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/**
 * Reads from `bytes[start, end)`. After a read past the end or of an impossible number `failed` is true, every further
 * read answers 0 or nothing, and the cursor stays where the failure was. Never throws.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #offset: number;
  #end: number;
  #failed = false;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#offset = start;
    this.#end = Math.min(end, bytes.length);
    if (!(start >= 0 && start <= end && end <= bytes.length)) this.#failed = true;
  }

  /** Whether any read so far failed. */
  get failed(): boolean {
    return this.#failed;
  }

  /** The position of the next byte in the bytes given. */
  get offset(): number {
    return this.#offset;
  }

  /** How many bytes are left. */
  get remaining(): number {
    return this.#failed ? 0 : this.#end - this.#offset;
  }

  u8(): number {
    const at = this.#take(1);
    return at < 0 ? 0 : (this.#bytes[at] as number);
  }

  u16be(): number {
    const at = this.#take(2);
    return at < 0 ? 0 : ((this.#bytes[at] as number) << 8) | (this.#bytes[at + 1] as number);
  }

  u32be(): number {
    const at = this.#take(4);
    return at < 0 ? 0 : readU32be(this.#bytes, at);
  }

  u32le(): number {
    const at = this.#take(4);
    return at < 0 ? 0 : readU32le(this.#bytes, at);
  }

  /** Fails on numbers above 2^53 - 1. */
  u64be(): number {
    const at = this.#take(8);
    return at < 0 ? 0 : this.#safe(readU32be(this.#bytes, at) * TWO_32 + readU32be(this.#bytes, at + 4));
  }

  /** Fails on numbers above 2^53 - 1. */
  u64le(): number {
    const at = this.#take(8);
    return at < 0 ? 0 : this.#safe(readU32le(this.#bytes, at + 4) * TWO_32 + readU32le(this.#bytes, at));
  }

  /** Fails on numbers above 2^53 - 1. */
  uvarint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = this.u8();
      if (byte < 0x80) return this.#safe(value + byte * scale);
      value += (byte & 0x7f) * scale;
      scale *= 128;
    }
    this.#failed = true;
    return 0;
  }

  /** Fails on numbers outside ±(2^53 - 1). */
  varint(): number {
    const low = this.u8();
    const high = low < 0x80 ? 0 : this.uvarint();
    const magnitude = this.#safe(high * 64 + ((low & 0x7f) >>> 1));
    return (low & 1) === 1 ? this.#safe(-1 - magnitude) : magnitude;
  }

  /** The next `length` bytes as a view of the bytes given; an empty one on failure. */
  raw(length: number): Uint8Array {
    const at = this.#take(length);
    return at < 0 ? this.#bytes.subarray(0, 0) : this.#bytes.subarray(at, at + length);
  }

  skip(length: number): void {
    this.#take(length);
  }

  /** A string written by `ByteWriter.text`. Bytes that are not UTF-8 become U+FFFD. */
  text(): string {
    const length = this.uvarint();
    const at = this.#take(length);
    return at < 0 ? '' : decodeUtf8(this.#bytes, at, at + length);
  }

  #take(count: number): number {
    const at = this.#offset;
    if (this.#failed || !(count >= 0 && count <= this.#end - at)) {
      this.#failed = true;
      return -1;
    }
    this.#offset = at + count;
    return at;
  }

  #safe(value: number): number {
    if (Number.isSafeInteger(value)) return value;
    this.#failed = true;
    return 0;
  }
}

/** The string in `bytes[start, end)`; bytes that are not UTF-8 become U+FFFD. The range must lie in the bytes. */
export function decodeUtf8(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString();
}

function readU32be(bytes: Uint8Array, at: number): number {
  const [a, b, c, d] = [bytes[at] as number, bytes[at + 1] as number, bytes[at + 2] as number, bytes[at + 3] as number];
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

function readU32le(bytes: Uint8Array, at: number): number {
  const [a, b, c, d] = [bytes[at] as number, bytes[at + 1] as number, bytes[at + 2] as number, bytes[at + 3] as number];
  return ((d << 24) | (c << 16) | (b << 8) | a) >>> 0;
}
