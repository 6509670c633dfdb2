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
  },
);
