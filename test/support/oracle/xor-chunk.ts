/**
 * Oracle for XOR chunks: the plainest encoder and decoder, one bit at a time over BigInt, that shares no source with the
 * engine. Slow on purpose.
 *
 *   count u16 BE | t0 varint | v0 64 bits | t1-t0 uvarint | xor(v1) | (dod(t) xor(v))* | zero bits to a byte
 */

export interface OracleSamples {
  readonly timestamps: Float64Array;
  readonly values: Float64Array;
}

class BitWriter {
  readonly bits: number[] = [];

  write(value: bigint, width: number): void {
    for (let i = width - 1; i >= 0; i--) this.bits.push(Number((value >> BigInt(i)) & 1n));
  }

  uvarint(value: bigint): void {
    let rest = value;
    while (rest >= 128n) {
      this.write((rest & 127n) | 128n, 8);
      rest >>= 7n;
    }
    this.write(rest, 8);
  }

  bytes(): Uint8Array {
    const bytes = new Uint8Array(Math.ceil(this.bits.length / 8));
    this.bits.forEach((bit, i) => {
      bytes[i >> 3] = (bytes[i >> 3] as number) | (bit << (7 - (i & 7)));
    });
    return bytes;
  }
}

class BitReader {
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  read(width: number): bigint {
    let value = 0n;
    for (let i = 0; i < width; i++) {
      const byte = this.#bytes[this.#position >> 3];
      if (byte === undefined) throw new RangeError('the chunk ends inside a sample');
      value = (value << 1n) | BigInt((byte >> (7 - (this.#position & 7))) & 1);
      this.#position++;
    }
    return value;
  }

  uvarint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.read(8);
      value |= (byte & 127n) << shift;
      if (byte < 128n) return BigInt.asUintN(64, value);
    }
    throw new RangeError('a varint of more than 10 bytes');
  }
}

const bitsOf = (values: Float64Array): BigUint64Array =>
  new BigUint64Array(values.buffer, values.byteOffset, values.length);

const zigzag = (value: bigint): bigint => BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
const unzigzag = (value: bigint): bigint => (value >> 1n) ^ -(value & 1n);

/** The zero bits around the bits of the last value that told them. */
interface Window {
  leading: number;
  trailing: number;
}

function writeXor(out: BitWriter, xor: bigint, window: Window | undefined): Window | undefined {
  if (xor === 0n) {
    out.write(0n, 1);
    return window;
  }
  const text = xor.toString(2).padStart(64, '0');
  const leading = Math.min(text.indexOf('1'), 31);
  const trailing = 63 - text.lastIndexOf('1');
  if (window !== undefined && leading >= window.leading && trailing >= window.trailing) {
    out.write(0b10n, 2);
    out.write(xor >> BigInt(window.trailing), 64 - window.leading - window.trailing);
    return window;
  }
  const significant = 64 - leading - trailing;
  out.write(0b11n, 2);
  out.write(BigInt(leading), 5);
  out.write(BigInt(significant % 64), 6); // 64 does not fit and is written as 0.
  out.write(xor >> BigInt(trailing), significant);
  return { leading, trailing };
}

function writeDeltaOfDelta(out: BitWriter, dod: bigint): void {
  const fits = (width: bigint): boolean => dod >= -((1n << (width - 1n)) - 1n) && dod <= 1n << (width - 1n);
  if (dod === 0n) out.write(0n, 1);
  else if (fits(14n)) out.write((0b10n << 14n) | BigInt.asUintN(14, dod), 16);
  else if (fits(17n)) out.write((0b110n << 17n) | BigInt.asUintN(17, dod), 20);
  else if (fits(20n)) out.write((0b1110n << 20n) | BigInt.asUintN(20, dod), 24);
  else {
    out.write(0b1111n, 4);
    out.write(BigInt.asUintN(64, dod), 64);
  }
}

function readDeltaOfDelta(source: BitReader): bigint {
  let ones = 0;
  while (ones < 4 && source.read(1) === 1n) ones++;
  if (ones === 0) return 0n;
  if (ones === 4) return BigInt.asIntN(64, source.read(64));
  const width = [0, 14, 17, 20][ones] as number;
  const value = source.read(width);
  return value > 1n << BigInt(width - 1) ? value - (1n << BigInt(width)) : value;
}

/** The XOR chunk of at most 65535 samples with integer timestamps. */
export function encodeXorChunk(samples: OracleSamples): Uint8Array {
  const out = new BitWriter();
  const bits = bitsOf(samples.values);
  out.write(BigInt(bits.length), 16);
  let window: Window | undefined;
  let delta = 0n;
  for (let i = 0; i < bits.length; i++) {
    const timestamp = BigInt(samples.timestamps[i] as number);
    const value = bits[i] as bigint;
    if (i === 0) {
      out.uvarint(zigzag(timestamp));
      out.write(value, 64);
      continue;
    }
    const nextDelta = timestamp - BigInt(samples.timestamps[i - 1] as number);
    if (i === 1) out.uvarint(BigInt.asUintN(64, nextDelta));
    else writeDeltaOfDelta(out, nextDelta - delta);
    delta = nextDelta;
    window = writeXor(out, value ^ (bits[i - 1] as bigint), window);
  }
  return out.bytes();
}

/** The samples of an XOR chunk, bit for bit. Throws RangeError if the chunk ends too early. */
export function decodeXorChunk(bytes: Uint8Array): OracleSamples {
  const source = new BitReader(bytes);
  const count = Number(source.read(16));
  const timestamps = new Float64Array(count);
  const values = new Float64Array(count);
  const bits = bitsOf(values);
  let timestamp = 0n;
  let delta = 0n;
  let window: Window = { leading: 0, trailing: 0 };
  for (let i = 0; i < count; i++) {
    if (i === 0) {
      timestamp = unzigzag(source.uvarint());
      bits[0] = source.read(64);
    } else {
      delta = i === 1 ? source.uvarint() : delta + readDeltaOfDelta(source);
      timestamp = BigInt.asIntN(64, timestamp + delta);
      let xor = 0n;
      if (source.read(1) === 1n) {
        if (source.read(1) === 1n) {
          const leading = Number(source.read(5));
          const significant = Number(source.read(6)) || 64;
          window = { leading, trailing: 64 - leading - significant };
        }
        xor = source.read(64 - window.leading - window.trailing) << BigInt(window.trailing);
      }
      bits[i] = BigInt.asUintN(64, (bits[i - 1] as bigint) ^ xor);
    }
    timestamps[i] = Number(timestamp);
  }
  return { timestamps, values };
}
