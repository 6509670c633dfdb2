/**
 * The head as other threads see it, in the shared memory and without locks: symbols, labels and lists never change
 * once published; the chunks of a row are read under its version. What leaves the head stays in its place as long as
 * somebody reads who may have found it: this thread's snapshots see to that.
 *
 *   version even ─► copy open chunk, late chunk, closed chunks ─► version the same? ─► done, else again
 *
 * Nothing that is read may be believed before the version was compared: a chunk may have been freed and written over
 * meanwhile. So every address and length is checked against the memory before it is followed.
 */
import { instantiate, type KernelExports } from '../kernel/instance.ts';
import * as L from '../kernel/layout.ts';
import { SharedMemory } from '../kernel/shared-memory.ts';
import type { Labels } from '../model/labels.ts';
import { type Chunk, XOR } from '../model/series-source.ts';
import type { TimeRange } from '../model/time-range.ts';
import type { HeadItem, ItemKind } from './head-item.ts';

/** A chunk of the head, copied out; which cut takes it is told by window and generation. */
export interface HeadChunk extends Chunk {
  readonly window: number;
  readonly generation: number;
}

/** Says whether chunks and items of a window's generation are wanted. */
export type ChunkFilter = (window: number, generation: number) => boolean;

/** Meets the chunks of a row by their addresses; false if what is there cannot be. */
interface ChunkVisitor {
  open(address: number): boolean;
  closed(address: number): boolean;
}

const EVER: TimeRange = { minTimeMs: Number.NEGATIVE_INFINITY, maxTimeMs: Number.POSITIVE_INFINITY };

/** More closed chunks than a row can have in all its windows together: a chain that is longer was read while it moved. */
const MAX_CHUNKS_PER_ROW = 1 << 20;
const MAX_CHUNK_BYTES = 2304;
/** More items than a row can have, as with chunks. */
const MAX_ITEMS_PER_ROW = 1 << 24;
/** Symbols whose text is kept as a string. */
const CACHED_SYMBOLS = 1 << 20;

export class HeadView {
  readonly memory: SharedMemory;
  readonly #kernel: KernelExports;
  readonly #textAddress: number;
  readonly #texts = new Map<number, string>();
  /** The symbols of `#texts` are where they were then. */
  #textsVersion = 0;
  readonly #decoder = new TextDecoder();
  readonly #encoder = new TextEncoder();

  /** `reader` is this thread's number below MAX_READERS; no other thread has the same. */
  constructor(memory: WebAssembly.Memory, reader: number) {
    this.memory = new SharedMemory(memory);
    this.#kernel = instantiate(memory);
    this.#textAddress = L.READER_TEXT + reader * L.READER_TEXT_BYTES;
  }

  /** The text of a symbol. */
  text(symbol: number): string {
    const version = this.memory.loadWord(L.MEMORY_VERSION);
    if (version !== this.#textsVersion) this.#texts.clear();
    this.#textsVersion = version;
    const known = this.#texts.get(symbol);
    if (known !== undefined) return known;
    if (this.#texts.size >= CACHED_SYMBOLS) this.#texts.clear();
    const text = this.#decoder.decode(
      this.memory.bytes(symbol + L.SYMBOL_TEXT, this.memory.word(symbol + L.SYMBOL_LENGTH)).slice(),
    );
    this.#texts.set(symbol, text);
    return text;
  }

  /** The symbol with this text, or 0. */
  symbol(text: string): number {
    const bytes = this.#encoder.encode(text);
    if (bytes.length > L.READER_TEXT_BYTES - 16) return 0; // longer than any label may be
    this.memory.bytes(this.#textAddress, bytes.length).set(bytes);
    return this.#kernel.findSymbol(this.#textAddress, bytes.length) >>> 0;
  }

  /** The label name of a tenant (see NAME_… in layout.ts), or 0. */
  name(tenant: number, text: string): number {
    const symbol = this.symbol(text);
    return symbol === 0 ? 0 : this.#kernel.findName(tenant, symbol) >>> 0;
  }

  /** The pair of a name with a value (PAIR_…), or 0. */
  pair(name: number, value: string): number {
    const symbol = this.symbol(value);
    return symbol === 0 ? 0 : this.#kernel.findPair(name, symbol) >>> 0;
  }

  /** The items of a list as it is now. */
  list(address: number): Uint32Array {
    const { memory } = this;
    // Together: another list may take the place of this one meanwhile.
    const { low: length, high: first } = memory.loadPair(address + L.LIST_COUNT);
    const items = new Uint32Array(length);
    let segment = first;
    for (let filled = 0; filled < items.length; ) {
      const count = Math.min(memory.word(segment + L.SEGMENT_CAPACITY), items.length - filled);
      const bytes = memory.bytes(segment + L.SEGMENT_ITEMS, count * 4);
      items.set(new Uint32Array(bytes.buffer, bytes.byteOffset, count), filled);
      filled += count;
      segment = memory.word(segment + L.SEGMENT_NEXT);
    }
    return items;
  }

  /** The label symbols of a row: name, value, name, value, … in canonical order. */
  labelSymbols(row: number): Uint32Array {
    const labels = this.memory.word(row + L.ROW_LABELS);
    const bytes = this.memory.bytes(labels + 4, this.memory.word(labels) * 8);
    return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  }

  labels(row: number): Labels {
    return Array.from(this.labelSymbols(row), (symbol) => this.text(symbol));
  }

  ref(row: number): bigint {
    return this.memory.long(row + L.ROW_REF);
  }

  /**
   * Copies of the wanted chunks of a row, newest first; their times and bytes belong together, but for the end of an
   * open chunk: it may be the time of the sample that is being appended, which the bytes do not have yet.
   */
  chunks(row: number, wanted: ChunkFilter): HeadChunk[] {
    return this.#atRest(row, () => {
      const chunks: HeadChunk[] = [];
      const isWhole = this.#walk(row, wanted, {
        open: (address) => this.#addOpen(address, chunks),
        closed: (address) => this.#addClosed(address, chunks),
      });
      return isWhole ? chunks : undefined;
    });
  }

  /** Whether the row has a wanted chunk that reaches into the range. Copies nothing. */
  hasChunk(row: number, wanted: ChunkFilter, range: TimeRange = EVER): boolean {
    const reachesInto = (window: number, minOffset: number, maxTimeMs: number): boolean =>
      window * L.WINDOW_MS + minOffset < range.maxTimeMs && maxTimeMs >= range.minTimeMs;
    const { memory } = this;
    return this.#atRest(row, () => {
      let found = false;
      const isWhole = this.#walk(row, wanted, {
        open: (address) => {
          const window = memory.word(address + L.OPEN_WINDOW);
          const maxTimeMs = Number(memory.long(address + L.OPEN_LAST_TIME));
          found ||= reachesInto(window, memory.word(address + L.OPEN_MIN_OFFSET), maxTimeMs);
          return true;
        },
        closed: (address) => {
          const window = memory.word(address + L.CHUNK_WINDOW);
          const maxTimeMs = window * L.WINDOW_MS + memory.word(address + L.CHUNK_MAX_OFFSET);
          found ||= reachesInto(window, memory.word(address + L.CHUNK_MIN_OFFSET), maxTimeMs);
          return true;
        },
      });
      return isWhole ? found : undefined;
    });
  }

  /** Copies of the wanted items of a row, oldest first; those of one time by generation, then by kind. */
  items(row: number, wanted: ChunkFilter): HeadItem[] {
    const items = this.#atRest(row, () => {
      const found: HeadItem[] = [];
      const isWhole = this.#walkItems(row, (item, timeMs, window) => {
        const generation = this.memory.word(item + L.ITEM_GENERATION);
        if (!wanted(window, generation)) return true;
        const bytes = this.#itemBytes(item);
        if (bytes === undefined) return false;
        const kind = this.#byte(item + L.ITEM_KIND) as ItemKind;
        found.push({ kind, timeMs, bytes, window, generation });
        return true;
      });
      return isWhole ? found : undefined;
    });
    return items.sort((a, b) => a.timeMs - b.timeMs || a.generation - b.generation || a.kind - b.kind);
  }

  /** Whether the row has a wanted histogram in the range. Copies nothing. */
  hasHistogram(row: number, wanted: ChunkFilter, range: TimeRange = EVER): boolean {
    return this.#atRest(row, () => {
      let found = false;
      const isWhole = this.#walkItems(row, (item, timeMs, window) => {
        const isMeant = timeMs >= range.minTimeMs && timeMs < range.maxTimeMs && this.#isHistogram(item);
        found ||= isMeant && wanted(window, this.memory.word(item + L.ITEM_GENERATION));
        return true;
      });
      return isWhole ? found : undefined;
    });
  }

  /** Visits the items of a row; false if what was met cannot be: the row moves. */
  #walkItems(row: number, visit: (item: number, timeMs: number, window: number) => boolean): boolean {
    const { memory } = this;
    let left = MAX_ITEMS_PER_ROW;
    for (let items = memory.loadWord(row + L.ROW_CLASSES); items !== 0; items = memory.word(items + L.CLASS_NEXT)) {
      if (!this.#isInside(items, L.CLASS_BYTES) || items % 8 !== 0 || left-- === 0) return false;
      for (let item = memory.loadWord(items + L.CLASS_FIRST); item !== 0; item = memory.loadWord(item + L.ITEM_NEXT)) {
        if (!this.#isInside(item, L.ITEM_LINK) || item % 8 !== 0 || left-- === 0) return false;
        const timeMs = Number(memory.long(item + L.ITEM_TIME));
        if (!visit(item, timeMs, Math.floor(timeMs / L.WINDOW_MS))) return false;
      }
    }
    return true;
  }

  #isHistogram(item: number): boolean {
    const kind = this.#byte(item + L.ITEM_KIND);
    return kind === L.KIND_HISTOGRAM || kind === L.KIND_FLOAT_HISTOGRAM;
  }

  #itemBytes(item: number): Uint8Array | undefined {
    const length = this.memory.half(item + L.ITEM_LENGTH);
    const header = L.ITEM_LINK + 4 * (this.#byte(item + L.ITEM_LINKS) - 1);
    return this.#isInside(item, header + length) ? this.memory.bytes(item + header, length).slice() : undefined;
  }

  #byte(address: number): number {
    return this.memory.bytes(address, 1)[0] as number;
  }

  /** What `read` found between two moments in which the row did not move; undefined from it says that it must. */
  #atRest<T>(row: number, read: () => T | undefined): T {
    for (;;) {
      const version = this.memory.loadWord(row + L.ROW_VERSION);
      const found = version % 2 === 0 ? read() : undefined;
      if (found !== undefined && this.memory.loadWord(row + L.ROW_VERSION) === version) return found;
    }
  }

  /** Visits the wanted chunks of a row; false if what was met cannot be: the row moves. */
  #walk(row: number, wanted: ChunkFilter, visit: ChunkVisitor): boolean {
    const { memory } = this;
    for (const open of [row + L.ROW_OPEN, memory.loadWord(row + L.ROW_LATE)]) {
      if (open === 0 || memory.loadPair(open + L.OPEN_PUBLISHED).high === 0) continue;
      const isWanted = wanted(memory.word(open + L.OPEN_WINDOW), memory.word(open + L.OPEN_GENERATION));
      if (isWanted && !visit.open(open)) return false;
    }
    let chunk = memory.word(row + L.ROW_CHUNKS);
    for (let count = 0; chunk !== 0; count++) {
      if (count === MAX_CHUNKS_PER_ROW || !this.#isInside(chunk, L.CHUNK_XOR) || chunk % 8 !== 0) return false;
      const isWanted = wanted(memory.word(chunk + L.CHUNK_WINDOW), memory.word(chunk + L.CHUNK_GENERATION));
      if (isWanted && !visit.closed(chunk)) return false;
      chunk = memory.word(chunk + L.CHUNK_PREVIOUS);
    }
    return true;
  }

  #addOpen(open: number, chunks: HeadChunk[]): boolean {
    const { memory } = this;
    const { low: bits, high: count } = memory.loadPair(open + L.OPEN_PUBLISHED);
    const window = memory.word(open + L.OPEN_WINDOW);
    const generation = memory.word(open + L.OPEN_GENERATION);
    const maxTimeMs = Number(memory.long(open + L.OPEN_LAST_TIME));
    const buffer = memory.word(open + L.OPEN_BUFFER);
    const length = Math.ceil(bits / 8);
    if (length > MAX_CHUNK_BYTES || !this.#isInside(buffer, length)) return false;
    const bytes = memory.bytes(buffer, length).slice();
    // An append between the two reads would give the bytes a later time than they have.
    const now = memory.loadPair(open + L.OPEN_PUBLISHED);
    if (now.low !== bits || now.high !== count) return false;
    bytes[0] = count >>> 8;
    bytes[1] = count & 255;
    if (bits % 8 !== 0) bytes[length - 1] = (bytes[length - 1] as number) & (0xff00 >>> (bits % 8));
    const minTimeMs = window * L.WINDOW_MS + memory.word(open + L.OPEN_MIN_OFFSET);
    chunks.push({ minTimeMs, maxTimeMs, encoding: XOR, bytes, window, generation });
    return true;
  }

  #addClosed(chunk: number, chunks: HeadChunk[]): boolean {
    const { memory } = this;
    const window = memory.word(chunk + L.CHUNK_WINDOW);
    const generation = memory.word(chunk + L.CHUNK_GENERATION);
    const length = memory.half(chunk + L.CHUNK_LENGTH);
    if (!this.#isInside(chunk, L.CHUNK_XOR + length)) return false;
    chunks.push({
      minTimeMs: window * L.WINDOW_MS + memory.word(chunk + L.CHUNK_MIN_OFFSET),
      maxTimeMs: window * L.WINDOW_MS + memory.word(chunk + L.CHUNK_MAX_OFFSET),
      encoding: XOR,
      bytes: memory.bytes(chunk + L.CHUNK_XOR, length).slice(),
      window,
      generation,
    });
    return true;
  }

  #isInside(address: number, length: number): boolean {
    return address >= L.ARENA && address + length <= this.memory.byteLength;
  }
}
