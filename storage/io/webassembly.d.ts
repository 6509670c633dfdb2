/** The part of the WebAssembly API in use. TypeScript declares it only together with the whole of a browser's. */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    readonly exports: Record<string, unknown>;
    constructor(module: Module, imports: Record<string, Record<string, unknown>>);
  }
  class Memory {
    readonly buffer: SharedArrayBuffer;
    constructor(descriptor: { initial: number; maximum: number; shared: true });
    /** Grows by 64 KiB pages; returns the pages before, throws RangeError if there is no room. */
    grow(pages: number): number;
  }
  class RuntimeError extends Error {}
}
