/** Oracle for the wire format of protobuf: strict, plain and slow. It shares no source with the engine. */

export class Damage extends Error {}

export interface WireField {
  readonly number: number;
  readonly type: number;
  /** Of a varint. */
  readonly value: bigint;
  /** Of everything else. */
  readonly bytes: Uint8Array;
  /** With its tag. */
  readonly size: number;
}

class WireReader {
  readonly #bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.at === this.#bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let i = 0n; i < 10n; i++) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined) throw new Damage('cut varint');
      value |= BigInt(byte % 128) << (7n * i);
      if (byte < 128) {
        if (value >= 2n ** 64n) throw new Damage('a varint of more than 64 bits');
        return value;
      }
    }
    throw new Damage('a varint of more than ten bytes');
  }

  take(length: bigint): Uint8Array {
    if (length > BigInt(this.#bytes.length - this.at)) throw new Damage('length past the end');
    this.at += Number(length);
    return this.#bytes.subarray(this.at - Number(length), this.at);
  }

  field(): Omit<WireField, 'size'> {
    const start = this.at;
    const tag = this.varint();
    const size = this.at - start;
    if (tag < 8n || tag >= 2n ** 32n || size > 5 || (tag < 128n && size > 1)) throw new Damage('bad tag');
    const number = Number(tag / 8n);
    const type = Number(tag % 8n);
    const none = new Uint8Array(0);
    if (type === 0) return { number, type, value: this.varint(), bytes: none };
    if (type === 1) return { number, type, value: 0n, bytes: this.take(8n) };
    if (type === 5) return { number, type, value: 0n, bytes: this.take(4n) };
    if (type === 2) return { number, type, value: 0n, bytes: this.take(this.varint()) };
    throw new Damage('unknown wire type');
  }
}

/** The fields of a message; throws Damage where it ends or makes no sense. */
export function* fieldsOf(bytes: Uint8Array): Generator<WireField> {
  const reader = new WireReader(bytes);
  while (!reader.isAtEnd) {
    const start = reader.at;
    const field = reader.field();
    yield { ...field, size: reader.at - start };
  }
}

export function expectType(type: number, wanted: number): void {
  if (type !== wanted) throw new Damage('wrong wire type');
}

/** The varints that the bytes are. */
export function* varintsOf(bytes: Uint8Array): Generator<bigint> {
  const reader = new WireReader(bytes);
  while (!reader.isAtEnd) yield reader.varint();
}
