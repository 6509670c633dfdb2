/**
 * Names of metrics and labels as Prometheus 3 makes them from OTLP's in its default strategy,
 * UnderscoreEscapingWithSuffixes, with its default treatment of underscores in label names.
 * Source: github.com/prometheus/otlptranslator (metric_namer.go, unit_namer.go, label_namer.go); the rules for people:
 * docs/formats/otlp.md.
 */

/** What a name depends on beside its text. */
export type MetricKind = 'gauge' | 'counter' | 'other';

/** UCUM's codes that have a Prometheus word; any other unit stays as it is. */
const UNITS: ReadonlyMap<string, string> = new Map([
  ['d', 'days'],
  ['h', 'hours'],
  ['min', 'minutes'],
  ['s', 'seconds'],
  ['ms', 'milliseconds'],
  ['us', 'microseconds'],
  ['ns', 'nanoseconds'],
  ['By', 'bytes'],
  ['KiBy', 'kibibytes'],
  ['MiBy', 'mebibytes'],
  ['GiBy', 'gibibytes'],
  ['TiBy', 'tibibytes'],
  ['KBy', 'kilobytes'],
  ['MBy', 'megabytes'],
  ['GBy', 'gigabytes'],
  ['TBy', 'terabytes'],
  ['m', 'meters'],
  ['V', 'volts'],
  ['A', 'amperes'],
  ['J', 'joules'],
  ['W', 'watts'],
  ['g', 'grams'],
  ['Cel', 'celsius'],
  ['Hz', 'hertz'],
  ['1', ''],
  ['%', 'percent'],
]);

/** The same below a slash, where `m` is a minute. */
const PER_UNITS: ReadonlyMap<string, string> = new Map([
  ['s', 'second'],
  ['m', 'minute'],
  ['h', 'hour'],
  ['d', 'day'],
  ['w', 'week'],
  ['mo', 'month'],
  ['y', 'year'],
]);

/** The metric's name in Prometheus, or undefined if nothing is left of it. */
export function metricName(name: string, unit: string, kind: MetricKind): string | undefined {
  let words = name.split(/[^a-zA-Z0-9:]+/).filter((word) => word !== '');
  addUnit(words, unit);
  if (kind === 'counter') words = [...words.filter((word) => word !== 'total'), 'total'];
  // A counter of things often has the unit 1, and is no ratio.
  if (kind === 'gauge' && unit === '1') words = [...words.filter((word) => word !== 'ratio'), 'ratio'];
  const joined = words.join('_');
  if (!/[^_]/.test(joined)) return undefined;
  return /^\d/.test(joined) ? `_${joined}` : joined;
}

/** The unit in Prometheus' words: `By/s` is `bytes_per_second`, '' has none. */
export function unitName(unit: string): string {
  const words: string[] = [];
  addUnit(words, unit);
  return words.join('_');
}

/** Appends the words of a unit that are not among the name's already. */
function addUnit(words: string[], unit: string): void {
  const slash = unit.indexOf('/');
  const ofAll = slash < 0 ? unit : unit.slice(0, slash);
  const ofOne = slash < 0 ? '' : unit.slice(slash + 1);
  let main = unitWords(UNITS, ofAll);
  const perUnit = unitWords(PER_UNITS, ofOne);
  let per = perUnit === '' ? '' : `per_${perUnit}`.replace(/_$/, '');
  if (words.includes(main)) main = '';
  if (words.includes(per)) per = '';
  if (per !== '') main = main.replace(/_$/, '');
  if (main !== '') words.push(main);
  if (per !== '') words.push(per);
}

/** A unit in braces is an annotation, such as {request}: it has no words. */
function unitWords(known: ReadonlyMap<string, string>, code: string): string {
  const trimmed = code.trim();
  if (/[{}]/.test(trimmed)) return '';
  const words = known.get(trimmed) ?? trimmed;
  return words.replaceAll(/[^a-zA-Z0-9:]+/g, '_').replace(/^_/, '');
}

/** The label's name in Prometheus for the key of an attribute, or undefined if nothing is left of it. */
export function labelName(key: string): string | undefined {
  // One underscore for each character, also for those of two UTF-16 units.
  let name = key.replaceAll(/[^a-zA-Z0-9_]/gu, '_');
  if (/^\d/.test(name)) name = `key_${name}`;
  else if (name.startsWith('_') && !name.startsWith('__')) name = `key${name}`;
  return /[^_]/.test(name) ? name : undefined;
}
