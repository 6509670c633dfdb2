/**
 * A bucket in a directory whose answers a test decides, for activities that run inline: which calls fail before or after
 * their effect, and which are never answered. A module of a BucketLocation.
 */
import type { Bucket, BucketObject, BucketPurpose, ObjectContent } from '../../storage/bucket/bucket.ts';
import type { BucketLocation, OpenBucket } from '../../storage/bucket/bucket-location.ts';
import { type BucketOperation, BucketUsage } from '../../storage/bucket/bucket-usage.ts';
import { DirectoryBucket } from '../../storage/bucket/directory-bucket.ts';
import { StorageError } from '../../storage/lib/errors.ts';

export interface BucketCall {
  readonly purpose: BucketPurpose;
  readonly operation: BucketOperation;
  readonly name: string;
}

/** before: refused. after: done, but the answer is lost. hang: no answer ever. */
export type BucketFate = 'before' | 'after' | 'hang';

export class BucketControl {
  /** What becomes of a call; undefined: it is answered. */
  fate: (call: BucketCall) => BucketFate | undefined = () => undefined;
  /** What a listing shows of what is there. */
  listed: (objects: readonly BucketObject[]) => readonly BucketObject[] = (objects) => objects;
  readonly calls: BucketCall[] = [];
  readonly location: BucketLocation;

  constructor(directory = '/store') {
    const id = String(controls.size);
    controls.set(id, this);
    this.location = {
      description: `controlled ${directory}`,
      module: import.meta.url,
      config: { id, directory },
      usage: new BucketUsage().memory,
    };
  }

  /** The calls of an operation on names that contain a text. */
  count(operation: BucketOperation, text = ''): number {
    return this.calls.filter((call) => call.operation === operation && call.name.includes(text)).length;
  }
}

/** By the number in a location's config. Modules may be loaded twice in one process. */
const shared = globalThis as { bucketControls?: Map<string, BucketControl> };
shared.bucketControls ??= new Map();
const controls: Map<string, BucketControl> = shared.bucketControls;

export const openBucket: OpenBucket = (config, { fileSystem, usage }) => {
  const { id, directory } = config as { readonly id: string; readonly directory: string };
  const inner = new DirectoryBucket(fileSystem, directory, { usage });
  return Promise.resolve(new ControlledBucket(inner, controls.get(id) as BucketControl));
};

class ControlledBucket implements Bucket {
  readonly #inner: Bucket;
  readonly #control: BucketControl;
  readonly #purpose: BucketPurpose;

  constructor(inner: Bucket, control: BucketControl, purpose: BucketPurpose = 'sync') {
    this.#inner = inner;
    this.#control = control;
    this.#purpose = purpose;
  }

  get description(): string {
    return this.#inner.description;
  }

  for(purpose: BucketPurpose): Bucket {
    return new ControlledBucket(this.#inner.for(purpose), this.#control, purpose);
  }

  async *list(prefix: string): AsyncIterable<readonly BucketObject[]> {
    await this.#call('list', prefix, async () => {});
    for await (const page of this.#inner.list(prefix)) {
      const shown = this.#control.listed(page);
      if (shown.length > 0) yield shown;
    }
  }

  directories(prefix: string): Promise<string[]> {
    return this.#call('list', prefix, () => this.#inner.directories(prefix));
  }

  get(name: string): Promise<Uint8Array> {
    return this.#call('get', name, () => this.#inner.get(name));
  }

  getRange(name: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#call('get', name, () => this.#inner.getRange(name, offset, length));
  }

  size(name: string): Promise<number> {
    return this.#call('head', name, () => this.#inner.size(name));
  }

  put(name: string, content: ObjectContent): Promise<void> {
    return this.#call('put', name, () => this.#inner.put(name, content));
  }

  delete(name: string): Promise<void> {
    return this.#call('delete', name, () => this.#inner.delete(name));
  }

  close(): void {
    this.#inner.close();
  }

  async #call<T>(operation: BucketOperation, name: string, work: () => Promise<T>): Promise<T> {
    const call = { purpose: this.#purpose, operation, name };
    this.#control.calls.push(call);
    const fate = this.#control.fate(call);
    if (fate === 'hang') return await new Promise<T>(() => {});
    if (fate === 'before') throw new StorageError('unavailable', `${operation} ${name} is refused`);
    const result = await work();
    if (fate === 'after') throw new StorageError('unavailable', `the answer to ${operation} ${name} is lost`);
    return result;
  }
}
