/** What a refusal of an S3 store means for the caller, and what a person should look at. */
import { S3ServiceException } from '@aws-sdk/client-s3';
import { StorageError, type StorageErrorKind } from '../../storage/index.ts';
import { networkComplaint } from './network-error.ts';

/** What was asked, for the message. */
export interface S3Call {
  /** `s3 https://host/bucket`. */
  readonly store: string;
  /** `put a/b`. */
  readonly action: string;
  /** The right that it needs: `s3:PutObject`. */
  readonly right: string;
}

const HINTS: Readonly<Record<string, string>> = {
  InvalidAccessKeyId: 'the store does not know this access_key',
  SignatureDoesNotMatch: 'secret_key does not belong to this access_key',
  ExpiredToken: 'session_token has expired',
  InvalidToken: 'session_token is not of this access_key',
  AllAccessDisabled: 'the store has closed this bucket',
  AccountProblem: 'the store has closed this account',
  RequestTimeTooSkewed: "this machine's clock is wrong",
  InvalidBucketName: 'no bucket can have this name',
  InvalidStorageClass: 'put_user_metadata asks for a storage class that the store does not have',
  QuotaExceeded: 'the quota of the bucket is used up',
};

/** The StorageError for what the SDK threw. */
export function s3Error(error: unknown, call: S3Call): StorageError {
  const { kind, text } = complaintOf(error, call);
  return new StorageError(kind, `${call.store}: ${call.action}: ${text}`, { cause: error });
}

/** Whether the store says that the object (or the upload) is not there. */
export function isAbsent(error: unknown): boolean {
  if (!(error instanceof S3ServiceException)) return false;
  return error.$metadata.httpStatusCode === 404 && error.name !== 'NoSuchBucket';
}

/** Whether the store says that the range begins at the object's end or after it. */
export function isBeyondEnd(error: unknown): boolean {
  return error instanceof S3ServiceException && error.$metadata.httpStatusCode === 416;
}

function complaintOf(error: unknown, call: S3Call): { readonly kind: StorageErrorKind; readonly text: string } {
  if (error instanceof StorageError) return { kind: error.kind, text: error.message };
  if (error instanceof S3ServiceException) return { kind: kindOf(error), text: refusalText(error, call) };
  const { name, message } = error as Error;
  if (name === 'CredentialsProviderError')
    return { kind: 'invalid', text: `no credentials: give access_key and secret_key, or see that ${message}` };
  if (name === 'TimeoutError') return { kind: 'unavailable', text: `no answer in time: ${message}` };
  return networkComplaint(error) ?? { kind: 'unavailable', text: message };
}

function kindOf({ name, $metadata: { httpStatusCode = 0 } }: S3ServiceException): StorageErrorKind {
  if (name === 'NoSuchKey' || name === 'NotFound') return 'not-found';
  if (['RequestTimeTooSkewed', 'BadDigest', 'RequestTimeout', 'OperationAborted', 'NoSuchUpload'].includes(name))
    return 'unavailable';
  const isForGood = httpStatusCode >= 300 && httpStatusCode < 500 && ![408, 409, 429].includes(httpStatusCode);
  return isForGood ? 'invalid' : 'unavailable';
}

function refusalText(error: S3ServiceException, { right }: S3Call): string {
  const status = error.$metadata.httpStatusCode;
  const said = error.message === '' || error.message === error.name ? '' : ` ${error.message}`;
  const hint = hintFor(error, right);
  return `${error.name} (${status})${said}${hint === undefined ? '' : `: ${hint}`}`;
}

function hintFor(error: S3ServiceException, right: string): string | undefined {
  const known = HINTS[error.name];
  if (known !== undefined) return known;
  const status = error.$metadata.httpStatusCode;
  if (error.name === 'NoSuchBucket') return 'make the bucket, or see bucket and endpoint';
  const region = error.$response?.headers['x-amz-bucket-region'];
  if (region !== undefined && status !== undefined && status < 404) {
    return `the bucket is in the region ${region}${status === 403 ? `, and the credentials need ${right}` : ''}`;
  }
  if (error.name === 'AuthorizationHeaderMalformed' || status === 301) return 'region is not that of the bucket';
  return status === 403 || status === 401 ? `the credentials need ${right} on this bucket` : undefined;
}
