/**
 * A matcher: the condition `name = | != | =~ | !~ value` on one label of a series. A label that a series does not
 * have counts as one with the value ''.
 */
import { StorageError } from '../lib/errors.ts';
import { compilePattern } from './pattern.ts';

export type MatcherType = '=' | '!=' | '=~' | '!~';

/** Immutable. Does not survive a structured clone; its type, name and value do. */
export class Matcher {
  readonly type: MatcherType;
  readonly name: string;
  /** The wanted or refused value, or the regular expression: RE2 syntax, anchored, `.` matches a newline. */
  readonly value: string;
  /** Whether a series without the label matches. */
  readonly matchesEmpty: boolean;
  /** All values that match, in no order, where they can be listed: for '=', and for '=~' of literals (`a|b|c`). */
  readonly setMatches: readonly string[] | undefined;
  readonly #test: (value: string) => boolean;

  /** Throws StorageError 'invalid' if the value is not a regular expression where one is wanted, or is too long. */
  constructor(type: MatcherType, name: string, value: string) {
    this.type = type;
    this.name = name;
    this.value = value;
    if (type === '=' || type === '!=') {
      this.#test = type === '=' ? (candidate) => candidate === value : (candidate) => candidate !== value;
      this.setMatches = type === '=' ? [value] : undefined;
    } else {
      const pattern = compileFor(this);
      this.#test = type === '=~' ? pattern.matches : (candidate) => !pattern.matches(candidate);
      this.setMatches = type === '=~' ? pattern.literals : undefined;
    }
    this.matchesEmpty = this.#test('');
  }

  /** Whether a label with this value fulfils the condition; '' stands for an absent label. */
  matches(value: string): boolean {
    return this.#test(value);
  }

  /** As PromQL writes it. */
  toString(): string {
    return `${this.name}${this.type}${JSON.stringify(this.value)}`;
  }
}

function compileFor({ name, value }: Matcher): ReturnType<typeof compilePattern> {
  try {
    return compilePattern(value);
  } catch (cause) {
    if (!(cause instanceof StorageError)) throw cause;
    throw new StorageError(cause.kind, `matcher on label ${JSON.stringify(name)}: ${cause.message}`, { cause });
  }
}
