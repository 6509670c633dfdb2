/**
 * How much of the log is not in the bucket yet, and how old that is: what the loss of the machine would cost. Known to the
 * second, from marks of where the log was when.
 */
import type { Clock } from '../io/clock.ts';

/** A tenant, and the bytes of its records since the start of the process. */
export interface TenantLog {
  readonly key: string;
  readonly loggedBytes: number;
}

/** What of a tenant's records is not in the bucket. */
export interface TenantBacklog {
  readonly tenant: string;
  /** Age of the oldest one; 0 if there is none. */
  readonly seconds: number;
  /** Of those that this process wrote; up to a second of what is there already is counted. */
  readonly bytes: number;
}

export interface ShipBacklogOptions {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** The end of the log, in bytes since the start of the process. */
  readonly position: () => number;
  /** In an order that never changes: new ones come last. */
  readonly tenants: () => Iterable<TenantLog>;
}

/** That the log reached a position, and what each tenant had logged by then. */
interface Mark {
  readonly position: number;
  readonly atMs: number;
  readonly logged: Float64Array;
}

/** Between two marks is at least this share of the age of the oldest one, so that they stay few. */
const MARK_SHARE_OF_AGE = 1 / 100;
const NOTHING_LOGGED = new Float64Array(0);

export class ShipBacklog {
  readonly #options: ShipBacklogOptions;
  /** Of what is not in the bucket; the first one may be older than all of it. */
  readonly #marks: Mark[] = [];
  /** Everything before it is in the bucket; -1: not even what was there before this process. */
  #shipped = -1;
  /** What each tenant had logged at the last mark that is in the bucket. */
  #shippedLogged: Float64Array = NOTHING_LOGGED;

  constructor(options: ShipBacklogOptions) {
    this.#options = options;
    this.#marks.push({ position: 0, atMs: options.clock.monotonicMs(), logged: NOTHING_LOGGED });
  }

  /** Everything before this position of the log is in the bucket; -1 if nothing is. */
  get shipped(): number {
    return this.#shipped;
  }

  /** Age of the oldest record that is not in the bucket; 0 if there is none. */
  get ageMs(): number {
    const oldest = this.#marks[0];
    return oldest === undefined ? 0 : this.#options.clock.monotonicMs() - oldest.atMs;
  }

  /** Of what this process wrote. */
  get bytes(): number {
    return this.#options.position() - Math.max(0, this.#shipped);
  }

  /** Remembers when the log came to where it is; to be called each second. */
  mark(): void {
    const { clock, position: end, tenants } = this.#options;
    const position = end();
    const atMs = clock.monotonicMs();
    const last = this.#marks.at(-1);
    if (position <= Math.max(last?.position ?? 0, this.#shipped)) return;
    if (last !== undefined && atMs - last.atMs < this.ageMs * MARK_SHARE_OF_AGE) return;
    this.#marks.push({ position, atMs, logged: Float64Array.from(tenants(), ({ loggedBytes }) => loggedBytes) });
  }

  /** Everything before `position` is in the bucket now. */
  advance(position: number): void {
    this.#shipped = position;
    const kept = this.#marks.findIndex((mark) => mark.position > position);
    const gone = this.#marks.splice(0, kept < 0 ? this.#marks.length : kept);
    this.#shippedLogged = gone.at(-1)?.logged ?? this.#shippedLogged;
  }

  ofTenants(): TenantBacklog[] {
    const isAllShipped = this.#options.position() <= this.#shipped;
    return Array.from(this.#options.tenants(), ({ key, loggedBytes }, index) => {
      if (isAllShipped) return { tenant: key, seconds: 0, bytes: 0 };
      const bytes = loggedBytes - (this.#shippedLogged[index] ?? 0);
      return { tenant: key, seconds: this.#tenantAgeMs(index) / 1000, bytes };
    });
  }

  /** Before the first shipment, what an earlier process left may be anybody's. */
  #tenantAgeMs(index: number): number {
    if (this.#shipped < 0) return this.ageMs;
    const shipped = this.#shippedLogged[index] ?? 0;
    const oldest = this.#marks.find(({ logged }) => (logged[index] ?? 0) > shipped);
    return oldest === undefined ? 0 : this.#options.clock.monotonicMs() - oldest.atMs;
  }
}
