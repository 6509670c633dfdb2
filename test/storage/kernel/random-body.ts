/**
 * Bodies for the fuzz: random requests, half of them changed before they are packed, a quarter after. Everything
 * follows from the seed.
 */
import { compressSync } from 'snappy';
import type { Protocol } from '../../../storage/kernel/kernel.ts';
import type { Seeded } from '../../support/seeded.ts';
import { varint } from '../../support/wire-writer.ts';
import { randomRequest } from './random-request.ts';
import { randomRequestV2 } from './random-request-v2.ts';

export interface RandomBody {
  readonly body: Uint8Array;
  /** Whether the message was changed before it was packed. */
  readonly isMessageChanged: boolean;
  readonly protocol: Protocol;
}

interface RandomMessage {
  readonly protocol: Protocol;
  readonly bytes: Uint8Array;
}

/** Bytes that mean something to the wire format. */
const TELLING: readonly number[] = [0x00, 0x08, 0x09, 0x0a, 0x10, 0x12, 0x1a, 0x22, 0x2a, 0x7f, 0x80, 0xff];
const PROTOCOLS: readonly Protocol[] = ['v1', 'v2'];
const MISNAMED = 0.01;
const MOST_CHANGES = 4;
const MESSAGES = 64;
const MET_AGAIN = 0.95;
/** Long messages take the oracles most of their time and find little more: few are kept. */
const LONG_BYTES = 1000;
const LONG_KEPT = 0.05;

/** Endless bodies. A message is met more than once, changed otherwise each time: making one is the dearest step. */
export class RandomBodies {
  readonly #random: Seeded;
  readonly #messages: RandomMessage[] = [];

  constructor(random: Seeded) {
    this.#random = random;
  }

  next(): RandomBody {
    const { protocol, bytes } = this.#message();
    // The two protocols share their wire format: a message may come under the name of the other.
    const named = this.#random.chance(MISNAMED) ? this.#random.pick(PROTOCOLS) : protocol;
    return { ...randomBody(bytes, this.#random), protocol: named };
  }

  #message(): RandomMessage {
    const random = this.#random;
    if (this.#messages.length === MESSAGES && random.chance(MET_AGAIN)) return random.pick(this.#messages);
    const protocol = random.pick(PROTOCOLS);
    const make = protocol === 'v1' ? randomRequest : randomRequestV2;
    let bytes = make(random);
    while (bytes.length > LONG_BYTES && !random.chance(LONG_KEPT)) bytes = make(random);
    const message = { protocol, bytes };
    this.#messages[this.#messages.length < MESSAGES ? this.#messages.length : random.below(MESSAGES)] = message;
    return message;
  }
}

function randomBody(message: Uint8Array, random: Seeded): Omit<RandomBody, 'protocol'> {
  const kind = random.below(4);
  if (kind < 2) return { body: compressSync(changed(message, random)), isMessageChanged: true };
  const body = random.chance(0.5) ? compressSync(message) : packed(message, random);
  return { body: kind === 2 ? body : changed(body, random), isMessageChanged: false };
}

/** A snappy block as no compressor writes it: short literals and copies that reach as far back as they can, or farther. */
function packed(message: Uint8Array, random: Seeded): Uint8Array {
  const block: number[] = [...varint(message.length)];
  for (let at = 0; at < message.length; ) {
    const back = random.pick([at, at + 1, 1, random.between(1, at + 1)]);
    const length = Math.min(random.between(1, 60), message.length - at);
    const isCopy = random.chance(0.3) && (repeats(message, at, back, length) || random.chance(0.01));
    if (isCopy && back < 65_536) block.push(((length - 1) << 2) | 2, back & 255, back >>> 8);
    else block.push((length - 1) << 2, ...message.subarray(at, at + length));
    at += length;
  }
  return Uint8Array.from(block);
}

/** Whether the bytes from `at` on are those that begin `back` bytes before. */
function repeats(bytes: Uint8Array, at: number, back: number, length: number): boolean {
  for (let i = at; i < at + length; i++) if (back > at || bytes[i] !== bytes[i - back]) return false;
  return true;
}

/** Some bytes replaced, flipped, put in, taken out, copied elsewhere, or the end cut off. */
function changed(bytes: Uint8Array, random: Seeded): Uint8Array {
  let result = Uint8Array.from(bytes);
  for (let changes = random.between(1, MOST_CHANGES); changes > 0; changes--) result = changedOnce(result, random);
  return result;
}

function changedOnce(bytes: Uint8Array<ArrayBuffer>, random: Seeded): Uint8Array<ArrayBuffer> {
  const at = random.below(bytes.length + 1);
  const kind = random.below(6);
  if (bytes.length === 0 || kind === 0) return spliced(bytes, at, 0, [randomByte(random)]);
  if (kind === 1) return spliced(bytes, at, random.between(1, 3), []);
  if (kind === 2) {
    const from = random.below(bytes.length);
    return spliced(bytes, at, 0, bytes.subarray(from, from + random.between(1, 40)));
  }
  if (kind === 3 && random.chance(0.3)) return bytes.slice(0, at);
  const place = random.below(bytes.length);
  bytes[place] = kind === 4 ? (bytes[place] as number) ^ (1 << random.below(8)) : randomByte(random);
  return bytes;
}

function spliced(bytes: Uint8Array, at: number, removed: number, inserted: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const behind = bytes.subarray(Math.min(at + removed, bytes.length));
  const result = new Uint8Array(at + inserted.length + behind.length);
  result.set(bytes.subarray(0, at));
  result.set(inserted, at);
  result.set(behind, at + inserted.length);
  return result;
}

function randomByte(random: Seeded): number {
  return random.chance(0.5) ? random.pick(TELLING) : random.below(256);
}
