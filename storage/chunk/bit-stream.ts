/**
 * Bits as the chunks of Prometheus have them: the highest bit of a byte first. A number of 64 bits is two words, high
 * and low, both unsigned.
 *
 *   varbit    0 | 10 3 bits | 110 6 | 1110 9 | 11110 12 | 111110 18 | 1111110 25 | 11111110 56 | 11111111 64
 *             of a signed number the n bits hold -(2^(n-1) - 1) to 2^(n-1)
 *   xor       0: no difference to the value before | 10 the bits inside the window before
 *             | 11 leading zeros 5 bits, significant bits 6 (0 stands for 64), those bits: a new window
 *
 * Source: Prometheus, tsdb/chunkenc/varbit.go, xor.go.
 */

/** How many bits follow so many ones. */
const VARBIT_WIDTHS: readonly number[] = [0, 3, 6, 9, 12, 18, 25, 56, 64];
/** Up to this many ones, the bits and a sign fit into one word. */
const MAX_WORD_ONES = 6;
const NO_WINDOW = 0xff;
const MAX_VARINT_BYTES = 10;
const TWO_32 = 0x1_0000_0000;

/** For each of several values, which bits of it changed when it was last written in full. */
export class XorWindows {
  readonly leading: Uint8Array;
  readonly trailing: Uint8Array;

  constructor(values: number) {
    this.leading = new Uint8Array(values).fill(NO_WINDOW);
    this.trailing = new Uint8Array(values);
  }
}

/** Appends bits to a buffer that doubles. */
export class BitWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  /** `width` up to 32: the lower bits of `value`. */
  bits(value: number, width: number): void {
    const length = this.#length + width;
    if (length > this.#bytes.length * 8) this.#grow();
    const bytes = this.#bytes;
    let rest = width;
    let at = this.#length;
    while (rest > 0) {
      const free = 8 - (at & 7);
      const count = Math.min(free, rest);
      const part = (value >>> (rest - count)) & (0xff >>> (8 - count));
      bytes[at >>> 3] = (bytes[at >>> 3] as number) | (part << (free - count));
      at += count;
      rest -= count;
    }
    this.#length = length;
  }

  /** The lower `width` bits, up to 64. */
  word(low: number, high: number, width: number): void {
    if (width > 32) this.bits(high, width - 32);
    this.bits(low, Math.min(width, 32));
  }

  /** A signed number, as varbit. */
  varbit(low: number, high: number): void {
    const value = low | 0;
    if (high >>> 0 === (value >> 31) >>> 0) {
      for (let ones = value === 0 ? 0 : 1; ones <= MAX_WORD_ONES; ones++) {
        const width = VARBIT_WIDTHS[ones] as number;
        const half = ones === 0 ? 0 : 2 ** (width - 1);
        if (ones > 0 && (value <= -half || value > half)) continue;
        this.#varbit(low, high, ones);
        return;
      }
    }
    const signed = high | 0;
    const half = 0x80_0000; // 2^55, in the upper word.
    const fits = (signed < half && signed > -half) || (signed === half && low === 0) || (signed === -half && low !== 0);
    this.#varbit(low, high, fits ? 7 : 8);
  }

  /** An unsigned number, as varbit. */
  uvarbit(low: number, high: number): void {
    let ones = 0;
    if (high !== 0) ones = high < 0x100_0000 ? 7 : 8;
    else while (low >= 2 ** (VARBIT_WIDTHS[ones] as number)) ones++;
    this.#varbit(low, high, ones);
  }

  /** An integer of up to 53 bits and a sign, as varbit. */
  varbitOf(value: number): void {
    this.varbit(value >>> 0, Math.floor(value / TWO_32) >>> 0);
  }

  /** The difference between a value and the one before it, as xor. */
  xor(low: number, high: number, windows: XorWindows, index: number): void {
    if (low === 0 && high === 0) {
      this.bits(0, 1);
      return;
    }
    const leading = Math.min(high === 0 ? 32 + Math.clz32(low) : Math.clz32(high), 31);
    const trailing = low === 0 ? 32 + trailingZeros(high) : trailingZeros(low);
    const known = windows.leading[index] as number;
    if (known !== NO_WINDOW && leading >= known && trailing >= (windows.trailing[index] as number)) {
      this.bits(0b10, 2);
      this.#window(low, high, known, windows.trailing[index] as number);
      return;
    }
    windows.leading[index] = leading;
    windows.trailing[index] = trailing;
    this.bits(0b11, 2);
    this.bits(leading, 5);
    this.bits((64 - leading - trailing) & 63, 6);
    this.#window(low, high, leading, trailing);
  }

  /** The bytes, a copy; the last one is filled up with zeros. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, Math.ceil(this.#length / 8));
  }

  #varbit(low: number, high: number, ones: number): void {
    if (ones === 8) this.bits(0xff, 8);
    else this.bits(2 ** (ones + 1) - 2, ones + 1);
    this.word(low, high, VARBIT_WIDTHS[ones] as number);
  }

  #window(low: number, high: number, leading: number, trailing: number): void {
    const shiftedLow =
      trailing >= 32 ? high >>> (trailing - 32) : trailing === 0 ? low : (low >>> trailing) | (high << (32 - trailing));
    const shiftedHigh = trailing >= 32 ? 0 : high >>> trailing;
    this.word(shiftedLow, shiftedHigh, 64 - leading - trailing);
  }

  #grow(): void {
    const grown = new Uint8Array(this.#bytes.length * 2);
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}

/**
 * Reads bits. After a read past the end or of what cannot be, `failed` is true and every further read answers 0. What
 * has up to 64 bits is left in `low` and `high`.
 */
export class BitReader {
  low = 0;
  high = 0;
  failed = false;
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  /** From byte `start` on. */
  constructor(bytes: Uint8Array, start: number) {
    this.#bytes = bytes;
    this.#end = bytes.length * 8;
    this.#at = start * 8;
    if (this.#at > this.#end) this.failed = true;
  }

  /** How many bits are left. */
  get remaining(): number {
    return this.failed ? 0 : this.#end - this.#at;
  }

  bit(): number {
    const at = this.#at;
    if (at >= this.#end || this.failed) return this.#fail();
    this.#at = at + 1;
    return ((this.#bytes[at >>> 3] as number) >>> (7 - (at & 7))) & 1;
  }

  /** `width` up to 32. */
  bits(width: number): number {
    const at = this.#at;
    if (at + width > this.#end || this.failed) return this.#fail();
    this.#at = at + width;
    let byte = at >>> 3;
    let have = 8 - (at & 7);
    let value = (this.#bytes[byte] as number) & (0xff >>> (at & 7));
    while (have < width) {
      value = value * 256 + (this.#bytes[++byte] as number);
      have += 8;
    }
    return width === 0 ? 0 : (value / 2 ** (have - width)) >>> 0;
  }

  /** Up to 64 bits, unsigned. */
  word(width: number): void {
    this.high = width > 32 ? this.bits(width - 32) : 0;
    this.low = this.bits(Math.min(width, 32));
  }

  /** A signed number. */
  varbit(): void {
    const width = this.#varbitWidth();
    this.word(width);
    if (width <= 32) {
      if (width > 0 && this.low > 2 ** (width - 1)) {
        this.low = (this.low - 2 ** width) >>> 0;
        this.high = 0xffff_ffff;
      }
    } else if (width === 56 && (this.high > 0x80_0000 || (this.high === 0x80_0000 && this.low > 0))) {
      this.high = (this.high | 0xff00_0000) >>> 0;
    }
  }

  uvarbit(): void {
    this.word(this.#varbitWidth());
  }

  /** A signed number that must be an integer of JavaScript. */
  varbitNumber(): number {
    this.varbit();
    return this.#safe((this.high | 0) * TWO_32 + this.low);
  }

  /** An unsigned number that must be an integer of JavaScript. */
  uvarbitNumber(): number {
    this.uvarbit();
    return this.#safe(this.high * TWO_32 + this.low);
  }

  /** Go's uvarint, wherever its bytes begin. */
  uvarint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = this.bits(8);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return this.#safe(value);
      scale *= 128;
    }
    return this.#fail();
  }

  /** Go's varint: zigzag, then uvarint. */
  varint(): number {
    const low = this.bits(8);
    const high = low < 0x80 ? 0 : this.uvarint();
    const magnitude = high * 64 + ((low & 0x7f) >>> 1);
    return this.#safe((low & 1) === 1 ? -1 - magnitude : magnitude);
  }

  /** The difference to the value before: zero if a single bit says so. */
  xor(windows: XorWindows, index: number): void {
    this.low = 0;
    this.high = 0;
    if (this.bit() === 0) return;
    if (this.bit() === 1) this.newWindow(windows, index);
    else this.knownWindow(windows, index);
  }

  /** The bits that differ, in a window of their own. */
  newWindow(windows: XorWindows, index: number): void {
    const leading = this.bits(5);
    const significant = this.bits(6) || 64;
    if (leading + significant > 64) this.#fail();
    windows.leading[index] = leading;
    windows.trailing[index] = 64 - leading - significant;
    this.knownWindow(windows, index);
  }

  /** The bits that differ, in the window before. */
  knownWindow(windows: XorWindows, index: number): void {
    const leading = windows.leading[index] as number;
    const trailing = windows.trailing[index] as number;
    if (leading === NO_WINDOW || leading + trailing >= 64) this.#fail();
    if (this.failed) return;
    this.word(64 - leading - trailing);
    const { low, high } = this;
    if (trailing >= 32) {
      this.high = (low << (trailing - 32)) >>> 0;
      this.low = 0;
    } else if (trailing > 0) {
      this.high = ((high << trailing) | (low >>> (32 - trailing))) >>> 0;
      this.low = (low << trailing) >>> 0;
    }
  }

  #varbitWidth(): number {
    let ones = 0;
    while (ones < 8 && this.bit() === 1) ones++;
    return VARBIT_WIDTHS[ones] as number;
  }

  #safe(value: number): number {
    return Number.isSafeInteger(value) ? value : this.#fail();
  }

  #fail(): number {
    this.failed = true;
    this.low = 0;
    this.high = 0;
    return 0;
  }
}

function trailingZeros(word: number): number {
  return 31 - Math.clz32(word & -word);
}
