/**
 * Writes a WriteRequest of remote write 1.0 by hand: values go in as the two halves of their bits, so that a staleness
 * marker stays one. It is not compressed, since it only goes to the kernel of this process.
 *
 *   WriteRequest = (0A length TimeSeries | 1A length MetricMetadata)*        TimeSeries = (0A length Label)* (12 Sample | 1A Exemplar | 22 Histogram)*
 *   Label = 0A length name | 12 length value      Sample = 09 value f64 LE | 10 timestamp uvarint
 *
 * Source: prometheus prompb/types.proto.
 */
import { ByteWriter } from '../../storage/index.ts';

/** Names and values one after the other, sorted by name. */
export type SortedLabels = readonly string[];

export class WriteRequestWriter {
  readonly #series = new ByteWriter(4096);
  readonly #label = new ByteWriter(256);
  readonly #body = new ByteWriter(64 * 1024);
  #seriesCount = 0;

  /** Bytes of the series so far. */
  get length(): number {
    return this.#body.length;
  }

  /** TimeSeries so far: one for each time that a series was begun. */
  get seriesCount(): number {
    return this.#seriesCount;
  }

  /** What is said of a metric. Type and name as in MetricMetadata. */
  metadata(type: number, family: string, help: string, unit: string): void {
    const body = this.#label;
    body.reset();
    body.u8(0x08);
    body.uvarint(type);
    body.u8(0x12);
    body.text(family);
    body.u8(0x22);
    body.text(help);
    body.u8(0x2a);
    body.text(unit);
    this.#body.u8(0x1a);
    this.#body.uvarint(body.length);
    this.#body.raw(body.bytes);
  }

  /** Begins a series. Its samples follow, then `endSeries`. */
  beginSeries(labels: SortedLabels): void {
    const label = this.#label;
    for (let i = 0; i < labels.length; i += 2) {
      label.reset();
      label.u8(0x0a);
      label.text(labels[i] as string);
      label.u8(0x12);
      label.text(labels[i + 1] as string);
      this.#series.u8(0x0a);
      this.#series.uvarint(label.length);
      this.#series.raw(label.bytes);
    }
  }

  /** A sample of the series that was begun: a timestamp from 0 to 2^53, and the bits of its value. */
  sample(timestampMs: number, low: number, high: number): void {
    const sample = this.#label;
    sample.reset();
    sample.u8(0x09);
    sample.u32le(low);
    sample.u32le(high);
    sample.u8(0x10);
    sample.uvarint(timestampMs);
    this.#series.u8(0x12);
    this.#series.u8(sample.length); // At most 19.
    this.#series.raw(sample.bytes);
  }

  /** A native histogram of the series that was begun: the message Histogram. */
  histogram(message: Uint8Array): void {
    this.#series.u8(0x22);
    this.#series.uvarint(message.length);
    this.#series.raw(message);
  }

  /** An exemplar of the series that was begun: the message Exemplar. */
  exemplar(message: Uint8Array): void {
    this.#series.u8(0x1a);
    this.#series.uvarint(message.length);
    this.#series.raw(message);
  }

  endSeries(): void {
    this.#body.u8(0x0a);
    this.#body.uvarint(this.#series.length);
    this.#body.raw(this.#series.bytes);
    this.#series.reset();
    this.#seriesCount++;
  }

  /** The request with all series so far; a view that is valid until the next `endSeries`. The next request begins empty. */
  take(): Uint8Array {
    const body = this.#body.bytes;
    this.#body.reset();
    this.#seriesCount = 0;
    return body;
  }
}
