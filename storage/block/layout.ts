/**
 * The names inside a block directory:
 *
 *   <ULID>/chunks/000001, 000002 …   chunk segments (chunk-file.ts)
 *   <ULID>/index                     index (storage/index/)
 *   <ULID>/varve-…                   exemplars, start times, metadata, where there are any (extra-file.ts)
 *   <ULID>/meta.json                 what the block is (meta.ts); written last: without it there is no block
 *
 * Readers ignore other files; they belong to the block and go with it.
 */

export const CHUNKS_DIRECTORY = 'chunks';
export const INDEX_FILE = 'index';
export const META_FILE = 'meta.json';

/** The name of a chunk segment in its directory. Segments are numbered from 0 in refs and from 1 in names. */
export function segmentName(segment: number): string {
  return String(segment + 1).padStart(6, '0');
}

/** The path of a chunk segment in the block's directory. */
export function segmentPath(segment: number): string {
  return `${CHUNKS_DIRECTORY}/${segmentName(segment)}`;
}
