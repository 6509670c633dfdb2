/** Numbers of OTLP's messages where they lie: eight bytes, little-endian. */

const TWO_32 = 0x1_0000_0000;
const NS_PER_MS = 1_000_000;

export function doubleAt(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(at, true);
}

/** Both halves are exact, so their sum is rounded once: to the nearest double. */
export function unsignedAt(bytes: Uint8Array, at: number): number {
  const words = new DataView(bytes.buffer, bytes.byteOffset);
  return words.getUint32(at + 4, true) * TWO_32 + words.getUint32(at, true);
}

/** As `unsignedAt`. */
export function signedAt(bytes: Uint8Array, at: number): number {
  const words = new DataView(bytes.buffer, bytes.byteOffset);
  return words.getInt32(at + 4, true) * TWO_32 + words.getUint32(at, true);
}

/** Nanoseconds to milliseconds, rounded down. Exact: 2^32 ns are 4294 ms and 967296 ns, and no term exceeds 2^53. */
export function timeAt(bytes: Uint8Array, at: number): number {
  const words = new DataView(bytes.buffer, bytes.byteOffset);
  const low = words.getUint32(at, true);
  const high = words.getUint32(at + 4, true);
  return high * 4294 + Math.floor((high * 967_296 + low) / NS_PER_MS);
}
