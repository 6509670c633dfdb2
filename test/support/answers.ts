/** Answers of two Prometheus servers to one PromQL query, side by side. */
import type { ResultSeries } from './prometheus.ts';

/**
 * Sums of floats depend on the order of the series, which a server may choose: values that differ by less than this
 * part of themselves are equal.
 */
const RELATIVE_TOLERANCE = 1e-12;

/** What `actual` has otherwise than `expected`, for people; none if they answer the same. Both in label order. */
export function answerDifferences(actual: readonly ResultSeries[], expected: readonly ResultSeries[]): string[] {
  if (actual.length !== expected.length) return [`${actual.length} series, expected ${expected.length}`];
  return expected.flatMap((wanted, i) => {
    const got = actual[i] as ResultSeries;
    const labels = JSON.stringify(wanted.metric);
    if (JSON.stringify(sorted(got.metric)) !== JSON.stringify(sorted(wanted.metric))) {
      return [`${JSON.stringify(got.metric)}, expected ${labels}`];
    }
    const a = got.values ?? [got.value];
    const b = wanted.values ?? [wanted.value];
    const differing = b.findIndex((value, row) => !sameValue(a[row], value));
    if (a.length === b.length && differing < 0) return [];
    return [`${labels}: ${a.length} values, expected ${b.length}; ${a[differing]}, expected ${b[differing]}`];
  });
}

function sorted(metric: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(metric).sort(([a], [b]) => (a < b ? -1 : 1));
}

function sameValue(a: readonly [number, string] | undefined, b: readonly [number, string] | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (a[0] !== b[0]) return false;
  if (a[1] === b[1]) return true;
  const [x, y] = [Number(a[1]), Number(b[1])];
  return Math.abs(x - y) <= RELATIVE_TOLERANCE * Math.max(Math.abs(x), Math.abs(y));
}
