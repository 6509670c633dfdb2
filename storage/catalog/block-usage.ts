/** How much space blocks take, here and in the bucket, how fast they become more, and what is in the bucket besides them. */
import type { BlockState, Catalog, CatalogEntry } from './catalog.ts';

/** Bytes of blocks, and how much time their samples span; both are 0 if there are none. */
export interface BlockGrowth {
  readonly bytes: number;
  readonly spanMs: number;
}

export interface BlockUsage {
  readonly states: readonly {
    readonly state: BlockState | 'marked';
    readonly blocks: number;
    readonly bytes: number;
  }[];
  /** Of all that is in the bucket with the name of a block, whole or not. */
  readonly bucketBytes: number;
  /** Of the last week: blocks that were cut here, and all that are whole in the bucket and not marked for deletion. */
  readonly ownGrowth: BlockGrowth;
  readonly bucketGrowth: BlockGrowth;
  /** Those of others and those that are no whole blocks, the latter first, newest first. No more than a hundred. */
  readonly leftAlone: readonly CatalogEntry[];
}

const WEEK_MS = 7 * 86_400_000;
const LEFT_ALONE_SHOWN = 100;

/** What the catalogue says of it. Looks at every block: to be asked rarely. */
export function blockUsage(catalog: Catalog, nowMs: number): BlockUsage {
  const states = Array.from(catalog.counts(), ([state, count]) => ({ state, ...count }));
  return {
    states,
    bucketBytes: catalog
      .sql('SELECT coalesce(sum(bytes), 0) FROM blocks WHERE directory IS NOT NULL')
      .pluck()
      .get() as number,
    ownGrowth: growth(catalog, 'epoch IS NOT NULL', nowMs),
    bucketGrowth: growth(catalog, "state IN ('uploaded', 'foreign')", nowMs),
    leftAlone: catalog.leftAlone(LEFT_ALONE_SHOWN),
  };
}

/** Of a block that began before the week, the share that is in it. */
function growth(catalog: Catalog, which: string, nowMs: number): BlockGrowth {
  const fromMs = nowMs - WEEK_MS;
  const row = catalog
    .sql(
      `SELECT sum(bytes * (min(max_time, :now) - max(min_time, :from)) / max(1.0, max_time - min_time)) AS bytes,
         min(max(max_time), :now) AS untilMs, max(min(min_time), :from) AS sinceMs
       FROM (SELECT bytes, min_time, max_time FROM blocks
             WHERE ${which} AND deletion IS NULL AND max_time > :from AND min_time < :now)`,
    )
    .get({ now: nowMs, from: fromMs }) as { bytes: number | null; untilMs: number; sinceMs: number };
  return row.bytes === null ? { bytes: 0, spanMs: 0 } : { bytes: row.bytes, spanMs: row.untilMs - row.sinceMs };
}
