/**
 * Postings: ascending refs of series, one list for each label pair, and the operations that turn matchers into the
 * list of series that match. Head and block answer the same small interface, so that both select alike.
 */
import type { Matcher } from '../model/matcher.ts';
import { ALL_POSTINGS } from './format.ts';

/** Ascending series refs without repetition. Shared: nobody writes into one that he did not make. */
export type Postings = Uint32Array;

/** Where `selectPostings` looks labels up: the index of a block, or of the head. */
export interface PostingsIndex {
  /** All series. */
  all(): Postings;
  /** All label names, in byte order. */
  names(): string[];
  /** All values of a label name, in byte order; none if no series has the label. */
  values(name: string): string[];
  /** The series with a label pair; none if there are none. */
  postings(name: string, value: string): Postings;
}

const NONE: Postings = new Uint32Array(0);
/** From here on sorting is faster than merging. */
const MOST_RUNS = 256;

/** A list of runs, each ascending, as postings; may be done in place. */
export function ascending(list: Uint32Array): Postings {
  const runs: Postings[] = [];
  let start = 0;
  for (let i = 1; i <= list.length; i++) {
    if (i < list.length && (list[i] as number) > (list[i - 1] as number)) continue;
    if (runs.length === MOST_RUNS) return list.sort();
    runs.push(list.subarray(start, i));
    start = i;
  }
  return runs.length > 1 ? merge(runs) : list;
}

/** The refs in both lists. */
export function intersect(a: Postings, b: Postings): Postings {
  const out = new Uint32Array(Math.min(a.length, b.length));
  let count = 0;
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const x = a[i] as number;
    const y = b[j] as number;
    if (x === y) out[count++] = x;
    if (x <= y) i++;
    if (y <= x) j++;
  }
  return out.subarray(0, count);
}

/** The refs of `a` that are not in `b`. */
export function without(a: Postings, b: Postings): Postings {
  if (b.length === 0) return a;
  const out = new Uint32Array(a.length);
  let count = 0;
  let j = 0;
  for (let i = 0; i < a.length; i++) {
    const ref = a[i] as number;
    while (j < b.length && (b[j] as number) < ref) j++;
    if (j === b.length || b[j] !== ref) out[count++] = ref;
  }
  return out.subarray(0, count);
}

/** The refs in any of the lists. Merges neighbours pair by pair, so each ref moves log2(lists) times. */
export function merge(lists: readonly Postings[]): Postings {
  let level = lists.filter((list) => list.length > 0);
  while (level.length > 1) {
    const merged: Postings[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const a = level[i] as Postings;
      const b = level[i + 1];
      merged.push(b === undefined ? a : mergeTwo(a, b));
    }
    level = merged;
  }
  return level[0] ?? NONE;
}

function mergeTwo(a: Postings, b: Postings): Postings {
  const out = new Uint32Array(a.length + b.length);
  let count = 0;
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const x = a[i] as number;
    const y = b[j] as number;
    out[count++] = Math.min(x, y);
    if (x <= y) i++;
    if (y <= x) j++;
  }
  while (i < a.length) out[count++] = a[i++] as number;
  while (j < b.length) out[count++] = b[j++] as number;
  return out.subarray(0, count);
}

/** A label pair stands for its postings list; the pair of two empty strings for the list of all series. */
export interface LabelPair {
  readonly name: string;
  readonly value: string;
}

/** The lists of one matcher. */
interface Term {
  /** Found when it is first asked: a regular expression runs once for each value of its label at most. */
  readonly pairs: () => readonly LabelPair[];
}

/**
 * The series that all matchers match, as Prometheus understands it: an absent label is an empty value. So a matcher
 * that refuses the empty string needs one of the values it matches, and one that accepts it excludes the values it
 * does not match. Where lists have to be fetched, they are asked for first, all at once.
 */
export class PostingsSelection {
  readonly #requiring: readonly Term[];
  readonly #excluding: readonly Term[];

  constructor(index: Pick<PostingsIndex, 'values'>, matchers: readonly Matcher[]) {
    const requiring = matchers.filter((matcher) => !matcher.matchesEmpty);
    // Equality first: its list is one look-up, and when it is empty no regular expression runs at all.
    requiring.sort((a, b) => Number(a.type !== '=') - Number(b.type !== '='));
    this.#requiring = requiring.map((matcher) => termOf(() => requiredBy(index, matcher)));
    this.#excluding = matchers
      .filter((matcher) => matcher.matchesEmpty)
      .map((matcher) => termOf(() => excludedBy(index, matcher)));
  }

  /** The pairs whose lists `evaluate` may ask for; some may not exist. */
  pairs(): LabelPair[] {
    const pairs: LabelPair[] = this.#requiring.length === 0 ? [{ name: ALL_POSTINGS, value: ALL_POSTINGS }] : [];
    for (const term of [...this.#requiring, ...this.#excluding]) for (const pair of term.pairs()) pairs.push(pair);
    return pairs;
  }

  evaluate(index: Pick<PostingsIndex, 'all' | 'postings'>): Postings {
    const union = ({ pairs }: Term): Postings => merge(pairs().map(({ name, value }) => index.postings(name, value)));
    let selected: Postings | undefined;
    for (const term of this.#requiring) {
      const required = union(term);
      selected = selected === undefined ? required : intersect(selected, required);
      if (selected.length === 0) return NONE;
    }
    let rest = selected ?? index.all();
    for (const term of this.#excluding) {
      if (rest.length === 0) return NONE;
      rest = without(rest, union(term));
    }
    return rest;
  }
}

/** The series that all matchers match, of an index whose lists are all there. */
export function selectPostings(index: PostingsIndex, matchers: readonly Matcher[]): Postings {
  return new PostingsSelection(index, matchers).evaluate(index);
}

function termOf(find: () => readonly LabelPair[]): Term {
  let pairs: readonly LabelPair[] | undefined;
  return {
    pairs() {
      pairs ??= find();
      return pairs;
    },
  };
}

/** Of the series with a value that the matcher, which refuses the empty string, matches. */
function requiredBy(index: Pick<PostingsIndex, 'values'>, matcher: Matcher): readonly LabelPair[] {
  const { name, type, value, setMatches } = matcher;
  if (type === '=') return [{ name, value }];
  if (type === '=~' && setMatches !== undefined) return setMatches.map((set) => ({ name, value: set }));
  return pairsOf(index, name, (candidate) => matcher.matches(candidate));
}

/** Of the series with a value that the matcher, which accepts the empty string, does not match. */
function excludedBy(index: Pick<PostingsIndex, 'values'>, matcher: Matcher): readonly LabelPair[] {
  const { name, type, value } = matcher;
  if (type === '!=') return [{ name, value }];
  return pairsOf(index, name, (candidate) => !matcher.matches(candidate));
}

function pairsOf(
  index: Pick<PostingsIndex, 'values'>,
  name: string,
  wanted: (value: string) => boolean,
): readonly LabelPair[] {
  const pairs: LabelPair[] = [];
  for (const value of index.values(name)) if (wanted(value)) pairs.push({ name, value });
  return pairs;
}
