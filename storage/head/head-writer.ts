/**
 * The one writer of the head: requests come in one after the other, go through the kernel, and are answered when the
 * log is durable up to the end of what they wrote, or of what was there if they wrote nothing.
 */
import type { Clock } from '../io/clock.ts';
import { nextTurn } from '../io/executor.ts';
import type { Kernel, Outcome, WriteFormat } from '../kernel/kernel.ts';
import * as L from '../kernel/layout.ts';
import { LimitError, StorageError } from '../lib/errors.ts';
import type { Wal } from '../wal/wal.ts';
import type { SeriesAdmission } from './admission.ts';
import type { HaGaps } from './ha-gaps.ts';
import type { Replica } from './ha-pairs.ts';
import type { KernelGuard } from './kernel-guard.ts';
import { MetadataStore } from './metadata-store.ts';
import { SampleRate } from './sample-rate.ts';
import type { ShadowRequest } from './shadow.ts';
import { checkRequest, defaultTenantLimits, limitName, type TenantLimits } from './tenant-limits.ts';
import { type WriteOutcome, writeOutcome } from './write-outcome.ts';

/** A tenant that wrote: its handle in the kernel, and when it last did. */
export interface ActiveTenant {
  readonly key: string;
  readonly handle: number;
  /** On the monotonic clock. */
  lastWriteMs: number;
  /** Of its records, since the start of the process. */
  loggedBytes: number;
  limits: TenantLimits;
  readonly rate: SampleRate;
}

export interface WriteOptions extends WriteFormat {
  /** The request is a further part of one that was admitted: it is charged to its tenant's rate, not refused for it. */
  readonly isAdmitted?: boolean;
}

/** What is done with series before they are stored. */
export interface SeriesRules {
  readonly admission?: SeriesAdmission | undefined;
  readonly gaps?: HaGaps | undefined;
  readonly metadata?: MetadataStore;
}

/** When a write may be accepted, and when it may be answered. */
export interface Acceptance {
  /** Why none may be accepted now, before anything of it is stored. */
  refusal(): string | undefined;
  /** Resolves when a write up to this position of the log may be answered; rejects with StorageError 'unavailable'. */
  whenAccepted(position: number): Promise<void>;
}

/** What became of a request in the kernel, and what the log is to get when it has room. */
interface Stored {
  readonly status: number;
  readonly outcome: WriteOutcome;
  readonly records: readonly Uint8Array[];
}

export class HeadWriter {
  readonly #kernel: Kernel;
  readonly #wal: Wal;
  readonly #clock: Clock;
  readonly #guard: KernelGuard;
  readonly #metadata: MetadataStore;
  readonly #tenants = new Map<string, ActiveTenant>();
  /** The request that is in the kernel in parts, if there is one: the others wait for it. */
  #turn: Promise<void> | undefined;
  #isClosed = false;
  #limitsOf: (tenant: string) => TenantLimits = () => defaultTenantLimits;
  /** Samples by what became of them, since the start. */
  readonly totals = { stored: 0, duplicates: 0, conflicts: 0, rejected: 0, exemplarsDropped: 0, newSeries: 0 };
  readonly #admission: SeriesAdmission | undefined;
  readonly #gaps: HaGaps | undefined;
  readonly #acceptance: Acceptance;

  /** Without an `acceptance` of its own, a write is answered as the log says. */
  constructor(
    kernel: Kernel,
    guard: KernelGuard,
    wal: Wal,
    clock: Clock,
    rules: SeriesRules = {},
    acceptance: Acceptance = { refusal: () => undefined, whenAccepted: (position) => wal.whenAccepted(position) },
  ) {
    this.#acceptance = acceptance;
    this.#metadata = rules.metadata ?? new MetadataStore();
    this.#kernel = kernel;
    this.#admission = rules.admission;
    this.#gaps = rules.gaps;
    this.#wal = wal;
    this.#clock = clock;
    this.#guard = guard;
  }

  get tenants(): IterableIterator<ActiveTenant> {
    return this.#tenants.values();
  }

  get tenantCount(): number {
    return this.#tenants.size;
  }

  /** The tenant with this key, if it has ever written. */
  findTenant(key: string): ActiveTenant | undefined {
    return this.#tenants.get(key);
  }

  /** The tenant with this key, made if it is new. */
  tenant(key: string): ActiveTenant {
    let tenant = this.#tenants.get(key);
    if (tenant === undefined) {
      const handle = this.#guard.run(() => this.#kernel.tenant(key));
      const limits = this.#limitsOf(key);
      const lastWriteMs = this.#clock.monotonicMs();
      tenant = { key, handle, lastWriteMs, loggedBytes: 0, limits, rate: new SampleRate() };
      this.#kernel.limit(handle, limits);
      this.#tenants.set(key, tenant);
    }
    return tenant;
  }

  /** Holds the tenants, and those to come, to these limits from now on. */
  setLimits(limitsOf: (tenant: string) => TenantLimits): void {
    this.#limitsOf = limitsOf;
    for (const tenant of this.#tenants.values()) {
      tenant.limits = limitsOf(tenant.key);
      this.#kernel.limit(tenant.handle, tenant.limits);
    }
  }

  /** New series, since the start, that came with a label that the server gives itself. */
  get hiddenSeries(): number {
    let sum = 0;
    for (const { handle } of this.#tenants.values()) sum += this.#kernel.hiddenSeries(handle);
    return sum;
  }

  /**
   * Stores a remote write request and resolves when it is durable. Rejects with StorageError:
   * 'invalid', 'limit' and 'rate' if nothing of the body was stored, 'unavailable' if it is to be sent again.
   */
  async write(key: string, body: Uint8Array, options: WriteOptions = {}): Promise<WriteOutcome> {
    while (this.#turn !== undefined) await this.#turn;
    if (this.#isClosed) throw new StorageError('unavailable', 'the server is shutting down');
    const refusal = this.#acceptance.refusal();
    if (refusal !== undefined) throw new StorageError('unavailable', refusal);
    if (this.#wal.failure !== undefined)
      throw new StorageError('unavailable', `the WAL cannot be written: ${this.#wal.failure}`);
    if (this.#wal.shortage !== undefined)
      throw new StorageError('unavailable', `the disk is nearly full: ${this.#wal.shortage}`);
    const tenant = this.tenant(key);
    const { status, outcome, records } = await this.#store(tenant, body, options);
    if (records.length > 0) await this.#log(records);
    if (this.#gaps?.isDue === true) await this.#exclusively(() => this.#fillGaps());
    await this.#acceptance.whenAccepted(this.#wal.position);
    if (status === L.OUT_OF_MEMORY) {
      throw new StorageError(
        'unavailable',
        `the head is at its memory budget (--head.memory-budget); ${outcome.stored} samples of the request were stored`,
      );
    }
    return outcome;
  }

  /** Runs calls into the kernel while no request is in it, not even in parts. */
  async between<T>(calls: () => T): Promise<T> {
    while (this.#turn !== undefined) await this.#turn;
    return this.#guard.run(calls);
  }

  /** Keeps what the request in the kernel said of metrics; returns what the log has no room for yet. */
  #keepMetadata(tenant: string, { protocol }: WriteFormat): Uint8Array[] {
    const told = this.#kernel.metadata();
    if (told.length === 0) return [];
    const records = this.#metadata.add(tenant, told, protocol === 'v2');
    while (records.length > 0 && this.#kernel.hasRingRoom) this.#kernel.log(records.shift() as Uint8Array);
    return records;
  }

  async #log(records: readonly Uint8Array[]): Promise<void> {
    for (const record of records) {
      await this.#ringRoom();
      this.#guard.run(() => this.#kernel.log(record));
    }
  }

  /** No request enters the kernel any more; resolves when the last one has left it. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#turn;
  }

  /** Leaves with the counts read, before another request can change them. */
  #store(
    tenant: ActiveTenant,
    body: Uint8Array,
    { isAdmitted = false, ...format }: WriteOptions,
  ): Stored | Promise<Stored> {
    // One wrong clock must not move a tenant's windows.
    const { times } = this.#kernel;
    const latestMs = this.#clock.nowMs() + times.futureMs;
    const request = { tenant: tenant.key, body, format, receivedMs: this.#clock.nowMs() };
    let logStart = this.#wal.position;
    const finish = (status: number): Stored => {
      const outcome = this.#kernel.outcome();
      const shadow = this.#gaps?.end(request, outcome.droppedHa) ?? 0;
      this.#count(outcome);
      // A pair counts as one: what the other replica has sent already is not charged a second time.
      if (tenant.limits.samplesPerSecond > 0) tenant.rate.take(-outcome.droppedHa);
      const records = this.#keepMetadata(tenant.key, format);
      tenant.loggedBytes += this.#wal.position - logStart;
      return {
        status,
        records,
        outcome: writeOutcome(outcome, { ...times, latestMs, limits: tenant.limits }, shadow),
      };
    };
    return this.#guard.run(() => {
      this.#receive(tenant, body, format);
      this.#admit(tenant, isAdmitted);
      tenant.lastWriteMs = this.#clock.monotonicMs();
      if (this.#gaps?.begin() === true) {
        // What a replica sent before it was elected comes before what it sends now.
        return this.#exclusively(async () => {
          await this.#fillGaps();
          logStart = this.#wal.position;
          this.#guard.run(() => this.#receive(tenant, body, format));
          return finish(await this.#applyRest(tenant.handle, latestMs));
        });
      }
      if (this.#kernel.hasRingRoom) {
        const status = this.#kernel.apply(tenant.handle, latestMs);
        if (status !== L.APPLIED_PART) return finish(status);
      }
      return this.#exclusively(async () => finish(await this.#applyRest(tenant.handle, latestMs)));
    });
  }

  /** Holds a request that was received to its tenant's limits, if there are any. Throws LimitError. */
  #admit({ limits, rate }: ActiveTenant, isAdmitted: boolean): void {
    const { requestSeries, requestSamples, samplesPerSecond } = limits;
    if (requestSeries + requestSamples + samplesPerSecond === 0) return;
    const size = this.#kernel.planned();
    checkRequest(size, limits);
    if (samplesPerSecond === 0) return;
    const retryAfterS = rate.waitSeconds(samplesPerSecond, this.#clock.monotonicMs());
    if (retryAfterS > 0 && !isAdmitted) {
      const message = `more than ${samplesPerSecond} samples a second (${limitName('samples_per_second_limit')})`;
      throw new LimitError('rate', message, { reason: 'rate', samples: size.samples, retryAfterS });
    }
    rate.take(size.samples);
  }

  #receive(tenant: ActiveTenant, body: Uint8Array, format: WriteFormat): void {
    if (this.#admission !== undefined) {
      this.#admission.tenant = tenant.key;
      this.#kernel.setPolicyGeneration(this.#admission.generation);
    }
    this.#kernel.receive(tenant.handle, body, format);
  }

  /** Lets no other request into the kernel until the work is done. */
  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    while (this.#turn !== undefined) await this.#turn;
    let end = (): void => {};
    this.#turn = new Promise((resolve) => {
      end = resolve;
    });
    try {
      return await work();
    } finally {
      this.#turn = undefined;
      end();
    }
  }

  /** Applies what was received and the ring has no room for, part by part, as the log is written. */
  async #applyRest(handle: number, latestMs: number): Promise<number> {
    for (;;) {
      await this.#ringRoom();
      const status = this.#guard.run(() => this.#kernel.apply(handle, latestMs));
      if (status !== L.APPLIED_PART) return status;
    }
  }

  async #ringRoom(): Promise<void> {
    while (!this.#kernel.hasRingRoom) await this.#wal.whenDurable(this.#wal.position);
  }

  /** Logs who was elected, and stores what the others failed to send. */
  async #fillGaps(): Promise<void> {
    const gaps = this.#gaps as HaGaps;
    for (const record of gaps.pairs.takeRecords()) {
      await this.#ringRoom();
      this.#guard.run(() => this.#kernel.log(record));
    }
    for (const { replica, requests } of gaps.take()) {
      for (const request of requests) {
        const counts = await this.#fillFrom(replica, request);
        gaps.count(request, counts);
        await nextTurn();
      }
    }
    gaps.finish();
  }

  async #fillFrom(
    { address }: Replica,
    { tenant: key, body, format }: ShadowRequest,
  ): Promise<{ seen: number; stored: number }> {
    const tenant = this.tenant(key);
    const latestMs = this.#clock.nowMs() + this.#kernel.times.futureMs;
    try {
      const logStart = this.#wal.position;
      this.#kernel.fillFrom(address);
      this.#guard.run(() => this.#receive(tenant, body, format));
      await this.#applyRest(tenant.handle, latestMs);
      const { received, stored, newSeries } = this.#kernel.outcome();
      const records = this.#keepMetadata(key, format);
      this.totals.newSeries += newSeries;
      await this.#log(records);
      tenant.loggedBytes += this.#wal.position - logStart;
      return { seen: received, stored };
    } finally {
      this.#kernel.fillFrom(0);
    }
  }

  #count(outcome: Outcome): void {
    const { totals } = this;
    totals.stored += outcome.stored;
    totals.duplicates += outcome.duplicates;
    totals.conflicts += outcome.conflicts;
    totals.rejected += outcome.rejected.reduce((sum, { samples }) => sum + samples, 0);
    for (const { exemplars } of outcome.exemplarsDropped) totals.exemplarsDropped += exemplars;
    totals.newSeries += outcome.newSeries;
  }
}
