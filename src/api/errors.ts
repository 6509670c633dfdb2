/**
 * What an error means over HTTP. The one table from a StorageError's kind to a status and to Prometheus' `errorType`;
 * no other file knows both sides.
 */
import { LimitError, StorageError, type StorageErrorKind } from '../../storage/index.ts';
import { MissingTenantError, TenantError } from '../tenants/tenant-id.ts';

/** Prometheus' names in the JSON envelope. */
export type ErrorType = 'bad_data' | 'execution' | 'timeout' | 'canceled' | 'unavailable' | 'not_found' | 'internal';

/** How an error is answered: the message is for people. */
export interface ErrorAnswer {
  readonly status: number;
  readonly errorType: ErrorType;
  readonly message: string;
  /** Seconds after which the same request may succeed. */
  readonly retryAfterS?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** An error of ours: the log gets the whole of it, the client does not. */
  readonly isOurs: boolean;
}

interface Verdict {
  readonly status: number;
  readonly errorType: ErrorType;
  readonly retryAfterS?: number;
}

const VERDICTS: Readonly<Record<StorageErrorKind, Verdict>> = {
  // 4xx: the same bytes never succeed, a sender drops them.
  invalid: { status: 400, errorType: 'bad_data' },
  limit: { status: 400, errorType: 'bad_data' },
  // 429 only where the sender's own rate is at fault, and with its own time to wait.
  rate: { status: 429, errorType: 'unavailable' },
  'not-found': { status: 404, errorType: 'not_found' },
  // 503 and not 429: Prometheus drops what is answered 429 unless told otherwise, and these are not the sender's fault.
  unavailable: { status: 503, errorType: 'unavailable', retryAfterS: 2 },
  closed: { status: 503, errorType: 'unavailable', retryAfterS: 5 },
  locked: { status: 503, errorType: 'unavailable', retryAfterS: 5 },
  corrupt: { status: 500, errorType: 'internal' },
};

/** A request refused by the API itself, with its answer. */
export class RequestError extends Error {
  override name = 'RequestError';
  readonly status: number;
  readonly errorType: ErrorType;
  readonly retryAfterS: number | undefined;
  readonly headers: Readonly<Record<string, string>> | undefined;

  constructor(
    status: number,
    message: string,
    more: { errorType?: ErrorType; retryAfterS?: number; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message);
    this.status = status;
    this.errorType = more.errorType ?? errorTypeOf(status);
    this.retryAfterS = more.retryAfterS;
    this.headers = more.headers;
  }
}

/** The sender went away before it had its answer; there is nobody to answer. */
export class ClientGoneError extends Error {
  override name = 'ClientGoneError';
}

/** 400 with Prometheus' `bad_data`. */
export function badData(message: string): RequestError {
  return new RequestError(400, message);
}

/** The answer to anything that was thrown. What is not known here is ours: 500, and the client learns no details. */
export function answerTo(error: unknown): ErrorAnswer {
  if (error instanceof RequestError) {
    const { status, errorType, message, retryAfterS, headers } = error;
    return {
      status,
      errorType,
      message,
      isOurs: false,
      ...(retryAfterS === undefined ? {} : { retryAfterS }),
      ...(headers === undefined ? {} : { headers }),
    };
  }
  if (error instanceof MissingTenantError)
    return { status: 401, errorType: 'bad_data', message: error.message, isOurs: false };
  if (error instanceof TenantError) return { ...VERDICTS.invalid, message: error.message, isOurs: false };
  if (error instanceof StorageError) {
    const verdict = VERDICTS[error.kind];
    const answer = { ...verdict, message: error.message, isOurs: verdict.status === 500 };
    const retryAfterS = error instanceof LimitError ? error.retryAfterS : undefined;
    return retryAfterS === undefined ? answer : { ...answer, retryAfterS };
  }
  return fromFramework(error) ?? { status: 500, errorType: 'internal', message: 'internal error', isOurs: true };
}

/** Fastify's own refusals (an unreadable URL, a Content-Type that is none) carry a `statusCode` below 500. */
function fromFramework(error: unknown): ErrorAnswer | undefined {
  if (!(error instanceof Error) || !('statusCode' in error)) return undefined;
  const status = error.statusCode;
  if (typeof status !== 'number' || status < 400 || status >= 500) return undefined;
  return { status, errorType: errorTypeOf(status), message: error.message, isOurs: false };
}

function errorTypeOf(status: number): ErrorType {
  if (status === 404) return 'not_found';
  if (status === 503) return 'unavailable';
  return status < 500 ? 'bad_data' : 'internal';
}
