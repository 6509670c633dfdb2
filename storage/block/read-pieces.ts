/**
 * Reads many pieces of a block's files in few reads: those that lie close together in a file become one range.
 *
 *   wanted    ▓▓ ▓▓▓   ▓▓                     ▓▓
 *   ranges   [─────────────]    a wide gap    [──]
 *
 * A piece (a chunk, a series entry, a postings list) says how long it is in its first bytes, so its end is guessed: it ends
 * at the latest where the next wanted one begins. One that is longer than the guess is read again by itself.
 */
import { concurrently } from '../lib/concurrently.ts';
import type { BlockFiles } from './block-files.ts';

/** One range is at most this long, so that a few at once fit any memory; a longer piece is read alone. */
const MAX_RANGE_BYTES: number = 8 * 1024 * 1024;
/**
 * Who keeps a piece keeps the whole range that it is a view of. Of a range that is mostly gaps the pieces are copied: a
 * selection over a month of blocks held gigabytes for a few megabytes of chunks.
 */
const SPARSE_FACTOR = 4;

/** Pieces of one file. */
export interface Pieces {
  readonly path: string;
  /** Where they begin: ascending, may repeat. */
  readonly offsets: Float64Array;
  /** How long a piece is at most, as far as it is known. */
  readonly guessBytes: (index: number) => number;
  /** How long the piece at `bytes[at]` really is; `offset` is its place in the file. */
  readonly extent: (bytes: Uint8Array, at: number, offset: number) => number;
  /** Where the pieces end that will be wanted next, as far as they lie close behind these; see BlockFiles.read. */
  readonly aheadEnd?: number;
  /** Takes the piece `index`, which is at `bytes[at]` with all its bytes, as far as the file has them. */
  readonly take: (index: number, bytes: Uint8Array, at: number, offset: number) => void;
}

/** Some neighbours in one read. */
export interface PieceRange {
  readonly start: number;
  readonly end: number;
  /** The pieces from this index to the one before `to`. */
  readonly from: number;
  readonly to: number;
}

/**
 * Reads the pieces, several ranges at once, and hands each over; in any order. Rejects with what `extent` and `take` throw and
 * what `files` reject with.
 */
export async function readPieces(files: BlockFiles, parts: readonly Pieces[]): Promise<void> {
  const ranges = parts.flatMap((pieces) =>
    planRanges(pieces.offsets, pieces.guessBytes, files.gapBytes).map((range) => ({ pieces, range })),
  );
  await concurrently(ranges, files.readsAtOnce, ({ pieces, range }) => readRange(files, pieces, range));
}

/** Which pieces are read together, with at most `gapBytes` between neighbours. */
export function planRanges(
  offsets: Float64Array,
  guessBytes: (index: number) => number,
  gapBytes: number,
): PieceRange[] {
  const ranges: { start: number; end: number; from: number; to: number }[] = [];
  let last: (typeof ranges)[number] | undefined;
  for (let i = 0; i < offsets.length; i++) {
    const offset = offsets[i] as number;
    const next = offsets[i + 1] ?? offset;
    const guessed = offset + guessBytes(i);
    const end = next > offset ? Math.min(next, guessed) : guessed;
    if (
      last !== undefined &&
      offset - last.end <= gapBytes &&
      Math.max(end, last.end) - last.start <= MAX_RANGE_BYTES
    ) {
      last.end = Math.max(end, last.end);
      last.to = i + 1;
    } else {
      last = { start: offset, end, from: i, to: i + 1 };
      ranges.push(last);
    }
  }
  return ranges;
}

async function readRange(files: BlockFiles, pieces: Pieces, range: PieceRange): Promise<void> {
  const { path, offsets } = pieces;
  const isLast = range.to === offsets.length;
  const bytes = await files.read(path, range.start, range.end - range.start, isLast ? pieces.aheadEnd : undefined);
  const extents: number[] = [];
  let wantedBytes = 0;
  for (let i = range.from; i < range.to; i++) {
    const offset = offsets[i] as number;
    const extent = pieces.extent(bytes, offset - range.start, offset);
    extents.push(extent);
    wantedBytes += extent;
  }
  const isSparse = bytes.length > SPARSE_FACTOR * wantedBytes;
  for (let i = range.from; i < range.to; i++) {
    const offset = offsets[i] as number;
    const at = offset - range.start;
    const extent = extents[i - range.from] as number;
    if (at + extent > bytes.length) pieces.take(i, await files.read(path, offset, extent), 0, offset);
    else if (isSparse) pieces.take(i, bytes.slice(at, at + extent), 0, offset);
    else pieces.take(i, bytes, at, offset);
  }
}
