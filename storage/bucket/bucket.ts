/** Where blocks live for good. One implementation for each kind of store. */
export interface Bucket {
  /** What people call it, with its place. */
  readonly description: string;
  /** The names directly below the root that have others below them, without their slash, in name order. */
  directories(): Promise<string[]>;
  /** All bytes of an object. Throws StorageError 'not-found' if there is none of this name. */
  get(name: string): Promise<Uint8Array>;
  /**
   * Puts the complete block in `directory` into the bucket as `name`, its meta.json last. When it resolves, the block is
   * durable there and the directory is gone. When it rejects, both are gone, as far as the store can be reached.
   */
  adopt(directory: string, name: string): Promise<void>;
}
