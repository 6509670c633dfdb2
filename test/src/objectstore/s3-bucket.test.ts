/** S3 by its SDK, against OpenStack Swift's S3 API. */
import { expect, test } from 'vitest';
import { bytesContent } from '../../../storage/index.ts';
import { objectStores, startSwift } from '../../support/object-stores.ts';
import { TamperingProxy } from '../../support/tampering-proxy.ts';
import { testStore } from './store-contract.ts';

/** S3 takes no smaller ones. */
const PART_BYTES = 5 * 1024 * 1024;
const threeParts = bytesContent(Buffer.alloc(2 * PART_BYTES + 10, 'a b c'));

testStore(
  {
    name: 's3',
    isInstalled: objectStores.swift,
    start: startSwift,
    small: { partBytes: PART_BYTES, pageObjects: 3 },
    hasty: 'max_retries: 1',
    checksSecrets: true,
    largeBytes: 2 * PART_BYTES + 10,
  },
  (opened) => {
    test('the requests of an upload in parts: one to begin, one a part, one to complete', async () => {
      await using proxy = await TamperingProxy.start(opened.store.port);
      const bucket = await opened.open({ port: proxy.port });
      await bucket.put('large', threeParts);
      expect(proxy.questions.map((question) => question.replace(/uploadId=[^&]+/, 'uploadId'))).toEqual([
        expect.stringMatching(/^POST \/bucket-\d+\/large\?uploads=?$/),
        ...[1, 2, 3].map((part) =>
          expect.stringMatching(new RegExp(`^PUT /bucket-\\d+/large\\?partNumber=${part}&uploadId`)),
        ),
        expect.stringMatching(/^POST \/bucket-\d+\/large\?uploadId$/),
      ]);
    });

    test('a completion that is refused within a 200 is an error, and the upload is aborted', async () => {
      await using proxy = await TamperingProxy.start(opened.store.port);
      const bucket = await opened.open({ port: proxy.port, keys: 'max_retries: 1' });
      const body = '<?xml version="1.0"?><Error><Code>InternalError</Code><Message>try again</Message></Error>';
      proxy.decide = ({ method, url }) =>
        method === 'POST' && url.includes('uploadId') ? { status: 200, body } : 'pass';
      await expect(bucket.put('large', threeParts)).rejects.toMatchObject({
        kind: 'unavailable',
        message: expect.stringContaining('complete the upload of large'),
      });
      expect(proxy.questions.at(-1)).toMatch(/^DELETE .*uploadId/);
      await expect(bucket.get('large')).rejects.toMatchObject({ kind: 'not-found' });
    });

    test('a completion of which the answer was lost counts', async () => {
      await using proxy = await TamperingProxy.start(opened.store.port);
      const bucket = await opened.open({ port: proxy.port });
      let completions = 0;
      proxy.decide = ({ method, url }) =>
        method === 'POST' && url.includes('uploadId') && ++completions === 1 ? 'lose-answer' : 'pass';
      await bucket.put('large', threeParts);
      expect(completions).toBeGreaterThan(1);
      expect(await bucket.size('large')).toBe(threeParts.bytes);
    });

    test('of a store whose ETag is no checksum, what was put is read again and compared', async () => {
      await using proxy = await TamperingProxy.start(opened.store.port);
      const bucket = await opened.open({ port: proxy.port });
      const hidden = {
        change: (answer: { headers: object }) => ({ ...answer, headers: { ...answer.headers, etag: '"x"' } }),
      };
      proxy.decide = ({ method }) => (method === 'PUT' ? (hidden as never) : 'pass');
      await bucket.put('object', bytesContent(Buffer.from('0123456789')));
      expect(proxy.questions.map((question) => question.split(' ', 1)[0])).toEqual(['PUT', 'GET']);

      proxy.decide = ({ method }) =>
        method === 'PUT'
          ? (hidden as never)
          : { change: (answer) => ({ ...answer, body: Buffer.from(answer.body.map((byte) => byte ^ 1)) }) };
      await expect(bucket.put('object', bytesContent(Buffer.from('0123456789')))).rejects.toMatchObject({
        kind: 'corrupt',
      });
    });

    test('headers of put_user_metadata and of encryption go along', async () => {
      await using proxy = await TamperingProxy.start(opened.store.port);
      const bucket = await opened.open({ port: proxy.port, keys: 'put_user_metadata: {Team: blue}' });
      await bucket.put('object', bytesContent(Buffer.from('x')));
      let team: unknown;
      proxy.decide = () => ({
        change: (answer) => {
          team = answer.headers['x-amz-meta-team'];
          return answer;
        },
      });
      await bucket.size('object');
      expect(team).toBe('blue');
    });

    test('list_objects_version v1 lists the same', async () => {
      const bucket = await opened.open({ keys: 'list_objects_version: v1' });
      for (const name of ['a/1', 'a/2', 'b', 'c', 'd']) await bucket.put(name, bytesContent(Buffer.from(name)));
      const found: string[] = [];
      for await (const page of bucket.list('')) found.push(...page.map(({ name }) => name));
      expect(found).toEqual(['a/1', 'a/2', 'b', 'c', 'd']);
    });
  },
);
