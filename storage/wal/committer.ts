/**
 * The writer of the log: takes the frames that the kernel left in the ring, writes them into the current segment,
 * syncs, and only then moves the tail, which is what an acknowledgement waits for. One `commit` is one such round;
 * whatever arrived meanwhile is the next group.
 *
 *   ring    …│ durable │ frames to commit │ free …         segment   │ header │ frames … │ zeros written ahead │
 *                   tail               head                                            position
 *
 * A commit may leave out the sync (--wal.sync=interval): the frames are written, and stay in the ring until a later one
 * syncs them, so that a failure in between costs nothing either.
 *
 * Invariants: a frame is never split across segments. The tail moves only after every byte before it is synced, and
 * after the name of its segment is. A file that failed once is never written or synced again: the kernel may have
 * dropped its dirty pages and would report the next sync as good. The same frames go into a new segment instead, under
 * the same sequences; recovery skips what it has seen.
 */
import type { File, FileSystem } from '../io/file-system.ts';
import { isSystemError } from '../io/system-error.ts';
import { FRAME_HEADER_BYTES } from '../kernel/layout.ts';
import { frameBytesAt, isMagicAt } from './frame.ts';
import { encodeFileHeader, FILE_HEADER_BYTES, segmentName, walDirectory } from './segment.ts';
import { SpareSegments } from './spare-segments.ts';

/** Byte addresses in the shared memory of the words and the ring (storage/kernel/layout.ts); words are u32. */
export interface WalAddresses {
  readonly head: number;
  /** Up to where the log is to be written now: behind it are requests that others may still join. */
  readonly wanted: number;
  readonly tail: number;
  readonly state: number;
  readonly stop: number;
  readonly syncs: number;
  readonly segment: number;
  /**
   * A u64: the segment (high half) and the offset in it up to where the log is on disk. It is never behind the tail: who
   * reads the tail first, finds here where the bytes before it lie.
   */
  readonly synced: number;
  /** MiB that stay free on the disk. */
  readonly floor: number;
  /** 1: somebody waits for a sync. */
  readonly syncWanted: number;
  readonly ring: number;
  /** A power of two. */
  readonly ringBytes: number;
}

/** Values of the state word. */
export const WalState = { ok: 0, failing: 1 } as const;

export interface WalCommitterOptions {
  readonly fileSystem: FileSystem;
  /** The data directory; it exists. */
  readonly dataDirectory: string;
  readonly memory: ArrayBufferLike;
  readonly addresses: WalAddresses;
  /** A segment grows no longer, unless a single frame is. */
  readonly segmentBytes: number;
  /** Higher than that of any segment or checkpoint in the directory. */
  readonly firstSegment: number;
}

/** `durable` is the tail now; `recovered` says that the round before had failed. */
export type CommitOutcome = { readonly durable: number; readonly recovered: boolean } | { readonly failing: string };

const MIB = 1024 * 1024;

/** What is copied out of the ring and written at once, unless a single frame is longer. */
const PIECE_BYTES = 4 * MIB;

interface Segment {
  readonly number: number;
  readonly file: File;
  /** Where the next frame goes; 0 while the header is not written. */
  position: number;
  /** Whether it holds frames that were reported durable, or, without a sync, written. */
  acknowledged: boolean;
}

export class WalCommitter {
  readonly #options: WalCommitterOptions;
  readonly #words: Int32Array;
  readonly #longs: BigUint64Array;
  readonly #ring: Uint8Array;
  readonly #directory: string;
  /** A piece of the batch, behind room for a segment's header. */
  #batch: Uint8Array<ArrayBuffer> = new Uint8Array(FILE_HEADER_BYTES);
  #segment: Segment | undefined;
  #nextSegment: number;
  #isDirectoryMade = false;
  readonly #spares: SpareSegments;
  /** Up to here the ring is in the segment, synced or not. */
  #written: number;
  /** Since spares were last made longer. */
  #bytesSinceGrowth = 0;

  /** Touches no file: the first commit makes the first segment. */
  constructor(options: WalCommitterOptions) {
    const { memory, addresses } = options;
    this.#options = options;
    this.#words = new Int32Array(memory);
    this.#longs = new BigUint64Array(memory, 0, Math.floor(memory.byteLength / 8));
    this.#ring = new Uint8Array(memory, addresses.ring, addresses.ringBytes);
    this.#directory = walDirectory(options.dataDirectory);
    this.#nextSegment = options.firstSegment;
    this.#written = this.#tail;
    this.#spares = new SpareSegments({
      fileSystem: options.fileSystem,
      directory: this.#directory,
      segmentBytes: options.segmentBytes,
      floorBytes: () => Atomics.load(this.#words, addresses.floor >> 2) * MIB,
    });
  }

  /** Up to this position the ring is written, which is all that a kill cannot take back. */
  get written(): number {
    return this.#written;
  }

  /** Bytes that are written and not synced. */
  get unsyncedBytes(): number {
    return (this.#written - this.#tail) >>> 0;
  }

  /**
   * Why writes have to stop before the disk does it: a spare segment is gone, and space for another is not there. What
   * gives space back may still use the log.
   */
  get shortage(): string | undefined {
    return this.#spares.shortage;
  }

  /**
   * Writes everything in the ring and makes it durable, if `sync` says so; undefined if there was nothing to do. After
   * an error of the file system the tail stays, the state word says failing, and the next call tries all that is not
   * durable again in a new segment. Throws only for a ring that holds no frames.
   */
  commit(sync = true): CommitOutcome | undefined {
    const { addresses } = this.#options;
    const head = Atomics.load(this.#words, addresses.head >> 2);
    const length = (head - this.#written) >>> 0;
    if (length === 0 && (!sync || this.unsyncedBytes === 0)) return undefined;
    try {
      for (let left = length; left > 0; ) {
        const piece = this.#takePiece(left);
        this.#write(piece);
        left -= piece;
      }
      this.#finish(sync);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      this.#abandonSegment();
      this.#written = this.#tail;
      Atomics.store(this.#words, addresses.state >> 2, WalState.failing);
      return { failing: error.message };
    }
    this.#bytesSinceGrowth += length;
    const recovered = Atomics.exchange(this.#words, addresses.state >> 2, WalState.ok) === WalState.failing;
    return { durable: this.#tail, recovered };
  }

  get #tail(): number {
    return Atomics.load(this.#words, this.#options.addresses.tail >> 2) >>> 0;
  }

  /**
   * Makes the spare segments a step longer; to be called when a commit was answered, so that nobody waits for it, and
   * now and then when there is none. It keeps pace with what is committed: twice as much as that. True if another call
   * would do more.
   */
  growSpares(): boolean {
    if (!this.#isDirectoryMade) return false;
    const bytes = Math.max(MIB, 2 * this.#bytesSinceGrowth);
    this.#bytesSinceGrowth = 0;
    return this.#spares.grow(bytes);
  }

  /** Closes the current segment; what is still in the ring stays there. The committer is of no use afterwards. */
  close(): void {
    this.#segment?.file.close();
    this.#spares.close();
    this.#segment = undefined;
  }

  /** Copies whole frames of the `left` bytes that are not written out of the ring, as many as a piece holds; their bytes. */
  #takePiece(left: number): number {
    const length = Math.min(left, PIECE_BYTES);
    this.#copyFromRing(this.#written, length);
    if (length === left) return left;
    const end = FILE_HEADER_BYTES + length;
    let to = FILE_HEADER_BYTES;
    let next = this.#endOfFrame(to, FILE_HEADER_BYTES + left);
    while (next <= end) {
      to = next;
      if (end - to < FRAME_HEADER_BYTES) break;
      next = this.#endOfFrame(to, FILE_HEADER_BYTES + left);
    }
    if (to > FILE_HEADER_BYTES) return to - FILE_HEADER_BYTES;
    this.#copyFromRing(this.#written, next - FILE_HEADER_BYTES);
    return next - FILE_HEADER_BYTES;
  }

  /** Where the frame at `at` of the batch ends, which is not beyond `end`. */
  #endOfFrame(at: number, end: number): number {
    const hasHeader = end - at >= FRAME_HEADER_BYTES && isMagicAt(this.#batch, at);
    const next = hasHeader ? at + frameBytesAt(this.#batch, at) : end;
    if (!hasHeader || next > end) throw new Error(`no frame in the ring at ${at - FILE_HEADER_BYTES} of the batch`);
    return next;
  }

  #copyFromRing(position: number, length: number): void {
    const needed = FILE_HEADER_BYTES + length;
    if (this.#batch.length < needed) {
      const usual = Math.min(this.#batch.length * 2, FILE_HEADER_BYTES + PIECE_BYTES);
      this.#batch = new Uint8Array(Math.max(needed, usual));
    }
    const start = position % this.#ring.length;
    const untilWrap = Math.min(length, this.#ring.length - start);
    this.#batch.set(this.#ring.subarray(start, start + untilWrap), FILE_HEADER_BYTES);
    this.#batch.set(this.#ring.subarray(0, length - untilWrap), FILE_HEADER_BYTES + untilWrap);
  }

  /** Writes a piece of the batch. A segment that is full is synced: what it holds is durable from then on. */
  #write(length: number): void {
    const end = FILE_HEADER_BYTES + length;
    let from = FILE_HEADER_BYTES;
    while (from < end) {
      this.#segment ??= this.#openSegment();
      const segment = this.#segment;
      const to = this.#lastFrameThatFits(from, end, segment);
      if (to > from) this.#writeFrames(segment, from, to);
      this.#written = (this.#written + to - from) >>> 0;
      from = to;
      if (from === end) break;
      this.#sync(segment);
      this.#segment = undefined;
      segment.file.close();
    }
  }

  /** Syncs what was written, if told to. */
  #finish(sync: boolean): void {
    if (this.#segment === undefined) return;
    if (sync) this.#sync(this.#segment);
    else this.#segment.acknowledged = true;
  }

  /** The end of the last frame of [from, end) that the segment has room for; a fresh segment takes at least one. */
  #lastFrameThatFits(from: number, end: number, segment: Segment): number {
    const isFresh = segment.position === 0;
    const room = this.#options.segmentBytes - (isFresh ? FILE_HEADER_BYTES : segment.position);
    // The usual case needs no walk: the whole batch fits.
    if (end - from <= room) return end;
    let to = from;
    while (to < end) {
      const next = this.#endOfFrame(to, end);
      if (next - from > room && !(isFresh && to === from)) break;
      to = next;
    }
    return to;
  }

  /** A fresh segment gets its header in the same write: the bytes before `from` are room for it or already written. */
  #writeFrames(segment: Segment, from: number, to: number): void {
    if (segment.position > 0) {
      segment.file.write(this.#batch.subarray(from, to), segment.position);
      segment.position += to - from;
      return;
    }
    const frame = new DataView(this.#batch.buffer, from, FRAME_HEADER_BYTES);
    const bytes = this.#batch.subarray(from - FILE_HEADER_BYTES, to);
    encodeFileHeader(bytes, 'segment', {
      number: segment.number,
      generation: frame.getUint32(8, true),
      sequence: frame.getUint32(12, true) + frame.getUint32(16, true) * 0x1_0000_0000,
    });
    segment.file.write(bytes, 0);
    segment.position = bytes.length;
  }

  /** Syncs the segment and moves the tail to the position of the ring that it reaches to. */
  #sync(segment: Segment): void {
    const { addresses } = this.#options;
    segment.file.sync();
    segment.acknowledged = true;
    Atomics.add(this.#words, addresses.syncs >> 2, 1);
    Atomics.store(this.#longs, addresses.synced >> 3, (BigInt(segment.number) << 32n) | BigInt(segment.position));
    Atomics.store(this.#words, addresses.tail >> 2, this.#written | 0);
  }

  /** Makes the next segment and its name durable, out of the spare if there is one. A number is never used twice. */
  #openSegment(): Segment {
    const { fileSystem, dataDirectory, addresses } = this.#options;
    if (!this.#isDirectoryMade) {
      fileSystem.makeDirectory(this.#directory);
      fileSystem.syncDirectory(dataDirectory);
      this.#isDirectoryMade = true;
    }
    const number = this.#nextSegment++;
    const path = `${this.#directory}/${segmentName(number)}`;
    const hasSpare = this.#spares.take(path);
    this.#segment = {
      number,
      file: fileSystem.open(path, hasSpare ? 'update' : 'create'),
      position: 0,
      acknowledged: false,
    };
    fileSystem.syncDirectory(this.#directory);
    Atomics.store(this.#words, addresses.segment >> 2, number);
    return this.#segment;
  }

  /** Never touches the failed file again, and takes it away if nothing in it was acknowledged: a full disk needs it. */
  #abandonSegment(): void {
    const segment = this.#segment;
    this.#segment = undefined;
    if (segment === undefined) return;
    attempt(() => segment.file.close());
    if (!segment.acknowledged) attempt(() => this.#options.fileSystem.remove(segment.file.path));
  }
}

/** Runs a clean-up whose failure changes nothing. */
function attempt(cleanUp: () => void): void {
  try {
    cleanUp();
  } catch (error) {
    if (!isSystemError(error)) throw error;
  }
}
