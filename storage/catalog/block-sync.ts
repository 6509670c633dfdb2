/**
 * Brings the catalogue up to date with the bucket: one recursive listing, and one read for each meta.json and mark that is
 * new. What Thanos, Prometheus or Mimir put there appears so; what we put ourselves is known already. Nothing is ever
 * removed from the bucket for what a listing says.
 */
import { META_FILE } from '../block/layout.ts';
import { DELETION_MARK_FILE } from '../bucket/block-listing.ts';
import type { BucketThread } from '../bucket/bucket-thread.ts';
import type { ReadObject } from '../bucket/bucket-work.ts';
import type { Clock } from '../io/clock.ts';
import { CorruptionError, StorageError } from '../lib/errors.ts';
import type { BlockEvent } from './block-event.ts';
import type { Catalog } from './catalog.ts';
import { type BucketPlace, CatalogListing } from './catalog-listing.ts';

/** Small objects that are asked for in one job. */
const READS_A_JOB = 128;
/** Missing blocks that are asked for by name; of more, two listings decide. */
const MISSING_ASKED = 128;

export interface SyncParts {
  readonly catalog: Catalog;
  readonly thread: Pick<BucketThread, 'run'>;
  readonly clock: Clock;
  readonly onEvent: (event: BlockEvent) => void;
  /** The copy of a block that was deleted from the bucket, after a mark, is of no use. */
  readonly onDeleted: (ulid: string, directory: string) => void;
  /** The bucket has the block no more. */
  readonly onVanished: (ulid: string) => void;
}

export class BlockSync {
  readonly #parts: SyncParts;
  /** Blocks that lie twice or are damaged, of which it was said. */
  readonly #reported = new Set<string>();
  /** Blocks that the last listing showed damaged: one listing alone may be stale. */
  #damaged: ReadonlySet<string> = new Set();

  constructor(parts: SyncParts) {
    this.#parts = parts;
  }

  /** Rejects with StorageError if the bucket could not be listed to its end: what it said until then counts. */
  async run(): Promise<void> {
    const { catalog, thread, clock, onEvent } = this.#parts;
    const startedMs = clock.monotonicMs();
    const known = catalog.bucketCount();
    const listing = new CatalogListing(catalog, clock.nowMs());
    const strays = await thread.run('list', undefined, (blocks) =>
      listing.note(blocks, (message) => this.#reportOnce(message)),
    );
    const isEmptied = known > 0 && listing.count === 0;
    if (isEmptied) onEvent({ kind: 'bucket-emptied', known });
    await this.#readMetas(listing);
    await this.#readMarks(listing);
    const vanished = await this.#checkMissing(listing, isEmptied);
    this.#noteDamaged(listing.damaged);
    onEvent({
      kind: 'bucket-synced',
      blocks: listing.count,
      added: listing.added,
      vanished,
      strays: strays.names,
      durationMs: clock.monotonicMs() - startedMs,
    });
  }

  async #readMetas(listing: CatalogListing): Promise<void> {
    const { catalog, onEvent } = this.#parts;
    await this.#readAll(
      (limit) => listing.unread(limit),
      META_FILE,
      ({ ulid }, name, bytes) => {
        try {
          catalog.readMeta(ulid, bytes, name);
        } catch (error) {
          if (!(error instanceof CorruptionError)) throw error;
          catalog.refuseMeta(ulid, error.message);
          onEvent({ kind: 'block-skipped', message: error.message });
        }
      },
    );
  }

  async #readMarks(listing: CatalogListing): Promise<void> {
    await this.#readAll(
      (limit) => listing.marked(limit),
      DELETION_MARK_FILE,
      // One that makes no sense is a mark all the same: it counts from the beginning of time.
      ({ ulid }, _, bytes) => listing.noteDeletion(ulid, deletionMs(bytes)),
    );
  }

  /** Reads an object of each block that `next` names, until it names none; what is gone meanwhile, the next sync sees. */
  async #readAll(
    next: (limit: number) => BucketPlace[],
    file: string,
    onRead: (place: BucketPlace, name: string, bytes: Uint8Array) => void,
  ): Promise<void> {
    const failed = new Set<string>();
    for (;;) {
      const places = next(READS_A_JOB + failed.size).filter(({ ulid }) => !failed.has(ulid));
      if (places.length === 0) return;
      const objects = await this.#read(places, file);
      for (const [i, place] of places.entries()) {
        const object = objects[i] as ReadObject;
        if ('bytes' in object) onRead(place, object.name, object.bytes);
        else if (object.kind === 'not-found') failed.add(place.ulid);
        else throw new StorageError(object.kind, object.message);
      }
    }
  }

  /** Returns how many blocks are not in the bucket any more. */
  async #checkMissing(listing: CatalogListing, isEmptied: boolean): Promise<number> {
    const asked = isEmptied ? [] : listing.missing(MISSING_ASKED);
    const objects = await this.#read(asked, META_FILE);
    const gone = asked.filter((_, i) => {
      const object = objects[i] as ReadObject;
      return !('bytes' in object) && object.kind === 'not-found';
    });
    asked.forEach(({ ulid }, i) => {
      if ('bytes' in (objects[i] as ReadObject)) listing.notePresent(ulid);
    });
    for (const place of gone) this.#vanish(place);
    const agreed = listing.endMissing(isEmptied);
    for (const place of agreed) this.#vanish(place);
    return gone.length + agreed.length;
  }

  /** What two listings in a row show damaged is uploaded again from the copy on this disk, or at least told. */
  #noteDamaged(damaged: ReadonlyMap<string, string>): void {
    const { catalog, onEvent } = this.#parts;
    for (const [ulid, reason] of damaged) {
      if (!this.#damaged.has(ulid)) continue;
      const isUploadedAgain = catalog.uploadAgain(ulid);
      if (isUploadedAgain || !this.#reported.has(ulid))
        onEvent({ kind: 'block-damaged', ulid, message: reason, isUploadedAgain });
      this.#reported.add(ulid);
    }
    this.#damaged = new Set(damaged.keys());
  }

  #vanish({ ulid }: BucketPlace): void {
    const { catalog, onDeleted, onVanished } = this.#parts;
    const directory = catalog.removeFromBucket(ulid);
    if (directory !== undefined) onDeleted(ulid, directory);
    onVanished(ulid);
  }

  async #read(places: readonly BucketPlace[], file: string): Promise<ReadObject[]> {
    if (places.length === 0) return [];
    return await this.#parts.thread.run(
      'read',
      places.map(({ directory }) => `${directory}/${file}`),
    );
  }

  #reportOnce(message: string): void {
    if (this.#reported.has(message)) return;
    this.#reported.add(message);
    this.#parts.onEvent({ kind: 'block-skipped', message });
  }
}

/** When a block was marked, in ms since 1970; Thanos writes seconds. */
function deletionMs(bytes: Uint8Array): number {
  try {
    const { deletion_time: seconds } = JSON.parse(new TextDecoder().decode(bytes)) as { deletion_time?: unknown };
    return Number.isSafeInteger(seconds) ? (seconds as number) * 1000 : 0;
  } catch {
    return 0;
  }
}
