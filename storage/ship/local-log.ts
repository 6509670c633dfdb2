/**
 * The log on this disk as the ship thread sees it: which bytes of which segments are durable and not in the bucket yet.
 * A segment is held open until it is shipped, so that a checkpoint that removes it takes nothing away before.
 *
 *   segments   7 │ 8 │ 9 …        7, 8: closed, they end with their last frame      9: ends where the log is synced up to
 */
import type { FileSystem } from '../io/file-system.ts';
import { FrameReader } from '../wal/frame-reader.ts';
import { SalvagedFile } from '../wal/salvaged-file.ts';
import { checkpointName, listWalFiles, readFileHeader, segmentName, walDirectory } from '../wal/segment.ts';
import type { ShippedPart } from './shipped-log.ts';

/** Up to where the log is on disk. */
export interface SyncedUntil {
  readonly segment: number;
  readonly offset: number;
}

/** Bytes to ship, of an open file. */
export interface LocalPiece {
  readonly segment: number;
  readonly path: string;
  readonly file: SalvagedFile;
  readonly offset: number;
  readonly bytes: number;
}

interface OpenSegment {
  readonly number: number;
  readonly path: string;
  readonly file: SalvagedFile;
  /** Up to here it is in the bucket. */
  shipped: number;
  /** Up to here it is on its way: a part that may be there already is put again with the same bytes, or not at all. */
  sent: number | undefined;
  /** Where its last frame ends, once it is closed. */
  end: number | undefined;
}

/** Whatever the segment length is. */
const LONGEST_PART_BYTES = 16 * 1024 * 1024;

export class LocalLog {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  /** Segments below it were closed by an earlier process. */
  readonly #firstSegment: number;
  readonly #open = new Map<number, OpenSegment>();
  /** The highest segment that was looked for. */
  #seenUntil: number;
  #synced: SyncedUntil = { segment: 0, offset: 0 };
  #newestCheckpoint = -1;
  #missing = -1;

  /** Opens what an earlier process left; this one begins with `firstSegment`. */
  constructor(fileSystem: FileSystem, dataDirectory: string, firstSegment: number) {
    this.#fileSystem = fileSystem;
    this.#directory = walDirectory(dataDirectory);
    this.#firstSegment = firstSegment;
    this.#seenUntil = 0;
    this.#openNew(firstSegment - 1);
  }

  /** The newest checkpoint on this disk at the last look; -1 if there is none. */
  get newestCheckpoint(): number {
    return this.#newestCheckpoint;
  }

  /**
   * The highest segment that went before it was shipped: the bucket needs a checkpoint that stands for it, or has a gap.
   * -1 if there is none.
   */
  get missing(): number {
    return this.#missing;
  }

  /** Bytes on this disk that are durable and not in the bucket. */
  get behindBytes(): number {
    let bytes = 0;
    for (const segment of this.#open.values()) bytes += Math.max(0, this.#endOf(segment) - segment.shipped);
    return bytes;
  }

  /** Opens what is new. To be called often: a segment that a checkpoint removes before is lost to the parts. */
  look(synced: SyncedUntil): void {
    this.#synced = synced;
    if (synced.segment > this.#seenUntil) this.#openNew(synced.segment);
  }

  /** Looks which checkpoint is there. */
  lookForCheckpoint(): void {
    for (const { kind, number } of listWalFiles(this.#fileSystem, this.#directory))
      if (kind === 'checkpoint') this.#newestCheckpoint = number;
  }

  /** Takes for shipped what the bucket has, sorted by segment and offset, from the beginning of a segment without a gap. */
  resume(parts: readonly ShippedPart[]): void {
    for (const { segment, offset, bytes } of parts) {
      const open = this.#open.get(segment);
      if (open !== undefined && offset <= open.shipped) open.shipped = Math.max(open.shipped, offset + bytes);
    }
  }

  /** The next piece that is not shipped, the oldest first; undefined if all is. */
  next(): LocalPiece | undefined {
    for (const segment of this.#inOrder()) {
      const until = segment.sent ?? Math.min(this.#endOf(segment), segment.shipped + LONGEST_PART_BYTES);
      const { number, path, file, shipped } = segment;
      if (until > shipped) {
        segment.sent = until;
        return { segment: number, path, file, offset: shipped, bytes: until - shipped };
      }
      if (this.#isClosed(segment)) this.#close(segment);
    }
    return undefined;
  }

  /** A piece is in the bucket. */
  noteShipped({ segment, offset, bytes }: Pick<LocalPiece, 'segment' | 'offset' | 'bytes'>): void {
    const open = this.#open.get(segment);
    if (open === undefined) return;
    open.shipped = offset + bytes;
    open.sent = undefined;
  }

  /** While the bucket does not answer: gives up segments that a checkpoint on this disk stands for. */
  letGo(): void {
    this.lookForCheckpoint();
    for (const segment of this.#inOrder()) {
      if (segment.number > this.#newestCheckpoint) return;
      if (!this.#isClosed(segment)) continue;
      if (this.#endOf(segment) > segment.shipped) this.#missing = segment.number;
      this.#close(segment);
    }
  }

  /** Opens a checkpoint; undefined if it has gone. */
  openCheckpoint(number: number): SalvagedFile | undefined {
    const path = `${this.#directory}/${checkpointName(number)}`;
    return this.#fileSystem.exists(path) ? new SalvagedFile(this.#fileSystem, path) : undefined;
  }

  close(): void {
    for (const segment of this.#inOrder()) this.#close(segment);
  }

  #openNew(until: number): void {
    const files = listWalFiles(this.#fileSystem, this.#directory);
    for (const { kind, number } of files) if (kind === 'checkpoint') this.#newestCheckpoint = number;
    const numbers = files.filter(({ kind }) => kind === 'segment').map(({ number }) => number);
    for (const number of numbers) {
      if (number <= Math.max(this.#seenUntil, this.#newestCheckpoint) || this.#open.has(number)) continue;
      const path = `${this.#directory}/${segmentName(number)}`;
      const file = new SalvagedFile(this.#fileSystem, path);
      this.#open.set(number, { number, path, file, shipped: 0, sent: undefined, end: undefined });
    }
    // A number that nothing stands for is that of a segment that failed before anything in it was answered.
    for (let number = Math.max(this.#seenUntil + 1, this.#firstSegment); number <= until; number++)
      if (!this.#open.has(number) && number <= this.#newestCheckpoint) this.#missing = number;
    this.#seenUntil = until;
  }

  #inOrder(): OpenSegment[] {
    return [...this.#open.values()].sort((a, b) => a.number - b.number);
  }

  #isClosed({ number }: OpenSegment): boolean {
    return number < this.#firstSegment || number < this.#synced.segment;
  }

  /** Up to where its bytes are durable. */
  #endOf(segment: OpenSegment): number {
    if (!this.#isClosed(segment)) return segment.number === this.#synced.segment ? this.#synced.offset : 0;
    segment.end ??= endOfFrames(segment.file);
    return segment.end;
  }

  #close(segment: OpenSegment): void {
    segment.file.close();
    this.#open.delete(segment.number);
  }
}

/** Where the last frame of a segment ends; 0 if there is none. */
function endOfFrames(file: SalvagedFile): number {
  const header = readFileHeader(file, 'segment');
  const reader = new FrameReader(file, header, header?.sequence ?? 0);
  let end = 0;
  while (reader.next() !== undefined) end = reader.position;
  return end;
}
