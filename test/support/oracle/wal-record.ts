/**
 * Oracle for the records of the WAL: a plain decoder of what docs/formats/wal.md says about them, from the bytes of one
 * record alone. It shares no source with the engine. Throws RangeError if a record makes no sense.
 */

export type WalRecord =
  | { readonly kind: 'definitions'; readonly tenant: string; readonly series: readonly DefinedSeries[] }
  | { readonly kind: 'samples'; readonly samples: readonly LoggedSample[] }
  | { readonly kind: 'seal'; readonly seal: unknown }
  | { readonly kind: 'chunks'; readonly chunks: readonly LoggedChunk[] }
  | { readonly kind: 'items'; readonly items: readonly LoggedItem[] }
  | { readonly kind: 'kept-items'; readonly items: readonly (LoggedItem & { readonly generation: number })[] }
  | { readonly kind: 'checkpoint'; readonly nextGeneration: number; readonly nextRef: bigint };

export interface DefinedSeries {
  readonly ref: bigint;
  readonly labels: readonly (readonly [name: string, value: string])[];
}

export interface LoggedSample {
  readonly ref: bigint;
  readonly timestampMs: number;
  readonly bits: bigint;
}

export interface LoggedItem {
  readonly ref: bigint;
  /** 1 histogram, 2 float histogram, 3 exemplar, 4 start timestamp. */
  readonly kind: number;
  readonly timestampMs: number;
  readonly bytes: Uint8Array;
}

export interface LoggedChunk {
  readonly ref: bigint;
  readonly window: number;
  readonly generation: number;
  readonly xor: Uint8Array;
}

class Cursor {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new RangeError('the record ends too early');
    return byte;
  }

  take(length: number): Uint8Array {
    if (this.#at + length > this.#bytes.length) throw new RangeError('the record ends too early');
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at);
  }

  uvarint(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.byte();
      value += BigInt(byte % 128) << shift;
      if (byte < 128) return value;
    }
  }

  zigzag(): bigint {
    const value = this.uvarint();
    return value % 2n === 0n ? value / 2n : -(value + 1n) / 2n;
  }

  text(): string {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.take(Number(this.uvarint())));
  }
}

export function decodeWalRecord(record: Uint8Array): WalRecord {
  const cursor = new Cursor(record);
  const type = cursor.byte();
  if (type === 1) return definitions(cursor);
  if (type === 2) return { kind: 'samples', samples: samples(cursor) };
  if (type === 3) return { kind: 'seal', seal: JSON.parse(new TextDecoder().decode(record.slice(1))) };
  if (type === 4) return { kind: 'chunks', chunks: chunks(cursor) };
  if (type === 5) return { kind: 'checkpoint', nextGeneration: Number(cursor.uvarint()), nextRef: cursor.uvarint() };
  if (type === 6) return { kind: 'items', items: items(cursor) };
  if (type === 7) return { kind: 'kept-items', items: keptItems(cursor) };
  throw new RangeError(`record type ${type}`);
}

function definitions(cursor: Cursor): WalRecord {
  const tenant = new TextDecoder().decode(cursor.take(cursor.byte()));
  const series: DefinedSeries[] = [];
  while (!cursor.isAtEnd) {
    const ref = cursor.uvarint();
    const labels: [string, string][] = [];
    const inner = new Cursor(cursor.take(Number(cursor.uvarint())));
    while (!inner.isAtEnd) labels.push([inner.text(), inner.text()]);
    series.push({ ref, labels });
  }
  return { kind: 'definitions', tenant, series };
}

function samples(cursor: Cursor): LoggedSample[] {
  const list: LoggedSample[] = [];
  let ref = 0n;
  let time = 0n;
  while (!cursor.isAtEnd) {
    const control = cursor.byte();
    ref += control >= 128 ? 1n : cursor.zigzag();
    time += control % 128 >= 64 ? 0n : cursor.zigzag();
    list.push({ ref, timestampMs: Number(time), bits: value(cursor, control % 64) });
  }
  return list;
}

function value(cursor: Cursor, kind: number): bigint {
  const bytes = new DataView(new ArrayBuffer(8));
  if (kind >= 8 && kind < 16) {
    cursor.take(kind - 7).forEach((byte, i) => {
      bytes.setUint8(i, byte);
    });
    return bytes.getBigUint64(0);
  }
  const scale = [1, undefined, 10, 100, 1000][kind >> 3];
  if (scale === undefined) throw new RangeError(`value of kind ${kind}`);
  let number = 0n;
  cursor.take(kind % 8).forEach((byte, i) => {
    number += BigInt(byte) << BigInt(8 * i);
  });
  bytes.setFloat64(0, Number(number % 2n === 0n ? number / 2n : -(number + 1n) / 2n) / scale);
  return bytes.getBigUint64(0);
}

function chunks(cursor: Cursor): LoggedChunk[] {
  const list: LoggedChunk[] = [];
  while (!cursor.isAtEnd) {
    const ref = cursor.uvarint();
    const window = Number(cursor.uvarint());
    const generation = Number(cursor.uvarint());
    list.push({ ref, window, generation, xor: cursor.take(Number(cursor.uvarint())) });
  }
  return list;
}

function items(cursor: Cursor): LoggedItem[] {
  const list: LoggedItem[] = [];
  let ref = 0n;
  let time = 0n;
  while (!cursor.isAtEnd) {
    const control = cursor.byte();
    ref += control >= 128 ? 1n : cursor.zigzag();
    time += control % 128 >= 64 ? 0n : cursor.zigzag();
    const bytes = cursor.take(Number(cursor.uvarint()));
    list.push({ ref, kind: control % 64, timestampMs: Number(time), bytes });
  }
  return list;
}

function keptItems(cursor: Cursor): (LoggedItem & { readonly generation: number })[] {
  const list: (LoggedItem & { generation: number })[] = [];
  while (!cursor.isAtEnd) {
    const kind = cursor.byte();
    const ref = cursor.uvarint();
    const generation = Number(cursor.uvarint());
    const timestampMs = Number(cursor.uvarint());
    list.push({ ref, kind, timestampMs, generation, bytes: cursor.take(Number(cursor.uvarint())) });
  }
  return list;
}
