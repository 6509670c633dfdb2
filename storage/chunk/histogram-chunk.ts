/**
 * Chunks of native histograms, byte for byte as Prometheus writes them: encodings 2 (integer) and 3 (float), and to be
 * read also 5 and 6, the same with start timestamps.
 *
 *   2, 3   count u16 BE | reset header u8, its upper 2 bits                       | bits …
 *   5, 6   reset header 2 bits, count 14 bits | first start known 1, first change 7 | bits …
 *   bits   layout, then for each row: time, the numbers of the row, in 5 and 6 its start timestamp
 *   layout zero threshold | schema varbit | positive spans | negative spans | custom bounds (schema -53 only)
 *   spans  count uvarbit, (length uvarbit, offset varbit) *
 *
 *                    first row        later rows
 *   time             varbit           the change of the change, varbit
 *   integer          uvarbit, varbit  the change of the change, varbit
 *   float            64 bits          xor; so is the sum of an integer histogram
 *
 * A stale row ends after its sum. Only a chunk's first row may lack a layout: then all its rows are stale.
 * Source: Prometheus, tsdb/chunkenc/histogram.go, float_histogram.go, histogram_meta.go, st.go. Spec: docs/formats/block.md.
 */
import { CorruptionError } from '../lib/errors.ts';
import {
  BucketLayout,
  CUSTOM_BUCKETS_SCHEMA,
  FIRST_BUCKET,
  type HistogramRun,
  isStaleWord,
  NO_BUCKETS,
  ResetHint,
  SUM,
} from '../model/histogram.ts';
import { type Chunk, Encoding } from '../model/series-source.ts';
import { BitReader, BitWriter, XorWindows } from './bit-stream.ts';
import { StartTimeReader } from './start-times.ts';

/** What a chunk says of its first histogram: the upper two bits of a byte. */
const HEADERS: Readonly<Record<ResetHint, number>> = {
  [ResetHint.UNKNOWN]: 0x00,
  [ResetHint.NO]: 0x40,
  [ResetHint.YES]: 0x80,
  [ResetHint.GAUGE]: 0xc0,
};
const HINTS: readonly ResetHint[] = [ResetHint.UNKNOWN, ResetHint.NO, ResetHint.YES, ResetHint.GAUGE];

const HEADER_BYTES = 3;
const MIN_SCHEMA = -9;
const MAX_SCHEMA = 52;

/**
 * No chunk holds more numbers than this: 128 MiB of them. Rows that are stale take few bits and much room, so a bound by
 * the chunk's size would allow a damaged one to ask for any amount.
 */
export const MAX_CHUNK_NUMBERS: number = 2 ** 24;

/** The zero thresholds that fit a byte are powers of two: 2^(byte - 244), so that 2^-128 is 116. */
const THRESHOLD_BIAS = 244;
const MAX_THRESHOLD_BYTE = 254;
const EXPONENT_BIAS = 1023; // of a double
const OTHER_THRESHOLD = 255;

/** Custom bounds that are multiples of 0.001 up to here are written as integers, plus one. */
const MAX_THOUSANDTHS = 33_554_430;

/** The histograms of a chunk of encoding 2, 3, 5 or 6. Throws CorruptionError if its bytes make no sense. */
export function decodeHistograms(chunk: Chunk): HistogramRun {
  const decoder = new HistogramDecoder(chunk);
  return decoder.decode();
}

/**
 * The chunk of one run, in encoding 2 or 3, without start timestamps. The caller sees to it that the run may be one
 * chunk: 1 to 65535 rows, nothing but staleness after a stale row, no reset in a counter.
 */
export function encodeHistograms(run: HistogramRun): Chunk {
  const { timestamps, isFloat } = run;
  const count = timestamps.length;
  const out = new BitWriter();
  out.bits(count, 16);
  out.bits(HEADERS[run.hint], 8);
  writeLayout(out, run.layout);
  if (isFloat) writeFloatRows(out, run);
  else writeIntegerRows(out, run);
  return {
    minTimeMs: timestamps[0] as number,
    maxTimeMs: timestamps[count - 1] as number,
    encoding: isFloat ? Encoding.FLOAT_HISTOGRAM : Encoding.HISTOGRAM,
    bytes: out.finish(),
  };
}

class HistogramDecoder {
  readonly #chunk: Chunk;
  readonly #bits: BitReader;
  readonly #isFloat: boolean;
  readonly #hint: ResetHint;
  readonly #starts: StartTimeReader | undefined;
  readonly #timestamps: Float64Array;
  readonly #startTimes: Float64Array | undefined;
  #layout = NO_BUCKETS;
  #words = new Uint32Array(0);

  constructor(chunk: Chunk) {
    const { bytes, encoding } = chunk;
    this.#chunk = chunk;
    if (bytes.length < HEADER_BYTES) this.#fail('shorter than its header');
    const [first, second, third] = bytes as unknown as [number, number, number];
    const hasStarts = encoding === Encoding.HISTOGRAM_START || encoding === Encoding.FLOAT_HISTOGRAM_START;
    this.#isFloat = encoding === Encoding.FLOAT_HISTOGRAM || encoding === Encoding.FLOAT_HISTOGRAM_START;
    this.#hint = HINTS[(hasStarts ? first : third) >>> 6] as ResetHint;
    const count = ((hasStarts ? first & 0x3f : first) << 8) | second;
    this.#bits = new BitReader(bytes, HEADER_BYTES);
    this.#timestamps = new Float64Array(count);
    this.#starts = hasStarts ? new StartTimeReader(third) : undefined;
    this.#startTimes = hasStarts ? new Float64Array(count) : undefined;
  }

  decode(): HistogramRun {
    const timestamps = this.#timestamps;
    if (timestamps.length > 0) {
      this.#layout = this.#readLayout();
      this.#readRows();
    }
    return {
      isFloat: this.#isFloat,
      layout: this.#layout,
      hint: this.#hint,
      timestamps,
      words: this.#words,
      ...(this.#startTimes === undefined ? {} : { startTimes: this.#startTimes }),
    };
  }

  #readRows(): void {
    const bits = this.#bits;
    const width = this.#layout.width;
    const deltas = new Uint32Array(2 * width);
    const windows = new XorWindows(width);
    let time = 0;
    let timeDelta = 0;
    for (let row = 0; row < this.#timestamps.length; row++) {
      const before = time;
      if (row === 0) time = bits.varbitNumber();
      else {
        timeDelta += bits.varbitNumber();
        time += timeDelta;
        if (time <= before && !bits.failed) this.#fail(`the times of rows ${row - 1} and ${row} do not ascend`);
      }
      this.#reserve(row, width);
      if (this.#isFloat) this.#readFloats(row, windows);
      else this.#readIntegers(row, deltas, windows);
      if (this.#starts !== undefined)
        (this.#startTimes as Float64Array)[row] = this.#starts.read(bits, row, time, before);
      if (bits.failed || !Number.isSafeInteger(time)) this.#fail(`it ends, or makes no sense, within row ${row}`);
      this.#timestamps[row] = time;
    }
    this.#words = this.#words.slice(0, 2 * width * this.#timestamps.length);
  }

  #readFloats(row: number, windows: XorWindows): void {
    const bits = this.#bits;
    const words = this.#words;
    const width = this.#layout.width;
    for (let number = 0; number < width; number++) {
      const at = 2 * (row * width + number);
      if (row === 0) bits.word(64);
      else bits.xor(windows, number);
      const before = at - 2 * width;
      words[at] = row === 0 ? bits.low : (words[before] as number) ^ bits.low;
      words[at + 1] = row === 0 ? bits.high : (words[before + 1] as number) ^ bits.high;
      if (number === SUM && row > 0 && isStaleWord(words[at] as number, words[at + 1] as number)) {
        words.copyWithin(at + 2, before + 2, 2 * row * width);
        return;
      }
    }
  }

  #readIntegers(row: number, deltas: Uint32Array, windows: XorWindows): void {
    const bits = this.#bits;
    const words = this.#words;
    const width = this.#layout.width;
    for (let number = 0; number < width; number++) {
      const at = 2 * (row * width + number);
      const before = at - 2 * width;
      if (number === SUM) {
        if (row === 0) bits.word(64);
        else bits.xor(windows, 0);
        words[at] = row === 0 ? bits.low : (words[before] as number) ^ bits.low;
        words[at + 1] = row === 0 ? bits.high : (words[before + 1] as number) ^ bits.high;
        if (row > 0 && isStaleWord(words[at] as number, words[at + 1] as number)) {
          words.copyWithin(at + 2, before + 2, 2 * row * width);
          return;
        }
      } else if (row === 0) {
        if (number < SUM) bits.uvarbit();
        else bits.varbit();
        words[at] = bits.low;
        words[at + 1] = bits.high;
      } else {
        bits.varbit();
        addTo(deltas, 2 * number, bits.low, bits.high);
        words[at] = words[before] as number;
        words[at + 1] = words[before + 1] as number;
        addTo(words, at, deltas[2 * number] as number, deltas[2 * number + 1] as number);
      }
    }
  }

  #reserve(row: number, width: number): void {
    if ((row + 1) * width > MAX_CHUNK_NUMBERS) this.#fail(`more than ${MAX_CHUNK_NUMBERS} numbers`);
    const needed = 2 * (row + 1) * width;
    if (needed <= this.#words.length) return;
    const grown = new Uint32Array(Math.max(needed, 2 * this.#words.length));
    grown.set(this.#words);
    this.#words = grown;
  }

  #readLayout(): BucketLayout {
    const bits = this.#bits;
    const zeroThreshold = readThreshold(bits);
    const schema = bits.varbitNumber();
    const isCustom = schema === CUSTOM_BUCKETS_SCHEMA;
    if (!isCustom && (schema < MIN_SCHEMA || schema > MAX_SCHEMA)) this.#fail(`its schema is ${schema}`);
    const layout = {
      schema,
      zeroThreshold,
      positiveSpans: this.#readSpans(),
      negativeSpans: this.#readSpans(),
      customValues: isCustom ? this.#readBounds() : new Float64Array(0),
    };
    if (bits.failed) this.#fail('it ends within its layout');
    return new BucketLayout(layout);
  }

  /** A span is at least two bits long and so is a bucket or more: what there cannot be room for is not made. */
  #readSpans(): Int32Array {
    const bits = this.#bits;
    const count = bits.uvarbitNumber();
    if (count * 2 > bits.remaining) this.#fail(`${count} spans do not fit`);
    const spans = new Int32Array(2 * count);
    let buckets = 0;
    for (let i = 0; i < count; i++) {
      const length = bits.uvarbitNumber();
      const offset = bits.varbitNumber();
      buckets += length;
      if (buckets > bits.remaining) this.#fail(`${buckets} buckets do not fit`);
      if (offset !== (offset | 0) || (i > 0 && offset < 0)) this.#fail(`span ${i} has the offset ${offset}`);
      spans[2 * i] = offset;
      spans[2 * i + 1] = length;
    }
    return spans;
  }

  #readBounds(): Float64Array {
    const bits = this.#bits;
    const count = bits.uvarbitNumber();
    if (count > bits.remaining) this.#fail(`${count} bounds do not fit`);
    const bounds = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      const thousandths = bits.uvarbitNumber();
      bounds[i] = thousandths > 0 ? (thousandths - 1) / 1000 : readFloat(bits);
    }
    return bounds;
  }

  #fail(why: string): never {
    const { encoding, minTimeMs } = this.#chunk;
    throw new CorruptionError(`a chunk of encoding ${encoding} at ${minTimeMs}`, 0, why);
  }
}

function writeLayout(out: BitWriter, layout: BucketLayout): void {
  writeThreshold(out, layout.zeroThreshold);
  out.varbitOf(layout.schema);
  writeSpans(out, layout.positiveSpans);
  writeSpans(out, layout.negativeSpans);
  if (layout.schema !== CUSTOM_BUCKETS_SCHEMA) return;
  out.uvarbit(layout.customValues.length, 0);
  for (const bound of layout.customValues) writeBound(out, bound);
}

function writeSpans(out: BitWriter, spans: Int32Array): void {
  out.uvarbit(spans.length / 2, 0);
  for (let i = 0; i < spans.length; i += 2) {
    out.uvarbit(spans[i + 1] as number, 0);
    out.varbitOf(spans[i] as number);
  }
}

function writeThreshold(out: BitWriter, threshold: number): void {
  if (threshold === 0) {
    out.bits(0, 8);
    return;
  }
  scratch.setFloat64(0, threshold);
  const isPowerOfTwo = scratch.getUint32(4) === 0 && (scratch.getUint32(0) & 0xf_ffff) === 0;
  const byte = (scratch.getUint32(0) >>> 20) - EXPONENT_BIAS + THRESHOLD_BIAS;
  const isShort = isPowerOfTwo && byte >= 1 && byte <= MAX_THRESHOLD_BYTE;
  out.bits(isShort ? byte : OTHER_THRESHOLD, 8);
  if (!isShort) writeFloat(out, threshold);
}

function readThreshold(bits: BitReader): number {
  const byte = bits.bits(8);
  if (byte === 0) return 0;
  return byte === OTHER_THRESHOLD ? readFloat(bits) : 2 ** (byte - THRESHOLD_BIAS);
}

function writeBound(out: BitWriter, bound: number): void {
  const product = bound * 1000;
  const thousandths = Math.floor(product + 0.5);
  if (product >= 0 && product <= MAX_THOUSANDTHS && thousandths / 1000 === bound) {
    out.uvarbit(thousandths + 1, 0);
  } else {
    out.bits(0, 1);
    writeFloat(out, bound);
  }
}

/** Bounds and thresholds are ordinary numbers: none of them is a NaN. */
const scratch = new DataView(new ArrayBuffer(8));

function writeFloat(out: BitWriter, value: number): void {
  scratch.setFloat64(0, value);
  out.bits(scratch.getUint32(0), 32);
  out.bits(scratch.getUint32(4), 32);
}

function readFloat(bits: BitReader): number {
  bits.word(64);
  scratch.setUint32(0, bits.high);
  scratch.setUint32(4, bits.low);
  return scratch.getFloat64(0);
}

function writeFloatRows(out: BitWriter, { layout, timestamps, words }: HistogramRun): void {
  const { width } = layout;
  const windows = new XorWindows(width);
  const last = new Uint32Array(2 * width);
  const times = new TimeWriter(out);
  for (let row = 0; row < timestamps.length; row++) {
    times.write(timestamps[row] as number);
    const start = 2 * row * width;
    const isStale = isStaleWord(words[start + 2 * SUM] as number, words[start + 2 * SUM + 1] as number);
    const numbers = isStale && row > 0 ? FIRST_BUCKET : width;
    for (let number = 0; number < numbers; number++) {
      // What a stale histogram counts is not kept.
      const isZero = isStale && number !== SUM;
      const low = isZero ? 0 : (words[start + 2 * number] as number);
      const high = isZero ? 0 : (words[start + 2 * number + 1] as number);
      if (row === 0) out.word(low, high, 64);
      else {
        const at = 2 * number;
        out.xor((low ^ (last[at] as number)) >>> 0, (high ^ (last[at + 1] as number)) >>> 0, windows, number);
      }
      last[2 * number] = low;
      last[2 * number + 1] = high;
    }
  }
}

function writeIntegerRows(out: BitWriter, { layout, timestamps, words }: HistogramRun): void {
  const { width } = layout;
  const windows = new XorWindows(1);
  const deltas = new Uint32Array(2 * width);
  const delta = new Uint32Array(2);
  const times = new TimeWriter(out);
  for (let row = 0; row < timestamps.length; row++) {
    times.write(timestamps[row] as number);
    const start = 2 * row * width;
    const before = start - 2 * width;
    const isStale = isStaleWord(words[start + 2 * SUM] as number, words[start + 2 * SUM + 1] as number);
    for (let number = 0; number < (isStale && row > 0 ? FIRST_BUCKET : width); number++) {
      const at = 2 * number;
      const low = words[start + at] as number;
      const high = words[start + at + 1] as number;
      if (number === SUM) {
        if (row === 0) out.word(low, high, 64);
        else {
          const changedLow = (low ^ (words[before + at] as number)) >>> 0;
          out.xor(changedLow, (high ^ (words[before + at + 1] as number)) >>> 0, windows, 0);
        }
      } else if (row === 0) {
        if (number > SUM) out.varbit(low, high);
        else out.uvarbit(isStale ? 0 : low, isStale ? 0 : high);
      } else if (isStale) out.varbit(0, 0);
      else {
        delta[0] = low;
        delta[1] = high;
        subtractFrom(delta, words[before + at] as number, words[before + at + 1] as number);
        const nextLow = delta[0] as number;
        const nextHigh = delta[1] as number;
        subtractFrom(delta, deltas[at] as number, deltas[at + 1] as number);
        out.varbit(delta[0] as number, delta[1] as number);
        deltas[at] = nextLow;
        deltas[at + 1] = nextHigh;
      }
    }
  }
}

/** Writes times as the change of their change. */
class TimeWriter {
  readonly #out: BitWriter;
  #time = 0;
  #delta = 0;
  #isFirst = true;

  constructor(out: BitWriter) {
    this.#out = out;
  }

  write(time: number): void {
    const delta = this.#isFirst ? 0 : time - this.#time;
    this.#out.varbitOf(this.#isFirst ? time : delta - this.#delta);
    this.#time = time;
    this.#delta = delta;
    this.#isFirst = false;
  }
}

/** Adds to the word at `at`, modulo 2^64. */
function addTo(words: Uint32Array, at: number, low: number, high: number): void {
  const sum = (words[at] as number) + low;
  words[at] = sum;
  words[at + 1] = (words[at + 1] as number) + high + (sum > 0xffff_ffff ? 1 : 0);
}

/** Subtracts from the first word, modulo 2^64. */
function subtractFrom(words: Uint32Array, low: number, high: number): void {
  const difference = (words[0] as number) - low;
  words[0] = difference;
  words[1] = (words[1] as number) - high - (difference < 0 ? 1 : 0);
}
