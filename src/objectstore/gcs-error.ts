/** What a refusal of Google's Cloud Storage means for the caller, and what a person should look at. */
import { StorageError, type StorageErrorKind } from '../../storage/index.ts';
import { networkComplaint } from './network-error.ts';

/** An answer that is not what was asked for. */
export class GcsRefusal extends Error {
  override name = 'GcsRefusal';
  readonly status: number;
  /** By which the store names it: `notFound`. */
  readonly reason: string;

  /** `body` as the JSON API has it, or whatever stood in between has said. */
  constructor(status: number, body: string) {
    const { reason, message } = partsOf(body);
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

/** What was asked, for the message. */
export interface GcsCall {
  /** The store with the action. */
  readonly what: string;
  /** The right that it needs: `storage.objects.get`. */
  readonly right: string;
}

/** The StorageError for what a request rejected with. */
export function gcsError(error: unknown, { what, right }: GcsCall): StorageError {
  if (error instanceof StorageError) return error;
  if (error instanceof GcsRefusal) {
    return new StorageError(kindOf(error, right), `${what}: ${refusalText(error, right)}`, { cause: error });
  }
  const { message, status } = error as Error & { readonly status?: number };
  const network = networkComplaint(error);
  if (network !== undefined) return new StorageError(network.kind, `${what}: ${network.text}`, { cause: error });
  // What the library throws before it sends: no credentials, or Google's login refuses them.
  const isLogin = /default credentials|invalid_grant|private key|unauthorized_client|DECODER routines/i.test(message);
  const kind = isLogin || status === 400 || status === 401 ? 'invalid' : 'unavailable';
  const hint = isLogin ? 'no credentials: give service_account, or see that ' : '';
  return new StorageError(kind, `${what}: ${hint}${message.split('\n', 1)[0]}`, { cause: error });
}

function kindOf(refusal: GcsRefusal, right: string): StorageErrorKind {
  const { status } = refusal;
  if (status === 404) return isBucketMissing(refusal, right) ? 'invalid' : 'not-found';
  const isForGood = status >= 300 && status < 500 && ![408, 409, 410, 412, 429].includes(status);
  return isForGood ? 'invalid' : 'unavailable';
}

function refusalText(refusal: GcsRefusal, right: string): string {
  const { status, reason, message } = refusal;
  const said = `${reason === '' ? `status ${status}` : `${reason} (${status})`}${message === '' ? '' : ` ${message}`}`;
  if (isBucketMissing(refusal, right)) return `${said}: make the bucket, or see its name`;
  if (status === 401) return `${said}: the store does not take these credentials`;
  return status === 403 ? `${said}: the credentials need ${right} on this bucket` : said;
}

/** Listings and uploads need no object; for others the store says it. */
function isBucketMissing({ status, message }: GcsRefusal, right: string): boolean {
  if (status !== 404) return false;
  return /\.(?:list|create)$/.test(right) || /bucket does not exist/i.test(message);
}

function partsOf(body: string): { readonly reason: string; readonly message: string } {
  try {
    const { error } = JSON.parse(body) as { error?: { message?: string; errors?: { reason?: string }[] } };
    return { reason: error?.errors?.[0]?.reason ?? '', message: error?.message ?? '' };
  } catch {
    return { reason: '', message: body.slice(0, 200).replaceAll(/\s+/g, ' ').trim() };
  }
}
