/** The units of durations, as Prometheus writes them. */
export const DURATION_UNITS_MS: readonly (readonly [unit: string, ms: number])[] = [
  ['y', 365 * 86_400_000],
  ['w', 7 * 86_400_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
];

/** A duration for people, in the form that Prometheus' flags take: 5_400_000 is `1h30m`. `ms` is an integer ≥ 0. */
export function formatDuration(ms: number): string {
  let rest = ms;
  let text = '';
  // Weeks and years are read, but nobody likes to be shown 1w3d.
  for (const [unit, unitMs] of DURATION_UNITS_MS.filter(([unit]) => unit !== 'y' && unit !== 'w')) {
    const count = Math.floor(rest / unitMs);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * unitMs;
  }
  return text === '' ? '0s' : text;
}
