/**
 * The regular expressions of matchers: Go's RE2 syntax, anchored at both ends, `.` matches a newline too. The engine
 * is re2js, which is linear in the value; JavaScript's own expressions are neither RE2 nor linear, so user input never
 * reaches them.
 *
 * Most patterns that people and dashboards write need no engine: `a|b|c`, `api-.*`, `.*error.*`, `10\.0\..+`. They are
 * alternatives of literals with `.*` and `.+` between them, and are matched by string search:
 *
 *   alternative = ["^"] literal (wildcard literal)* ["$"]      wildcard = ".*" | ".+"      literal may be empty
 *
 * Whatever the small parser below does not know goes to the engine, errors included.
 * Source: the optimisations of Prometheus's model/labels/regexp.go.
 */
import { LRUCache } from 'lru-cache';
import { RE2JS } from 're2js';
import { StorageError } from '../lib/errors.ts';

/** Longest pattern, in UTF-16 units, that the engine compiles. */
export const MAX_ENGINE_PATTERN: number = 1024;
/** Longest pattern of plain alternatives: dashboards write one alternative for each selected host. */
export const MAX_PATTERN: number = 16_384;

/** A compiled pattern. */
export interface Pattern {
  matches(value: string): boolean;
  /** All values that match, if the pattern is a list of literals. */
  readonly literals: readonly string[] | undefined;
}

/** What is compiled stays so for a while. A memo: it changes how long an answer takes, never the answer. */
const compiled = new LRUCache<string, Pattern>({ max: 32 });

/** The pattern in a form that can match. Throws StorageError 'invalid', naming the pattern, if it is not one. */
export function compilePattern(text: string): Pattern {
  let pattern = compiled.get(text);
  if (pattern === undefined) {
    if (text.length > MAX_PATTERN) throw tooLong(text, MAX_PATTERN);
    const alternatives = parseAlternatives(text);
    pattern = alternatives === undefined ? compileWithEngine(text) : compileAlternatives(alternatives);
    compiled.set(text, pattern);
  }
  return pattern;
}

function compileWithEngine(text: string): Pattern {
  if (text.length > MAX_ENGINE_PATTERN) throw tooLong(text, MAX_ENGINE_PATTERN);
  let engine: RE2JS;
  try {
    engine = RE2JS.compile(text, RE2JS.DOTALL);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    // The engine writes its own flags in front of the pattern.
    const reason = message.replace(`(?s)${text}`, () => text);
    throw new StorageError('invalid', `invalid regular expression ${quoted(text)}: ${reason}`, { cause });
  }
  return { matches: (value) => engine.testExact(value), literals: undefined };
}

function tooLong(text: string, limit: number): StorageError {
  return new StorageError(
    'invalid',
    `regular expression ${quoted(text)} is too long: ${text.length} characters, at most ${limit}`,
  );
}

function quoted(text: string): string {
  return JSON.stringify(text.length <= 100 ? text : `${text.slice(0, 100)}…`);
}

/** One alternative: literals with wildcards between them; `minimumGaps[i]`, 0 or 1 characters, precedes `literals[i + 1]`. */
interface Alternative {
  readonly literals: string[];
  readonly minimumGaps: number[];
}

function compileAlternatives(alternatives: readonly Alternative[]): Pattern {
  const literals = alternatives
    .filter(({ minimumGaps }) => minimumGaps.length === 0)
    .map((a) => a.literals[0] as string);
  const sequences = alternatives.filter(({ minimumGaps }) => minimumGaps.length > 0);
  const set = new Set(literals);
  if (sequences.length === 0) return { matches: (value) => set.has(value), literals: [...set] };
  return {
    matches: (value) => set.has(value) || sequences.some((sequence) => matchesSequence(sequence, value)),
    literals: undefined,
  };
}

/** The leftmost place for each literal leaves the most room for the next, so a search that never goes back decides. */
function matchesSequence({ literals, minimumGaps }: Alternative, value: string): boolean {
  if (!value.startsWith(literals[0] as string)) return false;
  const last = literals.length - 1;
  let position = (literals[0] as string).length;
  for (let i = 1; i < last; i++) {
    const literal = literals[i] as string;
    const found = value.indexOf(literal, position + (minimumGaps[i - 1] as number));
    if (found < 0) return false;
    position = found + literal.length;
  }
  const suffix = literals[last] as string;
  return value.length - suffix.length >= position + (minimumGaps[last - 1] as number) && value.endsWith(suffix);
}

const META = '\\.+*?()[]{}^$|';
/** A backslash before one of these stands for the character itself, in RE2 as here. */
const ESCAPABLE = '\\.+*?()[]{}^$|/-:_,;="\'@#%&!<>~`';

/** The alternatives of a pattern, or undefined if it is more than literals and wildcards. */
function parseAlternatives(text: string): Alternative[] | undefined {
  let begin = 0;
  let end = text.length;
  // One group around everything: its closing parenthesis ends the pattern, and the loop below refuses any other.
  if (text.startsWith('(') && text.endsWith(')') && !text.endsWith('\\)')) {
    begin = text.startsWith('(?:') ? 3 : 1;
    end -= 1;
  }
  const alternatives: Alternative[] = [];
  let alternative: Alternative = { literals: [''], minimumGaps: [] };
  let i = begin;
  if (text[i] === '^') i += 1;
  while (i < end) {
    const c = text[i] as string;
    if (c === '|') {
      alternatives.push(alternative);
      alternative = { literals: [''], minimumGaps: [] };
      i += text[i + 1] === '^' && i + 1 < end ? 2 : 1;
    } else if (c === '$' && (i + 1 === end || text[i + 1] === '|')) {
      i += 1;
    } else if (c === '.') {
      const operator = text[i + 1];
      if (i + 2 > end || (operator !== '*' && operator !== '+') || '*+?{'.includes(text[i + 2] ?? ' '))
        return undefined;
      // Two wildcards in a row count code points, which string search does not.
      if (alternative.minimumGaps.length > 0 && alternative.literals.at(-1) === '') return undefined;
      alternative.minimumGaps.push(operator === '+' ? 1 : 0);
      alternative.literals.push('');
      i += 2;
    } else {
      const escaped = c === '\\';
      const literal = escaped ? text[i + 1] : c;
      if (literal === undefined || (escaped ? !ESCAPABLE.includes(literal) : META.includes(c))) return undefined;
      i += escaped ? 2 : 1;
      // A repetition operator would take the last character out of the literal.
      if (i > end || (i < end && '*+?{'.includes(text[i] as string))) return undefined;
      alternative.literals[alternative.literals.length - 1] += literal;
    }
  }
  alternatives.push(alternative);
  return alternatives;
}
