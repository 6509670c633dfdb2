/**
 * A reader thread's view of a database that lies in memory: the whole content travels in the ReaderInit. Its `run` is an
 * activity, so that a ReaderPool can be tested on threads without a database.
 */
import type { ReadContext } from '../../src/read/read-context.ts';
import { DEFAULT_READ_LIMITS, type ReadLimits } from '../../src/read/read-job.ts';
import { serveReads } from '../../src/read/read-server.ts';
import type { ReaderActivityInit } from '../../src/read/reader-activity.ts';
import type { ReadableDatabase } from '../../src/read/reader-pool.ts';
import { type Port, StorageError } from '../../storage/index.ts';
import { ChunkCodec } from '../../storage/kernel/chunk-codec.ts';
import type { Labels } from '../../storage/model/labels.ts';
import type { SeriesSource } from '../../storage/model/series-source.ts';
import type { TimeRange } from '../../storage/model/time-range.ts';
import { type MemorySeries, MemorySource } from './memory-source.ts';

/** What one source holds. */
export interface MemoryContent {
  readonly series: readonly MemorySeries[];
  readonly externalLabels?: Labels;
}

type Tenants = Readonly<Record<string, readonly MemoryContent[]>>;

const codec: ChunkCodec = ChunkCodec.load();

export function memorySources(content: readonly MemoryContent[]): SeriesSource[] {
  return content.map(({ series, externalLabels }) => new MemorySource(series, externalLabels));
}

/** The context of one read over `content`, on this thread. */
export function memoryContext(
  content: readonly MemoryContent[],
  limits: ReadLimits = DEFAULT_READ_LIMITS,
): ReadContext {
  const sources = memorySources(content);
  return {
    codec,
    limits,
    sources: async (ranges) => ranges.map(() => sources),
    warnings: () => [],
    turn: async () => undefined,
  };
}

/** A database of tenants that only lends out snapshots, and remembers which. */
export class MemoryDatabase implements ReadableDatabase {
  readonly held: Map<number, { tenant: string; range: TimeRange }> = new Map();
  /** Reader threads that live. */
  readers = 0;
  readonly #tenants: Tenants;
  #nextId = 1;

  constructor(tenants: Tenants) {
    this.#tenants = tenants;
  }

  readerInit(): ReturnType<ReadableDatabase['readerInit']> {
    this.readers++;
    return this.#tenants as unknown as ReturnType<ReadableDatabase['readerInit']>;
  }

  releaseReader(): void {
    this.readers--;
  }

  snapshot(tenant: string, range: TimeRange): ReturnType<ReadableDatabase['snapshot']> {
    if (tenant === 'unreadable') throw new StorageError('unavailable', 'no snapshot of this tenant');
    const id = this.#nextId++;
    this.held.set(id, { tenant, range });
    return { id, tenant, range } as unknown as ReturnType<ReadableDatabase['snapshot']>;
  }

  async refreshBlocks(): Promise<void> {}

  quarantine(ulid: string): void {
    throw new Error(`no block ${ulid} is here`);
  }

  release(id: number): void {
    if (!this.held.delete(id)) throw new Error(`snapshot ${id} is not held`);
  }
}

/** The activity. A read of the tenant `deadly` ends the thread. */
export function run(port: Port, { reader, limits }: ReaderActivityInit): void {
  const tenants = reader as unknown as Tenants;
  const sources = ({ tenant }: { readonly tenant: string }): SeriesSource[] => {
    if (tenant === 'deadly') process.exit(1);
    return memorySources(tenants[tenant] ?? []);
  };
  serveReads(port, { codec, sources }, limits);
}
