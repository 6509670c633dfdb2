/** Google's Cloud Storage, against fake-gcs-server. */
import { expect, test } from 'vitest';
import { bytesContent } from '../../../storage/index.ts';
import { objectStores, startFakeGcs } from '../../support/object-stores.ts';
import { TamperingProxy } from '../../support/tampering-proxy.ts';
import { testStore } from './store-contract.ts';

const CHUNK_BYTES = 256 * 1024;

testStore(
  {
    name: 'gcs',
    isInstalled: objectStores.gcs,
    start: startFakeGcs,
    small: { chunkBytes: CHUNK_BYTES, pageObjects: 3 },
    hasty: 'max_retries: 1',
    checksSecrets: false,
    largeBytes: 4 * CHUNK_BYTES + 10,
  },
  (opened) => {
    test('the requests of an upload in chunks: one to begin, one a chunk', async () => {
      await using proxy = await TamperingProxy.start(opened.store.port);
      const bucket = await opened.open({ port: proxy.port });
      await bucket.put('large', bytesContent(Buffer.alloc(2 * CHUNK_BYTES + 1)));
      expect(proxy.questions.map((question) => question.split(' ', 1)[0])).toEqual(['POST', 'PUT', 'PUT', 'PUT']);
    });

    test('a chunk that the store did not take, or of which its answer was lost, does not begin the upload anew', async () => {
      await using proxy = await TamperingProxy.start(opened.store.port);
      const bucket = await opened.open({ port: proxy.port });
      const content = Buffer.from(Array.from({ length: 3 * CHUNK_BYTES + 5 }, (_, i) => (i >> 8) & 0xff));
      let chunks = 0;
      let taken = 0;
      proxy.decide = ({ method, headers }) => {
        if (method !== 'PUT') return 'pass';
        // fake-gcs-server ends the upload when it is asked how far it has come; Google answers this.
        if (headers['content-range'] === `bytes */${content.length}`)
          return { status: 308, body: '', headers: { Range: `bytes=0-${taken - 1}` } };
        if (++chunks === 2) return { status: 503, body: '' };
        taken += CHUNK_BYTES;
        return chunks === 3 ? 'lose-answer' : 'pass';
      };
      await bucket.put('large', bytesContent(content));
      expect(Buffer.compare(await bucket.get('large'), content)).toBe(0);
      expect(proxy.questions.filter((question) => question.startsWith('POST'))).toHaveLength(1);
      expect(chunks).toBe(5);
    });

    test('an upload that does not advance is given up, and aborted', async () => {
      await using proxy = await TamperingProxy.start(opened.store.port);
      const bucket = await opened.open({ port: proxy.port, keys: 'max_retries: 1' });
      proxy.decide = ({ method }) => (method === 'PUT' ? { status: 308, body: '' } : 'pass');
      await expect(bucket.put('large', bytesContent(Buffer.alloc(2 * CHUNK_BYTES)))).rejects.toMatchObject({
        kind: 'unavailable',
        message: expect.stringContaining('does not advance'),
      });
      expect(proxy.questions.at(-1)).toMatch(/^DELETE /);
    });
  },
);
