/** A database that has nothing but blocks, here and in a watched bucket, for reads of them by a ReaderPool or a Reader. */
import type { ReadableDatabase } from '../../src/read/reader-pool.ts';
import type { BlockPlace } from '../../storage/block/block-place.ts';
import { type BlockInput, writeBlock } from '../../storage/block/block-writer.ts';
import type { QuarantinedBlock } from '../../storage/bucket/quarantine.ts';
import type { Snapshot } from '../../storage/head/snapshots.ts';
import type { FileSystem } from '../../storage/io/file-system.ts';
import { Kernel } from '../../storage/kernel/kernel.ts';
import type { TimeRange } from '../../storage/model/time-range.ts';
import type { BlockCacheSettings, ReaderInit } from '../../storage/select/reader.ts';
import { blockInput, type PlainSeries } from './blocks.ts';
import { type BucketWatch, watchedLocation, watchOf } from './watched-bucket.ts';

/** The n-th block's name. */
export function ulidOf(n: number): string {
  return `01HZZZ${String(n).padStart(20, '0')}`;
}

const MIB = 1024 * 1024;

export class BlocksDatabase implements ReadableDatabase {
  readonly fileSystem: FileSystem;
  readonly watch: BucketWatch;
  readonly quarantined: QuarantinedBlock[] = [];
  places: BlockPlace[] = [];
  /** What a look at the bucket finds. */
  onRefresh: () => void = () => {};
  refreshes = 0;
  cache: BlockCacheSettings;
  readonly #kernel = new Kernel({ budgetBytes: 64 * MIB, seed: 1 });
  readonly #bucketDirectory: string;
  #lastSnapshot = 0;
  readonly held: Set<number> = new Set();

  /** `directory` is where the bucket and the caches are. */
  constructor(fileSystem: FileSystem, directory: string) {
    this.fileSystem = fileSystem;
    this.#bucketDirectory = `${directory}/bucket`;
    this.watch = watchOf(this.#bucketDirectory);
    this.cache = {
      headersDirectory: `${directory}/index-headers`,
      directory: `${directory}/cache`,
      diskBytes: 4 * MIB,
      keepFreeBytes: 0,
      memoryBytes: 4 * MIB,
    };
  }

  /** Writes a block of the series into the bucket. */
  addBlock(n: number, series: readonly PlainSeries[], overrides: Partial<BlockInput> = {}): BlockPlace {
    const ulid = ulidOf(n);
    const meta = writeBlock(this.fileSystem, this.path(n), { ...blockInput(series), ulid, ...overrides });
    const place = { meta, bucketDirectory: ulid };
    this.places.push(place);
    return place;
  }

  /** The directory of a block in the bucket. */
  path(n: number): string {
    return `${this.#bucketDirectory}/${ulidOf(n)}`;
  }

  /** Changes a byte of a file in the bucket. */
  damage(n: number, name: string, offset: number): void {
    const file = this.fileSystem.open(`${this.path(n)}/${name}`, 'update');
    const byte = new Uint8Array(1);
    file.read(byte, offset);
    file.write(Uint8Array.of((byte[0] as number) ^ 0xff), offset);
    file.close();
  }

  readerInit(): ReaderInit {
    return {
      memory: this.#kernel.memory.memory,
      reader: 1,
      externalLabels: [],
      tenantLabelName: 'tenant_id',
      bucket: watchedLocation(this.#bucketDirectory),
      blockCache: this.cache,
    };
  }

  releaseReader(): void {}

  snapshot(tenant: string, range: TimeRange): Snapshot {
    const id = ++this.#lastSnapshot;
    this.held.add(id);
    const isQuarantined = ({ meta }: BlockPlace): boolean => this.quarantined.some(({ ulid }) => ulid === meta.ulid);
    return {
      id,
      tenant,
      range,
      handle: 0,
      blocks: this.places.filter((place) => !isQuarantined(place)),
      quarantined: this.quarantined,
      published: [],
    };
  }

  release(id: number): void {
    if (!this.held.delete(id)) throw new Error(`snapshot ${id} is not held`);
  }

  quarantine(ulid: string, reason: string): void {
    this.quarantined.push({ ulid, reason });
  }

  async refreshBlocks(): Promise<void> {
    this.refreshes++;
    this.onRefresh();
  }
}
