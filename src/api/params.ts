/**
 * The parameters of Prometheus' JSON endpoints, from the query string and a form body, with its error texts.
 * Source: prometheus web/api/v1/api.go; common model/metric.go for the escaped names.
 */
import type { TimeRange } from '../../storage/index.ts';
import { badData } from './errors.ts';

/** Above this a millisecond is no exact number any more; Prometheus' own bounds are just as far from any sample. */
const TIME_MAX_MS: number = Number.MAX_SAFE_INTEGER - 1;

/** Parameters by name, those of the form body before those of the URL, as in Go's `Request.Form`. */
export function requestParams(url: string, form: string): URLSearchParams {
  const mark = url.indexOf('?');
  const query = mark < 0 ? '' : url.slice(mark + 1);
  const params = new URLSearchParams(form);
  for (const [name, value] of new URLSearchParams(query)) params.append(name, value);
  return params;
}

/** `start` and `end`, both inclusive in the request and all of time if absent. Throws RequestError. */
export function timeRangeParam(params: URLSearchParams): TimeRange {
  const minTimeMs = timeParam(params, 'start', -TIME_MAX_MS);
  const maxTimeMs = timeParam(params, 'end', TIME_MAX_MS);
  return { minTimeMs, maxTimeMs: maxTimeMs + 1 };
}

function timeParam(params: URLSearchParams, name: string, absent: number): number {
  const text = params.get(name) ?? '';
  if (text === '') return absent;
  const timeMs = parseTime(text);
  if (timeMs !== undefined) return timeMs;
  throw invalidParam(
    name,
    `invalid time value for '${name}': cannot parse ${JSON.stringify(text)} to a valid timestamp`,
  );
}

/** How many results at most; 0 means all. Throws RequestError. */
export function limitParam(params: URLSearchParams): number {
  const text = params.get('limit') ?? '';
  if (text === '') return 0;
  if (!/^[+-]?\d+$/.test(text))
    throw invalidParam('limit', `strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
  const limit = Number(text);
  if (!Number.isSafeInteger(limit)) {
    throw invalidParam('limit', `strconv.Atoi: parsing ${JSON.stringify(text)}: value out of range`);
  }
  if (limit < 0) throw invalidParam('limit', 'limit must be non-negative');
  return limit;
}

/** `partial_response`, as Thanos has it; `absent` if it is not given. Throws RequestError. */
export function partialResponseParam(params: URLSearchParams, absent: boolean): boolean {
  const text = params.get('partial_response') ?? '';
  if (text === '') return absent;
  if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(?:0|f|F|false|FALSE|False)$/.test(text)) return false;
  throw badData(`'partial_response' parameter: strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}

/** 400 for a parameter, in Prometheus' words. */
export function invalidParam(name: string, message: string): Error {
  return badData(`invalid parameter "${name}": ${message}`);
}

const UNIX_SECONDS = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,]\d+)?(?:Z|[+-]\d\d:\d\d)$/;

/** Milliseconds since 1970 of unix seconds with a fraction, or of an RFC 3339 time; undefined if it is neither. */
export function parseTime(text: string): number | undefined {
  if (UNIX_SECONDS.test(text)) return timeOfSeconds(Number(text));
  const parts = RFC3339.exec(text);
  if (parts === null) return undefined;
  const [year, month, day, hour] = parts.slice(1, 5).map(Number) as [number, number, number, number];
  // Date.parse takes 24:00 and the 30th of February; Go does not.
  if (hour > 23 || month < 1 || month > 12 || day > daysInMonth(year, month)) return undefined;
  const timeMs = Date.parse(text.replace(',', '.'));
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

function timeOfSeconds(seconds: number): number {
  const whole = Math.trunc(seconds);
  const timeMs = whole * 1000 + Math.round((seconds - whole) * 1000);
  return Math.min(Math.max(timeMs, -TIME_MAX_MS), TIME_MAX_MS);
}

function daysInMonth(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}

const ESCAPED_PREFIX = 'U__';
const HEX_DIGITS_MAX = 5;

/**
 * The label name of a path segment: one that begins with `U__` is unescaped (`__` is `_`, `_2e_` is `.`) if all of it is
 * well-formed, and taken as it is otherwise. Throws RequestError for a name that no label can have.
 */
export function labelNameParam(segment: string): string {
  const name = segment.startsWith(ESCAPED_PREFIX)
    ? (unescaped(segment.slice(ESCAPED_PREFIX.length)) ?? segment)
    : segment;
  if (name === '' || !name.isWellFormed()) throw badData(`invalid label name: ${JSON.stringify(name)}`);
  return name;
}

function unescaped(text: string): string | undefined {
  let name = '';
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== '_') {
      name += text[i];
      continue;
    }
    const end = text.indexOf('_', i + 1);
    if (end < 0) return undefined;
    const digits = text.slice(i + 1, end);
    const codePoint = Number.parseInt(digits, 16);
    if (digits === '') name += '_';
    else if (digits.length > HEX_DIGITS_MAX || !/^[0-9a-fA-F]+$/.test(digits)) return undefined;
    else if (codePoint >= 0xd800 && codePoint <= 0xdfff) return undefined;
    else name += String.fromCodePoint(codePoint);
    i = end;
  }
  return name;
}
