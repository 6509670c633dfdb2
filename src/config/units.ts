/** Durations and sizes as people write them, in flags, files and output: `1h30m`, `512MiB`. */
import { DURATION_UNITS_MS } from '../../storage/index.ts';
import { ValueError } from './value-error.ts';

const DURATION = new RegExp(`^${DURATION_UNITS_MS.map(([unit]) => `(?:(\\d+)${unit})?`).join('')}$`);

/** Milliseconds of a duration as Prometheus writes it: `5m`, `1h30m`, `1d`, `0`; units descend. Throws ValueError. */
export function parseDuration(text: string): number {
  if (text === '0') return 0;
  const parts = text === '' ? null : DURATION.exec(text);
  if (parts === null) throw new ValueError('want a duration such as 5m, 1h30m or 1d (units ms, s, m, h, d, w, y)');
  const ms = DURATION_UNITS_MS.reduce((sum, [, unitMs], i) => sum + Number(parts[i + 1] ?? 0) * unitMs, 0);
  if (!Number.isSafeInteger(ms)) throw new ValueError('want a duration below 285 000 years');
  return ms;
}

const SIZE_UNITS = ['', 'K', 'M', 'G', 'T', 'P'];
const SIZE = /^(\d+(?:\.\d+)?)([KMGTP]?)(?:i?B)?$/;

/** Bytes of a size: `512MiB`, `2GB`, `1.5GiB`, `1048576`. Units are powers of 1024, as in Prometheus. Throws ValueError. */
export function parseSize(text: string): number {
  const parts = SIZE.exec(text);
  if (parts === null)
    throw new ValueError('want a size such as 512MiB, 2GB or a number of bytes (units are powers of 1024)');
  const bytes = Math.floor(Number(parts[1]) * 1024 ** SIZE_UNITS.indexOf(parts[2] as string));
  if (!Number.isSafeInteger(bytes)) throw new ValueError('want a size below 8PiB');
  return bytes;
}

/** A size for people, three digits: `512 MiB`, `1.50 GiB`, `17 B`. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < SIZE_UNITS.length - 1; unit++) value /= 1024;
  const digits = Number.isInteger(value) || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${unit === 0 ? 'B' : `${SIZE_UNITS[unit]}iB`}`;
}

const GO_UNITS_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds, not always whole, of a duration as Go writes it: `1s`, `1.5h`, `1m30s`, `250us`, `0`. Throws ValueError. */
export function parseGoDuration(text: string): number {
  if (text === '0') return 0;
  if (!/^(?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+$/.test(text)) {
    throw new ValueError('want a duration such as 100ms, 1s or 1m30s');
  }
  const parts = text.matchAll(/(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)/g);
  return [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * (GO_UNITS_MS[unit as string] as number), 0);
}
