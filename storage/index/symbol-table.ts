/**
 * The symbols of an index file, read where they lie. Only the place of every 16th is kept; a look-up skips over at most
 * 15 others. Strings that were asked for lately are kept in a small table, so that a name repeated in every series is
 * decoded once and is one string in memory.
 */
import { ByteReader, decodeUtf8 } from '../lib/bytes.ts';
import { CorruptionError } from '../lib/errors.ts';
import { type IndexBytes, readSection } from './section.ts';

const SAMPLE_EVERY = 16;

/** Powers of two: the slot of a symbol is its low bits. */
const FEWEST_SLOTS = 16;
const MOST_SLOTS = 8192;
const NO_SYMBOL = -1;
/** A number, a reference, and a string of some 40 characters. */
const SLOT_BYTES: number = 4 + 8 + 64;

export class SymbolTable {
  readonly count: number;
  readonly #file: string;
  readonly #offset: number;
  readonly #content: Uint8Array;
  readonly #samples: Uint32Array;
  readonly #cachedSymbols: Int32Array;
  readonly #cachedStrings: string[];

  /** Reads the section at `offset`. Throws CorruptionError. */
  constructor(index: IndexBytes, offset: number) {
    this.#file = index.file;
    this.#offset = offset;
    this.#content = readSection(index, offset, 'the symbol table');
    const reader = new ByteReader(this.#content);
    this.count = reader.u32be();
    this.#samples = new Uint32Array(Math.ceil(Math.min(this.count, reader.remaining) / SAMPLE_EVERY));
    for (let symbol = 0; symbol < this.count && !reader.failed; symbol++) {
      if (symbol % SAMPLE_EVERY === 0) this.#samples[symbol / SAMPLE_EVERY] = reader.offset;
      reader.skip(reader.uvarint());
    }
    if (reader.failed)
      throw new CorruptionError(index.file, offset, `fewer symbols than the ${this.count} it declares`);
    let slots = FEWEST_SLOTS;
    while (slots < this.count && slots < MOST_SLOTS) slots *= 2;
    this.#cachedSymbols = new Int32Array(slots).fill(NO_SYMBOL);
    this.#cachedStrings = new Array<string>(slots).fill('');
  }

  /** Memory held besides the file's bytes, about. */
  get byteSize(): number {
    return this.#samples.byteLength + this.#cachedSymbols.length * SLOT_BYTES;
  }

  /** The string of a symbol. Throws CorruptionError if there is no such symbol. */
  lookup(symbol: number): string {
    const slot = symbol & (this.#cachedSymbols.length - 1);
    if (this.#cachedSymbols[slot] === symbol) return this.#cachedStrings[slot] as string;
    if (symbol >= this.count) {
      throw new CorruptionError(this.#file, this.#offset, `symbol ${symbol} is asked for, but there are ${this.count}`);
    }
    const reader = new ByteReader(this.#content, this.#samples[Math.floor(symbol / SAMPLE_EVERY)]);
    for (let skipped = symbol % SAMPLE_EVERY; skipped > 0; skipped--) reader.skip(reader.uvarint());
    const length = reader.uvarint();
    const string = decodeUtf8(this.#content, reader.offset, reader.offset + length);
    this.#cachedSymbols[slot] = symbol;
    this.#cachedStrings[slot] = string;
    return string;
  }
}
