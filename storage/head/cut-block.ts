/**
 * The cut: a sealed generation of a tenant's window becomes a block. The samples do not change any more, so this runs
 * beside everything else, on a thread that only reads the head.
 *
 *   rows with samples of the generation ─► symbols, ranked ─► rows in label order ─► blocks/<ULID>.tmp ─► the bucket
 */
import { type BlockSeries, writeBlock } from '../block/block-writer.ts';
import { type BlockCoverage, type BlockMeta, COVERAGE_FORMAT } from '../block/meta.ts';
import { mergeChunks } from '../chunk/merge-chunks.ts';
import type { FileSystem } from '../io/file-system.ts';
import type { ChunkCodec } from '../kernel/chunk-codec.ts';
import * as L from '../kernel/layout.ts';
import type { MetricMetadata } from '../model/extras.ts';
import { compareUtf8 } from '../model/labels.ts';
import type { Chunk } from '../model/series-source.ts';
import { WINDOW_MS } from '../model/time-range.ts';
import type { ChunkFilter, HeadView } from './head-view.ts';
import { exemplarsOf, histogramChunks, startTimesOf } from './read-items.ts';

/** What to cut, and how the block is to be named and labelled. */
export interface CutOrder {
  readonly ulid: string;
  /** The tenant's handle in the kernel. */
  readonly tenant: number;
  readonly coverage: Omit<BlockCoverage, 'format'>;
  readonly thanosLabels: Readonly<Record<string, string>>;
  /** What the tenant's senders said of their metric families. */
  readonly metadata?: readonly MetricMetadata[];
}

/** Label sets as flat pairs of ranks: the position of a symbol among all symbols of the block, in byte order. */
interface RankedRows {
  readonly symbols: readonly string[];
  readonly rows: readonly { readonly row: number; readonly labels: Uint32Array }[];
}

/** Writes the block into `directory` and returns its meta, or undefined if there is nothing in the generation. */
export function cutBlock(
  fileSystem: FileSystem,
  directory: string,
  view: HeadView,
  codec: ChunkCodec,
  order: CutOrder,
): BlockMeta | undefined {
  const { window, generation } = order.coverage;
  const wanted: ChunkFilter = (w, g) => w === window && g === generation;
  const { symbols, rows } = rankRows(view, order.tenant, wanted);
  if (rows.length === 0) return undefined;
  const range = { minTimeMs: window * WINDOW_MS, maxTimeMs: (window + 1) * WINDOW_MS };
  function* series(): Generator<BlockSeries> {
    for (const { row, labels } of rows) {
      const chunks: readonly Chunk[] = view.chunks(row, wanted);
      const items = view.items(row, wanted);
      if (items.length === 0) yield { labels, chunks: mergeChunks([chunks], range, codec) };
      else {
        const merged = mergeChunks([[...chunks, ...histogramChunks(items)]], range, codec);
        yield { labels, chunks: merged, exemplars: exemplarsOf(items), startTimes: startTimesOf(items) };
      }
    }
  }
  const coverage: BlockCoverage = { format: COVERAGE_FORMAT, ...order.coverage };
  return writeBlock(fileSystem, directory, {
    ulid: order.ulid,
    ...range,
    symbols,
    series: series(),
    metadata: metadataOf(symbols, order.metadata ?? []),
    thanosLabels: order.thanosLabels,
    source: 'receive',
    extensions: { varve: coverage },
  });
}

/** What a series of a family may have behind the family's name. */
const FAMILY_SUFFIXES = ['', '_total', '_count', '_sum', '_bucket', '_created', '_info', '_gcount', '_gsum'];

/** Of those families that a series of the block may belong to: names of metrics are symbols, as all values are. */
function metadataOf(symbols: readonly string[], metadata: readonly MetricMetadata[]): MetricMetadata[] {
  if (metadata.length === 0) return [];
  const names = new Set(symbols);
  return metadata.filter(({ family }) => FAMILY_SUFFIXES.some((suffix) => names.has(family + suffix)));
}

function rankRows(view: HeadView, tenant: number, wanted: ChunkFilter): RankedRows {
  const rows: { row: number; labels: Uint32Array }[] = [];
  const used = new Set<number>();
  for (const row of view.list(tenant + L.TENANT_ROWS)) {
    // Exemplars alone make no series: an index with one that has no chunk is refused by Thanos.
    if (!view.hasChunk(row, wanted) && !view.hasHistogram(row, wanted)) continue;
    const labels = view.labelSymbols(row).slice();
    for (const symbol of labels) used.add(symbol);
    rows.push({ row, labels });
  }
  const ordered = Array.from(used, (symbol) => ({ symbol, text: view.text(symbol) })).sort((a, b) =>
    compareUtf8(a.text, b.text),
  );
  const ranks = new Map(ordered.map(({ symbol }, rank) => [symbol, rank]));
  for (const { labels } of rows) labels.set(labels.map((symbol) => ranks.get(symbol) as number));
  rows.sort((a, b) => compareRanks(a.labels, b.labels));
  return { symbols: ordered.map(({ text }) => text), rows };
}

function compareRanks(a: Uint32Array, b: Uint32Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return (a[i] as number) - (b[i] as number);
  return a.length - b.length;
}
