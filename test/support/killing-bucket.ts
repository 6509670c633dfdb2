/**
 * A bucket in a directory that ends the process with SIGKILL at one of its calls, or does not answer for a while. A
 * module of a BucketLocation; what it does is read from the file `orders` when the bucket is opened.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { Bucket, BucketPurpose, ObjectContent } from '../../storage/bucket/bucket.ts';
import type { BucketLocation, OpenBucket } from '../../storage/bucket/bucket-location.ts';
import { BucketUsage } from '../../storage/bucket/bucket-usage.ts';
import { DirectoryBucket } from '../../storage/bucket/directory-bucket.ts';
import { StorageError } from '../../storage/lib/errors.ts';
import type { KillPhase } from './kill-phase.ts';

export interface BucketOrders {
  /**
   * The process ends at this call for a purpose (an upload if it says none), counted from 1: before it, while its content
   * is read, or after it.
   */
  readonly killAt?: {
    readonly call: number;
    readonly phase: KillPhase;
    readonly delayMs: number;
    readonly purpose?: BucketPurpose;
  };
  /** Every call is refused while this file is there. */
  readonly refusedWhile?: string;
}

export interface KillingBucketConfig {
  readonly directory: string;
  /** The path of a file with BucketOrders in JSON. */
  readonly orders: string;
}

export function killingBucket(config: KillingBucketConfig): BucketLocation {
  const usage = new BucketUsage().memory;
  return { description: `killing ${config.directory}`, module: import.meta.url, config, usage };
}

export function giveOrders({ orders }: KillingBucketConfig, given: BucketOrders): void {
  writeFileSync(orders, JSON.stringify(given));
}

export const openBucket: OpenBucket = (config, { fileSystem, usage }) => {
  const { directory, orders } = config as KillingBucketConfig;
  const given = JSON.parse(readFileSync(orders, 'utf8')) as BucketOrders;
  return Promise.resolve(new KillingBucket(new DirectoryBucket(fileSystem, directory, { usage }), given, { calls: 0 }));
};

class KillingBucket implements Bucket {
  readonly #inner: Bucket;
  readonly #orders: BucketOrders;
  readonly #counter: { calls: number };
  readonly #purpose: BucketPurpose;

  constructor(inner: Bucket, orders: BucketOrders, counter: { calls: number }, purpose: BucketPurpose = 'sync') {
    this.#inner = inner;
    this.#orders = orders;
    this.#counter = counter;
    this.#purpose = purpose;
  }

  get description(): string {
    return this.#inner.description;
  }

  for(purpose: BucketPurpose): Bucket {
    return new KillingBucket(this.#inner.for(purpose), this.#orders, this.#counter, purpose);
  }

  async *list(prefix: string): AsyncIterable<readonly { name: string; bytes: number; modifiedMs: number }[]> {
    const phase = this.#begin();
    yield* this.#inner.list(prefix);
    if (phase !== undefined) await this.#kill();
  }

  directories(prefix: string): Promise<string[]> {
    return this.#call(() => this.#inner.directories(prefix));
  }

  get(name: string): Promise<Uint8Array> {
    return this.#call(() => this.#inner.get(name));
  }

  getRange(name: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#call(() => this.#inner.getRange(name, offset, length));
  }

  size(name: string): Promise<number> {
    return this.#call(() => this.#inner.size(name));
  }

  put(name: string, content: ObjectContent): Promise<void> {
    return this.#call((phase) =>
      this.#inner.put(name, {
        bytes: content.bytes,
        read(offset, length) {
          if (phase === 'during') process.kill(process.pid, 'SIGKILL');
          return content.read(offset, length);
        },
      }),
    );
  }

  delete(name: string): Promise<void> {
    return this.#call(() => this.#inner.delete(name));
  }

  close(): void {
    this.#inner.close();
  }

  async #call<T>(work: (phase: string | undefined) => Promise<T>): Promise<T> {
    const phase = this.#begin();
    const result = await work(phase);
    if (phase !== undefined) await this.#kill();
    return result;
  }

  /** What happens at this call, after it has begun. */
  #begin(): string | undefined {
    const { killAt, refusedWhile } = this.#orders;
    if (refusedWhile !== undefined && existsSync(refusedWhile))
      throw new StorageError('unavailable', 'the store refuses');
    if (killAt === undefined || this.#purpose !== (killAt.purpose ?? 'upload')) return undefined;
    if (++this.#counter.calls !== killAt.call) return undefined;
    if (killAt.phase === 'before') process.kill(process.pid, 'SIGKILL');
    return killAt.phase;
  }

  /** Only a little later, so that what follows from the call may have begun. */
  async #kill(): Promise<void> {
    const delayMs = this.#orders.killAt?.delayMs ?? 0;
    if (delayMs === 0) process.kill(process.pid, 'SIGKILL');
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), delayMs);
  }
}
