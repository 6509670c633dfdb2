/** Any bucket, with faults that a test arms: each is used up by the calls that it is made for, in order. */
import type { Bucket, BucketObject, BucketPurpose, ObjectContent } from '../../storage/bucket/bucket.ts';
import { StorageError } from '../../storage/lib/errors.ts';

export type BucketCall = 'list' | 'directories' | 'get' | 'getRange' | 'size' | 'put' | 'delete';

export type BucketFault =
  /** It fails, and nothing was done. */
  | 'before'
  /** It is done, and fails. */
  | 'after'
  /** The store asks for patience: as before, but in its words. */
  | 'throttle'
  /** Nothing comes until `release`. */
  | 'hang'
  /** A read gives less than there is, as a client without checks would. */
  | 'truncated'
  /** One bit of what is read is another. */
  | 'flipped'
  /** A listing shows what was there when the fault was armed. */
  | 'stale';

interface Armed {
  readonly call: BucketCall;
  readonly fault: BucketFault;
  times: number;
  readonly matches: (name: string) => boolean;
  readonly snapshot: readonly BucketObject[];
}

/** Faults and calls of one bucket under all its purposes. */
class Faults {
  readonly armed: Armed[] = [];
  readonly calls: string[] = [];
  readonly hanging: (() => void)[] = [];

  take(call: BucketCall, name: string): Armed | undefined {
    this.calls.push(`${call} ${name}`);
    const found = this.armed.find((fault) => fault.call === call && fault.times > 0 && fault.matches(name));
    if (found !== undefined) found.times--;
    return found;
  }
}

export class FailingBucket implements Bucket {
  readonly #inner: Bucket;
  readonly #faults: Faults;

  constructor(inner: Bucket, faults: Faults = new Faults()) {
    this.#inner = inner;
    this.#faults = faults;
  }

  get description(): string {
    return this.#inner.description;
  }

  /** All calls so far, those that failed too: `put a/b`. */
  get calls(): readonly string[] {
    return this.#faults.calls;
  }

  /** The next `times` calls whose name (or prefix) `matches` meet the fault. */
  async arm(
    call: BucketCall,
    fault: BucketFault,
    { times = 1, matches = () => true }: { readonly times?: number; readonly matches?: (name: string) => boolean } = {},
  ): Promise<void> {
    const snapshot: BucketObject[] = [];
    if (fault === 'stale') for await (const page of this.#inner.list('')) snapshot.push(...page);
    this.#faults.armed.push({ call, fault, times, matches, snapshot });
  }

  /** Takes away all faults; what hangs fails. */
  release(): void {
    this.#faults.armed.length = 0;
    for (const end of this.#faults.hanging.splice(0)) end();
  }

  for(purpose: BucketPurpose): Bucket {
    return new FailingBucket(this.#inner.for(purpose), this.#faults);
  }

  async *list(prefix: string): AsyncIterable<readonly BucketObject[]> {
    const armed = this.#faults.take('list', prefix);
    await this.#failBefore(armed);
    if (armed?.fault === 'stale') {
      const seen = armed.snapshot.filter(({ name }) => name.startsWith(prefix));
      if (seen.length > 0) yield seen;
      return;
    }
    for await (const page of this.#inner.list(prefix)) {
      yield page;
      if (armed?.fault === 'after' || armed?.fault === 'truncated') throw failure('the listing broke off');
    }
  }

  async directories(prefix: string): Promise<string[]> {
    const armed = this.#faults.take('directories', prefix);
    if (armed?.fault !== 'stale') return await this.#with(armed, () => this.#inner.directories(prefix));
    const below = armed.snapshot.map(({ name }) => name).filter((name) => name.startsWith(prefix));
    const rests = below.map((name) => name.slice(prefix.length)).filter((rest) => rest.includes('/'));
    return [...new Set(rests.map((rest) => rest.split('/', 1)[0] as string))];
  }

  async get(name: string): Promise<Uint8Array> {
    const armed = this.#faults.take('get', name);
    return damaged(await this.#with(armed, () => this.#inner.get(name)), armed?.fault);
  }

  async getRange(name: string, offset: number, length: number): Promise<Uint8Array> {
    const armed = this.#faults.take('getRange', name);
    return damaged(await this.#with(armed, () => this.#inner.getRange(name, offset, length)), armed?.fault);
  }

  async size(name: string): Promise<number> {
    return await this.#with(this.#faults.take('size', name), () => this.#inner.size(name));
  }

  async put(name: string, content: ObjectContent): Promise<void> {
    await this.#with(this.#faults.take('put', name), () => this.#inner.put(name, content));
  }

  async delete(name: string): Promise<void> {
    await this.#with(this.#faults.take('delete', name), () => this.#inner.delete(name));
  }

  close(): void {
    this.#inner.close();
  }

  async #with<T>(armed: Armed | undefined, call: () => Promise<T>): Promise<T> {
    await this.#failBefore(armed);
    const result = await call();
    if (armed?.fault === 'after') throw failure('the answer was lost');
    return result;
  }

  async #failBefore(armed: Armed | undefined): Promise<void> {
    if (armed?.fault === 'before') throw failure('the connection was refused');
    if (armed?.fault === 'throttle') throw failure('SlowDown (503) Please reduce your request rate.');
    if (armed?.fault !== 'hang') return;
    await new Promise<void>((resolve) => {
      this.#faults.hanging.push(resolve);
    });
    throw failure('no answer in time');
  }
}

function failure(text: string): StorageError {
  return new StorageError('unavailable', text);
}

function damaged(bytes: Uint8Array, fault: BucketFault | undefined): Uint8Array {
  if (fault === 'truncated') return bytes.subarray(0, bytes.length >> 1);
  if (fault !== 'flipped') return bytes;
  const copy = Uint8Array.from(bytes);
  const middle = copy.length >> 1;
  copy[middle] = (copy[middle] ?? 0) ^ 1;
  return copy;
}
