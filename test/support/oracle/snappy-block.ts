/**
 * Oracle for snappy blocks: a decoder of google/snappy's format_description.txt, one byte at a time, that shares no
 * source with the engine. What is wrong with a block it tells by a code and a byte, as the engine's errors do.
 */

export type SnappyVerdict =
  | { readonly kind: 'decoded'; readonly bytes: Uint8Array }
  | { readonly kind: 'too-long'; readonly declared: number }
  | { readonly kind: 'corrupt'; readonly at: number };

/** Decodes a block of at most `limit` bytes. `at` is where the element begins that makes no sense. */
export function decodeSnappyBlock(input: Uint8Array, limit: number): SnappyVerdict {
  const preamble = readLength(input);
  if (preamble === undefined) return { kind: 'corrupt', at: 0 };
  const { declared } = preamble;
  if (declared > limit) return { kind: 'too-long', declared: Math.min(declared, 2 ** 32 - 1) };
  const output: number[] = [];
  let at = preamble.next;
  while (at < input.length) {
    const element = readElement(input, at);
    if (element === undefined || output.length + element.length > declared) return { kind: 'corrupt', at };
    if (element.offset === undefined) {
      if (element.next + element.length > input.length) return { kind: 'corrupt', at };
      for (let i = 0; i < element.length; i++) output.push(input[element.next + i] as number);
      at = element.next + element.length;
    } else {
      if (element.offset === 0 || element.offset > output.length) return { kind: 'corrupt', at };
      for (let i = 0; i < element.length; i++) output.push(output[output.length - element.offset] as number);
      at = element.next;
    }
  }
  if (output.length !== declared) return { kind: 'corrupt', at: input.length };
  return { kind: 'decoded', bytes: Uint8Array.from(output) };
}

/** A varint of at most five bytes. */
function readLength(input: Uint8Array): { declared: number; next: number } | undefined {
  let declared = 0;
  for (let i = 0; i < 5 && i < input.length; i++) {
    const byte = input[i] as number;
    declared += (byte % 128) * 2 ** (7 * i);
    if (byte < 128) return { declared, next: i + 1 };
  }
  return undefined;
}

interface Element {
  readonly length: number;
  /** Of a copy; a literal has none. */
  readonly offset?: number;
  /** Where the literal's bytes or the next element begin. */
  readonly next: number;
}

/** The element at `at`, or undefined if its header is cut. */
function readElement(input: Uint8Array, at: number): Element | undefined {
  const tag = input[at] as number;
  const number = (bytes: number): number | undefined => {
    let value = 0;
    for (let i = 0; i < bytes; i++) {
      const byte = input[at + 1 + i];
      if (byte === undefined) return undefined;
      value += byte * 256 ** i;
    }
    return value;
  };
  const kind = tag % 4;
  if (kind === 0) {
    const short = Math.floor(tag / 4);
    if (short < 60) return { length: short + 1, next: at + 1 };
    const length = number(short - 59);
    return length === undefined ? undefined : { length: length + 1, next: at + 1 + short - 59 };
  }
  const offset = number([0, 1, 2, 4][kind] as number);
  if (offset === undefined) return undefined;
  if (kind === 1) {
    return { length: 4 + (Math.floor(tag / 4) % 8), offset: Math.floor(tag / 32) * 256 + offset, next: at + 2 };
  }
  return { length: 1 + Math.floor(tag / 4), offset, next: at + (kind === 2 ? 3 : 5) };
}
