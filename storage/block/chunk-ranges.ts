/**
 * Reads many chunks of a block in few reads: chunks that lie close together in a segment become one range.
 *
 *   wanted    ▓▓ ▓▓▓   ▓▓                     ▓▓
 *   ranges   [─────────────]   > 64 KiB gap  [──]
 *
 * A chunk's size is known only when its first bytes are there. It ends at the latest where the next wanted one begins;
 * the last of a range is guessed, and read again if it is longer.
 */
import type { BlockFiles } from './block-files.ts';
import { chunkExtent, chunkPlace, decodeChunk } from './chunk-file.ts';
import { segmentPath } from './layout.ts';

const MAX_GAP_BYTES: number = 64 * 1024;
const MAX_RANGE_BYTES: number = 8 * 1024 * 1024;

/** As Thanos guesses. */
const MAX_GUESS_BYTES = 16_000;

/** Others may write any size into meta.json; the length of a chunk must lie within the guess. */
const MIN_GUESS_BYTES = 16;

/** So many ranges are read at once; each may hold MAX_RANGE_BYTES. */
const READS_AT_ONCE = 4;

interface ChunkRange {
  readonly segment: number;
  readonly start: number;
  end: number;
  /** The chunks refs[from] to refs[to - 1]. */
  readonly from: number;
  to: number;
}

/** Takes the chunk of refs[index]. Its bytes are the receiver's. */
export type TakeChunk = (index: number, encoding: number, bytes: Uint8Array) => void;

/**
 * Reads the chunks with these refs, which ascend and may repeat, and hands each to `take`, in any order. `guessBytes`: what a chunk of this
 * block takes at most, if known. `blockName` is the block's name in errors. Throws CorruptionError and what `files` throws.
 */
export async function readChunkRanges(
  files: BlockFiles,
  blockName: string,
  refs: Float64Array,
  guessBytes: number | undefined,
  take: TakeChunk,
): Promise<void> {
  const guess = Math.max(MIN_GUESS_BYTES, Math.min(guessBytes ?? MAX_GUESS_BYTES, MAX_GUESS_BYTES));
  const ranges = planRanges(refs, guess);
  for (let i = 0; i < ranges.length; i += READS_AT_ONCE) {
    await Promise.all(
      ranges.slice(i, i + READS_AT_ONCE).map((range) => readRange(files, blockName, refs, range, take)),
    );
  }
}

function planRanges(refs: Float64Array, guessBytes: number): ChunkRange[] {
  const ranges: ChunkRange[] = [];
  let last: ChunkRange | undefined;
  for (let i = 0; i < refs.length; i++) {
    const { segment, offset } = chunkPlace(refs[i] as number);
    const next = i + 1 < refs.length ? chunkPlace(refs[i + 1] as number) : undefined;
    const guessed = offset + guessBytes;
    const end = next?.segment === segment && next.offset > offset ? Math.min(next.offset, guessed) : guessed;
    if (
      last?.segment === segment &&
      offset - last.end <= MAX_GAP_BYTES &&
      Math.max(end, last.end) - last.start <= MAX_RANGE_BYTES
    ) {
      last.end = Math.max(end, last.end);
      last.to = i + 1;
    } else {
      last = { segment, start: offset, end, from: i, to: i + 1 };
      ranges.push(last);
    }
  }
  return ranges;
}

async function readRange(
  files: BlockFiles,
  blockName: string,
  refs: Float64Array,
  range: ChunkRange,
  take: TakeChunk,
): Promise<void> {
  const path = segmentPath(range.segment);
  const file = `${blockName}/${path}`;
  const bytes = await files.read(path, range.start, range.end - range.start);
  for (let i = range.from; i < range.to; i++) {
    const { offset } = chunkPlace(refs[i] as number);
    let at = offset - range.start;
    let source = bytes;
    const extent = chunkExtent(bytes, at, file, offset);
    if (at + extent > bytes.length) {
      source = await files.read(path, offset, extent);
      at = 0;
    }
    const chunk = decodeChunk(source, at, file, offset);
    take(i, chunk.encoding, chunk.bytes);
  }
}
