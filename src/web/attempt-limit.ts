import { LRUCache } from 'lru-cache';
import { TokenBucket } from './token-bucket.ts';
import type { RateLimit } from './web-config.ts';

/** A burst for a host with several senders, then no faster than anybody types. */
const ATTEMPTS: RateLimit = { burst: 10, intervalMs: 1000 };
const MAX_ADDRESSES = 10_000;

/** How often passwords that are not known yet may be tried from one address, or from one IPv6 network. */
export class AttemptLimit {
  readonly #buckets = new LRUCache<string, TokenBucket>({ max: MAX_ADDRESSES });

  /** Whether one more attempt may be made; counts it if so. `nowMs` is monotonic. */
  admits(address: string, nowMs: number): boolean {
    const network = networkOf(address);
    let bucket = this.#buckets.get(network);
    if (bucket === undefined) {
      bucket = new TokenBucket(ATTEMPTS, nowMs);
      this.#buckets.set(network, bucket);
    }
    return bucket.take(nowMs);
  }
}

/** The IPv4 address, or the first 64 bits of an IPv6 address: all of them belong to one host. */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  if (address.startsWith('::ffff:')) return address.slice('::ffff:'.length);
  const [left = '', right] = address.split('%', 1)[0]?.split('::') ?? [];
  const groups = left === '' ? [] : left.split(':');
  const rest = right === undefined || right === '' ? [] : right.split(':');
  while (right !== undefined && groups.length + rest.length < 8) groups.push('0');
  return `${[...groups, ...rest].slice(0, 4).join(':')}::/64`;
}
