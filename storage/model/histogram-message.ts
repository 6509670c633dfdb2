/**
 * The protobuf message Histogram, which remote write 1.0, 2.0 and remote read share: proto/types.proto. By hand, because
 * every number has to keep its 64 bits, and because most of a histogram is its buckets.
 */
import type { ByteWriter } from '../lib/bytes.ts';
import { StorageError } from '../lib/errors.ts';
import {
  BucketLayout,
  COUNT,
  FIRST_BUCKET,
  type HistogramRow,
  type HistogramRun,
  isStaleHistogram,
  ResetHint,
  SUM,
  spanBuckets,
  ZERO_COUNT,
} from './histogram.ts';

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const TWO_32 = 0x1_0000_0000;

/** The fields by their numbers on the wire. */
const Field = {
  COUNT_INT: 1,
  COUNT_FLOAT: 2,
  SUM: 3,
  SCHEMA: 4,
  ZERO_THRESHOLD: 5,
  ZERO_COUNT_INT: 6,
  ZERO_COUNT_FLOAT: 7,
  NEGATIVE_SPANS: 8,
  NEGATIVE_DELTAS: 9,
  NEGATIVE_COUNTS: 10,
  POSITIVE_SPANS: 11,
  POSITIVE_DELTAS: 12,
  POSITIVE_COUNTS: 13,
  RESET_HINT: 14,
  TIMESTAMP: 15,
  CUSTOM_VALUES: 16,
  START_TIMESTAMP: 17,
} as const;

/**
 * The histogram in a message, as a run of one row. `known` is a layout that it probably has, for instance that of the
 * histogram before: an equal one is shared. Throws StorageError 'corrupt' if it is no histogram, or if its buckets are
 * not those of its spans.
 */
export function decodeHistogramMessage(bytes: Uint8Array, known?: BucketLayout): HistogramRun {
  return new MessageReader(bytes).read(known);
}

/** Appends the message of a histogram. `hint` says how it follows on the one that is written before it. */
export function encodeHistogramMessage(target: ByteWriter, row: HistogramRow, hint: ResetHint): void {
  const { run } = row;
  const out = new MessageWriter(target, row);
  const stale = isStaleHistogram(row);
  const { layout } = run;
  out.count(run.isFloat ? Field.COUNT_FLOAT : Field.COUNT_INT, COUNT, stale);
  out.double(Field.SUM, SUM);
  if (!stale) {
    out.sint(Field.SCHEMA, layout.schema);
    out.float(Field.ZERO_THRESHOLD, layout.zeroThreshold);
  }
  out.count(run.isFloat ? Field.ZERO_COUNT_FLOAT : Field.ZERO_COUNT_INT, ZERO_COUNT, stale);
  if (!stale) {
    out.spans(Field.NEGATIVE_SPANS, layout.negativeSpans);
    const negative = run.isFloat ? Field.NEGATIVE_COUNTS : Field.NEGATIVE_DELTAS;
    out.buckets(negative, FIRST_BUCKET + layout.positiveCount, layout.negativeCount);
    out.spans(Field.POSITIVE_SPANS, layout.positiveSpans);
    const positive = run.isFloat ? Field.POSITIVE_COUNTS : Field.POSITIVE_DELTAS;
    out.buckets(positive, FIRST_BUCKET, layout.positiveCount);
    out.integer(Field.RESET_HINT, hint);
  }
  out.integer(Field.TIMESTAMP, run.timestamps[row.row] as number);
  if (!stale) out.floats(Field.CUSTOM_VALUES, layout.customValues);
}

/** Numbers of 64 bits as they come: low and high words, one after the other. */
class WordList {
  words: Uint32Array<ArrayBuffer> = new Uint32Array(256);
  length = 0;

  push(low: number, high: number): void {
    if (2 * this.length === this.words.length) {
      const grown = new Uint32Array(2 * this.words.length);
      grown.set(this.words);
      this.words = grown;
    }
    this.words[2 * this.length] = low;
    this.words[2 * this.length + 1] = high;
    this.length += 1;
  }

  copyTo(target: Uint32Array, at: number): void {
    target.set(this.words.subarray(0, 2 * this.length), at);
  }

  floats(): Float64Array {
    return this.length === 0 ? NO_FLOATS : new Float64Array(this.words.slice(0, 2 * this.length).buffer);
  }
}

const NO_FLOATS = new Float64Array(0);

/** The lists of the message that is read just now. Nothing in them outlives a call: new ones cost more than the rest. */
const positiveList = new WordList();
const negativeList = new WordList();
const boundList = new WordList();

class MessageReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  #end: number;
  #low = 0;
  #high = 0;
  #isFloat = false;
  #schema = 0;
  #zeroThreshold = 0;
  #hint: number = ResetHint.UNKNOWN;
  #timeMs = 0;
  #startTimeMs = 0;
  readonly #head: number[] = [0, 0, 0, 0, 0, 0];
  readonly #positiveSpans: number[] = [];
  readonly #negativeSpans: number[] = [];
  readonly #positive = positiveList;
  readonly #negative = negativeList;
  readonly #bounds = boundList;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#end = bytes.length;
  }

  read(known: BucketLayout | undefined): HistogramRun {
    for (const list of [this.#positive, this.#negative, this.#bounds]) list.length = 0;
    while (this.#at < this.#end) {
      this.#varint();
      this.#field(this.#low >>> 3, this.#low & 7);
    }
    const layout = this.#layout(known);
    if (layout.positiveCount !== this.#positive.length || layout.negativeCount !== this.#negative.length)
      this.#fail('its buckets are not those of its spans');
    const words = new Uint32Array(2 * layout.width);
    words.set(this.#head);
    this.#positive.copyTo(words, 2 * FIRST_BUCKET);
    this.#negative.copyTo(words, 2 * (FIRST_BUCKET + layout.positiveCount));
    return {
      isFloat: this.#isFloat,
      layout,
      hint: this.#hint as ResetHint,
      timestamps: Float64Array.of(this.#timeMs),
      words,
      ...(this.#startTimeMs === 0 ? {} : { startTimes: Float64Array.of(this.#startTimeMs) }),
    };
  }

  #layout(known: BucketLayout | undefined): BucketLayout {
    if (known !== undefined && this.#isOf(known)) return known;
    const positiveSpans = Int32Array.from(this.#positiveSpans);
    const negativeSpans = Int32Array.from(this.#negativeSpans);
    // Before the numbers of the buckets are listed: a span may claim any length.
    if (spanBuckets(positiveSpans) + spanBuckets(negativeSpans) > this.#bytes.length)
      this.#fail('its spans have more buckets than it has bytes');
    return new BucketLayout({
      schema: this.#schema,
      zeroThreshold: this.#zeroThreshold,
      positiveSpans,
      negativeSpans,
      customValues: this.#bounds.floats(),
    });
  }

  /** Whether the message has this layout, found out without making it. */
  #isOf(known: BucketLayout): boolean {
    return (
      known.schema === this.#schema &&
      known.zeroThreshold === this.#zeroThreshold &&
      areEqual(known.positiveSpans, this.#positiveSpans) &&
      areEqual(known.negativeSpans, this.#negativeSpans) &&
      areEqual(known.customValues, this.#bounds.floats())
    );
  }

  #field(field: number, type: number): void {
    switch (field) {
      case Field.COUNT_INT:
      case Field.COUNT_FLOAT:
        this.#isFloat = field === Field.COUNT_FLOAT;
        this.#number(type, COUNT);
        break;
      case Field.SUM:
        this.#number(type, SUM);
        break;
      case Field.ZERO_COUNT_INT:
      case Field.ZERO_COUNT_FLOAT:
        this.#number(type, ZERO_COUNT);
        break;
      case Field.SCHEMA:
        this.#scalar(type);
        this.#schema = (this.#low >>> 1) ^ -(this.#low & 1);
        break;
      case Field.ZERO_THRESHOLD:
        this.#scalar(type);
        this.#zeroThreshold = floatOf(this.#low, this.#high);
        break;
      case Field.RESET_HINT:
        this.#scalar(type);
        if (this.#low > ResetHint.GAUGE || this.#high !== 0) this.#fail(`reset hint ${this.#low}`);
        this.#hint = this.#low;
        break;
      case Field.TIMESTAMP:
        this.#scalar(type);
        this.#timeMs = this.#time();
        break;
      case Field.START_TIMESTAMP:
        this.#scalar(type);
        this.#startTimeMs = this.#time();
        break;
      default:
        this.#repeated(field, type);
    }
  }

  #repeated(field: number, type: number): void {
    switch (field) {
      case Field.NEGATIVE_SPANS:
        this.#span(type, this.#negativeSpans);
        break;
      case Field.POSITIVE_SPANS:
        this.#span(type, this.#positiveSpans);
        break;
      case Field.NEGATIVE_DELTAS:
      case Field.NEGATIVE_COUNTS:
        this.#numbers(type, this.#negative, field === Field.NEGATIVE_DELTAS);
        break;
      case Field.POSITIVE_DELTAS:
      case Field.POSITIVE_COUNTS:
        this.#numbers(type, this.#positive, field === Field.POSITIVE_DELTAS);
        break;
      case Field.CUSTOM_VALUES:
        this.#numbers(type, this.#bounds, false);
        break;
      default:
        if (type === BYTES) this.#at = this.#nested();
        else this.#scalar(type);
    }
  }

  /** A varint or eight bytes, into the words of the row. */
  #number(type: number, number: number): void {
    this.#scalar(type);
    this.#head[2 * number] = this.#low;
    this.#head[2 * number + 1] = this.#high;
  }

  /** One number, or a packed list of them. */
  #numbers(type: number, list: WordList, isDelta: boolean): void {
    if (type !== BYTES) {
      this.#scalar(type);
      this.#pushNumber(list, isDelta);
      return;
    }
    const end = this.#nested();
    while (this.#at < end) {
      this.#scalar(isDelta ? VARINT : FIXED64);
      this.#pushNumber(list, isDelta);
    }
    if (this.#at > end) this.#fail('a list ends within a number');
  }

  #pushNumber(list: WordList, isDelta: boolean): void {
    if (!isDelta) {
      list.push(this.#low, this.#high);
      return;
    }
    const sign = -(this.#low & 1);
    list.push(((this.#low >>> 1) | (this.#high << 31)) ^ sign, (this.#high >>> 1) ^ sign);
  }

  #span(type: number, spans: number[]): void {
    if (type !== BYTES) this.#fail('a span that is no message');
    const end = this.#nested();
    let offset = 0;
    let length = 0;
    while (this.#at < end) {
      this.#varint();
      const field = this.#low >>> 3;
      const wireType = this.#low & 7;
      if (wireType === BYTES) this.#at = this.#nested();
      else this.#scalar(wireType);
      if (field === 1) offset = (this.#low >>> 1) ^ -(this.#low & 1);
      else if (field === 2) length = this.#low;
    }
    if (this.#at > end || length > this.#bytes.length) this.#fail('a span that is none');
    spans.push(offset, length);
  }

  /** Where a nested message or list ends; the cursor stands at its begin. */
  #nested(): number {
    this.#varint();
    const end = this.#at + this.#low;
    if (this.#high !== 0 || end > this.#end) this.#fail('a field reaches beyond its end');
    return end;
  }

  #scalar(type: number): void {
    if (type === VARINT) this.#varint();
    else if (type === FIXED64 && this.#at + 8 <= this.#end) {
      this.#low = this.#view.getUint32(this.#at, true);
      this.#high = this.#view.getUint32(this.#at + 4, true);
      this.#at += 8;
    } else if (type === 5 && this.#at + 4 <= this.#end) this.#at += 4;
    else this.#fail(`a field of wire type ${type}`);
  }

  #varint(): void {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.#at >= this.#end) this.#fail('it ends within a number');
      const byte = this.#bytes[this.#at++] as number;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        this.#low = low >>> 0;
        this.#high = high >>> 0;
        return;
      }
    }
    this.#fail('a number of more than ten bytes');
  }

  #time(): number {
    const time = (this.#high | 0) * TWO_32 + this.#low;
    if (!Number.isSafeInteger(time)) this.#fail(`the time ${time}`);
    return time;
  }

  #fail(why: string): never {
    throw new StorageError('corrupt', `a histogram message of ${this.#bytes.length} bytes, at ${this.#at}: ${why}`);
  }
}

function areEqual(known: ArrayLike<number>, read: ArrayLike<number>): boolean {
  if (known.length !== read.length) return false;
  for (let i = 0; i < read.length; i++) if (known[i] !== read[i]) return false;
  return true;
}

class MessageWriter {
  readonly #target: ByteWriter;
  readonly #words: Uint32Array;
  /** Index of the row's first word. */
  readonly #row: number;

  constructor(target: ByteWriter, { run, row }: HistogramRow) {
    this.#target = target;
    this.#words = run.words;
    this.#row = 2 * row * run.layout.width;
  }

  /** A number of the oneofs, which is written even if it is zero: it says what kind of histogram this is. */
  count(field: number, number: number, isZero: boolean): void {
    const isFloat = field === Field.COUNT_FLOAT || field === Field.ZERO_COUNT_FLOAT;
    const low = isZero ? 0 : this.#low(number);
    const high = isZero ? 0 : this.#high(number);
    this.#key(field, isFloat ? FIXED64 : VARINT);
    if (isFloat) this.#fixed(low, high);
    else this.#varint(low, high);
  }

  double(field: number, number: number): void {
    if (this.#low(number) === 0 && this.#high(number) === 0) return;
    this.#key(field, FIXED64);
    this.#fixed(this.#low(number), this.#high(number));
  }

  float(field: number, value: number): void {
    if (value === 0) return;
    this.#key(field, FIXED64);
    this.#float(value);
  }

  sint(field: number, value: number): void {
    if (value === 0) return;
    this.#key(field, VARINT);
    this.#target.varint(value);
  }

  integer(field: number, value: number): void {
    if (value === 0) return;
    this.#key(field, VARINT);
    this.#varint(value >>> 0, Math.floor(value / TWO_32) >>> 0);
  }

  spans(field: number, spans: Int32Array): void {
    for (let i = 0; i < spans.length; i += 2) {
      this.#key(field, BYTES);
      const [offset, length] = [spans[i] as number, spans[i + 1] as number];
      const offsetBytes = offset === 0 ? 0 : 1 + varintBytes((offset << 1) ^ (offset >> 31));
      this.#target.uvarint(offsetBytes + (length === 0 ? 0 : 1 + varintBytes(length)));
      this.sint(1, offset);
      this.integer(2, length);
    }
  }

  /** A packed list: counts as eight bytes each, differences as zigzag varints. */
  buckets(field: number, first: number, count: number): void {
    if (count === 0) return;
    const isFloat = field === Field.NEGATIVE_COUNTS || field === Field.POSITIVE_COUNTS;
    this.#key(field, BYTES);
    let bytes = isFloat ? 8 * count : 0;
    for (let i = first; !isFloat && i < first + count; i++) {
      const { low, high } = this.#zigzag(i);
      bytes += varintBytes(low, high);
    }
    this.#target.uvarint(bytes);
    for (let i = first; i < first + count; i++) {
      if (isFloat) this.#fixed(this.#low(i), this.#high(i));
      else {
        const { low, high } = this.#zigzag(i);
        this.#varint(low, high);
      }
    }
  }

  floats(field: number, values: Float64Array): void {
    if (values.length === 0) return;
    this.#key(field, BYTES);
    this.#target.uvarint(8 * values.length);
    for (const value of values) this.#float(value);
  }

  #key(field: number, type: number): void {
    this.#target.uvarint((field << 3) | type);
  }

  #low(number: number): number {
    return this.#words[this.#row + 2 * number] as number;
  }

  #high(number: number): number {
    return this.#words[this.#row + 2 * number + 1] as number;
  }

  #zigzag(number: number): { low: number; high: number } {
    const [low, high] = [this.#low(number), this.#high(number)];
    const sign = (high | 0) >> 31;
    return { low: ((low << 1) ^ sign) >>> 0, high: (((high << 1) | (low >>> 31)) ^ sign) >>> 0 };
  }

  #fixed(low: number, high: number): void {
    this.#target.u32le(low);
    this.#target.u32le(high);
  }

  #float(value: number): void {
    scratch.setFloat64(0, value, true);
    this.#fixed(scratch.getUint32(0, true), scratch.getUint32(4, true));
  }

  #varint(low: number, high: number): void {
    let [restLow, restHigh] = [low, high];
    while (restHigh > 0 || restLow > 0x7f) {
      this.#target.u8((restLow & 0x7f) | 0x80);
      restLow = ((restLow >>> 7) | (restHigh << 25)) >>> 0;
      restHigh >>>= 7;
    }
    this.#target.u8(restLow);
  }
}

/** Thresholds and bounds are ordinary numbers: none of them is a NaN. */
const scratch = new DataView(new ArrayBuffer(8));

function floatOf(low: number, high: number): number {
  scratch.setUint32(0, low, true);
  scratch.setUint32(4, high, true);
  return scratch.getFloat64(0, true);
}

/** How many bytes an unsigned varint takes. */
function varintBytes(low: number, high = 0): number {
  const bits = high === 0 ? 32 - Math.clz32(low) : 64 - Math.clz32(high);
  return Math.max(1, Math.ceil(bits / 7));
}
