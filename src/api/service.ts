/** What the routes of one server share: the database once there is one, the readers, and why not while there is none. */
import type { Clock, Database, WriteOutcome } from '../../storage/index.ts';
import { limitsOf } from '../config/limits-config.ts';
import type { ServeSettings } from '../config/settings.ts';
import { Account } from '../objectstore/account.ts';
import type { ReaderPool, ReaderPoolStats } from '../read/reader-pool.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { RequestError } from './errors.ts';
import { HttpMetrics } from './http-metrics.ts';
import { RequestBodies, WRITE_BODY_LIMIT_BYTES } from './request-body.ts';
import { Senders } from './senders.ts';
import { type LimitsSource, NO_LIMITS } from './write-limits.ts';

/** How far a replay is: bytes of the WAL, and its segments by number. */
export interface ReplayProgress {
  readonly replayedBytes: number;
  readonly totalBytes: number;
  readonly firstSegment: number;
  readonly lastSegment: number;
  readonly segment: number;
}

/** How much of a log was downloaded. */
export interface RestoreProgress {
  readonly bytes: number;
  readonly totalBytes: number;
}

/** The first write that was acknowledged since the start. */
export interface FirstWrite {
  readonly remoteAddress: string;
  readonly userAgent: string;
  readonly tenant: string;
  readonly outcome: WriteOutcome;
  /** From the request's last byte to its samples being on disk. */
  readonly durableAfterMs: number;
}

export interface ServiceOptions {
  readonly settings: ServeSettings;
  /** Resolves when the database can be written and read. A rejection is the caller's to act on; it only shows in /-/ready. */
  readonly database: Promise<Database>;
  /** Called once, when the database is there. */
  readonly readers: (database: Database) => ReaderPool;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Asked for /-/ready while the database is not there; undefined before a replay has begun. */
  readonly replayProgress?: () => ReplayProgress | undefined;
  /** Asked for /-/ready while the database is not there; undefined while nothing is restored. */
  readonly restoreProgress?: () => RestoreProgress | undefined;
  readonly onFirstWrite: (write: FirstWrite) => void;
  /** POST /-/quit was called and answered. */
  readonly onQuit: () => void;
  /** Tenants that may store something; 10 000 if not given. */
  readonly maxTenants?: number | undefined;
  /** What --receive.limits-config-file says; undefined: there is none. */
  readonly limits?: LimitsSource | undefined;
  /** What the bucket costs and how long the disk will do; undefined: there is no bucket, and nothing is watched. */
  readonly account?: Account | undefined;
  /** Reads the configuration files anew; rejects with ConfigError. undefined: there are none. */
  readonly reload?: () => Promise<void>;
}

type State =
  | { readonly kind: 'starting' }
  | { readonly kind: 'ready'; readonly database: Database; readonly readers: ReaderPool }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'stopping' };

/** The largest body and what it is unpacked to: a request that is alone is never refused for the room it takes. */
const IN_FLIGHT_LIMIT_BYTES: number = 2 * WRITE_BODY_LIMIT_BYTES;
const NOT_READY_RETRY_AFTER_S = 2;
const MAX_TENANTS = 10_000;

export class Service {
  readonly settings: ServeSettings;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly bodies: RequestBodies;
  readonly httpMetrics: HttpMetrics;
  readonly onFirstWrite: (write: FirstWrite) => void;
  readonly onQuit: () => void;
  readonly reload: (() => Promise<void>) | undefined;
  readonly senders: Senders;
  readonly account: Account;
  readonly limits: LimitsSource;
  readonly maxTenants: number;
  readonly #replayProgress: () => ReplayProgress | undefined;
  readonly #restoreProgress: () => RestoreProgress | undefined;
  #state: State = { kind: 'starting' };

  constructor(options: ServiceOptions) {
    this.settings = options.settings;
    this.log = options.log;
    this.metrics = options.metrics;
    this.clock = options.clock;
    this.onFirstWrite = options.onFirstWrite;
    this.onQuit = options.onQuit;
    this.reload = options.reload;
    this.senders = new Senders(options.clock);
    this.account = options.account ?? new Account(options);
    this.limits = options.limits ?? NO_LIMITS;
    this.maxTenants = options.maxTenants ?? MAX_TENANTS;
    this.#replayProgress = options.replayProgress ?? (() => undefined);
    this.#restoreProgress = options.restoreProgress ?? (() => undefined);
    this.httpMetrics = new HttpMetrics(options.metrics);
    this.bodies = new RequestBodies(IN_FLIGHT_LIMIT_BYTES);
    void options.database.then(
      (database) => {
        if (this.#state.kind !== 'starting') return;
        if (options.limits !== undefined) limitTenants(database, options.limits);
        this.#state = { kind: 'ready', database, readers: options.readers(database) };
      },
      (error: unknown) => {
        if (this.#state.kind !== 'starting') return;
        this.#state = { kind: 'failed', message: error instanceof Error ? error.message : String(error) };
      },
    );
  }

  /** The open database. Throws a RequestError (503) while there is none. */
  get database(): Database {
    if (this.#state.kind === 'ready') return this.#state.database;
    throw this.#notReady();
  }

  /** The readers of the open database. Throws a RequestError (503) while there is none. */
  get readers(): ReaderPool {
    if (this.#state.kind === 'ready') return this.#state.readers;
    throw this.#notReady();
  }

  /** What the readers have to do, for metrics; undefined while there are none. */
  get readerStats(): ReaderPoolStats | undefined {
    return this.#state.kind === 'ready' ? this.#state.readers.stats() : undefined;
  }

  /** Throws a RequestError (503) with the reason while the database is not there. */
  requireReady(): void {
    if (this.#state.kind !== 'ready') throw this.#notReady();
  }

  /** Throws a RequestError (503) with the reason while the database is not there, or may not be written any more. */
  requireWritable(): void {
    const { fenced } = this.database;
    if (fenced !== undefined) throw new RequestError(503, `not ready: ${fenced}`);
  }

  /** How far the replay is or was; undefined before it has begun, and if there was nothing to replay. */
  get replayProgress(): ReplayProgress | undefined {
    return this.#replayProgress();
  }

  get isReady(): boolean {
    return this.#state.kind === 'ready';
  }

  /** Whether `stop` was called: connections are not kept any more. */
  get isStopping(): boolean {
    return this.#state.kind === 'stopping';
  }

  /** From now on requests get 503; those that have begun go on. */
  stop(): void {
    this.#state = { kind: 'stopping' };
  }

  #notReady(): RequestError {
    const state = this.#state;
    let reason = openingText(this.#restoreProgress(), this.#replayProgress());
    if (state.kind === 'failed') reason = `the database did not open: ${state.message}`;
    else if (state.kind === 'stopping') reason = 'shutting down';
    return new RequestError(503, `not ready: ${reason}`, { retryAfterS: NOT_READY_RETRY_AFTER_S });
  }
}

function limitTenants(database: Database, limits: LimitsSource): void {
  const set = (): void => database.setLimits((tenant) => limitsOf(limits.current, tenant));
  set();
  limits.onChange(set);
}

function openingText(restored: RestoreProgress | undefined, replayed: ReplayProgress | undefined): string {
  if (replayed !== undefined) return `replaying the WAL: ${shareText(replayed.replayedBytes, replayed.totalBytes)}`;
  if (restored !== undefined) return `restoring from the bucket: ${shareText(restored.bytes, restored.totalBytes)}`;
  return 'opening the database';
}

function shareText(bytes: number, totalBytes: number): string {
  const percent = totalBytes === 0 ? 100 : Math.floor((bytes / totalBytes) * 100);
  return `${percent} % (${bytes} of ${totalBytes} bytes)`;
}
