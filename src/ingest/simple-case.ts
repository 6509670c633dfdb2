/**
 * Lower and upper case as Go's strings.ToLower and ToUpper have them: each code point becomes one code point, whatever
 * stands around it. JavaScript's own go by the full mapping: `ß` becomes `SS`, and a `Σ` at the end of a word `ς`.
 * Source: Unicode, UnicodeData.txt, simple case mappings.
 */

/** U+0130: the full mapping keeps its dot as a second code point. */
const CAPITAL_DOTTED_I = 'İ';
/** Greek small letters with a iota below whose capitals are one code point: first, last, distance. */
const GREEK_WITH_IOTA: readonly (readonly [first: number, last: number, distance: number])[] = [
  [0x1f80, 0x1f87, 8],
  [0x1f90, 0x1f97, 8],
  [0x1fa0, 0x1fa7, 8],
  [0x1fb3, 0x1fb3, 9],
  [0x1fc3, 0x1fc3, 9],
  [0x1ff3, 0x1ff3, 9],
];

/** The text in lower case. */
export function simpleLowerCase(text: string): string {
  return mapped(text, (c) => (c === CAPITAL_DOTTED_I ? 'i' : c.toLowerCase()));
}

/** The text in upper case. */
export function simpleUpperCase(text: string): string {
  return mapped(text, (c) => {
    const point = c.codePointAt(0) as number;
    const range = GREEK_WITH_IOTA.find(([first, last]) => point >= first && point <= last);
    return range === undefined ? c.toUpperCase() : String.fromCodePoint(point + range[2]);
  });
}

function mapped(text: string, map: (c: string) => string): string {
  let result = '';
  for (const c of text) {
    const other = map(c);
    // What has several code points in the other case has none of its own there.
    result += [...other].length === 1 ? other : c;
  }
  return result;
}
