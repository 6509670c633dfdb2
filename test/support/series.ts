/** Series with their samples, as tests send them, expect them and compare them. Values are bits. */

/** Name and value of one label after the other, sorted by name. */
export type LabelPairs = readonly (readonly [name: string, value: string])[];

/** A value as a number, or as the bits of one where a NaN payload matters. */
export type Value = number | bigint;

/** The staleness marker of Prometheus. */
export const STALE = 0x7ff0000000000002n;

const float = new Float64Array(1);
const words = new Uint32Array(float.buffer);
const bits = new BigUint64Array(float.buffer);

/** The bits of a value. */
export function bitsOf(value: Value): bigint {
  if (typeof value === 'bigint') return value;
  float[0] = value;
  return bits[0] as bigint;
}

/** The two halves of a value's bits. */
export function halvesOf(value: Value): { low: number; high: number; unsigned: true } {
  if (typeof value === 'bigint') bits[0] = value;
  else float[0] = value;
  return { low: words[0] as number, high: words[1] as number, unsigned: true };
}

/** Samples of one series in time order, values as bits. */
export class SampleList {
  readonly timestamps: number[] = [];
  readonly bits: bigint[] = [];

  push(timestampMs: number, valueBits: bigint): void {
    this.timestamps.push(timestampMs);
    this.bits.push(valueBits);
  }
}

/** A set of series by their labels in Prometheus's notation. */
export type SeriesMap = Map<string, SampleList>;

/** `{a="1", b="2"}`, the name as a label like the others: one spelling for each label set. */
export function labelText(labels: LabelPairs): string {
  const sorted = [...labels].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${sorted.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(', ')}}`;
}

/** How many samples there are in all. */
export function sampleCount(series: SeriesMap): number {
  let count = 0;
  for (const { timestamps } of series.values()) count += timestamps.length;
  return count;
}

/**
 * The first few differences between two sets of series, for people; none if they hold the same samples bit for bit,
 * each once and in time order.
 */
export function differences(actual: SeriesMap, expected: SeriesMap, limit = 5): string[] {
  const found: string[] = [];
  for (const labels of new Set([...expected.keys(), ...actual.keys()])) {
    if (found.length >= limit) break;
    const got = actual.get(labels);
    const wanted = expected.get(labels);
    if (got === undefined) found.push(`${labels}: missing, ${wanted?.timestamps.length} samples`);
    else if (wanted === undefined) found.push(`${labels}: unexpected, ${got.timestamps.length} samples`);
    else found.push(...firstDifference(labels, got, wanted));
  }
  return found;
}

function firstDifference(labels: string, got: SampleList, wanted: SampleList): string[] {
  const length = Math.max(got.timestamps.length, wanted.timestamps.length);
  for (let i = 0; i < length; i++) {
    if (got.timestamps[i] === wanted.timestamps[i] && got.bits[i] === wanted.bits[i]) continue;
    const counts = `${got.timestamps.length} samples for ${wanted.timestamps.length}`;
    return [`${labels} row ${i}: ${sampleText(got, i)}, expected ${sampleText(wanted, i)} (${counts})`];
  }
  return [];
}

function sampleText({ timestamps, bits }: SampleList, row: number): string {
  return row < timestamps.length ? `${bits[row]?.toString(16)}@${timestamps[row]}` : 'nothing';
}
