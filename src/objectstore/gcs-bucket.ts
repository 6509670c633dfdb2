/** A bucket in Google's Cloud Storage. Decisions: docs/decisions/0017-object-stores.md. */
import {
  type Bucket,
  type BucketObject,
  type BucketPurpose,
  type BucketWorld,
  checkedName,
  crc32c,
  type ObjectContent,
  StorageError,
} from '../../storage/index.ts';
import { describeBucket } from './description.ts';
import type { GcsConfig } from './gcs-config.ts';
import { type GcsCall, GcsRefusal, gcsError } from './gcs-error.ts';
import { type GcsAnswer, type GcsRequest, GcsRequests } from './gcs-requests.ts';
import { checkPage, directoriesIn, objectsIn, type Page } from './listing.ts';
import { checkedRange, type ObjectRange, rangeHeader } from './object-range.ts';
import { DEFAULT_DELAYS, withRetries } from './retry.ts';
import { withDeadline } from './transfer-deadline.ts';

export function openGcsBucket(config: GcsConfig, world: BucketWorld): Bucket {
  return new GcsBucket({ config, world, requests: new GcsRequests(config, world) }, 'sync');
}

/** What the buckets of all purposes share. */
interface GcsStore {
  readonly config: GcsConfig;
  readonly world: BucketWorld;
  readonly requests: GcsRequests;
}

/** An object as the API describes it, as far as we look. */
interface GcsObject {
  readonly name?: string;
  /** Numbers of 64 bits are strings. */
  readonly size?: string;
  readonly updated?: string;
  readonly crc32c?: string;
}

const READ_BYTES = 4 * 1024 * 1024;
/** A part of a resumable upload has arrived. */
const RESUME_INCOMPLETE = 308;
const RANGE_NOT_SATISFIABLE = 416;

class GcsBucket implements Bucket {
  readonly #store: GcsStore;
  readonly #purpose: BucketPurpose;

  constructor(store: GcsStore, purpose: BucketPurpose) {
    this.#store = store;
    this.#purpose = purpose;
  }

  get description(): string {
    return describeBucket(this.#store.config);
  }

  for(purpose: BucketPurpose): Bucket {
    return new GcsBucket(this.#store, purpose);
  }

  close(): void {
    this.#store.requests.close();
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
    const request: GcsRequest = { operation: 'head', method: 'GET', url: `${this.#objectUrl(name)}?fields=size` };
    const call = { what: `size of ${name}`, right: 'storage.objects.get' };
    const { size }: GcsObject = jsonOf(await this.#send(request, call).catch(notFound(name)));
    return Number(size ?? 0);
  }

  async put(name: string, content: ObjectContent): Promise<void> {
    checkedName(name);
    const checksum = checksumOf(content);
    const stored =
      content.bytes <= this.#store.config.chunkBytes
        ? await this.#upload(name, content, checksum)
        : await this.#uploadChunks(name, content, checksum);
    if (stored.crc32c === checksum && Number(stored.size) === content.bytes) return;
    const text = `put ${name}: the store holds ${stored.size} bytes with CRC32C ${stored.crc32c}, sent were ${content.bytes} with ${checksum}`;
    throw new StorageError('corrupt', `${this.description}: ${text}`);
  }

  async delete(name: string): Promise<void> {
    const request: GcsRequest = { operation: 'delete', method: 'DELETE', url: this.#objectUrl(name) };
    const call = { what: `delete ${name}`, right: 'storage.objects.delete' };
    await this.#send(request, call).catch((error: StorageError) => {
      if (error.kind !== 'not-found') throw error;
    });
  }

  async #download(name: string, range: ObjectRange | undefined): Promise<Uint8Array> {
    const what = `get ${name}`;
    const request: GcsRequest = {
      operation: 'get',
      method: 'GET',
      url: `${this.#objectUrl(name)}?alt=media`,
      ...(range === undefined ? {} : { headers: { Range: rangeHeader(range) }, alsoStatus: RANGE_NOT_SATISFIABLE }),
    };
    const call = { what, right: 'storage.objects.get' };
    const check = ({ status, headers, body }: GcsAnswer): Uint8Array => {
      if (status === RANGE_NOT_SATISFIABLE) return new Uint8Array(0);
      const contentRange = headers.get('content-range') ?? undefined;
      const store = `${this.description}: ${what}`;
      if (range !== undefined) return checkedRange(body, range, { contentRange, what: store });
      const said = /crc32c=([^,\s]+)/.exec(headers.get('x-goog-hash') ?? '')?.[1];
      if (said === undefined || said === checksumText(crc32c(body))) return body;
      throw new StorageError('corrupt', `${store}: CRC32C ${checksumText(crc32c(body))}, the store says ${said}`);
    };
    return check(await this.#send(request, call, range?.length ?? Infinity).catch(notFound(name)));
  }

  /** In one request, of which the store checks the content before it shows it. */
  async #upload(name: string, content: ObjectContent, checksum: string): Promise<GcsObject> {
    const boundary = 'varve-object';
    const part = (type: string): string => `--${boundary}\r\nContent-Type: ${type}\r\n\r\n`;
    const properties = JSON.stringify({ name: this.#whole(name), crc32c: checksum });
    const body = Buffer.concat([
      Buffer.from(`${part('application/json; charset=UTF-8')}${properties}\r\n${part('application/octet-stream')}`),
      content.read(0, content.bytes),
      Buffer.from(`\r\n--${boundary}--\r\n`),
    ]);
    const request: GcsRequest = {
      operation: 'put',
      method: 'POST',
      url: `/upload${this.#objectsUrl()}?uploadType=multipart&fields=size,crc32c`,
      headers: { 'Content-Type': `multipart/related; boundary=${boundary}` },
      body,
      contentBytes: content.bytes,
    };
    return jsonOf(await this.#send(request, { what: `put ${name}`, right: 'storage.objects.create' }, body.length));
  }

  async #uploadChunks(name: string, content: ObjectContent, checksum: string): Promise<GcsObject> {
    const call = { what: `put ${name}`, right: 'storage.objects.create' };
    const begin: GcsRequest = {
      operation: 'put',
      method: 'POST',
      url: `/upload${this.#objectsUrl()}?uploadType=resumable&fields=size,crc32c`,
      headers: { 'Content-Type': 'application/json', 'X-Upload-Content-Length': String(content.bytes) },
      body: Buffer.from(JSON.stringify({ name: this.#whole(name), crc32c: checksum })),
    };
    const session = (await this.#send(begin, call)).headers.get('location');
    if (session === null) throw new StorageError('unavailable', `${this.description}: ${call.what}: no upload began`);
    try {
      return await this.#sendChunks(session, content, call);
    } catch (error) {
      const abort: GcsRequest = { operation: 'delete', method: 'DELETE', url: session, alsoStatus: 499 };
      // The first error is the one to tell; the store drops what is left after a week.
      await this.#send(abort, call).catch(() => {});
      throw error;
    }
  }

  /** The store says after each chunk how far it has come, and is asked that when a chunk got no answer. */
  async #sendChunks(session: string, content: ObjectContent, call: GcsCall): Promise<GcsObject> {
    const { world, config } = this.#store;
    const plan = { attempts: config.maxAttempts, ...DEFAULT_DELAYS };
    let offset = 0;
    let isUnsure = false;
    const advance = async (): Promise<GcsAnswer> => {
      if (isUnsure) {
        const answer = await this.#sendChunk(session, { offset, length: 0 }, content, call);
        if (answer.status !== RESUME_INCOMPLETE) return answer;
        offset = arrivedBytes(answer);
      }
      isUnsure = true;
      const length = Math.min(config.chunkBytes, content.bytes - offset);
      const answer = await this.#sendChunk(session, { offset, length }, content, call);
      if (answer.status !== RESUME_INCOMPLETE) return answer;
      if (arrivedBytes(answer) <= offset) {
        throw new StorageError('unavailable', `${this.description}: ${call.what}: the upload does not advance`);
      }
      offset = arrivedBytes(answer);
      isUnsure = false;
      return answer;
    };
    let answer: GcsAnswer;
    do {
      answer = await withDeadline(world.clock, config.chunkBytes, (signal) =>
        withRetries(plan, world, advance, signal),
      );
    } while (answer.status === RESUME_INCOMPLETE);
    return jsonOf(answer);
  }

  /** One try. A range of no bytes asks how far the upload has come. */
  async #sendChunk(
    session: string,
    { offset, length }: ObjectRange,
    content: ObjectContent,
    call: GcsCall,
  ): Promise<GcsAnswer> {
    const range = length === 0 ? '*' : `${offset}-${offset + length - 1}`;
    const request: GcsRequest = {
      operation: 'put',
      method: 'PUT',
      url: session,
      headers: { 'Content-Range': `bytes ${range}/${content.bytes}` },
      body: content.read(offset, length),
      contentBytes: length,
      alsoStatus: RESUME_INCOMPLETE,
    };
    return await this.#send(request, call, length, 1);
  }

  async *#pages(prefix: string, delimiter: '/' | undefined): AsyncIterable<Page> {
    const whole = this.#whole(prefix);
    let last = '';
    let next: string | undefined = '';
    while (next !== undefined) {
      const query = new URLSearchParams({
        prefix: whole,
        ...(delimiter === undefined ? {} : { delimiter }),
        ...(next === '' ? {} : { pageToken: next }),
        maxResults: String(this.#store.config.pageObjects),
        fields: 'nextPageToken,prefixes,items(name,size,updated)',
      });
      const request: GcsRequest = { operation: 'list', method: 'GET', url: `${this.#objectsUrl()}?${query}` };
      const answer = await this.#send(request, { what: `list ${whole}`, right: 'storage.objects.list' });
      const { items = [], prefixes = [], nextPageToken }: GcsPage = jsonOf(answer);
      const page: Page = {
        objects: items.map(({ name = '', size = '0', updated }) => ({
          name,
          bytes: Number(size),
          modifiedMs: updated === undefined ? 0 : Date.parse(updated),
        })),
        directories: prefixes,
      };
      last = checkPage(page, last, this.description);
      yield page;
      next = nextPageToken || undefined;
    }
  }

  #whole(name: string): string {
    return this.#store.config.prefix + name;
  }

  #objectsUrl(): string {
    return `/storage/v1/b/${encodeURIComponent(this.#store.config.bucket)}/o`;
  }

  #objectUrl(name: string): string {
    return `${this.#objectsUrl()}/${encodeURIComponent(this.#whole(checkedName(name)))}`;
  }

  async #send(
    request: GcsRequest,
    { what, right }: GcsCall,
    bytes = 0,
    attempts = this.#store.config.maxAttempts,
  ): Promise<GcsAnswer> {
    const { world, requests } = this.#store;
    const call = { what: `${this.description}: ${what}`, right };
    const attempt = async (signal: AbortSignal): Promise<GcsAnswer> => {
      try {
        return await requests.send(request, this.#purpose, signal);
      } catch (error) {
        throw gcsError(error, call);
      }
    };
    const plan = { attempts, ...DEFAULT_DELAYS };
    try {
      return await withDeadline(world.clock, bytes, (signal) =>
        withRetries(plan, world, () => attempt(signal), signal),
      );
    } catch (error) {
      throw gcsError(error, call);
    }
  }
}

/** How many bytes of an upload the store says that it has. */
function arrivedBytes({ headers }: GcsAnswer): number {
  return Number(/^bytes=0-(\d+)$/.exec(headers.get('range') ?? '')?.[1] ?? -1) + 1;
}

interface GcsPage {
  readonly items?: readonly GcsObject[];
  readonly prefixes?: readonly string[];
  readonly nextPageToken?: string;
}

function jsonOf<T extends GcsObject | GcsPage>({ body }: GcsAnswer): T {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8')) as T;
  } catch (cause) {
    throw new StorageError('unavailable', 'the answer of the store is not JSON', { cause });
  }
}

function checksumOf(content: ObjectContent): string {
  let sum = 0;
  for (let offset = 0; offset < content.bytes; offset += READ_BYTES)
    sum = crc32c(content.read(offset, Math.min(READ_BYTES, content.bytes - offset)), sum);
  return checksumText(sum);
}

/** Big endian, in base64, as Google writes it. */
function checksumText(sum: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(sum >>> 0);
  return bytes.toString('base64');
}

function notFound(name: string): (error: StorageError) => never {
  return (error) => {
    if (error.kind !== 'not-found' || !(error.cause instanceof GcsRefusal)) throw error;
    throw new StorageError('not-found', `${name} is not in the bucket`, { cause: error.cause });
  };
}
