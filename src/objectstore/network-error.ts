/** What went wrong before a store answered, in words that say what to look at. */
import type { StorageErrorKind } from '../../storage/index.ts';

interface Complaint {
  readonly kind: StorageErrorKind;
  readonly text: string;
}

const UNTRUSTED =
  /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(?:VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT(?:_LOCALLY)?)|CERT_\w+)$/;

/** undefined: it is no error of a connection. */
export function networkComplaint(error: unknown): Complaint | undefined {
  const { code, message } = rootOf(error);
  switch (code) {
    case 'ECONNREFUSED':
      return { kind: 'unavailable', text: 'nothing listens at this address: is the endpoint right, and the store up?' };
    case 'ENOTFOUND':
      return { kind: 'unavailable', text: `${message}: is the endpoint right, and does name resolution work?` };
    case 'EAI_AGAIN':
      return { kind: 'unavailable', text: `${message}: name resolution does not work` };
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return { kind: 'invalid', text: `${message}; http_config.tls_config.server_name names another` };
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
      return { kind: 'invalid', text: 'the answer is not TLS: for plain HTTP, S3 has `insecure: true`' };
  }
  if (code === undefined) return undefined;
  if (UNTRUSTED.test(code)) {
    return { kind: 'invalid', text: `its certificate is not trusted (${code}): see http_config.tls_config.ca_file` };
  }
  return /^E[A-Z]+$|^ERR_/.test(code) ? { kind: 'unavailable', text: message } : undefined;
}

/** The error at the beginning of the chain of causes that has a system's code, or the outermost. */
function rootOf(error: unknown): { readonly code: string | undefined; readonly message: string } {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    // Several addresses of one host were tried.
    const each = at instanceof AggregateError ? (at.errors[0] as Error) : at;
    const { code } = each as NodeJS.ErrnoException;
    if (typeof code === 'string' && /^[A-Z][A-Z_]+$/.test(code)) return { code, message: each.message };
  }
  return { code: undefined, message: '' };
}
