/**
 * A bucket in a directory that tells what it was asked, and fails or waits as a test wants it. Its module is one that a
 * BucketLocation can name: the threads of a simulated machine are turns of one event loop, so the test sees it.
 */
import type { Bucket, BucketObject, BucketPurpose, ObjectContent } from '../../storage/bucket/bucket.ts';
import type { BucketLocation, OpenBucket } from '../../storage/bucket/bucket-location.ts';
import { BucketUsage } from '../../storage/bucket/bucket-usage.ts';
import { DirectoryBucket } from '../../storage/bucket/directory-bucket.ts';

export interface WatchedRequest {
  readonly operation: 'get' | 'size';
  readonly purpose: BucketPurpose;
  readonly name: string;
  readonly offset: number;
  readonly length: number;
}

/** What a test knows of the requests to one directory, and what it makes of them. */
export class BucketWatch {
  readonly requests: WatchedRequest[] = [];
  /** How often the bucket was opened. */
  opened = 0;
  /** The most requests that were under way at once. */
  mostAtOnce = 0;
  /** Is called before each request; what it throws, the request rejects with. */
  before: (request: WatchedRequest) => void | Promise<void> = () => {};
  /** May change what comes back. */
  after: (request: WatchedRequest, bytes: Uint8Array) => Uint8Array = (_, bytes) => bytes;
  #underWay = 0;

  async request<T>(request: WatchedRequest, ask: () => Promise<T>): Promise<T> {
    this.requests.push(request);
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#underWay);
    try {
      await this.before(request);
      return await ask();
    } finally {
      this.#underWay--;
    }
  }

  /** How many requests there were since the last call, by the block's directory. */
  takeCounts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { name } of this.requests.splice(0)) {
      const block = name.slice(0, name.indexOf('/'));
      counts.set(block, (counts.get(block) ?? 0) + 1);
    }
    return counts;
  }
}

const watches = new Map<string, BucketWatch>();

/** The watch of a directory; the same for all who ask. */
export function watchOf(directory: string): BucketWatch {
  let watch = watches.get(directory);
  if (watch === undefined) {
    watch = new BucketWatch();
    watches.set(directory, watch);
  }
  return watch;
}

export function watchedLocation(directory: string): BucketLocation {
  return {
    description: `filesystem ${directory}`,
    module: import.meta.url,
    config: { directory },
    usage: new BucketUsage().memory,
  };
}

export const openBucket: OpenBucket = async (config, { fileSystem, usage }) => {
  const { directory } = config as { readonly directory: string };
  const watch = watchOf(directory);
  watch.opened++;
  return new WatchedBucket(new DirectoryBucket(fileSystem, directory, { usage }), watch, 'sync');
};

class WatchedBucket implements Bucket {
  readonly #bucket: Bucket;
  readonly #watch: BucketWatch;
  readonly #purpose: BucketPurpose;

  constructor(bucket: Bucket, watch: BucketWatch, purpose: BucketPurpose) {
    this.#bucket = bucket;
    this.#watch = watch;
    this.#purpose = purpose;
  }

  get description(): string {
    return this.#bucket.description;
  }

  for(purpose: BucketPurpose): Bucket {
    return new WatchedBucket(this.#bucket.for(purpose), this.#watch, purpose);
  }

  async getRange(name: string, offset: number, length: number): Promise<Uint8Array> {
    const request = { operation: 'get', purpose: this.#purpose, name, offset, length } as const;
    const bytes = await this.#watch.request(request, () => this.#bucket.getRange(name, offset, length));
    return this.#watch.after(request, bytes);
  }

  size(name: string): Promise<number> {
    const request = { operation: 'size', purpose: this.#purpose, name, offset: 0, length: 0 } as const;
    return this.#watch.request(request, () => this.#bucket.size(name));
  }

  get(name: string): Promise<Uint8Array> {
    return this.#bucket.get(name);
  }

  list(prefix: string): AsyncIterable<readonly BucketObject[]> {
    return this.#bucket.list(prefix);
  }

  directories(prefix: string): Promise<string[]> {
    return this.#bucket.directories(prefix);
  }

  put(name: string, content: ObjectContent): Promise<void> {
    return this.#bucket.put(name, content);
  }

  delete(name: string): Promise<void> {
    return this.#bucket.delete(name);
  }

  close(): void {
    this.#bucket.close();
  }
}
