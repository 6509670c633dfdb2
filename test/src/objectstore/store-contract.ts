/** What every store's client does beyond the contract of buckets: refusals, outages, broken connections, and counting. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseBucketConfig } from '../../../src/objectstore/bucket-config.ts';
import { bucketLocation } from '../../../src/objectstore/open-bucket.ts';
import {
  type Bucket,
  BucketUsage,
  bytesContent,
  nodeFileSystem,
  openBucketAt,
  systemClock,
  systemRandom,
} from '../../../storage/index.ts';
import { testBucket } from '../../storage/bucket/bucket-contract.ts';
import type { ConfigOptions, ObjectStore } from '../../support/object-stores.ts';
import { freePort } from '../../support/program.ts';
import { type Question, TamperingProxy } from '../../support/tampering-proxy.ts';

/** What a test has at hand: the store, and a way to open its buckets. */
export interface OpenStore {
  readonly store: ObjectStore;
  /** Makes a bucket and opens it by a `bucket.yml`. */
  open(options?: ConfigOptions & { readonly usage?: BucketUsage }): Promise<Bucket>;
  /** Opens one that nobody has made. */
  openUnmade(name: string, options?: ConfigOptions): Promise<Bucket>;
}

export interface StoreKind {
  readonly name: string;
  readonly isInstalled: boolean;
  readonly start: () => Promise<ObjectStore>;
  /** Makes parts and pages small: laid over the parsed configuration. */
  readonly small: Readonly<Record<string, number>>;
  /** Keys that allow one try only, and no patience. */
  readonly hasty: string;
  readonly checksSecrets: boolean;
  readonly largeBytes: number;
}

const content = (text: string) => bytesContent(Buffer.from(text));
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
const isObject = ({ method, url }: Question): boolean =>
  method === 'GET' && /object/.test(url) && !/[?&](?:comp|list-type)=/.test(url);

/** Runs all of it; `more` adds what is special to the store. */
export function testStore(kind: StoreKind, more: (opened: OpenStore) => void): void {
  describe.skipIf(!kind.isInstalled)(kind.name, () => {
    let store: ObjectStore | undefined;
    let buckets = 0;
    const opened: OpenStore = {
      get store() {
        if (store === undefined) throw new Error('the store is not started');
        return store;
      },
      async open({ usage = new BucketUsage(), ...options } = {}) {
        const bucket = `bucket-${++buckets}`;
        await opened.store.makeBucket(bucket);
        Object.assign(process.env, opened.store.environment(options.port));
        return await openWith(opened.store.configText(bucket, options), kind, usage);
      },
      async openUnmade(name, options = {}) {
        Object.assign(process.env, opened.store.environment(options.port));
        return await openWith(opened.store.configText(name, options), kind, new BucketUsage());
      },
    };
    beforeAll(async () => {
      store = await kind.start();
    });
    afterAll(async () => {
      await store?.[Symbol.asyncDispose]();
    });
    const { largeBytes, small } = kind;
    testBucket(kind.name, () => opened.open({ prefix: 'a/b' }), {
      largeBytes,
      pageObjects: small.pageObjects as number,
    });
    testRefusals(kind, opened);
    testConnections(kind, opened);
    testCounts(opened);
    more(opened);
  });
}

async function openWith(text: string, { small }: Pick<StoreKind, 'small'>, usage: BucketUsage): Promise<Bucket> {
  const { config } = parseBucketConfig(text, { name: 'bucket.yml', environment: {}, readFile: () => Buffer.alloc(0) });
  const world = { fileSystem: nodeFileSystem, clock: systemClock, random: systemRandom };
  return await openBucketAt(bucketLocation({ ...config, ...small } as typeof config, usage), world);
}

function testRefusals(kind: StoreKind, opened: OpenStore): void {
  test('a bucket that is not there is refused for good, by name', async () => {
    const options = kind.name === 'azure' ? { keys: 'storage_create_container: false' } : {};
    const bucket = await opened.openUnmade('nowhere', options);
    const refusal = { kind: 'invalid', message: expect.stringContaining('nowhere') };
    await expect(bucket.put('a', content('x'))).rejects.toMatchObject(refusal);
    await expect(bucket.directories('')).rejects.toMatchObject(refusal);
  });

  if (kind.checksSecrets)
    test('a wrong secret is refused for good, and not shown', async () => {
      const secret = Buffer.from('a canary that is wrong').toString('base64');
      const bucket = await opened.open({ secret });
      for (const call of [() => bucket.put('a', content('x')), () => bucket.directories(''), () => bucket.get('a')]) {
        const error = await call().then(
          () => new Error('it was let in'),
          (reason: Error) => reason,
        );
        expect(error).toMatchObject({
          kind: 'invalid',
          message: expect.stringMatching(/secret_key|storage_account_key/),
        });
        expect(error.message).not.toContain(secret);
      }
    });

  test('a store that is down is unavailable, and says so soon', async () => {
    const bucket = await opened.open({ port: await freePort(), keys: kind.hasty });
    const isDown = { kind: 'unavailable', message: expect.stringContaining('nothing listens at this address') };
    await expect(bucket.put('a', content('x'))).rejects.toMatchObject(isDown);
    await expect(bucket.get('a')).rejects.toMatchObject(isDown);
    await expect(bucket.size('a')).rejects.toMatchObject(isDown);
    await expect(bucket.delete('a')).rejects.toMatchObject(isDown);
    await expect(bucket.directories('')).rejects.toMatchObject(isDown);
  }, 20_000);
}

function testConnections(kind: StoreKind, opened: OpenStore): void {
  test('an answer that breaks off is asked for again, and none is taken for whole', async () => {
    await using proxy = await TamperingProxy.start(opened.store.port);
    const bucket = await opened.open({ port: proxy.port });
    await bucket.put('object', content('0123456789'));
    for (const read of [() => bucket.get('object'), () => bucket.getRange('object', 0, 10)]) {
      let cuts = 0;
      proxy.decide = (question) => (isObject(question) && ++cuts <= 2 ? { cutAfterBytes: 3 } : 'pass');
      expect(textOf(await read())).toBe('0123456789');
      expect(cuts).toBe(3);
    }
    proxy.decide = (question) => (isObject(question) ? { cutAfterBytes: 3 } : 'pass');
    await expect(bucket.get('object')).rejects.toMatchObject({ kind: 'unavailable' });
  });

  test('a range that comes shorter than it is does not pass for the end of the object', async () => {
    await using proxy = await TamperingProxy.start(opened.store.port);
    const bucket = await opened.open({ port: proxy.port, keys: kind.hasty });
    await bucket.put('object', content('0123456789'));
    proxy.decide = (question) =>
      isObject(question)
        ? {
            change: (answer) => ({
              ...answer,
              body: answer.body.subarray(0, 3),
              headers: { ...answer.headers, 'content-length': '3' },
            }),
          }
        : 'pass';
    await expect(bucket.getRange('object', 2, 6)).rejects.toMatchObject({ kind: 'unavailable' });
  });

  test('a store that is busy is asked again', async () => {
    await using proxy = await TamperingProxy.start(opened.store.port);
    const bucket = await opened.open({ port: proxy.port });
    for (const status of [500, 503, 429]) {
      const asked = proxy.questions.length;
      proxy.decide = () => (proxy.questions.length <= asked + 2 ? { status, body: '' } : 'pass');
      await bucket.put(`object-${status}`, content('x'));
      expect(proxy.questions.length - asked).toBe(3);
    }
  });

  test('a put of which the answer was lost is put again', async () => {
    await using proxy = await TamperingProxy.start(opened.store.port);
    const bucket = await opened.open({ port: proxy.port });
    let losses = 0;
    proxy.decide = () => (++losses === 1 ? 'lose-answer' : 'pass');
    await bucket.put('object', content('x'));
    expect(losses).toBe(2);
    expect(textOf(await bucket.get('object'))).toBe('x');
  });

  test('a store that says nothing is given up after the idle time', async () => {
    await using proxy = await TamperingProxy.start(opened.store.port);
    const keys = `http_config: {response_header_timeout: 300ms}, ${kind.hasty}`;
    const bucket = await opened.open({ port: proxy.port, keys });
    proxy.decide = () => 'hang';
    await expect(bucket.get('object')).rejects.toMatchObject({ kind: 'unavailable' });
    await expect(bucket.put('object', content('x'))).rejects.toMatchObject({ kind: 'unavailable' });
    await expect(bucket.directories('')).rejects.toMatchObject({ kind: 'unavailable' });
  }, 20_000);
}

function testCounts(opened: OpenStore): void {
  test('each request is counted under its purpose and operation, with the bytes of content', async () => {
    await using proxy = await TamperingProxy.start(opened.store.port);
    const usage = new BucketUsage();
    const bucket = await opened.open({ port: proxy.port, usage });
    await bucket.for('upload').put('object', content('0123456789'));
    await bucket.for('query').getRange('object', 2, 3);
    await bucket.for('query').get('object');
    await bucket
      .for('query')
      .get('absent')
      .catch(() => {});
    await bucket.for('restore').size('object');
    await bucket.for('sync').directories('');
    await bucket.for('sync').delete('object');
    const counted = usage.rows().filter(({ requests }) => requests > 0);
    expect(counted).toEqual([
      { purpose: 'upload', operation: 'put', requests: 1, failures: 0, receivedBytes: 0, sentBytes: 10 },
      { purpose: 'sync', operation: 'list', requests: 1, failures: 0, receivedBytes: 0, sentBytes: 0 },
      { purpose: 'sync', operation: 'delete', requests: 1, failures: 0, receivedBytes: 0, sentBytes: 0 },
      { purpose: 'query', operation: 'get', requests: 3, failures: 1, receivedBytes: 13, sentBytes: 0 },
      { purpose: 'restore', operation: 'head', requests: 1, failures: 0, receivedBytes: 0, sentBytes: 0 },
    ]);
    expect(proxy.questions.length).toBe(7);
  });
}
