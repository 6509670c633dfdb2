/** Azure's Blob Storage by its SDK, against Azurite. */
import { expect, test } from 'vitest';
import { bytesContent } from '../../../storage/index.ts';
import { objectStores, startAzurite } from '../../support/object-stores.ts';
import { TamperingProxy } from '../../support/tampering-proxy.ts';
import { testStore } from './store-contract.ts';

const BLOCK_BYTES = 256 * 1024;

testStore(
  {
    name: 'azure',
    isInstalled: objectStores.azurite,
    start: startAzurite,
    small: { blockBytes: BLOCK_BYTES, pageObjects: 3 },
    hasty: 'max_retries: 1',
    checksSecrets: true,
    largeBytes: 4 * BLOCK_BYTES + 10,
  },
  (opened) => {
    test('the requests of an upload in blocks: one a block, one to commit, one for the size', async () => {
      await using proxy = await TamperingProxy.start(opened.store.port);
      const bucket = await opened.open({ port: proxy.port });
      await bucket.put('large', bytesContent(Buffer.alloc(2 * BLOCK_BYTES + 1)));
      expect(proxy.questions.map((question) => /^\w+|comp=\w+/g[Symbol.match](question)?.join(' '))).toEqual([
        ...Array.from({ length: 3 }, () => 'PUT comp=block'),
        'PUT comp=blocklist',
        'HEAD',
      ]);
    });

    test('a container that is not there is made by the first that needs it', async () => {
      const bucket = await opened.openUnmade('made-by-us');
      expect(await bucket.directories('')).toEqual([]);
      await bucket.put('a', bytesContent(Buffer.from('x')));
      expect(await bucket.size('a')).toBe(1);
    });
  },
);
