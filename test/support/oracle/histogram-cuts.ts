/**
 * Oracle for where histograms of one series are cut into chunks, and what the header of each says: Prometheus's rules
 * over maps of counts, one row at a time. It shares no source with the engine.
 */
import { Header, type PlainHistogram, STALE_SUM } from './histogram-chunk.ts';

/** Rows of a chunk, and its header. */
export interface Cut {
  readonly rows: number;
  readonly header: number;
}

const ROWS = 120;
const WINDOW_MS = 2 * 3_600_000;

/** All floats or all integers, in time order. */
export function cutsOf(rows: readonly PlainHistogram[]): Cut[] {
  const cuts: { rows: number; header: number }[] = [];
  rows.forEach((row, i) => {
    const cut = cuts.at(-1);
    const before = rows[i - 1];
    const isGauge = row.hint === 3;
    if (cut === undefined || before === undefined) {
      cuts.push({ rows: 1, header: isGauge ? Header.GAUGE : row.hint === 1 ? Header.RESET : Header.UNKNOWN });
      return;
    }
    const relation = relate(before, row, cut.header === Header.GAUGE);
    const hasRoom = cut.rows < ROWS && Math.floor(before.timeMs / WINDOW_MS) === Math.floor(row.timeMs / WINDOW_MS);
    if (relation === 'goes on' && hasRoom) cut.rows += 1;
    else {
      const header = { 'goes on': Header.NOT_RESET, reset: Header.RESET, unknown: Header.UNKNOWN }[relation];
      cuts.push({ rows: 1, header: isGauge ? Header.GAUGE : header });
    }
  });
  return cuts;
}

function relate(before: PlainHistogram, row: PlainHistogram, inGauges: boolean): 'goes on' | 'reset' | 'unknown' {
  if (row.hint === 1) return 'reset';
  if (row.sum === STALE_SUM) return 'goes on';
  if (before.sum === STALE_SUM || (row.hint === 3) !== inGauges) return 'unknown';
  const counter = row.hint !== 3;
  if (counter && numberOf(row, row.count) < numberOf(row, before.count)) return 'reset';
  if (row.schema !== before.schema || row.zeroThreshold !== before.zeroThreshold) return 'unknown';
  if (row.customValues.join() !== before.customValues.join()) return counter ? 'reset' : 'unknown';
  if (!counter) return 'goes on';
  if (numberOf(row, row.zeroCount) < numberOf(row, before.zeroCount)) return 'reset';
  for (const side of ['positive', 'negative'] as const) {
    const now = countsOf(row, side);
    for (const [bucket, count] of countsOf(before, side)) if (count > (now.get(bucket) ?? 0)) return 'reset';
  }
  return 'goes on';
}

/** Exact, because the histograms of the test count to less than 2^53. */
function numberOf({ isFloat }: PlainHistogram, bits: bigint): number {
  return isFloat ? (new Float64Array(BigUint64Array.of(bits).buffer)[0] as number) : Number(bits);
}

function countsOf(row: PlainHistogram, side: 'positive' | 'negative'): Map<number, number> {
  const counts = new Map<number, number>();
  let bucket = 0;
  let index = 0;
  let count = 0;
  for (const [offset, length] of side === 'positive' ? row.positiveSpans : row.negativeSpans) {
    bucket += offset;
    for (const end = bucket + length; bucket < end; bucket++) {
      const number = numberOf(row, row[side][index++] as bigint);
      count = row.isFloat ? number : count + number;
      counts.set(bucket, count);
    }
  }
  return counts;
}
