/**
 * Start timestamps inside a chunk of encoding 4, 5 or 6: when the counting of each sample began. Most chunks have one for
 * all samples.
 *
 *   header u8      first start known: 1 bit | index of the first sample whose start differs, 0 if none: 7 bits
 *   first sample   its time minus the start, varint, if that start is known
 *   from the index on   time of the sample before minus the start, varbit; of later samples the change of that
 *
 * Source: Prometheus, tsdb/chunkenc/st.go.
 */
import type { BitReader } from './bit-stream.ts';

export class StartTimeReader {
  readonly #isFirstKnown: boolean;
  readonly #firstChange: number;
  #start = 0;
  #difference = 0;

  constructor(header: number) {
    this.#isFirstKnown = (header & 0x80) !== 0;
    this.#firstChange = header & 0x7f;
  }

  /** The start of sample `index`, whose bits come next; 0 if it is not known. `timeBefore` is that of the one before. */
  read(bits: BitReader, index: number, time: number, timeBefore: number): number {
    if (index === 0) {
      if (this.#isFirstKnown) this.#start = time - bits.varint();
    } else if (this.#firstChange > 0 && index >= this.#firstChange) {
      this.#difference += bits.varbitNumber();
      this.#start = timeBefore - this.#difference;
    }
    return this.#start;
  }
}
