/** The head as one source of a query: a tenant's series, without the generations that published blocks hold. */
import { ascending, type Postings, type PostingsIndex, selectPostings } from '../index/postings.ts';
import * as L from '../kernel/layout.ts';
import { compareLabels, compareUtf8, type Labels } from '../model/labels.ts';
import type { Matcher } from '../model/matcher.ts';
import type { Chunk, SeriesSource, SourceSeries } from '../model/series-source.ts';
import { type TimeRange, windowOf } from '../model/time-range.ts';
import type { ChunkFilter, HeadView } from './head-view.ts';
import { histogramChunks } from './read-items.ts';

/** A generation of a tenant's window. */
export interface WindowGeneration {
  readonly window: number;
  readonly generation: number;
}

/** The index of a tenant's series in the head. Refs are rows, which are used again: lists are nearly in their order. */
class HeadIndex implements PostingsIndex {
  readonly #view: HeadView;
  readonly #tenant: number;

  constructor(view: HeadView, tenant: number) {
    this.#view = view;
    this.#tenant = tenant;
  }

  all(): Postings {
    return ascending(this.#view.list(this.#tenant + L.TENANT_ROWS));
  }

  names(): string[] {
    const { memory } = this.#view;
    const names: string[] = [];
    for (
      let name = memory.loadWord(this.#tenant + L.TENANT_NAMES);
      name !== 0;
      name = memory.word(name + L.NAME_NEXT)
    ) {
      names.push(this.#view.text(memory.word(name + L.NAME_SYMBOL)));
    }
    return names.sort(compareUtf8);
  }

  values(name: string): string[] {
    const address = this.#view.name(this.#tenant, name);
    if (address === 0) return [];
    const pairs = this.#view.list(address + L.NAME_PAIRS);
    const values = Array.from(pairs, (pair) => this.#view.text(this.#view.memory.word(pair + L.PAIR_VALUE)));
    // A pair that left and one that came in its place may both be there for a moment.
    return [...new Set(values)].sort(compareUtf8);
  }

  postings(name: string, value: string): Postings {
    const address = this.#view.name(this.#tenant, name);
    const pair = address === 0 ? 0 : this.#view.pair(address, value);
    return pair === 0 ? new Uint32Array(0) : ascending(this.#view.list(pair + L.PAIR_ROWS));
  }
}

export class HeadSource implements SeriesSource {
  readonly externalLabels: Labels;
  readonly #view: HeadView;
  readonly #index: HeadIndex;
  readonly #published: ReadonlyMap<number, number>;

  /** `published` are the generations in the tenant's block list that the head has not let go of yet. */
  constructor(view: HeadView, tenant: number, externalLabels: Labels, published: readonly WindowGeneration[]) {
    this.#view = view;
    this.#index = new HeadIndex(view, tenant);
    this.externalLabels = externalLabels;
    this.#published = new Map(published.map(({ window, generation }) => [window, generation]));
  }

  async labelNames(matchers: readonly Matcher[], range: TimeRange): Promise<string[]> {
    if (matchers.length === 0) {
      return this.#index
        .names()
        .filter((name) => this.#index.values(name).some((value) => this.#isSeen(name, value, range)));
    }
    const names = new Set<string>();
    for (const row of this.#rows(matchers, range))
      for (const name of evenItems(this.#view.labels(row))) names.add(name);
    return [...names].sort(compareUtf8);
  }

  async labelValues(name: string, matchers: readonly Matcher[], range: TimeRange): Promise<string[]> {
    if (matchers.length === 0) return this.#index.values(name).filter((value) => this.#isSeen(name, value, range));
    const values = new Set<string>();
    for (const row of this.#rows(matchers, range)) {
      const labels = this.#view.labels(row);
      const at = labels.findIndex((text, i) => i % 2 === 0 && text === name);
      if (at >= 0) values.add(labels[at + 1] as string);
    }
    return [...values].sort(compareUtf8);
  }

  async select(matchers: readonly Matcher[], range: TimeRange): Promise<SourceSeries[]> {
    const series = this.#rows(matchers, range).map((row) => ({ labels: this.#view.labels(row), chunkRefs: [row] }));
    return series.sort((a, b) => compareLabels(a.labels, b.labels));
  }

  async readChunks(series: readonly SourceSeries[], range: TimeRange): Promise<Chunk[][]> {
    const wanted = this.#wanted(range);
    return series.map(({ chunkRefs }) => {
      const row = chunkRefs[0] as number;
      const chunks = [...this.#view.chunks(row, wanted), ...histogramChunks(this.#view.items(row, wanted))].filter(
        (chunk) => reachesInto(chunk, range),
      );
      // At one timestamp the earlier chunk of the list wins, and what was stored first is in the lower generation.
      return chunks.sort((a, b) => a.generation - b.generation || a.minTimeMs - b.minTimeMs);
    });
  }

  #rows(matchers: readonly Matcher[], range: TimeRange): number[] {
    const wanted = this.#wanted(range);
    return Array.from(selectPostings(this.#index, matchers)).filter((row) => this.#hasSamples(row, wanted, range));
  }

  #isSeen(name: string, value: string, range: TimeRange): boolean {
    const wanted = this.#wanted(range);
    return this.#index.postings(name, value).some((row) => this.#hasSamples(row, wanted, range));
  }

  #hasSamples(row: number, wanted: ChunkFilter, range: TimeRange): boolean {
    return this.#view.hasChunk(row, wanted, range) || this.#view.hasHistogram(row, wanted, range);
  }

  #wanted(range: TimeRange): ChunkFilter {
    const first = windowOf(range.minTimeMs);
    const last = windowOf(range.maxTimeMs);
    return (window, generation) => window >= first && window <= last && this.#published.get(window) !== generation;
  }
}

function reachesInto(chunk: Chunk, range: TimeRange): boolean {
  return chunk.minTimeMs < range.maxTimeMs && chunk.maxTimeMs >= range.minTimeMs;
}

function evenItems(items: readonly string[]): string[] {
  return items.filter((_, i) => i % 2 === 0);
}
