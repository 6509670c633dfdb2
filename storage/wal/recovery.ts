/**
 * Reads the log back after any end of the program: the newest checkpoint, then the frames behind it in the order of
 * their sequences, each once.
 *
 *   checkpoint.00000012 ─► segments 13, 14, … ─► merged by sequence ─► frames
 *                                         damage ─► <data>/quarantine/wal-00000013-4096
 *
 * Invariants: a whole frame is delivered, whatever happened to its neighbours; nothing else is. Good bytes are never
 * removed, and bad ones are kept aside. What was delivered is durable when `frames` ends: a record that was written but
 * not synced when the program died would otherwise be taken for acknowledged, and a power cut could still remove it. A
 * sync alone is not enough where one had failed before, since it skips pages that are falsely clean by then; so the
 * segments that hold the newest frames are written again. Those before them were synced before the next was begun.
 */
import type { FileSystem } from '../io/file-system.ts';
import { isEndFrame } from './checkpoint.ts';
import type { BadBytes, PlacedFrame } from './frame-reader.ts';
import { type LogFile, type LogFiles, surveyLog } from './log-files.ts';
import { LogSource, type SegmentEnd } from './log-source.ts';
import { keepAside } from './quarantine.ts';
import { SalvagedFile } from './salvaged-file.ts';
import { type WalFileKind, walDirectory } from './segment.ts';
import { type SequenceGap, SequenceSet } from './sequence-set.ts';

/** A record of the log and where it came from. */
export interface RecoveredFrame extends PlacedFrame {
  /** Where it lies: in the segment or in the checkpoint of this number. */
  readonly kind: WalFileKind;
  readonly segment: number;
}

/** Bytes of a file of the log in which no frame could be found. */
interface WalDamage {
  /** The file's name within the log's directory. */
  readonly file: string;
  readonly segment: number;
  readonly offset: number;
  readonly length: number;
  /** Where a copy of the bytes is kept, or undefined if it could not be written. */
  readonly quarantine: string | undefined;
}

export interface RecoveryReport {
  readonly frames: number;
  /** Frames whose sequence had been seen: written again after a failed write. */
  readonly duplicates: number;
  readonly damages: readonly WalDamage[];
  /** Sequences of the log that are missing between others. */
  readonly gaps: readonly SequenceGap[];
  /** How many records of the checkpoint are missing. */
  readonly missingInCheckpoint: number;
  /** Ends of segments that a crash or a failed write left unfinished; nothing acknowledged was in them. */
  readonly tornTails: readonly Omit<WalDamage, 'quarantine'>[];
  /** For the frames, the generation and the file that are written next. */
  readonly nextSequence: number;
  readonly nextGeneration: number;
  readonly nextSegment: number;
}

/** How far a recovery is. Segments are told by their numbers: those that are read, and the one that it is at. */
export interface RecoveryProgress {
  readonly replayedBytes: number;
  readonly totalBytes: number;
  readonly firstSegment: number;
  readonly lastSegment: number;
  readonly segment: number;
}

const PROGRESS_BYTES = 16 * 1024 * 1024;

/** Looks into the log of a data directory; throws StorageError 'invalid' if a newer version wrote it. */
export function recoverWal(
  fileSystem: FileSystem,
  dataDirectory: string,
  onProgress?: (progress: RecoveryProgress) => void,
): WalRecovery {
  return new WalRecovery(fileSystem, dataDirectory, onProgress);
}

/** One pass over the log: run `frames` to its end, then ask for the `report`. */
export class WalRecovery {
  /** Bytes that `frames` reads, space written ahead included. */
  readonly totalBytes: number;
  readonly #fileSystem: FileSystem;
  readonly #dataDirectory: string;
  readonly #onProgress: ((progress: RecoveryProgress) => void) | undefined;
  readonly #files: LogFiles;
  readonly #segmentEnds: SegmentEnd[] = [];
  readonly #bad: { file: LogFile; bytes: BadBytes }[] = [];
  #frames = 0;
  #duplicates = 0;
  #generation = 0;
  #reportedBytes = 0;
  #report: RecoveryReport | undefined;

  constructor(
    fileSystem: FileSystem,
    dataDirectory: string,
    onProgress: ((progress: RecoveryProgress) => void) | undefined,
  ) {
    this.#fileSystem = fileSystem;
    this.#dataDirectory = dataDirectory;
    this.#onProgress = onProgress;
    this.#files = surveyLog(fileSystem, walDirectory(dataDirectory));
    const { checkpoint, segments } = this.#files;
    this.totalBytes = [...segments, ...(checkpoint === undefined ? [] : [checkpoint])].reduce(
      (sum, f) => sum + f.bytes,
      0,
    );
  }

  /** What was found. Throws RangeError before `frames` has ended. */
  get report(): RecoveryReport {
    if (this.#report === undefined) throw new RangeError('the log was not read to its end');
    return this.#report;
  }

  /**
   * The frames of the checkpoint, then those of the segments in order; a payload is a view that is valid until the next
   * step. Removes files that nothing needs any more. Throws the file system's errors.
   */
  *frames(): Generator<RecoveredFrame, void, void> {
    this.#tidyDirectory();
    const { checkpoint, segments, nextSegment } = this.#files;
    const missingInCheckpoint = checkpoint === undefined ? 0 : yield* this.#checkpointFrames(checkpoint);
    const floor = checkpoint?.header?.sequence ?? 0;
    const covered = checkpoint === undefined ? 0 : (checkpoint.end?.coveredSequence ?? floor);
    // Never above what the segments begin with: their frames are to be delivered.
    const seen = new SequenceSet(Math.min(covered, (segments[0]?.firstSequence ?? Number.POSITIVE_INFINITY) - 1));
    yield* this.#segmentFrames(segments, seen);
    this.#rewriteNewest();
    this.#reportProgress(this.totalBytes, this.#files.segments.at(-1));
    this.#report = {
      frames: this.#frames,
      duplicates: this.#duplicates,
      ...this.#judge(seen.gaps),
      gaps: seen.gaps,
      missingInCheckpoint,
      nextSequence: Math.max(seen.last, floor, covered) + 1,
      nextGeneration: this.#generation + 1,
      nextSegment,
    };
  }

  /** Makes the names durable that a killed program may have left in the cache, and clears away what is obsolete. */
  #tidyDirectory(): void {
    const directory = walDirectory(this.#dataDirectory);
    if (!this.#fileSystem.exists(directory)) return;
    this.#fileSystem.syncDirectory(directory);
    for (const path of this.#files.obsolete) this.#fileSystem.remove(path);
  }

  /** Writes the last segment again, and those before it that hold the same frames: traces of a write that failed. */
  #rewriteNewest(): void {
    let oldest = 0;
    for (const { path, first, last, bytes } of this.#segmentEnds.sort((a, b) => b.last - a.last)) {
      if (last < oldest) return;
      oldest = oldest === 0 ? first : Math.min(oldest, first);
      const source = new SalvagedFile(this.#fileSystem, path);
      const target = this.#fileSystem.open(path, 'update');
      source.copy(0, bytes, target, 0);
      target.sync();
      source.close();
      target.close();
    }
  }

  /** Returns how many records are missing. */
  *#checkpointFrames(file: LogFile): Generator<RecoveredFrame, number, void> {
    const seen = new SequenceSet(0);
    const source = new LogSource(this.#fileSystem, file, 1);
    try {
      for (; source.frame !== undefined; source.advance()) {
        seen.add(source.frame.sequence);
        if (isEndFrame(source.frame)) continue;
        this.#reportProgress(source.position, this.#files.segments[0]);
        yield this.#deliver(file, source.frame);
      }
    } finally {
      this.#retire(source);
    }
    return seen.gaps.reduce((count, { first, last }) => count + last - first + 1, 0);
  }

  /** Merges segments by sequence. Normally one follows the other; copies and rewritten frames overlap. */
  *#segmentFrames(segments: readonly LogFile[], seen: SequenceSet): Generator<RecoveredFrame, void, void> {
    const pending = [...segments];
    const sources: LogSource[] = [];
    let finishedBytes = this.#files.checkpoint?.bytes ?? 0;
    try {
      for (;;) {
        const lowest = sources.reduce<LogSource | undefined>(
          (a, b) => (a !== undefined && a.sequence <= b.sequence ? a : b),
          undefined,
        );
        const next = pending[0];
        if (next !== undefined && (lowest === undefined || next.firstSequence <= lowest.sequence)) {
          pending.shift();
          sources.push(new LogSource(this.#fileSystem, next, next.header?.sequence ?? 0));
        } else if (lowest === undefined) {
          return;
        } else if (lowest.frame === undefined) {
          sources.splice(sources.indexOf(lowest), 1);
          finishedBytes += lowest.file.bytes;
          this.#retire(lowest);
        } else {
          if (seen.add(lowest.frame.sequence)) yield this.#deliver(lowest.file, lowest.frame);
          else this.#duplicates++;
          lowest.advance();
          this.#reportProgress(finishedBytes + lowest.position, lowest.file);
        }
      }
    } finally {
      for (const source of sources) this.#retire(source);
    }
  }

  #deliver(file: LogFile, frame: PlacedFrame): RecoveredFrame {
    this.#frames++;
    return { ...frame, kind: file.kind, segment: file.number };
  }

  #retire(source: LogSource): void {
    source.close();
    if (source.file.kind === 'segment' && source.end !== undefined) this.#segmentEnds.push(source.end);
    for (const bytes of source.badBytes) this.#bad.push({ file: source.file, bytes });
    this.#generation = Math.max(this.#generation, source.generation);
  }

  /**
   * An unfinished end of a segment is no damage if the log goes on elsewhere with the sequence that was due there, or
   * nowhere. Everything else is damage.
   */
  #judge(gaps: readonly SequenceGap[]): Pick<RecoveryReport, 'damages' | 'tornTails'> {
    const damages: WalDamage[] = [];
    const tornTails: Omit<WalDamage, 'quarantine'>[] = [];
    for (const { file, bytes } of this.#bad) {
      const { offset, length } = bytes;
      const place = { file: file.name, segment: file.number, offset, length };
      const isMissed = gaps.some(({ first }) => bytes.afterSequence === undefined || first === bytes.afterSequence + 1);
      const isTorn = bytes.isTail && file.kind === 'segment' && !isMissed;
      if (isTorn) tornTails.push(place);
      else damages.push({ ...place, quarantine: keepAside(this.#fileSystem, this.#dataDirectory, file, bytes) });
    }
    return { damages, tornTails };
  }

  #reportProgress(replayedBytes: number, at: LogFile | undefined): void {
    if (replayedBytes - this.#reportedBytes < PROGRESS_BYTES && replayedBytes < this.totalBytes) return;
    if (replayedBytes === this.#reportedBytes) return;
    this.#reportedBytes = replayedBytes;
    const numbers = this.#files.segments.map(({ number }) => number);
    this.#onProgress?.({
      replayedBytes,
      totalBytes: this.totalBytes,
      firstSegment: Math.min(...numbers, this.#files.nextSegment - 1),
      lastSegment: Math.max(...numbers, 0),
      segment: at?.number ?? 0,
    });
  }
}
