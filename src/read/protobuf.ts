/**
 * Protobuf as the read path writes it: by hand, because a sample's value has to reach the wire with its bits (a
 * staleness marker is a NaN payload), and because a hundred million samples should not become objects on the way.
 * A nested message is written into a writer of its own first, since its length comes before it.
 */
import {
  type ByteWriter,
  encodeHistogramMessage,
  type HistogramRow,
  type Labels,
  ResetHint,
  type SampleBuffer,
} from '../../storage/index.ts';

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
  bytesFieldHeader(target, field, bytes.length);
  target.raw(bytes);
}

/** What comes before the bytes of such a field. */
export function bytesFieldHeader(target: ByteWriter, field: number, length: number): void {
  target.u8(key(field, BYTES));
  target.uvarint(length);
}

/** An int64 field. Any integer up to ±2^53; zero is written too. A negative one takes ten bytes, its two's complement. */
export function int64Field(target: ByteWriter, field: number, value: number): void {
  target.u8(key(field, VARINT));
  target.raw(block.subarray(0, putInt64(value, 0)));
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

/** A Sample with its tag: tag, length, value's tag and 8 bytes, timestamp's tag and up to 10 bytes. */
const MAX_SAMPLE_BYTES: number = 1 + 1 + 1 + 8 + 1 + 10;
const ROWS_PER_BLOCK = 1024;
/** Encoded rows on their way into a writer. Nothing in it outlives a call. */
const block = new Uint8Array(ROWS_PER_BLOCK * MAX_SAMPLE_BYTES);
const blockView = new DataView(block.buffer);

/** Field 2 of TimeSeries: a Sample { value = 1, timestamp = 2 } for each row. A value of zero is written too: it may be −0. */
export function sampleFields(target: ByteWriter, samples: SampleBuffer): void {
  const { timestamps, values, length } = samples;
  const words = new Uint32Array(values.buffer, values.byteOffset, length * 2);
  for (let from = 0; from < length; from += ROWS_PER_BLOCK) {
    const to = Math.min(length, from + ROWS_PER_BLOCK);
    let at = 0;
    for (let row = from; row < to; row++) {
      const start = at;
      block[at] = key(2, BYTES);
      block[at + 2] = key(1, FIXED64);
      blockView.setUint32(at + 3, words[2 * row] as number, true);
      blockView.setUint32(at + 7, words[2 * row + 1] as number, true);
      block[at + 11] = key(2, VARINT);
      at = putInt64(timestamps[row] as number, at + 12);
      block[start + 1] = at - start - 2; // Below 128, so a varint of one byte.
    }
    target.raw(block.subarray(0, at));
  }
}

/** Field 4 of TimeSeries: a Histogram for each. `scratch` is overwritten. */
export function histogramFields(target: ByteWriter, histograms: readonly HistogramRow[], scratch: ByteWriter): void {
  let before: HistogramRow | undefined;
  for (const one of histograms) {
    scratch.reset();
    encodeHistogramMessage(scratch, one, hintAfter(before, one));
    bytesField(target, 4, scratch.bytes);
    before = one;
  }
}

/** Only inside one chunk is it known that nothing was reset. */
function hintAfter(before: HistogramRow | undefined, { run, row }: HistogramRow): ResetHint {
  if (run.hint === ResetHint.GAUGE) return ResetHint.GAUGE;
  return before?.run === run && before.row === row - 1 ? ResetHint.NO : ResetHint.UNKNOWN;
}

/** Writes an int64 varint into the block; returns the position after it. */
function putInt64(value: number, at: number): number {
  let next = at;
  let low = value >>> 0;
  let high = Math.floor(value / TWO_32) >>> 0;
  // The sign extension of a negative number fills all of the upper word, so its tenth byte comes by itself.
  while (high > 0) {
    block[next++] = (low & 0x7f) | 0x80;
    low = ((low >>> 7) | (high << 25)) >>> 0;
    high >>>= 7;
  }
  while (low > 0x7f) {
    block[next++] = (low & 0x7f) | 0x80;
    low >>>= 7;
  }
  block[next++] = low;
  return next;
}
