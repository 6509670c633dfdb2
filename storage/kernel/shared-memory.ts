/**
 * Views of a shard's memory. It grows while it is in use, on any thread; a view made before shows only what was there.
 * So nobody keeps a view: everything goes through this accessor, which makes new ones when it meets an address beyond.
 */
export class SharedMemory {
  readonly memory: WebAssembly.Memory;
  #bytes: Uint8Array;
  #words: Uint32Array;
  #atomics: Int32Array;
  #longs: BigUint64Array;

  constructor(memory: WebAssembly.Memory) {
    this.memory = memory;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
    this.#atomics = new Int32Array(memory.buffer);
    this.#longs = new BigUint64Array(memory.buffer);
  }

  /** The bytes [address, address + length); valid while the memory lives. RangeError beyond its end. */
  bytes(address: number, length: number): Uint8Array {
    if (address + length > this.#bytes.length) this.#refresh(address + length);
    return this.#bytes.subarray(address, address + length);
  }

  /** The u32 at a multiple of four. */
  word(address: number): number {
    if (address + 4 > this.#bytes.length) this.#refresh(address + 4);
    return this.#words[address / 4] as number;
  }

  setWord(address: number, value: number): void {
    if (address + 4 > this.#bytes.length) this.#refresh(address + 4);
    this.#words[address / 4] = value;
  }

  /** The u16 at an even address. */
  half(address: number): number {
    const word = this.word(address - (address % 4));
    return address % 4 === 0 ? word & 0xffff : word >>> 16;
  }

  /** The u64 at a multiple of eight. */
  long(address: number): bigint {
    if (address + 8 > this.#bytes.length) this.#refresh(address + 8);
    return this.#longs[address / 8] as bigint;
  }

  setLong(address: number, value: bigint): void {
    if (address + 8 > this.#bytes.length) this.#refresh(address + 8);
    this.#longs[address / 8] = value;
  }

  /** The u32 at a multiple of four, read after everything that was written before it. */
  loadWord(address: number): number {
    if (address + 4 > this.#bytes.length) this.#refresh(address + 4);
    return Atomics.load(this.#atomics, address / 4) >>> 0;
  }

  storeWord(address: number, value: number): void {
    Atomics.store(this.#atomics, address / 4, value | 0);
  }

  /** The u64 at a multiple of eight in one piece, low and high half. */
  loadPair(address: number): { low: number; high: number } {
    if (address + 8 > this.#bytes.length) this.#refresh(address + 8);
    const value = Atomics.load(this.#longs, address / 8);
    return { low: Number(value & 0xffffffffn), high: Number(value >> 32n) };
  }

  get byteLength(): number {
    return this.memory.buffer.byteLength;
  }

  #refresh(needed: number): void {
    const { buffer } = this.memory;
    if (buffer.byteLength < needed)
      throw new RangeError(`address ${needed} is beyond the memory's ${buffer.byteLength} bytes`);
    this.#bytes = new Uint8Array(buffer);
    this.#words = new Uint32Array(buffer);
    this.#atomics = new Int32Array(buffer);
    this.#longs = new BigUint64Array(buffer);
  }
}
