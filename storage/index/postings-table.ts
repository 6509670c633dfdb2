/**
 * The postings offset table of an index file, read where it lies: sorted by name, then by value. For each name the place
 * of every 32nd entry is kept; a look-up is a binary search over those and a walk over at most 31 others.
 *
 *   name ─► first, first + 32 entries, first + 64 entries …
 *                       └► 2 u8 | length name | length value | offset uvarint
 */
import { ByteReader } from '../lib/bytes.ts';
import { CorruptionError } from '../lib/errors.ts';
import { ALL_POSTINGS, PAIR_STRINGS } from './format.ts';
import { type IndexBytes, readSection } from './section.ts';

const SAMPLE_EVERY = 32;

/** Where the postings list of a pair lies in the index file. */
export interface PostingsPlace {
  readonly offset: number;
  /** Where the next list begins: how far this one reaches, in every index that is written from front to back. */
  readonly end: number;
}

interface NameEntries {
  readonly samples: number[];
  count: number;
}

export class PostingsTable {
  readonly #content: Uint8Array;
  /** Where the last list ends at the latest. */
  readonly #listsEnd: number;
  readonly #names = new Map<string, NameEntries>();
  #sampleCount = 0;

  /** Reads the section at `offset`; all lists lie before `listsEnd` in the index file. Throws CorruptionError. */
  constructor(index: IndexBytes, offset: number, listsEnd: number) {
    this.#listsEnd = listsEnd;
    this.#content = readSection(index, offset, 'the postings offset table');
    const reader = new ByteReader(this.#content);
    const count = reader.u32be();
    let lastName: Uint8Array | undefined;
    let entries: NameEntries = { samples: [], count: 0 };
    for (let i = 0; i < count; i++) {
      const start = reader.offset;
      const strings = reader.u8();
      const name = reader.raw(reader.uvarint());
      reader.skip(reader.uvarint());
      reader.uvarint();
      if (reader.failed || strings !== PAIR_STRINGS) {
        throw new CorruptionError(
          index.file,
          offset,
          `entry ${i} of ${count} of the postings offset table is malformed`,
        );
      }
      if (lastName === undefined || Buffer.compare(name, lastName) !== 0) {
        entries = { samples: [], count: 0 };
        this.#names.set(Buffer.from(name).toString(), entries);
        lastName = name;
      }
      if (entries.count++ % SAMPLE_EVERY === 0) {
        entries.samples.push(start);
        this.#sampleCount++;
      }
    }
  }

  /** Memory held besides the file's bytes. */
  get byteSize(): number {
    return this.#sampleCount * 8 + this.#names.size * 128;
  }

  /** All label names, in byte order. */
  names(): string[] {
    return [...this.#names.keys()].filter((name) => name !== ALL_POSTINGS);
  }

  /** All values of a name, in byte order. */
  values(name: string): string[] {
    const values: string[] = [];
    const entries = this.#names.get(name);
    if (entries === undefined) return values;
    const reader = new ByteReader(this.#content, entries.samples[0]);
    for (let i = 0; i < entries.count; i++) {
      skipName(reader);
      values.push(reader.text());
      reader.uvarint();
    }
    return values;
  }

  /** Where the postings of a pair are; undefined if there is no such pair. */
  find(name: string, value: string): PostingsPlace | undefined {
    const entries = this.#names.get(name);
    if (entries === undefined) return undefined;
    const target = Buffer.from(value);
    const sample = this.#lastSampleNotAfter(entries.samples, target);
    const reader = new ByteReader(this.#content, entries.samples[sample]);
    const end = Math.min(entries.count, (sample + 1) * SAMPLE_EVERY);
    for (let i = sample * SAMPLE_EVERY; i < end; i++) {
      skipName(reader);
      const order = Buffer.compare(reader.raw(reader.uvarint()), target);
      const offset = reader.uvarint();
      if (order === 0) return { offset, end: this.#endAfter(offset, reader) };
      if (order > 0) return undefined;
    }
    return undefined;
  }

  /** `reader` is behind the entry of the list at `offset`. */
  #endAfter(offset: number, reader: ByteReader): number {
    skipName(reader);
    reader.skip(reader.uvarint());
    const next = reader.uvarint();
    return !reader.failed && next > offset ? next : this.#listsEnd;
  }

  #lastSampleNotAfter(samples: readonly number[], target: Uint8Array): number {
    let low = 0;
    let high = samples.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      const reader = new ByteReader(this.#content, samples[middle]);
      skipName(reader);
      if (Buffer.compare(reader.raw(reader.uvarint()), target) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function skipName(reader: ByteReader): void {
  reader.skip(1);
  reader.skip(reader.uvarint());
}
