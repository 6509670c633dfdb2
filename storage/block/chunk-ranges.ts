/** Reads many chunks of a block in few reads, whatever segments they are in; see read-pieces.ts. */
import type { BlockFiles } from './block-files.ts';
import { chunkExtent, chunkPlace, decodeChunk } from './chunk-file.ts';
import { segmentPath } from './layout.ts';
import { type Pieces, readPieces } from './read-pieces.ts';

/** As Thanos guesses. */
const MAX_GUESS_BYTES = 16_000;

/** Others may write any size into meta.json; the length of a chunk must lie within the guess. */
const MIN_GUESS_BYTES = 16;

export interface ChunkReadOptions {
  /** What a chunk of this block takes at most, if it is known. */
  readonly guessBytes: number | undefined;
  /** The ref up to which chunks will be wanted next, close behind the last of these. */
  readonly aheadRef?: number;
}

/** Takes the chunk of refs[index]. Its bytes are the receiver's. */
export type TakeChunk = (index: number, encoding: number, bytes: Uint8Array) => void;

/**
 * Reads the chunks with these refs, which ascend and may repeat, and hands each to `take`, in any order. `blockName` is the
 * block's name in errors. Throws CorruptionError and what `files` throws.
 */
export async function readChunkRanges(
  files: BlockFiles,
  blockName: string,
  refs: Float64Array,
  { guessBytes, aheadRef = 0 }: ChunkReadOptions,
  take: TakeChunk,
): Promise<void> {
  const guess = Math.max(MIN_GUESS_BYTES, Math.min(guessBytes ?? MAX_GUESS_BYTES, MAX_GUESS_BYTES));
  const parts: Pieces[] = [];
  for (let from = 0, to = 0; from < refs.length; from = to) {
    const { segment } = chunkPlace(refs[from] as number);
    while (to < refs.length && chunkPlace(refs[to] as number).segment === segment) to++;
    const path = segmentPath(segment);
    const file = `${blockName}/${path}`;
    const first = from;
    const ahead = chunkPlace(aheadRef);
    parts.push({
      path,
      offsets: refs.slice(from, to).map((ref) => chunkPlace(ref).offset),
      guessBytes: () => guess,
      ...(to === refs.length && ahead.segment === segment ? { aheadEnd: ahead.offset + guess } : {}),
      extent: (bytes, at, offset) => chunkExtent(bytes, at, file, offset),
      take(index, bytes, at, offset) {
        const chunk = decodeChunk(bytes, at, file, offset);
        take(first + index, chunk.encoding, chunk.bytes);
      },
    });
  }
  await readPieces(files, parts);
}
