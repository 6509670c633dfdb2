/**
 * The errors of the storage engine: few kinds, rich messages. `kind` says what the caller can do,
 * `message` is for people and may change. Input from disk, network or users gives one of these, never an assertion.
 */

/** invalid: never succeeds. limit: too much at once. unavailable: try again later. corrupt: stored bytes are damaged. */
export type StorageErrorKind = 'invalid' | 'limit' | 'not-found' | 'corrupt' | 'unavailable' | 'closed' | 'locked';

export class StorageError extends Error {
  override name = 'StorageError';
  readonly kind: StorageErrorKind;

  constructor(kind: StorageErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** Stored bytes are not what we wrote: `file` at `offset`. */
export class CorruptionError extends StorageError {
  override name = 'CorruptionError';
  readonly file: string;
  readonly offset: number;

  constructor(file: string, offset: number, message: string) {
    super('corrupt', `${file} at ${offset}: ${message}`);
    this.file = file;
    this.offset = offset;
  }
}
