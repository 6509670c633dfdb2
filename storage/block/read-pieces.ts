/**
 * Reads many pieces of a block's files in few reads: those that lie close together in a file become one range.
 *
 *   wanted    ▓▓ ▓▓▓   ▓▓                     ▓▓
 *   ranges   [─────────────]    a wide gap    [──]
 *
 * A piece (a chunk, a series entry, a postings list) says how long it is in its first bytes, so its end is guessed: it ends
 * at the latest where the next wanted one begins. One that is longer than the guess is read again by itself.
 *
 * Of a long range that is nearly all gaps, such as the chunks of one instance among those of all, the pieces are kept instead
 * of the range (packed-pieces.ts): the same query asked again finds them.
 */
import { concurrently } from '../lib/concurrently.ts';
import type { BlockFiles, SparseReads } from './block-files.ts';
import { type PieceBytes, packedStart, packKey, packPieces } from './packed-pieces.ts';

/** One range is at most this long, so that a few at once fit any memory; a longer piece is read alone. */
const MAX_RANGE_BYTES: number = 8 * 1024 * 1024;
/** Of a range that is not kept only its pieces stay. */
const MAX_SPARSE_RANGE_BYTES: number = 32 * 1024 * 1024;
/** Less than this is worth being kept as it is: other queries want other pieces of it. */
const MIN_SPARSE_BYTES: number = 512 * 1024;
/** Where most of what is read is gaps, this share of it more is read to save requests. */
const SPARSE_EXTRA_SHARE = 0.5;
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

/** How pieces become ranges. */
export interface RangeRules {
  /** At most so many unwanted bytes between neighbours. */
  readonly gapBytes: number;
  /** A range is at most so long, unless one piece is longer. */
  readonly maxBytes: number;
}

/**
 * Reads the pieces, several ranges at once, and hands each over; in any order. Rejects with what `extent` and `take` throw and
 * what `files` reject with.
 */
export async function readPieces(files: BlockFiles, parts: readonly Pieces[]): Promise<void> {
  const reads = parts.flatMap((pieces) => planReads(files, pieces));
  await concurrently(reads, files.readsAtOnce, (read) => read());
}

function planReads(files: BlockFiles, pieces: Pieces): (() => Promise<void>)[] {
  const { sparse, gapBytes } = files;
  const ranges = planRanges(pieces, { gapBytes, maxBytes: MAX_RANGE_BYTES });
  const bytes = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  if (sparse === undefined || !isSparse(pieces, bytes))
    return ranges.map((range) => () => readRange(files, pieces, range));
  const widerGap = widestGap(pieces, gapBytes, bytes * SPARSE_EXTRA_SHARE);
  return planRanges(pieces, { gapBytes: widerGap, maxBytes: MAX_SPARSE_RANGE_BYTES }).map(
    (range) => () => readSparse(files, sparse, pieces, range),
  );
}

/** By what the pieces are guessed to be, so that it is known before anything is read. */
function isSparse({ offsets, guessBytes }: Pieces, bytes: number): boolean {
  if (bytes < MIN_SPARSE_BYTES) return false;
  let guessed = 0;
  for (let i = 0; i < offsets.length; i++) guessed += guessBytes(i);
  return bytes > SPARSE_FACTOR * guessed;
}

/** The widest gap of which all, with those that are narrower and wider than `gapBytes`, are at most `extraBytes`. */
function widestGap(pieces: Pieces, gapBytes: number, extraBytes: number): number {
  const ranges = planRanges(pieces, { gapBytes, maxBytes: Number.POSITIVE_INFINITY });
  const gaps = ranges
    .slice(1)
    .map(({ start }, i) => start - (ranges[i] as PieceRange).end)
    .sort((a, b) => a - b);
  let widest = gapBytes;
  let sum = 0;
  for (const [i, gap] of gaps.entries()) {
    sum += gap;
    if (sum > extraBytes) break;
    // Of gaps of one width all are read over, or none.
    if (gaps[i + 1] !== gap) widest = gap;
  }
  return widest;
}

/** Which pieces are read together. */
export function planRanges(
  { offsets, guessBytes }: Pick<Pieces, 'offsets' | 'guessBytes'>,
  { gapBytes, maxBytes }: RangeRules,
): PieceRange[] {
  const ranges: { start: number; end: number; from: number; to: number }[] = [];
  let last: (typeof ranges)[number] | undefined;
  for (let i = 0; i < offsets.length; i++) {
    const offset = offsets[i] as number;
    const next = offsets[i + 1] ?? offset;
    const guessed = offset + guessBytes(i);
    const end = next > offset ? Math.min(next, guessed) : guessed;
    if (last !== undefined && offset - last.end <= gapBytes && Math.max(end, last.end) - last.start <= maxBytes) {
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
  const found = await wholePieces(files, pieces, range, bytes);
  const isMostlyGaps = bytes.length > SPARSE_FACTOR * found.reduce((sum, { extent }) => sum + extent, 0);
  found.forEach((piece, i) => {
    const index = range.from + i;
    const offset = offsets[index] as number;
    if (isMostlyGaps && piece.bytes === bytes)
      pieces.take(index, bytes.slice(piece.at, piece.at + piece.extent), 0, offset);
    else pieces.take(index, piece.bytes, piece.at, offset);
  });
}

async function readSparse(files: BlockFiles, sparse: SparseReads, pieces: Pieces, range: PieceRange): Promise<void> {
  const { path } = pieces;
  const offsets = pieces.offsets.subarray(range.from, range.to);
  const key = packKey(offsets);
  let packed = sparse.recall(path, key);
  let at = packed && packedStart(packed, offsets);
  if (packed === undefined || at === undefined) {
    const bytes = await sparse.read(path, range.start, range.end - range.start);
    packed = packPieces(offsets, await wholePieces(files, pieces, range, bytes));
    at = packedStart(packed, offsets) as number;
    sparse.keep(path, key, packed);
  }
  for (const [i, offset] of offsets.entries()) {
    const extent = pieces.extent(packed, at, offset);
    pieces.take(range.from + i, packed, at, offset);
    at += extent;
  }
}

/** The pieces of a range that was read; those that are longer than was guessed are read by themselves. */
async function wholePieces(
  files: BlockFiles,
  { path, offsets, extent: extentOf }: Pieces,
  { start, from, to }: PieceRange,
  bytes: Uint8Array,
): Promise<PieceBytes[]> {
  const found: PieceBytes[] = [];
  for (let i = from; i < to; i++) {
    const offset = offsets[i] as number;
    const at = offset - start;
    const extent = extentOf(bytes, at, offset);
    if (at + extent <= bytes.length) found.push({ bytes, at, extent });
    else {
      const alone = await files.read(path, offset, extent);
      found.push({ bytes: alone, at: 0, extent: alone.length });
    }
  }
  return found;
}
