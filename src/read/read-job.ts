/**
 * What the main thread and a reader thread say to each other about a read.
 *
 *   main                                reader
 *    start ────────────────────────────►
 *    ◄──────────────────────────── ranges      which times the request is about; the reader has decoded it, not main
 *    snapshots ────────────────────────►
 *    ◄────────────────────── chunk, chunk …    the first says what the body is; the bytes are transferred
 *    credit ───────────────────────────►       the client has taken so many bytes: as many more may come
 *    ◄─────────────────────── end or error     exactly one; from here on the reader touches no snapshot of the job
 *    cancel ───────────────────────────►       any time: `error` follows soon
 *
 * Before the first chunk the reader may find that a block has gone: then it says `stale`, touches the snapshots no more,
 * and gets others. A damaged block is reported with `corrupt`; it goes on without it if it may.
 */
import type { Snapshot, StorageErrorKind, TimeRange } from '../../storage/index.ts';

/** A listing of series, or of their labels. */
export interface Listing {
  /** match[] as the client wrote it; none means every series, which a list of series does not allow. */
  readonly selectors: readonly string[];
  readonly range: TimeRange;
  /** At most so many in the answer; 0 means all. */
  readonly limit: number;
}

/** What is asked for. */
type ReadQuestion =
  /** `body` is a ReadRequest as it came: protobuf in a snappy block. */
  | {
      readonly kind: 'remote-read';
      readonly body: Uint8Array;
      /** Matchers on this label do not count. */
      readonly ignoredLabel?: string;
    }
  | ({ readonly kind: 'labels' } & Listing)
  | ({ readonly kind: 'values'; readonly name: string } & Listing)
  | ({ readonly kind: 'series' } & Listing);

/** One read, as plain values that survive a structured clone. */
export type ReadJob = ReadQuestion & {
  /** Whether the answer may be without blocks that cannot be read, which a warning then says. Default: true. */
  readonly partialResponse?: boolean;
};

/** What a body is. */
export interface ContentHeaders {
  readonly contentType: string;
  readonly contentEncoding: 'snappy' | undefined;
}

/** What is known when the first bytes are there. */
export interface AnswerHead extends ContentHeaders {
  /** What the answer is without, in sentences. */
  readonly warnings: readonly string[];
}

/** What one read may cost; more is refused with StorageError 'limit'. */
export interface ReadLimits {
  /** Samples that the answer holds. */
  readonly samples: number;
  /** Bytes of the answer, before compression. */
  readonly bytes: number;
}

export const DEFAULT_READ_LIMITS: ReadLimits = { samples: 50_000_000, bytes: 512 * 1024 * 1024 };

/** How far a reader runs ahead of its client. */
export const CREDIT_BYTES: number = 4 * 1024 * 1024;

export type ToReader =
  | { readonly type: 'start'; readonly id: number; readonly job: ReadJob }
  | { readonly type: 'snapshots'; readonly id: number; readonly snapshots: readonly Snapshot[] }
  | { readonly type: 'credit'; readonly id: number; readonly bytes: number }
  | { readonly type: 'cancel'; readonly id: number };

export type FromReader =
  | { readonly type: 'ready' }
  | { readonly type: 'ranges'; readonly id: number; readonly ranges: readonly TimeRange[] }
  | { readonly type: 'stale'; readonly id: number }
  | { readonly type: 'corrupt'; readonly ulid: string; readonly message: string }
  | { readonly type: 'chunk'; readonly id: number; readonly head: AnswerHead; readonly bytes: Uint8Array }
  | { readonly type: 'end'; readonly id: number; readonly head: AnswerHead }
  | { readonly type: 'error'; readonly id: number; readonly kind: StorageErrorKind; readonly message: string };
