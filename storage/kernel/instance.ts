/** The compiled kernel and what it exports. Promises of the functions are in assembly/index.ts. */
import { compileWasmFile } from '../io/wasm-file.ts';

export interface KernelExports {
  initialize(arena: number, softLimit: number, hardLimit: number, seed: number): void;
  initializeCodec(): void;
  crc32c(crc: number, at: number, length: number): number;
  decodeSnappy(from: number, length: number, to: number, limit: number): number;
  findTenant(key: number, length: number): number;
  findSymbol(at: number, length: number): number;
  findName(tenant: number, symbol: number): number;
  findPair(name: number, value: number): number;
  validateV1(tenant: number, length: number): number;
  validateV2(tenant: number, length: number): number;
  apply(tenant: number, latest: bigint): number;
  plannedSamples(): number;
  reserveNames(at: number, length: number): void;
  makeReplica(): number;
  forgetRowless(): void;
  meetReplicas(): void;
  pushFrame(payload: number, length: number): void;
  redefine(upTo: number): number;
  endReplay(): void;
  cover(tenant: number, window: number, generation: number, position: bigint): void;
  replay(at: number, length: number, sequence: bigint): number;
  seal(tenant: number, window: number): number;
  dropFromSegment(segment: number, index: number, count: number, window: number, generation: number): void;
  release(tenant: number, window: number): void;
  markEmpty(segment: number, index: number, count: number): number;
  collect(tenant: number, work: number): number;
  sealRetired(): number;
  freeRetired(count: number): number;
  decodeXor(at: number, length: number, times: number, values: number, limit: number): number;
  encodeXor(times: number, values: number, count: number, open: number, to: number): number;
}

/** Says under which labels a series is stored; see layout.ts ADMIT_…. `count` labels stand in SCRATCH. */
export type AdmitSeries = (tenant: number, count: number) => number;

let module: WebAssembly.Module | undefined;

/**
 * An instance of the kernel on a memory. A trap in it leaves the memory half-written: the caller must not go on. Only the
 * instance that writes needs `admit`, and only with a policy.
 */
export function instantiate(memory: WebAssembly.Memory, admit: AdmitSeries = noPolicy): KernelExports {
  module ??= compileWasmFile(new URL('../../build/kernel.wasm', import.meta.url));
  const abort = (_message: number, _file: number, line: number): never => {
    throw new WebAssembly.RuntimeError(`kernel aborted at line ${line}`);
  };
  return new WebAssembly.Instance(module, { env: { memory, abort }, host: { admit } })
    .exports as unknown as KernelExports;
}

function noPolicy(): never {
  throw new WebAssembly.RuntimeError('the kernel asked for a policy that it was not given');
}
