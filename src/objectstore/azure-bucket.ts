/** A bucket in a container of Azure's Blob Storage. Decisions: docs/decisions/0017-object-stores.md. */
import { hash } from 'node:crypto';
import type { TokenCredential } from '@azure/identity';
import {
  AnonymousCredential,
  BlobServiceClient,
  type BlockBlobClient,
  type ContainerClient,
  newPipeline,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import {
  type Bucket,
  type BucketObject,
  type BucketPurpose,
  type BucketWorld,
  checkedName,
  type ObjectContent,
  StorageError,
} from '../../storage/index.ts';
import { secretText } from '../config/secret.ts';
import type { AzureConfig } from './azure-config.ts';
import { azureCode, azureError } from './azure-error.ts';
import { type AzureConnections, azureConnections, countedRequests } from './azure-requests.ts';
import { describeBucket } from './description.ts';
import { readBody } from './idle-limit.ts';
import { checkPage, directoriesIn, objectsIn, type Page } from './listing.ts';
import { checkedRange, type ObjectRange } from './object-range.ts';
import { withRetries } from './retry.ts';
import { withDeadline } from './transfer-deadline.ts';

export async function openAzureBucket(config: AzureConfig, world: BucketWorld): Promise<Bucket> {
  return new AzureBucket(new AzureStore(config, world, await credentialOf(config)), 'sync');
}

type Credential = StorageSharedKeyCredential | AnonymousCredential | TokenCredential;

/** What logs in. @azure/identity is loaded only where it is needed. */
async function credentialOf({ credentials }: AzureConfig): Promise<Credential> {
  if (credentials.type === 'account-key')
    return new StorageSharedKeyCredential(credentials.account, secretText(credentials.key));
  if (credentials.type === 'shared-access-signature') return new AnonymousCredential();
  const identity = await import('@azure/identity');
  if (credentials.type === 'client-secret') {
    const { tenantId, clientId, secret } = credentials;
    return new identity.ClientSecretCredential(tenantId, clientId, secretText(secret));
  }
  const { clientId } = credentials;
  return clientId === undefined
    ? new identity.DefaultAzureCredential()
    : new identity.ManagedIdentityCredential({ clientId });
}

/** What the buckets of all purposes share: connections, credentials, and a client of the SDK for each purpose. */
class AzureStore {
  readonly config: AzureConfig;
  readonly world: BucketWorld;
  readonly description: string;
  /** Whether the container was looked for already. */
  isContainerMade: boolean;
  readonly #credential: Credential;
  readonly #connections: AzureConnections;
  readonly #containers = new Map<BucketPurpose, ContainerClient>();

  constructor(config: AzureConfig, world: BucketWorld, credential: Credential) {
    this.config = config;
    this.world = world;
    this.description = describeBucket(config);
    this.isContainerMade = !config.createsContainer;
    this.#credential = credential;
    this.#connections = azureConnections(config.http);
  }

  container(purpose: BucketPurpose): ContainerClient {
    let container = this.#containers.get(purpose);
    if (container === undefined) {
      container = this.#service(purpose).getContainerClient(this.config.container);
      this.#containers.set(purpose, container);
    }
    return container;
  }

  close(): void {
    this.#connections.agents.http.destroy();
    this.#connections.agents.https.destroy();
  }

  #service(purpose: BucketPurpose): BlobServiceClient {
    const { accountUrl, credentials } = this.config;
    // One try; see retry.ts.
    const pipeline = newPipeline(this.#credential, { retryOptions: { maxTries: 1 } });
    pipeline.factories.push(countedRequests(this.#connections, purpose, this.world));
    const query = credentials.type === 'shared-access-signature' ? `?${secretText(credentials.query)}` : '';
    return new BlobServiceClient(accountUrl + query, pipeline);
  }
}

class AzureBucket implements Bucket {
  readonly #store: AzureStore;
  readonly #purpose: BucketPurpose;

  constructor(store: AzureStore, purpose: BucketPurpose) {
    this.#store = store;
    this.#purpose = purpose;
  }

  get description(): string {
    return this.#store.description;
  }

  for(purpose: BucketPurpose): Bucket {
    return new AzureBucket(this.#store, purpose);
  }

  close(): void {
    this.#store.close();
  }

  list(prefix: string): AsyncIterable<readonly BucketObject[]> {
    return objectsIn(this.#pages(prefix, undefined), this.#store.config.prefix);
  }

  async directories(prefix: string): Promise<string[]> {
    return await directoriesIn(this.#pages(prefix, '/'), this.#store.config.prefix + prefix);
  }

  async get(name: string): Promise<Uint8Array> {
    return await this.#download(name, undefined);
  }

  async getRange(name: string, offset: number, length: number): Promise<Uint8Array> {
    if (length > 0) return await this.#download(name, { offset, length });
    await this.size(name); // For a name that is not there.
    return new Uint8Array(0);
  }

  async size(name: string): Promise<number> {
    const { contentLength } = await this.#call(`size of ${name}`, 0, (container, abortSignal) =>
      this.#blob(container, name).getProperties({ abortSignal }),
    ).catch(notFound(name));
    return contentLength ?? 0;
  }

  async put(name: string, content: ObjectContent): Promise<void> {
    if (content.bytes <= this.#store.config.blockBytes) await this.#upload(name, content);
    else await this.#uploadBlocks(name, content);
  }

  async delete(name: string): Promise<void> {
    await this.#call(`delete ${name}`, 0, (container, abortSignal) =>
      this.#blob(container, name).delete({ abortSignal, deleteSnapshots: 'include' }),
    ).catch((error: StorageError) => {
      if (error.kind !== 'not-found') throw error;
    });
  }

  async #download(name: string, range: ObjectRange | undefined): Promise<Uint8Array> {
    const what = `get ${name}`;
    return await this.#call(what, range?.length ?? Infinity, async (container, abortSignal) => {
      const { offset = 0, length } = range ?? {};
      const count = length === undefined ? undefined : Math.min(length, Number.MAX_SAFE_INTEGER - offset);
      const answer = await this.#blob(container, name).download(offset, count, { abortSignal, maxRetryRequests: 0 });
      const bytes = await readBody(
        answer.readableStreamBody as AsyncIterable<Uint8Array>,
        answer.contentLength,
        () => {},
      );
      if (range === undefined) return bytes;
      const store = `${this.description}: ${what}`;
      return checkedRange(bytes, range, { contentRange: answer.contentRange, what: store });
    }).catch((error: StorageError) => {
      if (range !== undefined && azureCode(error.cause) === 'InvalidRange') return new Uint8Array(0);
      return notFound(name)(error);
    });
  }

  async #upload(name: string, content: ObjectContent): Promise<void> {
    const body = content.read(0, content.bytes);
    const md5 = hash('md5', body, 'buffer');
    const what = `put ${name}`;
    await this.#call(what, body.length, async (container, abortSignal) => {
      const { contentMD5 } = await this.#blob(container, name).upload(body, body.length, {
        abortSignal,
        transactionalContentMD5: md5,
        blobHTTPHeaders: { blobContentMD5: md5 },
      });
      this.#checkMd5(what, contentMD5, md5);
    });
  }

  /** Blocks that are not committed cost money for a week, and are dropped then. */
  async #uploadBlocks(name: string, content: ObjectContent): Promise<void> {
    const upload = new Uint8Array(8);
    this.#store.world.random.fill(upload);
    const ids: string[] = [];
    const { blockBytes } = this.#store.config;
    for (let offset = 0; offset < content.bytes; offset += blockBytes) {
      // All of one length, and those of another upload of the same name apart.
      const id = Buffer.from(`${Buffer.from(upload).toString('hex')}-${String(ids.length).padStart(5, '0')}`);
      const body = content.read(offset, Math.min(blockBytes, content.bytes - offset));
      ids.push(id.toString('base64'));
      await this.#stageBlock(name, ids, body);
    }
    await this.#call(`commit the blocks of ${name}`, 0, (container, abortSignal) =>
      this.#blob(container, name).commitBlockList(ids, { abortSignal }),
    );
    const size = await this.size(name);
    if (size !== content.bytes) {
      const text = `put ${name}: the store holds ${size} bytes of ${content.bytes}`;
      throw new StorageError('corrupt', `${this.description}: ${text}`);
    }
  }

  async #stageBlock(name: string, ids: readonly string[], body: Uint8Array): Promise<void> {
    const md5 = hash('md5', body, 'buffer');
    const what = `put block ${ids.length} of ${name}`;
    await this.#call(what, body.length, async (container, abortSignal) => {
      const { contentMD5 } = await this.#blob(container, name).stageBlock(ids.at(-1) as string, body, body.length, {
        abortSignal,
        transactionalContentMD5: md5,
      });
      this.#checkMd5(what, contentMD5, md5);
    });
  }

  /** The store has checked what it was told, and says what it has; for a block some say nothing. */
  #checkMd5(what: string, stored: Uint8Array | undefined, sent: Buffer): void {
    if (stored === undefined || sent.equals(stored)) return;
    throw new StorageError('unavailable', `${this.description}: ${what}: what the store holds has another MD5`);
  }

  async *#pages(prefix: string, delimiter: '/' | undefined): AsyncIterable<Page> {
    const { prefix: ours, pageObjects } = this.#store.config;
    const whole = ours + prefix;
    let last = '';
    let next: string | undefined = '';
    while (next !== undefined) {
      const from: PageSettings = { maxPageSize: pageObjects, ...(next === '' ? {} : { continuationToken: next }) };
      const answer: PageAnswer = await this.#call(`list ${whole}`, 0, async (container, abortSignal) => {
        const options = { prefix: whole, abortSignal };
        return delimiter === undefined
          ? await firstOf(container.listBlobsFlat(options).byPage(from))
          : await firstOf(container.listBlobsByHierarchy(delimiter, options).byPage(from));
      });
      const page = pageOf(answer);
      last = checkPage(page, last, this.description);
      yield page;
      next = answer.continuationToken || undefined;
    }
  }

  #blob(container: ContainerClient, name: string): BlockBlobClient {
    return container.getBlockBlobClient(this.#store.config.prefix + checkedName(name));
  }

  /** One call with its tries. Makes the container if it is not there and may be made. */
  async #call<T>(
    action: string,
    bytes: number,
    work: (container: ContainerClient, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { world, config, description } = this.#store;
    const container = this.#store.container(this.#purpose);
    const plan = {
      attempts: config.maxAttempts,
      firstDelayMs: config.retryDelayMs,
      maxDelayMs: config.maxRetryDelayMs,
    };
    const what = `${description}: ${action}`;
    const attempt = async (signal: AbortSignal): Promise<T> => {
      try {
        return await work(container, signal);
      } catch (error) {
        if (azureCode(error) !== 'ContainerNotFound' || this.#store.isContainerMade) throw azureError(error, what);
      }
      try {
        await container.createIfNotExists({ abortSignal: signal });
        this.#store.isContainerMade = true;
        return await work(container, signal);
      } catch (error) {
        throw azureError(error, what);
      }
    };
    try {
      return await withDeadline(world.clock, bytes, (signal) =>
        withRetries(plan, world, () => attempt(signal), signal),
      );
    } catch (error) {
      throw azureError(error, what);
    }
  }
}

function notFound(name: string): (error: StorageError) => never {
  return (error) => {
    if (error.kind !== 'not-found') throw error;
    throw new StorageError('not-found', `${name} is not in the bucket`, { cause: error.cause });
  };
}

type PageSettings = Parameters<ReturnType<ContainerClient['listBlobsFlat']>['byPage']>[0];
type PagesOf<Name extends 'listBlobsFlat' | 'listBlobsByHierarchy'> = ReturnType<
  ReturnType<ContainerClient[Name]>['byPage']
>;
type Yielded<Pages> = Pages extends AsyncIterableIterator<infer Value> ? Value : never;
type PageAnswer = Yielded<PagesOf<'listBlobsFlat'>> | Yielded<PagesOf<'listBlobsByHierarchy'>>;

/** Iterators end with their first error: each page is asked for by one of its own. */
async function firstOf<T>(pages: AsyncIterator<T>): Promise<T> {
  return (await pages.next()).value as T;
}

function pageOf({ segment }: PageAnswer): Page {
  return {
    objects: segment.blobItems.map(({ name, properties }) => ({
      name,
      bytes: properties.contentLength ?? 0,
      modifiedMs: properties.lastModified.getTime(),
    })),
    directories: 'blobPrefixes' in segment ? (segment.blobPrefixes ?? []).map(({ name }) => name) : [],
  };
}
