/**
 * Selectors of series as PromQL writes them, for match[]: a metric name, matchers in braces, or both.
 *
 *   selector = [metric] [ "{" [ matcher ("," matcher)* [","] ] "}" ]          at least one of the two
 *   matcher  = (identifier | string) ("=" | "!=" | "=~" | "!~") string | string      a lone string is the metric's name
 *   string   = "…" | '…' with Go's escapes, or `…` without
 *
 * White space and comments (# to the end of the line) may stand anywhere between. Source: Prometheus's
 * promql/parser/lex.go and generated_parser.y.
 */
import { Matcher, type MatcherType, StorageError } from '../../storage/index.ts';

/** Longest selector in characters. */
const MAX_SELECTOR = 65_536;

/**
 * The matchers of one match[] parameter. Throws StorageError 'invalid' with line and column if it is not a selector, or
 * if every matcher would also match an absent label, which would select everything there is.
 */
export function parseSelector(text: string): Matcher[] {
  if (text.length > MAX_SELECTOR) {
    throw new StorageError('invalid', `selector of ${text.length} characters, at most ${MAX_SELECTOR} are read`);
  }
  const matchers = new SelectorParser(text).parse();
  if (matchers.every((matcher) => matcher.matchesEmpty)) {
    throw new StorageError('invalid', 'match[] must contain at least one non-empty matcher');
  }
  return matchers;
}

const METRIC_NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL_NAME = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const OPERATOR = /=~|!~|!=|=/y;
const SPACE = /(?:[ \t\r\n]|#[^\r\n]*)*/y;

class SelectorParser {
  readonly #text: string;
  readonly #matchers: Matcher[] = [];
  #metric: string | undefined;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): Matcher[] {
    this.#take(SPACE);
    const metric = this.#take(METRIC_NAME);
    if (metric !== undefined) this.#addMetric(metric);
    this.#take(SPACE);
    if (this.#text[this.#at] === '{') this.#parseBraces();
    else if (metric === undefined) throw this.#unexpected('a metric name or "{"');
    this.#take(SPACE);
    if (this.#at < this.#text.length) throw this.#unexpected('the end of the selector');
    return this.#matchers;
  }

  #parseBraces(): void {
    this.#skip();
    while (this.#text[this.#at] !== '}') {
      this.#parseMatcher();
      this.#take(SPACE);
      if (this.#text[this.#at] === ',') this.#skip();
      else if (this.#text[this.#at] !== '}') throw this.#unexpected('"," or "}"');
    }
    this.#at += 1;
  }

  /** Past one character and the space after it. */
  #skip(): void {
    this.#at += 1;
    this.#take(SPACE);
  }

  #parseMatcher(): void {
    const start = this.#at;
    const quoted = this.#takeString();
    const name = quoted ?? this.#take(LABEL_NAME);
    if (name === undefined) throw this.#unexpected('a label name or "}"');
    this.#take(SPACE);
    const operator = this.#take(OPERATOR) as MatcherType | undefined;
    if (operator === undefined) {
      if (quoted === undefined) throw this.#unexpected('a label matching operator');
      this.#addMetric(quoted, start);
      return;
    }
    this.#take(SPACE);
    const value = this.#takeString();
    if (value === undefined) throw this.#unexpected('a string');
    if (name === '') throw this.#error(start, 'a label name is empty');
    if (name === '__name__' && this.#metric !== undefined) throw this.#twice(start, value);
    this.#addMatcher(start, operator, name, value);
  }

  #addMetric(name: string, start = this.#at): void {
    if (name === '') throw this.#error(start, 'the metric name is empty');
    const earlier = this.#metric ?? this.#matchers.find((matcher) => matcher.name === '__name__')?.value;
    if (earlier !== undefined) throw this.#twice(start, name, earlier);
    this.#metric = name;
    this.#addMatcher(start, '=', '__name__', name);
  }

  #addMatcher(start: number, type: MatcherType, name: string, value: string): void {
    try {
      this.#matchers.push(new Matcher(type, name, value));
    } catch (cause) {
      throw cause instanceof StorageError ? this.#error(start, cause.message) : cause;
    }
  }

  /** What the sticky expression matches here, and moves past it. */
  #take(expression: RegExp): string | undefined {
    expression.lastIndex = this.#at;
    const found = expression.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #takeString(): string | undefined {
    const start = this.#at;
    const quote = this.#text[start];
    if (quote !== '"' && quote !== "'" && quote !== '`') return undefined;
    let end = start + 1;
    while (this.#text[end] !== quote) {
      const c = this.#text[end];
      if (c === undefined || (c === '\n' && quote !== '`')) throw this.#error(start, 'unterminated string');
      end += c === '\\' && quote !== '`' ? 2 : 1;
    }
    this.#at = end + 1;
    const content = this.#text.slice(start + 1, end);
    return quote === '`' || !content.includes('\\') ? content : this.#unescape(content, start + 1, quote);
  }

  #unescape(content: string, start: number, quote: string): string {
    const bytes: Buffer[] = [];
    let from = 0;
    for (let at = content.indexOf('\\'); at >= 0; at = content.indexOf('\\', from)) {
      bytes.push(Buffer.from(content.slice(from, at)));
      const { length, value } = escapeAt(content, at + 1, quote) ?? {};
      if (length === undefined || value === undefined) throw this.#error(start + at, 'unknown escape sequence');
      bytes.push(value);
      from = at + 1 + length;
    }
    bytes.push(Buffer.from(content.slice(from)));
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(bytes));
    } catch {
      throw this.#error(start, 'the string is not valid UTF-8');
    }
  }

  #twice(at: number, name: string, earlier: string = this.#metric ?? ''): StorageError {
    const names = `${JSON.stringify(earlier)} or ${JSON.stringify(name)}`;
    return this.#error(at, `metric name must not be set twice: ${names}`);
  }

  #unexpected(expected: string): StorageError {
    const rest = this.#text.slice(this.#at);
    const found = rest === '' ? 'end of input' : JSON.stringify(String.fromCodePoint(rest.codePointAt(0) as number));
    return this.#error(this.#at, `unexpected ${found}, expected ${expected}`);
  }

  #error(at: number, message: string): StorageError {
    const before = this.#text.slice(0, at).split('\n');
    const column = [...(before.at(-1) as string)].length + 1;
    return new StorageError('invalid', `${before.length}:${column}: parse error: ${message}`);
  }
}

const CONTROL: Readonly<Record<string, number>> = { a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13, '\\': 0x5c };
const NUMERIC = /x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})/y;

/** The bytes of the escape sequence after a backslash, and its length; \x and octal ones stand for a byte. */
function escapeAt(text: string, at: number, quote: string): { length: number; value: Buffer } | undefined {
  const c = text[at];
  if (c === undefined) return undefined;
  if (c === quote) return { length: 1, value: Buffer.from(c) };
  const control = Object.hasOwn(CONTROL, c) ? CONTROL[c] : undefined;
  if (control !== undefined) return { length: 1, value: Buffer.of(control) };
  NUMERIC.lastIndex = at;
  const found = NUMERIC.exec(text);
  if (found === null) return undefined;
  const [all, byte, short, long, octal] = found;
  if (byte !== undefined || octal !== undefined) {
    const value = byte === undefined ? Number.parseInt(octal as string, 8) : Number.parseInt(byte, 16);
    return value > 255 ? undefined : { length: all.length, value: Buffer.of(value) };
  }
  const point = Number.parseInt((short ?? long) as string, 16);
  if (point > 0x10_ffff || (point >= 0xd800 && point < 0xe000)) return undefined;
  return { length: all.length, value: Buffer.from(String.fromCodePoint(point)) };
}
