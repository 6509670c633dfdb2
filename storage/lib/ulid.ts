/**
 * ULIDs, the names of blocks: 48 bits of milliseconds since 1970 and 80 random bits, as 26 characters of Crockford's
 * base 32, so that their text order is their time order. Upper case is written; as in Thanos (oklog/ulid), lower case is
 * read too. Source: github.com/ulid/spec.
 *
 *   01ARZ3NDEK TSV4RRFFQ69G5FAV
 *   time (48)  random (80)
 */

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const TIME_CHARACTERS = 10;
const RANDOM_BYTES = 10;
const MAX_TIME_MS = 2 ** 48 - 1;

/** The first character holds only 3 bits: a greater one would be 130 bits. */
const PATTERN = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/i;

/** Whether `text` is a ULID as Thanos accepts it as a block's directory name. */
export function isUlid(text: string): boolean {
  return PATTERN.test(text);
}

/** The ULID of a time and 10 random bytes. */
export function encodeUlid(timeMs: number, random: Uint8Array): string {
  let time = '';
  let rest = timeMs;
  for (let i = 0; i < TIME_CHARACTERS; i++) {
    time = ALPHABET.charAt(rest % 32) + time;
    rest = Math.floor(rest / 32);
  }
  let tail = '';
  let bits = 0;
  let bitCount = 0;
  for (let i = 0; i < RANDOM_BYTES; i++) {
    bits = (bits << 8) | (random[i] as number);
    for (bitCount += 8; bitCount >= 5; bitCount -= 5) tail += ALPHABET.charAt((bits >>> (bitCount - 5)) & 31);
    bits &= 31;
  }
  return time + tail;
}

/** The time in a ULID, in ms since 1970. Only for text that `isUlid` accepts. */
export function ulidTimeMs(ulid: string): number {
  let timeMs = 0;
  for (const character of ulid.slice(0, TIME_CHARACTERS).toUpperCase())
    timeMs = timeMs * 32 + ALPHABET.indexOf(character);
  return timeMs;
}

/** Makes ULIDs that are greater than all it made before, even if the clock stands still or goes back. */
export class UlidGenerator {
  readonly #source: { fill(target: Uint8Array): void };
  readonly #random = new Uint8Array(RANDOM_BYTES);
  #timeMs = -1;

  /** `random` gives the random bits (a Random of storage/io). */
  constructor(random: { fill(target: Uint8Array): void }) {
    this.#source = random;
  }

  /** The next ULID at `nowMs`. */
  next(nowMs: number): string {
    if (nowMs > this.#timeMs) {
      this.#timeMs = Math.min(Math.floor(nowMs), MAX_TIME_MS);
      this.#source.fill(this.#random);
    } else if (!this.#increment()) {
      this.#timeMs += 1;
      this.#source.fill(this.#random);
    }
    return encodeUlid(this.#timeMs, this.#random);
  }

  /** Adds one to the random part; false if it was all ones. */
  #increment(): boolean {
    for (let i = RANDOM_BYTES - 1; i >= 0; i--) {
      const byte = ((this.#random[i] as number) + 1) & 0xff;
      this.#random[i] = byte;
      if (byte !== 0) return true;
    }
    return false;
  }
}
