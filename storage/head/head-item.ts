/** What the head keeps of a row beside its chunks of floats. */

/** The numbers are those in memory and log. */
export const ItemKind = {
  /** Both: the message Histogram as it came. */
  HISTOGRAM: 1,
  FLOAT_HISTOGRAM: 2,
  /** The message Exemplar of remote write 1.0. */
  EXEMPLAR: 3,
  /** When the counting of floats from this time on began: i64, little-endian. */
  START_TIME: 4,
} as const;
export type ItemKind = (typeof ItemKind)[keyof typeof ItemKind];

/** One of them, copied out. */
export interface HeadItem {
  readonly kind: ItemKind;
  readonly timeMs: number;
  readonly bytes: Uint8Array;
  /** It belongs to this generation of this window, as a chunk does. */
  readonly window: number;
  readonly generation: number;
}

export function isHistogramItem({ kind }: HeadItem): boolean {
  return kind === ItemKind.HISTOGRAM || kind === ItemKind.FLOAT_HISTOGRAM;
}
