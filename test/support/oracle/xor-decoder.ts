/**
 * A plain decoder of Prometheus's XOR chunk (encoding 1), bit by bit, written from the format alone: the oracle for the
 * fast ones, with which it shares nothing.
 */

/** Samples of one chunk; values as bits. */
export interface DecodedChunk {
  readonly timestamps: number[];
  readonly bits: bigint[];
}

/** Decodes a chunk that begins with its sample count (u16, big-endian). Throws RangeError if it ends too early. */
export function decodeXorChunk(bytes: Uint8Array): DecodedChunk {
  const reader = new BitReader(bytes);
  const count = reader.bits(16);
  const decoded: DecodedChunk = { timestamps: [], bits: [] };
  let timestamp = 0;
  let delta = 0;
  let value = 0n;
  let leading = 0;
  let significant = 0;
  for (let i = 0; i < count; i++) {
    if (i === 0) {
      timestamp = zigzag(reader.varint());
      value = reader.word(64);
    } else {
      delta = i === 1 ? Number(reader.varint()) : delta + deltaOfDelta(reader);
      timestamp += delta;
      if (reader.bits(1) === 1) {
        if (reader.bits(1) === 1) {
          leading = reader.bits(5);
          significant = reader.bits(6) || 64;
        }
        value ^= reader.word(significant) << BigInt(64 - leading - significant);
      }
    }
    decoded.timestamps.push(timestamp);
    decoded.bits.push(value);
  }
  return decoded;
}

/** Widths by the number of ones in front: 0, 10, 110, 1110, 1111. */
const WIDTHS = [0, 14, 17, 20, 64];

function deltaOfDelta(reader: BitReader): number {
  let ones = 0;
  while (ones < 4 && reader.bits(1) === 1) ones++;
  const width = WIDTHS[ones] as number;
  if (width === 0) return 0;
  if (width === 64) return Number(BigInt.asIntN(64, reader.word(64)));
  // Not two's complement: the range is (-2^(width-1), 2^(width-1)], so the middle value is positive.
  const raw = reader.bits(width);
  return raw > 2 ** (width - 1) ? raw - 2 ** width : raw;
}

function zigzag(raw: bigint): number {
  return Number((raw >> 1n) ^ -(raw & 1n));
}

class BitReader {
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** At most 32 bits, most significant first. */
  bits(count: number): number {
    let result = 0;
    for (let i = 0; i < count; i++) {
      const byte = this.#bytes[this.#position >> 3];
      if (byte === undefined) throw new RangeError(`chunk ends at bit ${this.#position}`);
      result = result * 2 + ((byte >> (7 - (this.#position & 7))) & 1);
      this.#position++;
    }
    return result;
  }

  /** At most 64 bits. */
  word(count: number): bigint {
    const high = this.bits(Math.max(0, count - 32));
    return (BigInt(high) << BigInt(Math.min(32, count))) | BigInt(this.bits(Math.min(32, count)));
  }

  varint(): bigint {
    let result = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.bits(8);
      result |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return result;
    }
  }
}
