/** What the thread that translates OTLP and those who ask it say to each other. */
import type { StorageErrorKind } from '../../storage/index.ts';
import type { OtlpFormat } from './otlp-answer.ts';
import type { RefusalReason } from './otlp-refusals.ts';

/** How a body is packed. */
export type OtlpEncoding = 'gzip' | 'zstd' | 'none';

/** What is to be translated. */
export interface OtlpBody {
  readonly bytes: Uint8Array;
  readonly format: OtlpFormat;
  readonly encoding: OtlpEncoding;
}

/** What of a request cannot become samples. */
export interface OtlpRefusals {
  readonly dataPoints: number;
  readonly byReason: ReadonlyMap<RefusalReason, number>;
  /** One line for the sender; '' if there is nothing to say. */
  readonly text: string;
}

/** A part of a request. */
export interface OtlpBatch {
  /** A WriteRequest of remote write 1.0, not compressed. */
  readonly body: Uint8Array;
  /** How many data points became it. */
  readonly dataPoints: number;
}

export type ToTranslator =
  | { readonly type: 'start'; readonly id: number; readonly body: OtlpBody; readonly limitBytes: number }
  /** The next part, please. */
  | { readonly type: 'next'; readonly id: number }
  /** Nothing more of this is wanted. */
  | { readonly type: 'cancel'; readonly id: number };

export type FromTranslator =
  /** It is unpacked, to so many bytes, and well-formed. */
  | { readonly type: 'begun'; readonly id: number; readonly bytes: number }
  | { readonly type: 'batch'; readonly id: number; readonly batch: OtlpBatch }
  | { readonly type: 'end'; readonly id: number; readonly refusals: OtlpRefusals }
  | { readonly type: 'too-large'; readonly id: number }
  | { readonly type: 'error'; readonly id: number; readonly kind: StorageErrorKind; readonly message: string };
