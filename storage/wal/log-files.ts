/**
 * Which files of the log a recovery reads: the newest checkpoint that counts, and the segments that it does not
 * replace, in the order of their first sequences. Names are only a hint: a segment that was copied or renamed is placed
 * by what is in it.
 */
import type { FileSystem } from '../io/file-system.ts';
import { StorageError } from '../lib/errors.ts';
import { type CheckpointEnd, readCheckpointEnd } from './checkpoint.ts';
import { FrameReader } from './frame-reader.ts';
import { SalvagedFile } from './salvaged-file.ts';
import {
  CHECKPOINT_TMP_NAME,
  type FileHeader,
  listWalFiles,
  readFileHeader,
  SPARE_NAMES,
  WAL_VERSION,
  type WalFile,
} from './segment.ts';

/** A file of the log that was looked into. */
export interface LogFile extends WalFile {
  readonly path: string;
  readonly bytes: number;
  readonly header: FileHeader | undefined;
  /** Segment: of its first frame by the header, else by the frames; Infinity if it has none. */
  readonly firstSequence: number;
  /** Of a complete checkpoint. */
  readonly end: CheckpointEnd | undefined;
}

export interface LogFiles {
  readonly checkpoint: LogFile | undefined;
  readonly segments: readonly LogFile[];
  /** Replaced by the checkpoint, or never completed: nothing is lost when they go. */
  readonly obsolete: readonly string[];
  /** Higher than every number that was ever used by a file that is there. */
  readonly nextSegment: number;
}

/** Looks into every file of the log. Changes nothing. Throws StorageError 'invalid' if one has a newer version. */
export function surveyLog(fileSystem: FileSystem, directory: string): LogFiles {
  const files = listWalFiles(fileSystem, directory).map((file) => examine(fileSystem, directory, file));
  const segments = files.filter((file) => file.kind === 'segment');
  const checkpoints = files.filter((file) => file.kind === 'checkpoint').reverse();
  const checkpoint = checkpoints.find((file, index) => {
    return file.end !== undefined || !isReplacementPresent(file, checkpoints.slice(index + 1), segments);
  });
  // A damaged checkpoint replaces nothing: whatever else is still there is read too.
  const replacedUntil = checkpoint?.end === undefined ? 0 : checkpoint.number;
  const isReplaced = (segment: LogFile): boolean => numberOf(segment) <= replacedUntil;
  const tmp = [...SPARE_NAMES, CHECKPOINT_TMP_NAME].map((name) => `${directory}/${name}`);
  return {
    checkpoint,
    segments: segments
      .filter((segment) => !isReplaced(segment))
      .sort((a, b) => order(a) - order(b) || a.number - b.number),
    obsolete: [
      ...tmp.filter((path) => fileSystem.exists(path)),
      ...segments.filter(isReplaced).map(({ path }) => path),
      ...checkpoints.filter((file) => isSuperseded(file, checkpoint)).map(({ path }) => path),
    ],
    nextSegment: 1 + Math.max(0, ...files.map((file) => Math.max(file.number, numberOf(file)))),
  };
}

/** Whether a checkpoint is older than the one in use, or was left out although it is newer. */
function isSuperseded(file: LogFile, used: LogFile | undefined): boolean {
  if (used === undefined) return true;
  return file.number > used.number || (file.number < used.number && used.end !== undefined);
}

function examine(fileSystem: FileSystem, directory: string, file: WalFile): LogFile {
  const path = `${directory}/${file.name}`;
  const opened = new SalvagedFile(fileSystem, path);
  try {
    const header = readFileHeader(opened, file.kind);
    if (header !== undefined && header.version > WAL_VERSION) {
      const versions = `has format version ${header.version}, and this program reads up to version ${WAL_VERSION}`;
      throw new StorageError('invalid', `${path} ${versions}: start a Varve that knows version ${header.version}`);
    }
    const firstSequence = header?.sequence ?? firstSequenceByFrames(opened);
    const end = file.kind === 'checkpoint' ? readCheckpointEnd(opened) : undefined;
    return { ...file, path, bytes: opened.size(), header, firstSequence, end };
  } finally {
    opened.close();
  }
}

function firstSequenceByFrames(file: SalvagedFile): number {
  return new FrameReader(file, undefined, 0).next()?.sequence ?? Number.POSITIVE_INFINITY;
}

/** The number that the segment was written under. */
function numberOf(file: LogFile): number {
  return file.kind === 'segment' ? (file.header?.number ?? file.number) : file.number;
}

/** Segments without any frame come last. */
function order({ firstSequence }: LogFile): number {
  return Math.min(firstSequence, Number.MAX_SAFE_INTEGER);
}

/**
 * Whether an incomplete checkpoint can be left out: everything that it was to replace is still there. What it replaces
 * is removed from the oldest on, so it is enough to find the oldest.
 */
function isReplacementPresent(checkpoint: LogFile, older: readonly LogFile[], segments: readonly LogFile[]): boolean {
  const covered = older.find(({ end }) => end !== undefined)?.end?.coveredSequence ?? 0;
  return segments.some((segment) => numberOf(segment) <= checkpoint.number && segment.firstSequence <= covered + 1);
}
