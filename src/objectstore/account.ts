/**
 * The account of a server: what its bucket was asked and what that costs, when its disk will be full, and what went wrong
 * last. It watches the space on the disk by the hour, and writes a line into the log each day.
 */
import type {
  BlockUsage,
  BucketUsage,
  Clock,
  Database,
  DatabaseEvent,
  DatabaseStats,
  OperationUsage,
} from '../../storage/index.ts';
import type { Log } from '../telemetry/log.ts';
import { BUCKET_FORECAST_DAYS, type Forecast, forecast, type SpaceSample } from './forecast.ts';
import { type Prices, type StoreType, storageCost, totalCost, type UsageCost } from './prices.ts';

export interface AccountedBucket {
  readonly type: StoreType;
  /** With its place and without secrets. */
  readonly description: string;
  readonly usage: BucketUsage;
  readonly prices: Prices;
}

export interface AccountOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Undefined: blocks stay in the data directory. */
  readonly bucket?: AccountedBucket | undefined;
}

export interface LastError {
  readonly atMs: number;
  readonly message: string;
}

/** What a month of BUCKET_FORECAST_DAYS costs; undefined: not known yet. */
export interface MonthlyCost {
  /** Of what is in the bucket now, and of what is expected to be there in a month. */
  readonly storage: number;
  readonly expectedStorage: number | undefined;
  /** At the rate since the start. */
  readonly usage: UsageCost | undefined;
}

/** What the engine says that the account needs. */
export type AccountedDatabase = Pick<Database, 'stats' | 'blockUsage'>;

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A week by the hour. */
const SPACE_SAMPLES = 7 * 24;
/** A start asks for what it asks for later never again. */
const LEAST_RATED_MS = HOUR_MS;
/** Below it the line in the log is a warning. */
const FEW_DAYS = 7;

export class Account {
  readonly bucket: AccountedBucket | undefined;
  readonly startedMs: number;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #startedMonotonicMs: number;
  readonly #space: SpaceSample[] = [];
  #loggedMs = Number.NEGATIVE_INFINITY;
  #lastError: LastError | undefined;
  #strays: readonly string[] = [];

  constructor({ clock, log, bucket }: AccountOptions) {
    this.bucket = bucket;
    this.#clock = clock;
    this.#log = log;
    this.startedMs = clock.nowMs();
    this.#startedMonotonicMs = clock.monotonicMs();
  }

  /** What went wrong last between this server and its bucket, whatever became of it. */
  get lastError(): LastError | undefined {
    return this.#lastError;
  }

  /** Some objects in the bucket that belong to no block and are not ours, as of the last sync. */
  get strays(): readonly string[] {
    return this.#strays;
  }

  /** To be told of all that the engine reports. */
  note(event: DatabaseEvent): void {
    switch (event.kind) {
      case 'bucket-failing':
      case 'upload-retry':
      case 'ship-failing':
        this.#lastError = { atMs: this.#clock.nowMs(), message: event.message };
        break;
      case 'bucket-synced':
        this.#strays = event.strays;
    }
  }

  /**
   * Looks at the database each hour until the returned function is called. The first line is logged after an hour, or as
   * soon as there is a block to reckon with; the next ones a day apart.
   */
  watch(database: AccountedDatabase): () => void {
    this.#measure(database);
    return this.#clock.every(HOUR_MS, () => {
      this.#measure(database);
      if (this.#clock.monotonicMs() - this.#loggedMs >= DAY_MS) this.#logForecast(database);
    });
  }

  /** From what the engine says now. */
  forecast(
    { freeBytes, minFreeBytes, localBlockBytes, backlogBytes }: DatabaseStats,
    { ownGrowth, bucketGrowth, bucketBytes }: BlockUsage,
  ): Forecast {
    return forecast({
      own: ownGrowth,
      availableBytes: Math.max(0, freeBytes - minFreeBytes),
      space: this.#space,
      ...(this.bucket === undefined
        ? {}
        : { bucket: { growth: bucketGrowth, bytes: bucketBytes, copyBytes: localBlockBytes - backlogBytes } }),
    });
  }

  /** What was asked of the bucket since the start, without what never was. */
  rows(): OperationUsage[] {
    return this.bucket?.usage.rows().filter(({ requests }) => requests > 0) ?? [];
  }

  /** Undefined without a bucket. */
  monthlyCost({ bucket: expected }: Forecast): MonthlyCost | undefined {
    if (this.bucket === undefined || expected === undefined) return undefined;
    const { prices } = this.bucket;
    const ratedMs = this.#clock.monotonicMs() - this.#startedMonotonicMs;
    const months = ratedMs / (BUCKET_FORECAST_DAYS * DAY_MS);
    const { requests, egress } = totalCost(prices, this.rows());
    return {
      storage: storageCost(prices, expected.bytes),
      expectedStorage: expected.expectedBytes === undefined ? undefined : storageCost(prices, expected.expectedBytes),
      usage: ratedMs < LEAST_RATED_MS ? undefined : { requests: requests / months, egress: egress / months },
    };
  }

  #measure(database: AccountedDatabase): void {
    const { freeBytes, localBlockBytes } = database.stats();
    this.#space.push({ atMs: this.#clock.monotonicMs(), bytes: freeBytes + localBlockBytes });
    if (this.#space.length > SPACE_SAMPLES) this.#space.shift();
  }

  #logForecast(database: AccountedDatabase): void {
    const expected = this.forecast(database.stats(), database.blockUsage());
    const { blockBytesADay, otherBytesADay, availableBytes, daysUntilFull, daysWithoutBucket } = expected.disk;
    if (blockBytesADay === undefined) return;
    this.#loggedMs = this.#clock.monotonicMs();
    const cost = this.monthlyCost(expected);
    const isSoon = (daysUntilFull ?? Number.POSITIVE_INFINITY) < FEW_DAYS;
    this.#log[isSoon ? 'warn' : 'info']('forecast of disk and bucket', {
      disk_available_bytes: availableBytes,
      block_bytes_a_day: Math.round(blockBytesADay),
      other_bytes_a_day: rounded(otherBytesADay),
      days_until_full: daysText(daysUntilFull),
      days_without_bucket: daysText(daysWithoutBucket),
      bucket_bytes: expected.bucket?.bytes,
      bucket_bytes_in_30_days: rounded(expected.bucket?.expectedBytes),
      cost_a_month: cost && costText(cost, this.bucket?.prices.currency ?? ''),
    });
  }
}

function rounded(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.round(value);
}

function daysText(days: number | undefined): string | undefined {
  if (days === undefined) return undefined;
  return Number.isFinite(days) ? days.toFixed(1) : 'never';
}

function costText({ storage, expectedStorage, usage }: MonthlyCost, currency: string): string {
  return `${((expectedStorage ?? storage) + (usage?.requests ?? 0) + (usage?.egress ?? 0)).toFixed(2)} ${currency}`;
}
