/**
 * Basic authentication against bcrypt hashes. What bcrypt said is remembered under a keyed hash of user, hash and password
 * together: so a new hash in the file counts at once, an entry can stand for nothing else (CVE-2022-46146), and no
 * password stays in memory. Source: prometheus/exporter-toolkit web/handler.go.
 */
import type { IncomingMessage } from 'node:http';
import { LRUCache } from 'lru-cache';
import type { Clock, Random } from '../../storage/index.ts';
import type { Log } from '../telemetry/log.ts';
import { AttemptLimit } from './attempt-limit.ts';
import { bcryptCost, unknownPasswordHash } from './bcrypt-hash.ts';
import { basicCredentials, type Credentials } from './credentials.ts';
import { KeyedHash } from './keyed-hash.ts';
import type { PasswordChecker } from './password-checker.ts';

/** 'busy': it cannot be said now, a later request may learn it. */
export type Verdict = 'admitted' | 'refused' | 'busy';

export interface BasicAuthOptions {
  readonly checker: PasswordChecker;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly random: Random;
  readonly log: Log;
}

/** bcrypt looks at no more; a longer password would be as good as its beginning. */
const PASSWORD_MAX_BYTES = 72;
const REMEMBERED = 1000;
/** Comparisons that may wait for the thread: seconds of work. */
const MAX_WAITING = 50;
const KEY_BYTES = 32;

export class BasicAuth {
  readonly #options: BasicAuthOptions;
  readonly #attempts = new AttemptLimit();
  /** Of a key that this process alone has. */
  readonly #hash: KeyedHash;
  // Apart, so that wrong passwords cannot push out the right ones.
  readonly #admitted = new LRUCache<string, true>({ max: REMEMBERED });
  readonly #refused = new LRUCache<string, true>({ max: REMEMBERED });
  /** The senders of one host begin together, with one password: it is compared once. */
  readonly #asked = new Map<string, Promise<Verdict>>();

  constructor(options: BasicAuthOptions) {
    this.#options = options;
    const key = new Uint8Array(KEY_BYTES);
    options.random.fill(key);
    this.#hash = new KeyedHash(key);
  }

  /** Whether the request is one of `users` (bcrypt hashes by name, not empty). At once for whoever was here before. */
  check(request: IncomingMessage, users: ReadonlyMap<string, string>): Verdict | Promise<Verdict> {
    const credentials = basicCredentials(request);
    if (credentials === undefined) return 'refused';
    const hash = users.get(credentials.user) ?? this.#hashOfNobody(credentials.user, users);
    // As JSON: no two triples are one text.
    const triple = JSON.stringify([credentials.user, hash, credentials.password]);
    const key = this.#hash.digest(triple).toString('base64');
    if (this.#admitted.get(key) === true) return 'admitted';
    if (this.#refused.get(key) === true) return 'refused';
    const asked = this.#asked.get(key);
    if (asked !== undefined) return asked;
    if (Buffer.byteLength(credentials.password) > PASSWORD_MAX_BYTES) return 'refused';
    const { checker, clock } = this.#options;
    const address = request.socket.remoteAddress ?? '';
    if (checker.waiting >= MAX_WAITING || !this.#attempts.admits(address, clock.monotonicMs())) return 'busy';
    const verdict = this.#compare(credentials, { hash, isKnown: users.has(credentials.user), address, key });
    this.#asked.set(key, verdict);
    return verdict;
  }

  async #compare(
    { user, password }: Credentials,
    { hash, isKnown, address, key }: { hash: string; isKnown: boolean; address: string; key: string },
  ): Promise<Verdict> {
    const { checker, log } = this.#options;
    try {
      if ((await checker.matches(hash, password)) && isKnown) {
        this.#admitted.set(key, true);
        return 'admitted';
      }
      this.#refused.set(key, true);
      // A name that is not known may be a password in the wrong field.
      log.warn('wrong user or password', { address, user: isKnown ? user : undefined });
      return 'refused';
    } catch (error) {
      log.error('a password could not be compared', { error: error as Error });
      return 'busy';
    } finally {
      this.#asked.delete(key);
    }
  }

  /** A hash that takes as long as that of a user who exists, the same at each attempt: nobody learns which names do. */
  #hashOfNobody(user: string, users: ReadonlyMap<string, string>): string {
    const hashes = [...users.values()];
    const chosen = hashes[this.#hash.digest(user).readUInt32LE(0) % hashes.length] as string;
    return unknownPasswordHash(bcryptCost(chosen) as number);
  }
}
