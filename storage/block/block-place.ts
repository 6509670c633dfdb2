/** A block and where its files can be read: what a query is told of it. Survives a structured clone. */
import type { BlockMeta } from './meta.ts';

export interface BlockPlace {
  readonly meta: BlockMeta;
  /** The directory on this disk that holds all of its files, if there is one. */
  readonly localDirectory?: string;
  /** The directory in the bucket that holds all of its files, without a slash at the end, if there is one. */
  readonly bucketDirectory?: string;
}
