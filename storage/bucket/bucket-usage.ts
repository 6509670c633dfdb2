/**
 * How much is asked of a bucket, counted for all threads in one shared memory: requests as the store bills them (each
 * try, each part of an upload), those that failed, and bytes of content in both directions, by purpose and operation.
 */
import { BUCKET_PURPOSES, type BucketPurpose } from './bucket.ts';

export const BUCKET_OPERATIONS = ['get', 'head', 'list', 'put', 'delete'] as const;
export type BucketOperation = (typeof BUCKET_OPERATIONS)[number];

const FIELDS = ['requests', 'failures', 'receivedBytes', 'sentBytes'] as const;

/** Counts since the start of the process. */
export type OperationUsage = Readonly<Record<(typeof FIELDS)[number], number>> & {
  readonly purpose: BucketPurpose;
  readonly operation: BucketOperation;
};

/** What came of one request. */
export interface RequestUsage {
  readonly isFailure?: boolean;
  readonly receivedBytes?: number;
  readonly sentBytes?: number;
}

export class BucketUsage {
  /** To be handed to other threads, which make their own view of it. */
  readonly memory: SharedArrayBuffer;
  readonly #counts: BigUint64Array;

  constructor(
    memory: SharedArrayBuffer = new SharedArrayBuffer(
      BUCKET_PURPOSES.length * BUCKET_OPERATIONS.length * FIELDS.length * 8,
    ),
  ) {
    this.memory = memory;
    this.#counts = new BigUint64Array(memory);
  }

  count(purpose: BucketPurpose, operation: BucketOperation, usage: RequestUsage = {}): void {
    const at = place(purpose, operation);
    Atomics.add(this.#counts, at, 1n);
    if (usage.isFailure) Atomics.add(this.#counts, at + 1, 1n);
    Atomics.add(this.#counts, at + 2, BigInt(usage.receivedBytes ?? 0));
    Atomics.add(this.#counts, at + 3, BigInt(usage.sentBytes ?? 0));
  }

  /** A row for each purpose and operation. */
  rows(): OperationUsage[] {
    return BUCKET_PURPOSES.flatMap((purpose) =>
      BUCKET_OPERATIONS.map((operation) => {
        const at = place(purpose, operation);
        const [requests, failures, receivedBytes, sentBytes] = FIELDS.map((_, field) =>
          Number(Atomics.load(this.#counts, at + field)),
        ) as [number, number, number, number];
        return { purpose, operation, requests, failures, receivedBytes, sentBytes };
      }),
    );
  }
}

function place(purpose: BucketPurpose, operation: BucketOperation): number {
  const row = BUCKET_PURPOSES.indexOf(purpose) * BUCKET_OPERATIONS.length + BUCKET_OPERATIONS.indexOf(operation);
  return row * FIELDS.length;
}
