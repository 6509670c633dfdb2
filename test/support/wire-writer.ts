/** Writes the wire format of remote write 1.0 field by field, in any order and with anything in between. */

export type Bytes = readonly number[];

/** An unsigned varint; a negative number takes its 64-bit two's complement. */
export function varint(value: bigint | number): Bytes {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return bytes;
}

export function varintField(number: number, value: bigint | number): Bytes {
  return [...varint(number * 8), ...varint(value)];
}

export function fixed64Field(number: number, bits: bigint): Bytes {
  return [...varint(number * 8 + 1), ...Array.from({ length: 8 }, (_, i) => Number((bits >> BigInt(8 * i)) & 255n))];
}

export function fixed32Field(number: number, value: number): Bytes {
  return [...varint(number * 8 + 5), value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
}

export function bytesField(number: number, content: Bytes | Uint8Array): Bytes {
  return [...varint(number * 8 + 2), ...varint(content.length), ...content];
}

export function labelField(name: string | Uint8Array, value: string | Uint8Array): Bytes {
  const bytes = (text: string | Uint8Array): Uint8Array => (typeof text === 'string' ? Buffer.from(text) : text);
  return bytesField(1, [...bytesField(1, bytes(name)), ...bytesField(2, bytes(value))]);
}

export function sampleField(timestampMs: bigint | number, bits: bigint): Bytes {
  return bytesField(2, [...fixed64Field(1, bits), ...varintField(2, timestampMs)]);
}

/** A series of a request, from its fields in the order given. */
export function seriesField(...fields: readonly Bytes[]): Bytes {
  return bytesField(1, fields.flat());
}
