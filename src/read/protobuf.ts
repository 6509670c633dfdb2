/**
 * Protobuf as the read path writes it: by hand, because a sample's value has to reach the wire with its bits (a
 * staleness marker is a NaN payload), and because a hundred million samples should not become objects on the way.
 * A nested message is written into a writer of its own first, since its length comes before it.
 */
import type { ByteWriter, Labels, SampleBuffer } from '../../storage/index.ts';

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const TWO_32 = 0x1_0000_0000;

/** The key of a field whose number is below 16: one byte. */
function key(field: number, wireType: number): number {
  return (field << 3) | wireType;
}

/** A field of bytes, or of a message that is already encoded. */
export function bytesField(target: ByteWriter, field: number, bytes: Uint8Array): void {
  target.u8(key(field, BYTES));
  target.uvarint(bytes.length);
  target.raw(bytes);
}

/** An int64 field. Any integer up to ±2^53; zero is written too. */
export function int64Field(target: ByteWriter, field: number, value: number): void {
  target.u8(key(field, VARINT));
  int64(target, value);
}

/** A negative number is its 64-bit two's complement: always ten bytes. */
function int64(target: ByteWriter, value: number): void {
  if (value >= 0) {
    target.uvarint(value);
    return;
  }
  let low = value >>> 0;
  let high = Math.floor(value / TWO_32) >>> 0;
  for (let i = 0; i < 9; i++) {
    target.u8((low & 0x7f) | 0x80);
    low = ((low >>> 7) | (high << 25)) >>> 0;
    high >>>= 7;
  }
  target.u8(low);
}

/** Field 1 of TimeSeries and of ChunkedSeries: a Label { name = 1, value = 2 } for each. `scratch` is overwritten. */
export function labelFields(target: ByteWriter, labels: Labels, scratch: ByteWriter): void {
  for (let i = 0; i < labels.length; i += 2) {
    scratch.reset();
    scratch.u8(key(1, BYTES));
    scratch.text(labels[i] as string);
    scratch.u8(key(2, BYTES));
    scratch.text(labels[i + 1] as string);
    bytesField(target, 1, scratch.bytes);
  }
}

/** Field 2 of TimeSeries: a Sample { value = 1, timestamp = 2 } for each row. A value of zero is written too: it may be −0. */
export function sampleFields(target: ByteWriter, samples: SampleBuffer): void {
  const { timestamps, values, length } = samples;
  const words = new Uint32Array(values.buffer, values.byteOffset, length * 2);
  for (let i = 0; i < length; i++) {
    const timestamp = timestamps[i] as number;
    target.u8(key(2, BYTES));
    target.u8(1 + 8 + 1 + varintBytes(timestamp)); // Below 128, so a varint of one byte.
    target.u8(key(1, FIXED64));
    target.u32le(words[2 * i] as number);
    target.u32le(words[2 * i + 1] as number);
    target.u8(key(2, VARINT));
    int64(target, timestamp);
  }
}

function varintBytes(value: number): number {
  if (value < 0) return 10;
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}
