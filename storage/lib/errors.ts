/**
 * The errors of the storage engine: few kinds, rich messages. `kind` says what the caller can do,
 * `message` is for people and may change. Input from disk, network or users gives one of these, never an assertion.
 */

/**
 * invalid: never succeeds. limit: too much at once. rate: too much a second. unavailable: try again later. corrupt: stored
 * bytes are damaged.
 */
export type StorageErrorKind =
  | 'invalid'
  | 'limit'
  | 'rate'
  | 'not-found'
  | 'corrupt'
  | 'unavailable'
  | 'closed'
  | 'locked';

export class StorageError extends Error {
  override name = 'StorageError';
  readonly kind: StorageErrorKind;

  constructor(kind: StorageErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** A whole request is more than its tenant may send: nothing of it is stored. */
export class LimitError extends StorageError {
  override name = 'LimitError';
  /** For counters. */
  readonly reason: string;
  /** How many samples the request has. */
  readonly samples: number;
  /** With kind 'rate': when to try again. */
  readonly retryAfterS: number | undefined;

  constructor(
    kind: 'limit' | 'rate',
    message: string,
    { reason, samples, retryAfterS }: { reason: string; samples: number; retryAfterS?: number },
  ) {
    super(kind, message);
    this.reason = reason;
    this.samples = samples;
    this.retryAfterS = retryAfterS;
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
