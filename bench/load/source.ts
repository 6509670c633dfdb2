/** Remote-write bodies as a Prometheus sends them: `per` series with one sample each, of many targets alike. */
import { compressSync } from 'snappy';
import { randomNumbers } from './random-numbers.ts';
import { encodeRequestV2, type SeriesV2 } from './request-v2.ts';
import type { Movement, TemplateSeries } from './templates.ts';

/** Bytes that a sample and its lengths need at most beside the labels. */
const SAMPLE_BYTES = 40;

/** Memory outside the heap is given back in later turns of the event loop only, and a whole load is made in one. */
const COPIED = { copyOutputData: true };

/** The version of remote write. */
export type Protocol = 'v1' | 'v2';

/** Many series whose values move as an exporter's do. The same for the same template, count and seed. */
export class Source {
  readonly count: number;
  readonly #random: () => number;
  /** Encoded label fields of a TimeSeries message. */
  readonly #labels: Buffer[] = [];
  /** The same for 2.0. */
  readonly #seriesV2: SeriesV2[] = [];
  readonly #protocol: Protocol;
  readonly #movements: Movement[] = [];
  readonly #values: Float64Array;
  /** How far a value moves at most in one step. */
  readonly #strides: Float64Array;
  /** Series numbers in the order of sending. */
  readonly #order: Uint32Array;
  readonly #template: readonly TemplateSeries[];
  /** Targets that there ever were, and how many of them are gone. */
  #targets = 0;
  #gone = 0;

  constructor(template: readonly TemplateSeries[], count: number, seed: number, protocol: Protocol = 'v1') {
    this.count = count;
    this.#protocol = protocol;
    this.#random = randomNumbers(seed);
    this.#values = new Float64Array(count);
    this.#strides = new Float64Array(count);
    this.#order = Uint32Array.from({ length: count }, (_, i) => i);
    this.#template = template;
    for (let from = 0; from < count; from += template.length) this.#begin(from);
  }

  /** Puts other targets in the place of the oldest ones, as many as have this share of the series, but one at least. */
  replace(share: number): void {
    const places = Math.ceil(this.count / this.#template.length);
    const count = Math.max(1, Math.round(places * share));
    for (let i = 0; i < count; i++) this.#begin((this.#gone++ % places) * this.#template.length);
  }

  /** A new target, whose series get the numbers from `from` on. */
  #begin(from: number): void {
    const target = String(this.#targets++).padStart(5, '0');
    for (let i = from; i < Math.min(this.count, from + this.#template.length); i++) {
      const { labels, movement, start } = this.#template[i - from] as TemplateSeries;
      if (this.#protocol === 'v1') this.#labels[i] = encodeLabels(labels, target);
      else this.#seriesV2[i] = seriesV2(labels, target, movement);
      this.#movements[i] = movement;
      this.#values[i] = start;
      this.#strides[i] = Math.max(1, Math.abs(start) * 0.0005);
    }
  }

  /** The next scrape: moves every value. */
  step(): void {
    const values = this.#values;
    const random = this.#random;
    for (let i = 0; i < this.count; i++) {
      const stride = this.#strides[i] as number;
      const value = values[i] as number;
      const movement = this.#movements[i];
      if (movement === 'counter' && random() < 0.7) values[i] = value + Math.floor(random() * stride * 2);
      else if (movement === 'seconds') values[i] = Math.round((value + random() * 15) * 100) / 100;
      else if (movement === 'gauge' && random() < 0.6) {
        values[i] = Math.max(0, value + Math.round((random() - 0.5) * stride * 4));
      }
    }
  }

  /** Puts the series into another order, as if the scrapes came in another one. */
  shuffle(): void {
    const order = this.#order;
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(this.#random() * (i + 1));
      const swapped = order[i] as number;
      order[i] = order[j] as number;
      order[j] = swapped;
    }
  }

  /** The snappy-compressed request with one sample for each series from..to (in the order of sending). */
  body(from: number, to: number, timestampMs: number): Buffer {
    const order = this.#order.subarray(from, to);
    if (this.#protocol === 'v2') {
      const series = Array.from(order, (i) => this.#seriesV2[i] as SeriesV2);
      const body = encodeRequestV2(series, (i) => this.#values[order[i] as number] as number, timestampMs);
      return compressSync(body, COPIED);
    }
    let size = 0;
    for (const series of order) size += (this.#labels[series] as Buffer).length + SAMPLE_BYTES;
    const body = Buffer.allocUnsafe(size);
    let offset = 0;
    for (const series of order) offset = this.#encodeSeries(body, offset, series, timestampMs);
    return compressSync(body.subarray(0, offset), COPIED);
  }

  #encodeSeries(body: Buffer, start: number, series: number, timestampMs: number): number {
    const labels = this.#labels[series] as Buffer;
    const sampleLength = 1 + 8 + 1 + varintLength(timestampMs); // tag, value, tag, timestamp
    let offset = start;
    body[offset++] = 0x0a; // WriteRequest.timeseries
    offset = putVarint(body, offset, labels.length + 2 + sampleLength);
    labels.copy(body, offset);
    offset += labels.length;
    body[offset++] = 0x12; // TimeSeries.samples
    body[offset++] = sampleLength;
    body[offset++] = 0x09; // Sample.value
    offset = body.writeDoubleLE(this.#values[series] as number, offset);
    body[offset++] = 0x10; // Sample.timestamp
    return putVarint(body, offset, timestampMs);
  }
}

function seriesV2(labels: Readonly<Record<string, string>>, target: string, movement: Movement): SeriesV2 {
  const pairs = Object.keys(labels)
    .sort()
    .map((name) => [name, (labels[name] as string).replaceAll('%i', target)] as const);
  const help = `What ${labels.__name__} counts or measures, as exporters say it in a sentence.`;
  return { labels: pairs, type: movement === 'counter' || movement === 'seconds' ? 'counter' : 'gauge', help };
}

function encodeLabels(labels: Readonly<Record<string, string>>, target: string): Buffer {
  const parts: Buffer[] = [];
  for (const name of Object.keys(labels).sort()) {
    const pair = Buffer.concat([
      delimited(0x0a, Buffer.from(name)), // Label.name
      delimited(0x12, Buffer.from((labels[name] as string).replaceAll('%i', target))), // Label.value
    ]);
    parts.push(delimited(0x0a, pair)); // TimeSeries.labels
  }
  return Buffer.concat(parts);
}

/** A length-delimited protobuf field. */
function delimited(tag: number, bytes: Buffer): Buffer {
  const head = Buffer.alloc(6);
  head[0] = tag;
  return Buffer.concat([head.subarray(0, putVarint(head, 1, bytes.length)), bytes]);
}

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length++;
  return length;
}

function putVarint(target: Buffer, start: number, value: number): number {
  let offset = start;
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) target[offset++] = (rest % 128) | 128;
  target[offset++] = rest;
  return offset;
}
