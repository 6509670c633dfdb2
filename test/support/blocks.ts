/** Blocks for tests: from series in plain form to a block directory, with chunks of the plain encoder. */
import type { BlockInput, BlockSeries } from '../../storage/block/block-writer.ts';
import { compareLabels, compareUtf8, type Labels } from '../../storage/model/labels.ts';
import { type Chunk, XOR } from '../../storage/model/series-source.ts';
import { encodeXorChunk } from './oracle/xor-chunk.ts';

/** A series with its samples, cut into chunks. */
export interface PlainSeries {
  readonly labels: Labels;
  readonly chunks: readonly (readonly (readonly [timestampMs: number, value: number])[])[];
}

export const TEST_ULID = '01HZZZZZZZZZZZZZZZZZZZZZZZ';

export function xorChunk(samples: readonly (readonly [timestampMs: number, value: number])[]): Chunk {
  const timestamps = Float64Array.from(samples, ([timestampMs]) => timestampMs);
  const values = Float64Array.from(samples, ([, value]) => value);
  return {
    minTimeMs: timestamps[0] as number,
    maxTimeMs: timestamps.at(-1) as number,
    encoding: XOR,
    bytes: encodeXorChunk({ timestamps, values }),
  };
}

/** Symbols and series of a block, sorted as the writer wants them. */
function blockSeries(series: readonly PlainSeries[]): { symbols: string[]; series: BlockSeries[] } {
  const symbols = [...new Set(series.flatMap(({ labels }) => labels))].sort(compareUtf8);
  const numbers = new Map(symbols.map((symbol, number) => [symbol, number]));
  return {
    symbols,
    series: [...series]
      .sort((a, b) => compareLabels(a.labels, b.labels))
      .map(({ labels, chunks }) => ({
        labels: labels.map((label) => numbers.get(label) as number),
        chunks: chunks.map(xorChunk),
      })),
  };
}

/** The whole input of a block whose range is just that of its samples. */
export function blockInput(series: readonly PlainSeries[], overrides: Partial<BlockInput> = {}): BlockInput {
  const times = series.flatMap(({ chunks }) => chunks.flat().map(([timestampMs]) => timestampMs));
  return {
    ulid: TEST_ULID,
    minTimeMs: Math.min(...times),
    maxTimeMs: Math.max(...times) + 1,
    ...blockSeries(series),
    thanosLabels: { tenant_id: 'default-tenant' },
    source: 'receive',
    ...overrides,
  };
}
