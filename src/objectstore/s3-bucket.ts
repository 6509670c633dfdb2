/** A bucket in Amazon S3 or a store that speaks it. Decisions: docs/decisions/0017-object-stores.md. */
import { hash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { NodeHttpHandler } from '@smithy/node-http-handler';
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
import { describeBucket } from './description.ts';
import { checkPage, directoriesIn, objectsIn, type Page } from './listing.ts';
import { checkedRange, type ObjectRange, rangeHeader } from './object-range.ts';
import type { S3Config } from './s3-config.ts';
import { isAbsent, isBeyondEnd, s3Error } from './s3-error.ts';
import { CountedRequests, s3Connections, WholeBody } from './s3-requests.ts';
import { withDeadline } from './transfer-deadline.ts';

/** S3 takes so many parts of one object. */
const MOST_PARTS = 10_000;

export function openS3Bucket(config: S3Config, world: BucketWorld): Bucket {
  return new S3Bucket(new S3Store(config, world), 'sync');
}

/** What the buckets of all purposes share: connections, credentials, and a client of the SDK for each purpose. */
class S3Store {
  readonly config: S3Config;
  readonly world: BucketWorld;
  readonly description: string;
  /** Goes with each request for an object's content or properties. */
  readonly customerKey: CustomerKey;
  readonly #connections: NodeHttpHandler;
  readonly #clients = new Map<BucketPurpose, S3Client>();

  constructor(config: S3Config, world: BucketWorld) {
    this.config = config;
    this.world = world;
    this.description = describeBucket(config);
    const { encryption } = config;
    this.customerKey =
      encryption?.type === 'SSE-C'
        ? {
            SSECustomerAlgorithm: 'AES256',
            SSECustomerKey: secretText(encryption.key),
            SSECustomerKeyMD5: encryption.keyMd5,
          }
        : {};
    this.#connections = s3Connections(config.http);
  }

  client(purpose: BucketPurpose): S3Client {
    let client = this.#clients.get(purpose);
    if (client === undefined) {
      client = this.#makeClient(purpose);
      this.#clients.set(purpose, client);
    }
    return client;
  }

  close(): void {
    this.#connections.destroy();
  }

  #makeClient(purpose: BucketPurpose): S3Client {
    const { endpoint, region, isPathStyle, maxAttempts, putHeaders } = this.config;
    const credentials = this.#credentials();
    const client = new S3Client({
      endpoint,
      region,
      forcePathStyle: isPathStyle,
      followRegionRedirects: true,
      maxAttempts,
      retryMode: 'standard',
      // We send and compare what a store has; what the SDK adds by itself, many stores refuse or keep as content.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: new CountedRequests(this.#connections, purpose, this.world.usage),
      ...(credentials === undefined ? {} : { credentials }),
    });
    client.middlewareStack.add(
      (next, context) => (args) => {
        const isCreation =
          context.commandName === 'PutObjectCommand' || context.commandName === 'CreateMultipartUploadCommand';
        if (isCreation) Object.assign((args.request as { headers: Record<string, string> }).headers, putHeaders);
        return next(args);
      },
      { step: 'build', name: 'putUserMetadata' },
    );
    return client;
  }

  /** The configured ones, or what another purpose's client found. */
  #credentials(): S3Client['config']['credentials'] | { accessKeyId: string; secretAccessKey: string } | undefined {
    const { credentials } = this.config;
    if (credentials === undefined) return this.#clients.values().next().value?.config.credentials;
    const { accessKey, secretKey, sessionToken } = credentials;
    return {
      accessKeyId: accessKey,
      secretAccessKey: secretText(secretKey),
      ...(sessionToken === undefined ? {} : { sessionToken: secretText(sessionToken) }),
    };
  }
}

interface CustomerKey {
  readonly SSECustomerAlgorithm?: string;
  readonly SSECustomerKey?: string;
  readonly SSECustomerKeyMD5?: string;
}

/** What is to be sent, with what the store is to find and to say of it. */
interface Digests {
  /** Only for a store that tells its own. */
  readonly sha256: Buffer | undefined;
  readonly md5: Buffer;
}

class S3Bucket implements Bucket {
  readonly #store: S3Store;
  readonly #purpose: BucketPurpose;

  constructor(store: S3Store, purpose: BucketPurpose) {
    this.#store = store;
    this.#purpose = purpose;
  }

  get description(): string {
    return this.#store.description;
  }

  for(purpose: BucketPurpose): Bucket {
    return new S3Bucket(this.#store, purpose);
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
    return await this.#getObject(name, undefined);
  }

  async getRange(name: string, offset: number, length: number): Promise<Uint8Array> {
    if (length > 0) return await this.#getObject(name, { offset, length });
    await this.size(name); // For a name that is not there.
    return new Uint8Array(0);
  }

  async size(name: string): Promise<number> {
    const command = new HeadObjectCommand({ ...this.#object(name), ...this.#store.customerKey });
    const { ContentLength } = await this.#send(`size of ${name}`, 's3:GetObject', 0, (client, abortSignal) =>
      client.send(command, { abortSignal }),
    ).catch(notFound(name));
    return ContentLength ?? 0;
  }

  async put(name: string, content: ObjectContent): Promise<void> {
    const { partBytes } = this.#store.config;
    if (content.bytes <= partBytes) await this.#putWhole(name, content);
    else await this.#putParts(name, content, Math.max(partBytes, Math.ceil(content.bytes / MOST_PARTS)));
  }

  async delete(name: string): Promise<void> {
    const command = new DeleteObjectCommand(this.#object(name));
    try {
      await this.#send(`delete ${name}`, 's3:DeleteObject', 0, (client, abortSignal) =>
        client.send(command, { abortSignal }),
      );
    } catch (error) {
      if (!(error instanceof StorageError && error.kind === 'not-found')) throw error;
    }
  }

  async #getObject(name: string, range: ObjectRange | undefined): Promise<Uint8Array> {
    const Range = range && { Range: rangeHeader(range) };
    const command = new GetObjectCommand({ ...this.#object(name), ...this.#store.customerKey, ...Range });
    const { Body, ContentRange } = await this.#send(
      `get ${name}`,
      's3:GetObject',
      range?.length ?? Infinity,
      (client, abortSignal) => client.send(command, { abortSignal }),
    ).catch((error: StorageError) => {
      if (range !== undefined && isBeyondEnd(error.cause))
        return { Body: new WholeBody(new Uint8Array(0)), ContentRange: undefined };
      return notFound(name)(error);
    });
    const { bytes } = Body as unknown as WholeBody;
    if (range === undefined || bytes.length === 0) return bytes;
    return checkedRange(bytes, range, { contentRange: ContentRange, what: `${this.description}: get ${name}` });
  }

  async #putWhole(name: string, content: ObjectContent): Promise<void> {
    const body = content.read(0, content.bytes);
    const digests = this.#digestsOf(body);
    const command = new PutObjectCommand({
      ...this.#object(name),
      ...this.#encryption(),
      ...this.#checksums(digests),
      Body: body,
      ContentLength: body.length,
    });
    const answer = await this.#send(`put ${name}`, 's3:PutObject', body.length, (client, abortSignal) =>
      client.send(command, { abortSignal }),
    );
    if (!isVerified(answer, digests)) await this.#readBack(name, content);
  }

  async #putParts(name: string, content: ObjectContent, partBytes: number): Promise<void> {
    const object = this.#object(name);
    const creation = new CreateMultipartUploadCommand({
      ...object,
      ...this.#encryption(),
      ...(this.#store.config.isAws ? { ChecksumAlgorithm: 'SHA256', ChecksumType: 'COMPOSITE' } : {}),
    });
    const { UploadId } = await this.#send(`begin the upload of ${name}`, 's3:PutObject', 0, (client, abortSignal) =>
      client.send(creation, { abortSignal }),
    );
    const upload = { ...object, UploadId };
    try {
      const parts: UploadedPart[] = [];
      for (let offset = 0; offset < content.bytes; offset += partBytes) {
        const body = content.read(offset, Math.min(partBytes, content.bytes - offset));
        parts.push(await this.#putPart(name, upload, { body, number: parts.length + 1 }));
      }
      const etag = await this.#complete(name, upload, parts);
      const isEach = parts.every((part) => part.isVerified);
      if (!isEach || etag !== partsEtag(parts)) await this.#readBack(name, content);
    } catch (error) {
      await this.#abort(name, upload);
      throw error;
    }
  }

  async #putPart(
    name: string,
    upload: Upload,
    { body, number }: { readonly body: Uint8Array; readonly number: number },
  ): Promise<UploadedPart> {
    const digests = this.#digestsOf(body);
    const command = new UploadPartCommand({
      ...upload,
      ...this.#store.customerKey,
      ...this.#checksums(digests),
      PartNumber: number,
      Body: body,
      ContentLength: body.length,
    });
    const answer = await this.#send(
      `put part ${number} of ${name}`,
      's3:PutObject',
      body.length,
      (client, abortSignal) => client.send(command, { abortSignal }),
    );
    const { ETag, ChecksumSHA256 } = answer;
    const isChecksum = ChecksumSHA256 !== undefined && this.#store.config.isAws;
    return {
      number,
      md5: digests.md5,
      isVerified: isVerified(answer, digests),
      completion: { PartNumber: number, ETag, ...(isChecksum ? { ChecksumSHA256 } : {}) },
    };
  }

  /** The ETag of the whole. A completion of which only the answer was lost counts. */
  async #complete(name: string, upload: Upload, parts: readonly UploadedPart[]): Promise<string | undefined> {
    const command = new CompleteMultipartUploadCommand({
      ...upload,
      ...this.#store.customerKey,
      MultipartUpload: { Parts: parts.map(({ completion }) => completion) },
    });
    try {
      const { ETag } = await this.#send(`complete the upload of ${name}`, 's3:PutObject', 0, (client, abortSignal) =>
        client.send(command, { abortSignal }),
      );
      return plainEtag(ETag);
    } catch (error) {
      if (!isAbsent((error as StorageError).cause)) throw error;
      const head = new HeadObjectCommand({ Bucket: upload.Bucket, Key: upload.Key, ...this.#store.customerKey });
      const { ETag } = await this.#send(`size of ${name}`, 's3:GetObject', 0, (client, abortSignal) =>
        client.send(head, { abortSignal }),
      );
      if (plainEtag(ETag) !== partsEtag(parts)) throw error;
      return plainEtag(ETag);
    }
  }

  /** Parts of an upload that is not completed cost money, and no listing shows them. */
  async #abort(name: string, upload: Upload): Promise<void> {
    const command = new AbortMultipartUploadCommand(upload);
    await this.#send(`abort the upload of ${name}`, 's3:AbortMultipartUpload', 0, (client, abortSignal) =>
      client.send(command, { abortSignal }),
    ).catch(() => {}); // The first error is the one to tell; a lifecycle rule removes what is left.
  }

  /** For a store that says nothing of what it holds: compares it with what was sent. */
  async #readBack(name: string, content: ObjectContent): Promise<void> {
    const step = Math.min(this.#store.config.partBytes, READ_BACK_BYTES);
    for (let offset = 0; offset < content.bytes; offset += step) {
      const length = Math.min(step, content.bytes - offset);
      const stored = await this.getRange(name, offset, length);
      if (Buffer.compare(stored, content.read(offset, length)) !== 0) {
        throw new StorageError(
          'corrupt',
          `${this.description}: put ${name}: what the store holds is not what was sent`,
        );
      }
    }
    const size = content.bytes === 0 ? await this.size(name) : content.bytes;
    if (size !== content.bytes) {
      throw new StorageError('corrupt', `${this.description}: put ${name}: the store holds ${size} bytes of 0`);
    }
  }

  async *#pages(prefix: string, delimiter: '/' | undefined): AsyncIterable<Page> {
    const { bucket, prefix: ours, listVersion, pageObjects } = this.#store.config;
    const question = {
      Bucket: bucket,
      Prefix: ours + prefix,
      Delimiter: delimiter,
      EncodingType: 'url',
      MaxKeys: pageObjects,
    } as const;
    let last = '';
    let next: string | undefined;
    do {
      const command =
        listVersion === 2
          ? new ListObjectsV2Command({ ...question, ContinuationToken: next })
          : new ListObjectsCommand({ ...question, Marker: next });
      const answer = await this.#send(`list ${ours}${prefix}`, 's3:ListBucket', 0, (client, abortSignal) =>
        client.send(command as ListObjectsV2Command, { abortSignal }),
      );
      const text = (key = ''): string =>
        answer.EncodingType === 'url' ? decodeURIComponent(key.replaceAll('+', ' ')) : key;
      const page: Page = {
        objects: (answer.Contents ?? []).map(({ Key, Size, LastModified }) => ({
          name: text(Key),
          bytes: Size ?? 0,
          modifiedMs: LastModified?.getTime() ?? 0,
        })),
        directories: (answer.CommonPrefixes ?? []).map(({ Prefix }) => text(Prefix)),
      };
      last = checkPage(page, last, this.description);
      yield page;
      const isMore = answer.IsTruncated === true;
      const marker = (answer as { readonly NextMarker?: string }).NextMarker;
      next = isMore ? (listVersion === 2 ? answer.NextContinuationToken : text(marker) || last) : undefined;
    } while (next !== undefined);
  }

  #object(name: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#store.config.bucket, Key: this.#store.config.prefix + checkedName(name) };
  }

  #encryption(): EncryptionHeaders {
    const { encryption } = this.#store.config;
    switch (encryption?.type) {
      case undefined:
        return {};
      case 'SSE-S3':
        return { ServerSideEncryption: 'AES256' };
      case 'SSE-KMS': {
        const { keyId, context } = encryption;
        const Context = context && { SSEKMSEncryptionContext: Buffer.from(context).toString('base64') };
        return { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: keyId, ...Context };
      }
      case 'SSE-C':
        return this.#store.customerKey;
    }
  }

  #digestsOf(body: Uint8Array): Digests {
    const { isAws } = this.#store.config;
    return { sha256: isAws ? hash('sha256', body, 'buffer') : undefined, md5: hash('md5', body, 'buffer') };
  }

  #checksums({ sha256, md5 }: Digests): { readonly ChecksumSHA256?: string; readonly ContentMD5?: string } {
    return {
      ...(sha256 === undefined ? {} : { ChecksumSHA256: sha256.toString('base64') }),
      ...(this.#store.config.sendsContentMd5 ? { ContentMD5: md5.toString('base64') } : {}),
    };
  }

  async #send<T>(
    action: string,
    right: string,
    bytes: number,
    send: (client: S3Client, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { world, description } = this.#store;
    try {
      return await withDeadline(world.clock, bytes, (signal) => send(this.#store.client(this.#purpose), signal));
    } catch (error) {
      throw s3Error(error, { store: description, action, right });
    }
  }
}

const READ_BACK_BYTES = 16 * 1024 * 1024;

interface Upload {
  readonly Bucket: string;
  readonly Key: string;
  readonly UploadId: string | undefined;
}

interface UploadedPart {
  readonly number: number;
  readonly md5: Buffer;
  readonly isVerified: boolean;
  readonly completion: CompletedPart;
}

interface EncryptionHeaders extends CustomerKey {
  readonly ServerSideEncryption?: 'AES256' | 'aws:kms';
  readonly SSEKMSKeyId?: string;
  readonly SSEKMSEncryptionContext?: string;
}

/** Whether the store has said that it holds these bytes, by their SHA-256 or, in its ETag, their MD5. */
function isVerified(
  { ChecksumSHA256, ETag }: { readonly ChecksumSHA256?: string | undefined; readonly ETag?: string | undefined },
  { sha256, md5 }: Digests,
): boolean {
  return (
    (sha256 !== undefined && ChecksumSHA256 === sha256.toString('base64')) || plainEtag(ETag) === md5.toString('hex')
  );
}

/** What S3 gives an object of several parts: the MD5 of their MD5s, and their number. */
function partsEtag(parts: readonly UploadedPart[]): string {
  return `${hash('md5', Buffer.concat(parts.map(({ md5 }) => md5)), 'hex')}-${parts.length}`;
}

function plainEtag(etag: string | undefined): string | undefined {
  return etag?.replaceAll('"', '').toLowerCase();
}

function notFound(name: string): (error: StorageError) => never {
  return (error) => {
    if (isAbsent(error.cause))
      throw new StorageError('not-found', `${name} is not in the bucket`, { cause: error.cause });
    throw error;
  };
}
