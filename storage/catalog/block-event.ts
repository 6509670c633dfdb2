/** What is reported of blocks: the engine passes it on. */
export type BlockEvent =
  /** A block, or what looks like one, was left out. */
  | { readonly kind: 'block-skipped'; readonly message: string }
  /** The catalogue was damaged and is made anew, or can be written no more and goes on in memory. */
  | { readonly kind: 'catalog-lost'; readonly message: string };
