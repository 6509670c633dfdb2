/**
 * Oracle for chunks of native histograms and for XOR2: the plainest encoder and decoder, over BigInt and lists of bits,
 * that shares no source with the engine. Slow on purpose. Written from Prometheus's tsdb/chunkenc, one function a rule.
 */

/** A histogram with every number as 64 bits: unsigned or the bits of a float; differences of buckets are signed. */
export interface PlainHistogram {
  readonly timeMs: number;
  readonly isFloat: boolean;
  readonly schema: number;
  readonly zeroThreshold: number;
  readonly positiveSpans: readonly (readonly [offset: number, length: number])[];
  readonly negativeSpans: readonly (readonly [offset: number, length: number])[];
  readonly customValues: readonly number[];
  readonly count: bigint;
  readonly zeroCount: bigint;
  readonly sum: bigint;
  readonly positive: readonly bigint[];
  readonly negative: readonly bigint[];
  /** 0 is unknown. */
  readonly startMs?: number;
  /** What its sender says: 1 a reset, 2 none, 3 a gauge. Not in a chunk, but for the first. */
  readonly hint?: number;
}

export const STALE_SUM = 0x7ff0000000000002n;

/** A staleness marker as decoding gives it. */
export function stale(timeMs: number, isFloat: boolean): PlainHistogram {
  const nothing = { positiveSpans: [], negativeSpans: [], customValues: [], positive: [], negative: [] };
  return { timeMs, isFloat, schema: 0, zeroThreshold: 0, count: 0n, zeroCount: 0n, sum: STALE_SUM, ...nothing };
}

export function bitsOfFloat(value: number): bigint {
  return new BigUint64Array(Float64Array.of(value).buffer)[0] as bigint;
}

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const s64 = (value: bigint): bigint => BigInt.asIntN(64, value);

/** A string of zeros and ones. */
class Bits {
  text = '';

  add(value: bigint | number, width: number): void {
    if (width > 0) this.text += BigInt.asUintN(width, BigInt(value)).toString(2).padStart(width, '0');
  }

  varbit(value: bigint): void {
    const widths = [3, 6, 9, 12, 18, 25, 56];
    if (value === 0n) this.text += '0';
    else {
      const ones = widths.findIndex(
        (width) => value >= -(2n ** BigInt(width - 1)) + 1n && value <= 2n ** BigInt(width - 1),
      );
      this.#prefixed(value, ones, widths);
    }
  }

  uvarbit(value: bigint): void {
    const widths = [3, 6, 9, 12, 18, 25, 56];
    if (value === 0n) this.text += '0';
    else
      this.#prefixed(
        value,
        widths.findIndex((width) => value < 2n ** BigInt(width)),
        widths,
      );
  }

  #prefixed(value: bigint, at: number, widths: readonly number[]): void {
    if (at < 0) {
      this.text += '11111111';
      this.add(value, 64);
    } else {
      this.text += `${'1'.repeat(at + 1)}0`;
      this.add(value, widths[at] as number);
    }
  }

  uvarint(value: bigint): void {
    let rest = value;
    for (; rest >= 128n; rest >>= 7n) this.add((rest & 127n) | 128n, 8);
    this.add(rest, 8);
  }

  varint(value: bigint): void {
    this.uvarint(value < 0n ? -2n * value - 1n : 2n * value);
  }

  bytes(header: readonly number[]): Uint8Array {
    const padded = this.text.padEnd(Math.ceil(this.text.length / 8) * 8, '0');
    return Uint8Array.from([...header, ...(padded.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2))]);
  }
}

/** One value that is written as the difference to itself before. */
class Gorilla {
  value = 0n;
  #leading: number | undefined;
  #trailing = 0;

  /** `[isSame, isKnownWindow]` as bits, and the bits of the difference. */
  next(value: bigint): { same: boolean; known: boolean; bits: Bits } {
    const difference = (value ^ this.value).toString(2).padStart(64, '0');
    this.value = value;
    const bits = new Bits();
    if (!difference.includes('1')) return { same: true, known: false, bits };
    const leading = Math.min(difference.indexOf('1'), 31);
    const trailing = 63 - difference.lastIndexOf('1');
    const known = this.#leading !== undefined && leading >= this.#leading && trailing >= this.#trailing;
    if (!known) {
      this.#leading = leading;
      this.#trailing = trailing;
      bits.add(leading, 5);
      bits.add(64 - leading - trailing, 6);
    }
    bits.text += difference.slice(this.#leading, 64 - this.#trailing);
    return { same: false, known, bits };
  }

  write(out: Bits, value: bigint): void {
    const { same, known, bits } = this.next(value);
    out.text += same ? '0' : known ? `10${bits.text}` : `11${bits.text}`;
  }
}

/** Start timestamps after each sample; `header` is the byte for them. */
class Starts {
  header = 0;
  #start = 0n;
  #difference = 0n;

  write(out: Bits, index: number, startMs: number, timeMs: number, timeBeforeMs: number): void {
    const start = BigInt(startMs);
    const difference = BigInt(timeBeforeMs) - start;
    const changedOn = this.header & 127;
    if (index === 0) {
      if (startMs !== 0) {
        out.varint(BigInt(timeMs) - start);
        this.header |= 128;
      }
    } else if (changedOn > 0) {
      out.varbit(difference - this.#difference);
      this.#difference = difference;
    } else if (start !== this.#start || index === 127) {
      this.header |= index;
      out.varbit(difference);
      this.#difference = difference;
    }
    this.#start = start;
  }
}

export const Header = { UNKNOWN: 0, NOT_RESET: 1, RESET: 2, GAUGE: 3 } as const;

/** The chunk of histograms with one layout: that of the first. With start timestamps it is encoding 5 or 6, else 2 or 3. */
export function encodeHistogramChunk(
  rows: readonly PlainHistogram[],
  header: number = Header.UNKNOWN,
  withStarts = false,
): Uint8Array {
  const out = new Bits();
  const [first] = rows;
  if (first === undefined) throw new Error('a chunk has rows');
  writeLayout(out, first.sum === STALE_SUM ? stale(0, first.isFloat) : first);
  const starts = new Starts();
  const writer = first.isFloat ? new FloatRows(out) : new IntegerRows(out);
  let time = 0n;
  let delta = 0n;
  rows.forEach((given, i) => {
    const row = given.sum === STALE_SUM ? stale(given.timeMs, given.isFloat) : given;
    const nextDelta = i === 0 ? 0n : BigInt(row.timeMs) - time;
    out.varbit(i === 0 ? BigInt(row.timeMs) : nextDelta - delta);
    writer.write(row, i === 0);
    if (withStarts) starts.write(out, i, given.startMs ?? 0, row.timeMs, Number(time));
    time = BigInt(row.timeMs);
    delta = nextDelta;
  });
  const count = rows.length;
  return withStarts
    ? out.bytes([(header << 6) | (count >> 8), count & 255, starts.header])
    : out.bytes([count >> 8, count & 255, header << 6]);
}

class IntegerRows {
  readonly #out: Bits;
  readonly #sum = new Gorilla();
  #values: bigint[] = [];
  #deltas: bigint[] = [];

  constructor(out: Bits) {
    this.#out = out;
  }

  write(row: PlainHistogram, isFirst: boolean): void {
    const out = this.#out;
    const isStale = row.sum === STALE_SUM;
    const values = [row.count, row.zeroCount, ...row.positive, ...row.negative];
    if (isFirst) {
      out.uvarbit(row.count);
      out.uvarbit(row.zeroCount);
      out.add(row.sum, 64);
      this.#sum.value = row.sum;
      for (const bucket of values.slice(2)) out.varbit(bucket);
      this.#deltas = values.map(() => 0n);
    } else {
      const deltas = values.map((value, i) => s64(value - (this.#values[i] as bigint)));
      const changes = deltas.map((value, i) => s64(value - (this.#deltas[i] as bigint)));
      if (isStale) changes.fill(0n);
      out.varbit(changes[0] as bigint);
      out.varbit(changes[1] as bigint);
      this.#sum.write(out, row.sum);
      for (const change of changes.slice(2)) out.varbit(change);
      this.#deltas = deltas;
    }
    this.#values = values;
  }
}

class FloatRows {
  readonly #out: Bits;
  #numbers: Gorilla[] = [];

  constructor(out: Bits) {
    this.#out = out;
  }

  write(row: PlainHistogram, isFirst: boolean): void {
    const values = [row.count, row.zeroCount, row.sum, ...row.positive, ...row.negative];
    if (isFirst) {
      this.#numbers = values.map((value) => {
        this.#out.add(value, 64);
        const number = new Gorilla();
        number.value = value;
        return number;
      });
    } else {
      values.forEach((value, i) => void (this.#numbers[i] as Gorilla).write(this.#out, value));
    }
  }
}

function writeLayout(out: Bits, row: PlainHistogram): void {
  const powers = Array.from({ length: 254 }, (_, i) => 2 ** (i - 243));
  if (row.zeroThreshold === 0) out.add(0, 8);
  else if (powers.includes(row.zeroThreshold)) out.add(powers.indexOf(row.zeroThreshold) + 1, 8);
  else {
    out.add(255, 8);
    out.add(bitsOfFloat(row.zeroThreshold), 64);
  }
  out.varbit(BigInt(row.schema));
  for (const spans of [row.positiveSpans, row.negativeSpans]) {
    out.uvarbit(BigInt(spans.length));
    for (const [offset, length] of spans) {
      out.uvarbit(BigInt(length));
      out.varbit(BigInt(offset));
    }
  }
  if (row.schema !== -53) return;
  out.uvarbit(BigInt(row.customValues.length));
  for (const bound of row.customValues) {
    const thousandths = Math.round(bound * 1000);
    if (bound * 1000 >= 0 && bound * 1000 <= 33554430 && thousandths / 1000 === bound)
      out.uvarbit(BigInt(thousandths + 1));
    else {
      out.add(0, 1);
      out.add(bitsOfFloat(bound), 64);
    }
  }
}

class BitSource {
  readonly #text: string;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#text = Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('');
  }

  take(width: number): bigint {
    if (this.#at + width > this.#text.length) throw new RangeError('the chunk ends too early');
    this.#at += width;
    return width === 0 ? 0n : BigInt(`0b${this.#text.slice(this.#at - width, this.#at)}`);
  }

  #width(): number {
    let ones = 0;
    while (ones < 8 && this.take(1) === 1n) ones++;
    return [0, 3, 6, 9, 12, 18, 25, 56, 64][ones] as number;
  }

  uvarbit(): bigint {
    return this.take(this.#width());
  }

  varbit(): bigint {
    const width = this.#width();
    const value = this.take(width);
    if (width === 64) return s64(value);
    return width > 0 && value > 2n ** BigInt(width - 1) ? value - 2n ** BigInt(width) : value;
  }
}

class GorillaSource {
  value = 0n;
  #leading = 0;
  #significant = 0;

  readFirst(source: BitSource): bigint {
    this.value = source.take(64);
    return this.value;
  }

  read(source: BitSource): bigint {
    if (source.take(1) === 1n) {
      if (source.take(1) === 1n) {
        this.#leading = Number(source.take(5));
        this.#significant = Number(source.take(6)) || 64;
      }
      this.value ^= source.take(this.#significant) << BigInt(64 - this.#leading - this.#significant);
    }
    return this.value;
  }
}

/** The histograms of a chunk of encoding 2 or 3, and its header. Throws RangeError if it ends too early. */
export function decodeHistogramChunk(bytes: Uint8Array, isFloat: boolean): { header: number; rows: PlainHistogram[] } {
  const source = new BitSource(bytes.subarray(3));
  const count = ((bytes[0] as number) << 8) | (bytes[1] as number);
  const layout = readLayout(source);
  const [positives, negatives] = [layout.positiveSpans, layout.negativeSpans].map((spans) =>
    spans.reduce((sum, [, length]) => sum + length, 0),
  ) as [number, number];
  const numbers = Array.from({ length: 3 + positives + negatives }, () => new GorillaSource());
  let integers: bigint[] = [];
  let deltas: bigint[] = [];
  let time = 0n;
  let delta = 0n;
  const rows: PlainHistogram[] = [];
  for (let row = 0; row < count; row++) {
    const change = source.varbit();
    delta = row === 0 ? 0n : delta + change;
    time = row === 0 ? change : time + delta;
    const isFirst = row === 0;
    const values: bigint[] = [];
    for (const [i, number] of numbers.entries()) {
      if (isFloat || i === 2) values.push(isFirst ? number.readFirst(source) : number.read(source));
      else if (isFirst) values.push(i < 2 ? source.uvarbit() : source.varbit());
      else {
        deltas[i] = s64((deltas[i] ?? 0n) + source.varbit());
        const next = (integers[i] as bigint) + (deltas[i] as bigint);
        values.push(i < 2 ? u64(next) : s64(next));
      }
      if (i === 2 && values[2] === STALE_SUM) break;
    }
    integers = values;
    deltas = deltas.length === 0 ? values.map(() => 0n) : deltas;
    const timeMs = Number(time);
    if (values[2] === STALE_SUM) {
      rows.push(stale(timeMs, isFloat));
      continue;
    }
    const [countValue, zeroCount, sum, ...buckets] = values as [bigint, bigint, bigint, ...bigint[]];
    const [positive, negative] = [buckets.slice(0, positives), buckets.slice(positives)];
    rows.push({ timeMs, isFloat, ...layout, count: countValue, zeroCount, sum, positive, negative });
  }
  return { header: (bytes[2] as number) >> 6, rows };
}

function readLayout(source: BitSource) {
  const byte = Number(source.take(8));
  const float = (): number => new Float64Array(BigUint64Array.of(source.take(64)).buffer)[0] as number;
  const zeroThreshold = byte === 0 ? 0 : byte === 255 ? float() : 2 ** (byte - 244);
  const schema = Number(source.varbit());
  const spans = (): [number, number][] =>
    Array.from({ length: Number(source.uvarbit()) }, () => {
      const length = Number(source.uvarbit());
      return [Number(source.varbit()), length];
    });
  const positiveSpans = spans();
  const negativeSpans = spans();
  const bounds = schema === -53 ? Number(source.uvarbit()) : 0;
  const customValues = Array.from({ length: bounds }, () => {
    const thousandths = Number(source.uvarbit());
    return thousandths === 0 ? float() : (thousandths - 1) / 1000;
  });
  return { schema, zeroThreshold, positiveSpans, negativeSpans, customValues };
}

/** A float with its time and start. */
export interface PlainSample {
  readonly timeMs: number;
  readonly bits: bigint;
  readonly startMs: number;
}

/** A chunk of encoding 4. */
export function encodeXor2Chunk(samples: readonly PlainSample[]): Uint8Array {
  const out = new Bits();
  const starts = new Starts();
  const number = new Gorilla();
  let step = 0n;
  samples.forEach(({ timeMs, bits, startMs }, i) => {
    const before = samples[i - 1]?.timeMs ?? 0;
    const nextStep = BigInt(timeMs) - BigInt(before);
    if (i === 0) {
      out.varint(BigInt(timeMs));
      out.add(bits, 64);
      if (bits !== STALE_SUM) number.value = bits;
    } else if (i === 1) {
      out.uvarint(nextStep);
      writeValue(out, number, bits);
    } else writeJoint(out, number, nextStep - step, bits);
    if (i > 0) step = nextStep;
    starts.write(out, i, startMs, timeMs, before);
  });
  return out.bytes([samples.length >> 8, samples.length & 255, starts.header]);
}

function writeJoint(out: Bits, number: Gorilla, change: bigint, value: bigint): void {
  if (change === 0n) {
    if (value === STALE_SUM) {
      out.text += '11111';
      return;
    }
    const { same, known, bits } = number.next(value);
    out.text += same ? '0' : `10${known ? '0' : '1'}${bits.text}`;
    return;
  }
  const width = change >= -4096n && change < 4096n ? 13 : change >= -524288n && change < 524288n ? 20 : 64;
  out.text += { 13: '110', 20: '1110', 64: '11110' }[width];
  out.add(change, width);
  writeValue(out, number, value);
}

function writeValue(out: Bits, number: Gorilla, value: bigint): void {
  if (value === STALE_SUM) {
    out.text += '111';
    return;
  }
  const { same, known, bits } = number.next(value);
  out.text += same ? '0' : known ? `10${bits.text}` : `110${bits.text}`;
}
