/**
 * Brings the log to the bucket: parts of segments as soon as they are durable here, checkpoints when they stand for more
 * than they cost, and takes away what a checkpoint has made needless.
 *
 *   marker ─► parts, the oldest first ─► position told            one round after the other
 *   checkpoint ─► look for a higher epoch ─► older parts go       beside them
 *
 * Invariants: an object never changes its content. A checkpoint is put only when the blocks that were cut before it are
 * in the bucket, so whoever restores may always take the newest. What is told to be shipped can be restored: if the log
 * here begins with a checkpoint, or has a gap in the bucket that one fills, nothing is told before that one is there.
 */
import { type Bucket, bytesContent } from '../bucket/bucket.ts';
import type { World } from '../io/world.ts';
import type { SalvagedFile } from '../wal/salvaged-file.ts';
import { deleteEpoch, EpochObjects } from './epoch-objects.ts';
import { EpochWatch, FencedError } from './epoch-watch.ts';
import { fileContent } from './file-content.ts';
import { LocalLog, type SyncedUntil } from './local-log.ts';
import {
  type EpochMarker,
  encodeMarker,
  epochPrefix,
  listEpoch,
  MARKER_NAME,
  parseMarker,
  partName,
  type RestoredLog,
  shippedCheckpointName,
} from './shipped-log.ts';

export interface ShipperOptions {
  readonly bucket: Bucket;
  readonly dataDirectory: string;
  /** The first segment that this process writes. */
  readonly firstSegment: number;
  /** Of this process; put into the bucket if its epoch has none. */
  readonly marker: EpochMarker;
}

/** Since the start of the process. */
export interface ShipCounts {
  readonly parts: number;
  readonly checkpoints: number;
  readonly bytes: number;
  readonly deleted: number;
}

/** A checkpoint of this disk on its way to the bucket. */
interface Candidate {
  readonly number: number;
  readonly file: SalvagedFile;
}

export class Shipper {
  readonly #options: ShipperOptions;
  readonly #bucket: Bucket;
  readonly #prefix: string;
  readonly #watch: EpochWatch;
  readonly #local: LocalLog;
  /** undefined until the bucket was asked. */
  #objects: EpochObjects | undefined;
  #taken: RestoredLog | undefined;
  /** The checkpoint that the bucket has to have, or a newer one, before anything counts as shipped; -1: none. */
  #required = -1;
  #candidate: Candidate | undefined;
  #released = -1;
  /** Lower epochs that were looked through. */
  readonly #cleaned = new Set<number>();
  readonly #counts = { parts: 0, checkpoints: 0, bytes: 0, deleted: 0 };

  /** Opens the segments that are there. */
  constructor(options: ShipperOptions, { fileSystem, clock }: Pick<World, 'fileSystem' | 'clock'>) {
    const { bucket, dataDirectory, firstSegment, marker } = options;
    this.#options = options;
    this.#bucket = bucket;
    this.#prefix = epochPrefix(marker.instance, marker.epoch);
    this.#watch = new EpochWatch(bucket, marker, clock);
    this.#local = new LocalLog(fileSystem, dataDirectory, firstSegment);
  }

  get counts(): ShipCounts {
    return { ...this.#counts };
  }

  /** Durable here and not in the bucket, as far as this disk still has it. */
  get behindBytes(): number {
    return this.#local.behindBytes;
  }

  /** The newest checkpoint in the bucket; -1 if there is none, or it is not known. */
  get checkpoint(): number {
    return this.#objects?.checkpoint ?? -1;
  }

  /** Whether the bucket holds no gap, so that what is shipped can be restored. */
  get isWhole(): boolean {
    return this.#objects !== undefined && Math.max(this.#required, this.#local.missing) <= this.#objects.checkpoint;
  }

  /** See LocalLog.look. */
  look(synced: SyncedUntil): void {
    this.#local.look(synced);
  }

  /** See EpochWatch.expire. */
  expireWatch(): void {
    this.#watch.expire();
  }

  /** Blocks cut before this checkpoint are in the bucket. */
  release(checkpoint: number): void {
    this.#released = Math.max(this.#released, checkpoint);
  }

  /**
   * Puts everything into the bucket that is durable here up to the last `look`. Rejects with FencedError, or with the
   * bucket's errors: then the next call goes on where this one stopped.
   */
  async ship(): Promise<void> {
    await this.#begin();
    await this.#watch.lookIfDue();
    // Such an epoch cannot be restored from its parts alone; until then the one before it has everything.
    if (this.#taken !== undefined && this.checkpoint < 0) return;
    for (let piece = this.#local.next(); piece !== undefined; piece = this.#local.next()) {
      const { segment, path, file, offset, bytes } = piece;
      const name = `${this.#prefix}${partName(segment, offset)}`;
      // A pause of the process may have come in between.
      await this.#watch.lookIfDue();
      await this.#bucket.put(name, fileContent(file, path, offset, bytes));
      this.#local.noteShipped(piece);
      this.#objects?.addPart({ name, segment, offset, bytes });
      this.#counts.parts++;
      this.#counts.bytes += bytes;
    }
  }

  /** While the bucket does not answer: see LocalLog.letGo. */
  letGo(): void {
    this.#local.letGo();
  }

  /** Whether `tidy` has something to do. */
  get isTidyDue(): boolean {
    if (this.#objects === undefined) return false;
    if (this.#nextCandidate() !== undefined) return true;
    return this.#objects.replacedBy(this.#objects.checkpoint).length > 0 || this.#oldEpochs().length > 0;
  }

  /** Ships a checkpoint if one is worth it, and deletes what is not needed any more. Rejects as `ship` does. */
  async tidy(): Promise<void> {
    const candidate = this.#nextCandidate();
    if (candidate !== undefined) await this.#shipCheckpoint(candidate);
    await this.#deleteNeedless();
    for (const epoch of this.#oldEpochs()) {
      await this.#watch.look();
      await deleteEpoch(this.#bucket, this.#options.marker.instance, epoch, this.#taken);
      this.#cleaned.add(epoch);
    }
  }

  /** Looks for a higher epoch, if that is due. Rejects as `ship` does. */
  lookForHigherEpoch(): Promise<void> {
    return this.#watch.lookIfDue();
  }

  close(): void {
    this.#local.close();
    this.#candidate?.file.close();
  }

  /** Asks the bucket what is there, once, and opens the epoch if nobody has. */
  async #begin(): Promise<void> {
    if (this.#objects !== undefined) return;
    const { marker, firstSegment } = this.#options;
    await this.#watch.look();
    const there = await listEpoch(this.#bucket, marker.instance, marker.epoch);
    const newest = Math.max(there.parts.at(-1)?.segment ?? 0, there.checkpoints.at(-1)?.number ?? 0);
    if (newest >= firstSegment) throw new FencedError(this.#aheadText(newest));
    const name = `${this.#prefix}${MARKER_NAME}`;
    if (there.hasMarker) this.#taken = parseMarker(await this.#bucket.get(name), name).restored;
    else await this.#bucket.put(name, bytesContent(encodeMarker(marker)));
    this.#local.resume(there.parts);
    const objects = new EpochObjects(there.parts, there.checkpoints);
    // Whether all was shipped that this checkpoint stands for, nobody can tell any more.
    if (this.#local.newestCheckpoint > objects.checkpoint) this.#required = this.#local.newestCheckpoint;
    this.#objects = objects;
  }

  #aheadText(segment: number): string {
    const { marker, dataDirectory } = this.#options;
    return `the bucket has segment ${segment} of epoch ${marker.epoch} of instance ${marker.instance}, which ${dataDirectory} does not have: the directory is an older copy of itself, or used by two. Restore from the bucket into an empty directory`;
  }

  /** A checkpoint that is worth its bytes and whose blocks are in the bucket. */
  #nextCandidate(): Candidate | undefined {
    this.#candidate ??= this.#findCandidate();
    return this.#candidate !== undefined && this.#candidate.number <= this.#released ? this.#candidate : undefined;
  }

  /** It is held open: newer ones may come before its blocks are in the bucket. */
  #findCandidate(): Candidate | undefined {
    const objects = this.#objects as EpochObjects;
    this.#local.lookForCheckpoint();
    const number = this.#local.newestCheckpoint;
    if (number <= objects.checkpoint) return undefined;
    const file = this.#local.openCheckpoint(number);
    if (file === undefined) return undefined;
    const saved = objects.replacedBy(number).reduce((sum, { bytes }) => sum + bytes, 0);
    if (!this.isWhole || saved >= file.size()) return { number, file };
    file.close();
    return undefined;
  }

  async #shipCheckpoint({ number, file }: Candidate): Promise<void> {
    await this.#watch.lookIfDue();
    const bytes = file.size();
    const name = `${this.#prefix}${shippedCheckpointName(number)}`;
    await this.#bucket.put(name, fileContent(file, name, 0, bytes));
    this.#objects?.addCheckpoint({ name, number, bytes });
    this.#counts.checkpoints++;
    this.#counts.bytes += bytes;
    this.#candidate = undefined;
    file.close();
  }

  async #deleteNeedless(): Promise<void> {
    const objects = this.#objects as EpochObjects;
    const needless = objects.replacedBy(objects.checkpoint);
    if (needless.length === 0) return;
    await this.#watch.look();
    for (const { name } of needless) {
      await this.#watch.lookIfDue();
      await this.#bucket.delete(name);
      objects.forget(name);
      this.#counts.deleted++;
    }
  }

  /** Lower epochs, once this one can be restored alone. */
  #oldEpochs(): number[] {
    if ((this.#objects?.checkpoint ?? -1) < 0) return [];
    return this.#watch.lower.filter((epoch) => !this.#cleaned.has(epoch));
  }
}
