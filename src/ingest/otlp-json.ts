/**
 * OTLP's JSON form, turned into its protobuf form while it is read: one pass over the bytes, no objects, and the rest of
 * the way is the same for both. Names are looked up in tables, so `__proto__` is an unknown name like any other.
 *
 * As in protobuf's JSON mapping: 64-bit integers are strings or numbers, doubles may be "NaN", "Infinity", "-Infinity",
 * bytes are base64 (IDs of traces and spans hexadecimal, as OTLP has it), null is an absent field, unknown names are skipped. Beyond it: names may also be those of the
 * definition (`data_points`), enums are numbers or names, as Prometheus takes them.
 */
import { isUtf8 } from 'node:buffer';
import { StorageError } from '../../storage/index.ts';
import { MAX_DEPTH } from './otlp-protobuf.ts';
import { type Field, type Message, wireTypeOf } from './otlp-schema.ts';
import { ProtobufWriter } from './protobuf-writer.ts';

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const INTEGER = /^-?\d{1,20}$/;
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;
const HEX = /^(?:[0-9A-Fa-f]{2})*$/;
/** Bytes that OTLP writes in hexadecimal. */
const IDS: ReadonlySet<string> = new Set(['trace_id', 'span_id']);
const WORDS: ReadonlyMap<string, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * The protobuf form of the `message` that `json` is. It is at most `limitBytes` long and passes `checkMessage` but for
 * the number of messages. Throws StorageError 'invalid' (`json: <what> at byte N`), or 'limit' if it becomes longer.
 */
export function transcodeJson(json: Uint8Array, message: Message, limitBytes: number): Uint8Array {
  if (!isUtf8(json)) throw new StorageError('invalid', 'json: the body is not valid UTF-8');
  return new Transcoder(json, limitBytes).transcode(message);
}

class Transcoder {
  readonly #json: Uint8Array;
  #at = 0;
  readonly #target: ProtobufWriter;

  constructor(json: Uint8Array, limitBytes: number) {
    this.#json = json;
    this.#target = new ProtobufWriter(limitBytes);
  }

  transcode(message: Message): Uint8Array {
    this.#message(message, 1);
    this.#space();
    if (this.#at < this.#json.length) throw this.#damage('more after the end');
    return this.#target.bytes;
  }

  #message(message: Message, depth: number): void {
    let seen = 0;
    this.#members(depth, () => {
      const start = this.#at;
      const name = this.#string();
      this.#expect(COLON);
      const field = message.byName.get(name);
      if (field === undefined) this.#skip(depth + 1);
      else if (!this.#null()) {
        if ((seen & field.exclusive) !== 0) throw this.#damage(`${name} beside another value`, start);
        seen |= 1 << field.number;
        if (field.isRepeated) this.#elements(depth, () => this.#field(field, depth));
        else this.#field(field, depth);
      }
    });
  }

  /** An object: `member` is called at each name. */
  #members(depth: number, member: () => void): void {
    this.#list(OPEN_OBJECT, CLOSE_OBJECT, depth, member);
  }

  /** An array: `element` is called at each value. */
  #elements(depth: number, element: () => void): void {
    this.#list(OPEN_ARRAY, CLOSE_ARRAY, depth, element);
  }

  #list(open: number, close: number, depth: number, item: () => void): void {
    this.#expect(open);
    if (depth > MAX_DEPTH) throw this.#damage(`nested deeper than ${MAX_DEPTH}`);
    if (this.#peek() === close) {
      this.#at++;
      return;
    }
    for (;;) {
      item();
      const next = this.#peek();
      if (next !== COMMA && next !== close) throw this.#damage(`expected "," or "${String.fromCharCode(close)}"`);
      this.#at++;
      if (next === close) return;
    }
  }

  #field(field: Field, depth: number): void {
    this.#target.tag(field.number, wireTypeOf(field.kind));
    if (field.message !== undefined) {
      const start = this.#target.begin();
      this.#message(field.message, depth + 1);
      this.#target.end(start);
    } else {
      this.#scalar(field);
    }
  }

  #scalar(field: Field): void {
    const { kind } = field;
    if (kind === 'string') {
      const text = this.#string();
      this.#target.content(Buffer.from(text));
    } else if (kind === 'bytes') {
      const start = this.#at;
      const text = this.#string();
      const isId = IDS.has(field.name);
      if (isId ? !HEX.test(text) : !BASE64.test(text))
        throw this.#damage(`${field.name} is not ${isId ? 'hexadecimal' : 'base64'}`, start);
      this.#target.content(Buffer.from(text, isId ? 'hex' : 'base64'));
    } else if (kind === 'bool') {
      const start = this.#at;
      const word = this.#token();
      if (word !== 'true' && word !== 'false') throw this.#damage(`${field.name} is neither true nor false`, start);
      this.#target.uvarint(word === 'true' ? 1n : 0n);
    } else if (kind === 'double') {
      this.#target.double(this.#double(field));
    } else {
      const value = this.#integer(field);
      if (kind === 'fixed64' || kind === 'sfixed64') this.#target.fixed64(value);
      else if (kind === 'sint32') this.#target.uvarint(BigInt.asUintN(32, (value << 1n) ^ (value >> 31n)));
      else this.#target.uvarint(BigInt.asUintN(64, value));
    }
  }

  #double(field: Field): number {
    this.#space();
    const start = this.#at;
    const isString = this.#peek() === QUOTE;
    const text = isString ? this.#string() : this.#token();
    const word = isString ? WORDS.get(text) : undefined;
    if (word !== undefined) return word;
    const value = Number(text);
    if (!NUMBER.test(text) || !Number.isFinite(value)) throw this.#damage(`${field.name} is not a double`, start);
    return value;
  }

  #integer(field: Field): bigint {
    this.#space();
    const start = this.#at;
    const text = this.#peek() === QUOTE ? this.#string() : this.#token();
    const named = field.values?.get(text);
    if (named !== undefined) return BigInt(named);
    let value: bigint | undefined;
    if (INTEGER.test(text)) value = BigInt(text);
    else if (NUMBER.test(text) && Number.isSafeInteger(Number(text))) value = BigInt(Number(text)); // 1e3, 1.0
    if (value === undefined || !isInRange(value, field))
      throw this.#damage(`${field.name} is not ${field.kind}`, start);
    return value;
  }

  /** The string at the current position. */
  #string(): string {
    this.#expect(QUOTE);
    const start = this.#at;
    let isPlain = true;
    for (;;) {
      const byte = this.#json[this.#at];
      if (byte === undefined) throw this.#damage('cut string', start);
      if (byte === QUOTE) break;
      if (byte < 0x20) throw this.#damage('control character in a string');
      if (byte === BACKSLASH) {
        isPlain = false;
        this.#at++;
      }
      this.#at++;
    }
    const end = this.#at++;
    if (isPlain) return this.#text(start, end);
    let text: string;
    try {
      text = JSON.parse(this.#text(start - 1, end + 1)) as string;
    } catch {
      throw this.#damage('bad escape in a string', start);
    }
    if (!text.isWellFormed()) throw this.#damage('half a surrogate pair in a string', start);
    return text;
  }

  /** A number or a word, as it stands there. */
  #token(): string {
    this.#space();
    const start = this.#at;
    while (isTokenByte(this.#json[this.#at])) this.#at++;
    if (this.#at === start) throw this.#damage('expected a value');
    return this.#text(start, this.#at);
  }

  #null(): boolean {
    if (this.#peek() !== 0x6e) return false;
    const start = this.#at;
    if (this.#token() !== 'null') throw this.#damage('expected a value', start);
    return true;
  }

  /** Any value, of an unknown field. */
  #skip(depth: number): void {
    const next = this.#peek();
    if (next === OPEN_OBJECT) {
      this.#members(depth, () => {
        this.#string();
        this.#expect(COLON);
        this.#skip(depth + 1);
      });
    } else if (next === OPEN_ARRAY) {
      this.#elements(depth, () => this.#skip(depth + 1));
    } else if (next === QUOTE) {
      this.#string();
    } else {
      const start = this.#at;
      const word = this.#token();
      if (word !== 'null' && word !== 'true' && word !== 'false' && !NUMBER.test(word)) {
        throw this.#damage('expected a value', start);
      }
    }
  }

  #expect(wanted: number): void {
    if (this.#peek() !== wanted) throw this.#damage(`expected ${JSON.stringify(String.fromCharCode(wanted))}`);
    this.#at++;
  }

  /** The next byte that is no white space, or undefined at the end. */
  #peek(): number | undefined {
    this.#space();
    return this.#json[this.#at];
  }

  #space(): void {
    for (;;) {
      const byte = this.#json[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#at++;
    }
  }

  #text(from: number, to: number): string {
    return Buffer.from(this.#json.buffer, this.#json.byteOffset + from, to - from).toString();
  }

  #damage(what: string, at: number = this.#at): StorageError {
    return new StorageError('invalid', `json: ${what} at byte ${at}`);
  }
}

function isTokenByte(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  const isLetter = (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;
  return isLetter || (byte >= 0x30 && byte <= 0x39) || byte === 0x2b || byte === 0x2d || byte === 0x2e;
}

function isInRange(value: bigint, { kind }: Field): boolean {
  if (kind === 'fixed64' || kind === 'uint64') return BigInt.asUintN(64, value) === value;
  if (kind === 'uint32') return BigInt.asUintN(32, value) === value;
  return BigInt.asIntN(kind === 'enum' || kind === 'sint32' ? 32 : 64, value) === value;
}
