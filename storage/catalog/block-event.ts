/** What is reported of blocks: the engine passes it on. */
export type BlockEvent =
  /** A block, or what looks like one, was left out. */
  | { readonly kind: 'block-skipped'; readonly message: string }
  /** The catalogue was damaged and is made anew, or can be written no more and goes on in memory. */
  | { readonly kind: 'catalog-lost'; readonly message: string }
  /** The bucket holds the block now; `sentBytes` of it were sent this time. */
  | {
      readonly kind: 'block-uploaded';
      readonly ulid: string;
      readonly bytes: number;
      readonly sentBytes: number;
      readonly durationMs: number;
    }
  /** One block could not be uploaded and is tried again later; it stays on this disk. */
  | { readonly kind: 'upload-retry'; readonly ulid: string; readonly message: string }
  /** The copy of an uploaded block on this disk had to make room. */
  | { readonly kind: 'block-evicted'; readonly ulid: string; readonly bytes: number }
  /** Two listings show a block without a file, or with one of another size than its meta.json says. */
  | {
      readonly kind: 'block-damaged';
      readonly ulid: string;
      readonly message: string;
      readonly isUploadedAgain: boolean;
    }
  /** The bucket was listed. `vanished` blocks are not there any more, `strays` objects belong to no block. */
  | {
      readonly kind: 'bucket-synced';
      readonly blocks: number;
      readonly added: number;
      readonly vanished: number;
      readonly strays: readonly string[];
      readonly durationMs: number;
    }
  /** The bucket does not answer as it should; all that needs it waits, and new blocks stay on this disk. */
  | { readonly kind: 'bucket-failing'; readonly message: string }
  | { readonly kind: 'bucket-recovered' }
  /** Of `known` blocks in the bucket, none is there. Those that are on this disk are uploaded again. */
  | { readonly kind: 'bucket-emptied'; readonly known: number };
