/** User and password of a request. Source: RFC 7617, and what Go's Request.BasicAuth makes of it. */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

const BASIC = /^basic ([A-Za-z0-9+/]*={0,2})$/i;

/** What `Authorization: Basic` says; undefined if there is none, more than one, another scheme, or no sense in it. */
export function basicCredentials({ headers, rawHeaders }: IncomingMessage): Credentials | undefined {
  const encoded = BASIC.exec(headers.authorization ?? '')?.[1];
  // Node keeps the first of two headers; a proxy before us may have looked at the second.
  if (encoded === undefined || authorizationCount(rawHeaders) !== 1) return undefined;
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.toString('base64') !== encoded || !isUtf8(bytes)) return undefined;
  const text = bytes.toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

const NAME = 'authorization';

function authorizationCount(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === NAME.length && name.toLowerCase() === NAME) count++;
  }
  return count;
}
