/** A half-open interval [minTimeMs, maxTimeMs) of milliseconds since 1970. */
export interface TimeRange {
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
}

/** 2 h: a block's range, and the range that no chunk crosses. */
export const WINDOW_MS = 7_200_000;

/** The number of the 2 h window that holds a timestamp. */
export function windowOf(timestampMs: number): number {
  return Math.floor(timestampMs / WINDOW_MS);
}

/** A limit that stands still, or one that goes along so far behind the present. */
export type TimeLimit = { readonly atMs: number } | { readonly agoMs: number };

/** Where a limit is now; undefined: there is none. */
export function timeOf(limit: TimeLimit | undefined, nowMs: number): number | undefined {
  if (limit === undefined) return undefined;
  return 'atMs' in limit ? limit.atMs : nowMs - limit.agoMs;
}
