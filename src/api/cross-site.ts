import type { IncomingHttpHeaders } from 'node:http';
import { RequestError } from './errors.ts';

/**
 * Throws a RequestError (403) for a request that a browser made on behalf of another site's page. Without credentials of
 * its own, a server on loopback is otherwise open to every page its user visits. Other clients do not send the header.
 */
export function refuseCrossSite(headers: IncomingHttpHeaders): void {
  const site = headers['sec-fetch-site'];
  if (site === undefined || site === 'same-origin' || site === 'none') return;
  throw new RequestError(403, 'requests from pages of other sites are refused here');
}
