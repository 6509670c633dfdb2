/** What a refusal of Azure's Blob Storage means for the caller, and what a person should look at. */
import { RestError } from '@azure/storage-blob';
import { StorageError, type StorageErrorKind } from '../../storage/index.ts';
import { networkComplaint } from './network-error.ts';

const HINTS: Readonly<Record<string, string>> = {
  ContainerNotFound: 'make the container, or set storage_create_container: true',
  ContainerBeingDeleted: 'the container is being deleted',
  AuthenticationFailed: "storage_account_key (or the token) is not this account's, or this machine's clock is wrong",
  InvalidAuthenticationInfo: 'the credentials are not what this account takes',
  AuthorizationFailure:
    'storage_account_key (or the token) is wrong, or the network rules of the account refuse this machine',
  AuthorizationPermissionMismatch: 'the identity needs the role Storage Blob Data Contributor on the container',
  KeyBasedAuthenticationNotPermitted: 'the account takes no storage_account_key: use an identity',
  AccountIsDisabled: 'the account is closed',
};

/** The StorageError for what the SDK threw; `what` is the store with the action. */
export function azureError(error: unknown, what: string): StorageError {
  if (error instanceof StorageError) return error;
  const { kind, text } = complaintOf(error);
  return new StorageError(kind, `${what}: ${text}`, { cause: error });
}

/** The code by which the store names its refusal. */
export function azureCode(error: unknown): string | undefined {
  if (!(error instanceof RestError)) return undefined;
  const { errorCode } = (error.details ?? {}) as { readonly errorCode?: string };
  return errorCode ?? error.response?.headers.get('x-ms-error-code') ?? error.code;
}

function complaintOf(error: unknown): { readonly kind: StorageErrorKind; readonly text: string } {
  const network = networkComplaint(error);
  if (error instanceof RestError && error.statusCode !== undefined)
    return { kind: kindOf(error), text: refusalText(error) };
  if (network !== undefined) return network;
  const { name, message } = error as Error;
  if (/^(?:CredentialUnavailable|AuthenticationRequired|AggregateAuthentication|Authentication)Error$/.test(name)) {
    return { kind: 'invalid', text: `no credentials: ${firstLine(message)}` };
  }
  return { kind: 'unavailable', text: firstLine(message) };
}

function kindOf(error: RestError): StorageErrorKind {
  const status = error.statusCode ?? 0;
  const code = azureCode(error);
  if (status === 404) return code === 'ContainerNotFound' ? 'invalid' : 'not-found';
  if (code === 'Md5Mismatch') return 'unavailable';
  const isForGood = status >= 300 && status < 500 && ![408, 409, 412, 429].includes(status);
  return isForGood ? 'invalid' : 'unavailable';
}

function refusalText(error: RestError): string {
  const code = azureCode(error) ?? error.name;
  const hint = HINTS[code] ?? (error.statusCode === 403 ? 'the credentials have no right to it' : undefined);
  return `${code} (${error.statusCode})${hint === undefined ? ` ${firstLine(error.message)}` : `: ${hint}`}`;
}

function firstLine(message: string): string {
  return message.split('\n', 1)[0] as string;
}
