/**
 * Chunks of encoding 4 (XOR2), floats with one prefix for time and value; they come in blocks of a newer Prometheus and
 * are only read.
 *
 *   count u16 BE | start header u8 | t0 varint | v0 64 bits [start] | t1-t0 uvarint, value [start] | (prefix … [start]) *
 *
 *   prefix  0 no change of step and value | 10 value changed: window | 110 13 bits, 1110 20 bits, 11110 64 bits: the change
 *           of the time step, then value | 11111 step unchanged, stale
 *   value   0 unchanged | 10 known window | 110 new window | 111 stale
 *   window  0 known | 1 new
 *
 * A stale value is not what the next one is compared with. Source: Prometheus, tsdb/chunkenc/xor2.go.
 */
import { CorruptionError } from '../lib/errors.ts';
import type { SampleBuffer } from '../model/sample-buffer.ts';
import type { Chunk } from '../model/series-source.ts';
import { BitReader, XorWindows } from './bit-stream.ts';
import { StartTimeReader } from './start-times.ts';

const HEADER_BYTES = 3;
const STALE_HIGH = 0x7ff00000;
const STALE_LOW = 2;

/**
 * Appends the samples of the chunk to `out` and returns the start timestamp of each, 0 where it is not known. Throws
 * CorruptionError if the bytes make no sense.
 */
export function decodeXor2(chunk: Chunk, out: SampleBuffer): Float64Array {
  const { bytes } = chunk;
  if (bytes.length < HEADER_BYTES) fail(chunk, 'shorter than its header');
  const count = ((bytes[0] as number) << 8) | (bytes[1] as number);
  const bits = new BitReader(bytes, HEADER_BYTES);
  if (count > bits.remaining) fail(chunk, `${count} samples do not fit`);
  out.reserve(out.length + count);
  const words = new Uint32Array(out.values.buffer, out.values.byteOffset + 8 * out.length, 2 * count);
  const values = new ValueReader(bits, words);
  const starts = new StartTimeReader(bytes[2] as number);
  const startTimes = new Float64Array(count);
  let time = 0;
  let step = 0;
  for (let i = 0; i < count; i++) {
    const before = time;
    if (i === 0) {
      time = bits.varint();
      values.readFirst();
    } else {
      step = i === 1 ? bits.uvarint() : step + readPrefix(bits, values, i);
      if (i === 1) values.read(i);
      time += step;
      if (time <= before && !bits.failed) fail(chunk, `the times of samples ${i - 1} and ${i} do not ascend`);
    }
    startTimes[i] = starts.read(bits, i, time, before);
    if (bits.failed || !Number.isSafeInteger(time)) fail(chunk, `it ends, or makes no sense, within sample ${i}`);
    out.timestamps[out.length + i] = time;
  }
  out.length += count;
  return startTimes;
}

/** Reads the prefix and the value of a sample; the change of the time step. */
function readPrefix(bits: BitReader, values: ValueReader, index: number): number {
  let ones = 0;
  while (ones < 5 && bits.bit() === 1) ones++;
  switch (ones) {
    case 0:
      values.repeat(index);
      return 0;
    case 1:
      values.readChanged(index);
      return 0;
    case 5:
      values.setStale(index);
      return 0;
    default: {
      const change = readChange(bits, ones);
      values.read(index);
      return change;
    }
  }
}

function readChange(bits: BitReader, ones: number): number {
  if (ones === 4) {
    bits.word(64);
    return (bits.high | 0) * 0x1_0000_0000 + bits.low;
  }
  const width = ones === 2 ? 13 : 20;
  const change = bits.bits(width);
  return change >= 2 ** (width - 1) ? change - 2 ** width : change;
}

/** Reads values as their bits, each against the last one that was not stale. */
class ValueReader {
  readonly #bits: BitReader;
  readonly #words: Uint32Array;
  readonly #windows = new XorWindows(1);
  #low = 0;
  #high = 0;

  constructor(bits: BitReader, words: Uint32Array) {
    this.#bits = bits;
    this.#words = words;
  }

  readFirst(): void {
    this.#bits.word(64);
    const { low, high } = this.#bits;
    if (low === STALE_LOW && high === STALE_HIGH) this.setStale(0);
    else this.#set(0, low, high);
  }

  read(index: number): void {
    let ones = 0;
    while (ones < 3 && this.#bits.bit() === 1) ones++;
    if (ones === 0) this.repeat(index);
    else if (ones === 3) this.setStale(index);
    else this.#change(index, ones === 2);
  }

  readChanged(index: number): void {
    this.#change(index, this.#bits.bit() === 1);
  }

  repeat(index: number): void {
    this.#set(index, this.#low, this.#high);
  }

  setStale(index: number): void {
    this.#words[2 * index] = STALE_LOW;
    this.#words[2 * index + 1] = STALE_HIGH;
  }

  #change(index: number, isNewWindow: boolean): void {
    if (isNewWindow) this.#bits.newWindow(this.#windows, 0);
    else this.#bits.knownWindow(this.#windows, 0);
    this.#set(index, (this.#low ^ this.#bits.low) >>> 0, (this.#high ^ this.#bits.high) >>> 0);
  }

  #set(index: number, low: number, high: number): void {
    this.#low = low;
    this.#high = high;
    this.#words[2 * index] = low;
    this.#words[2 * index + 1] = high;
  }
}

function fail({ minTimeMs }: Chunk, why: string): never {
  throw new CorruptionError(`a chunk of encoding 4 at ${minTimeMs}`, 0, why);
}
