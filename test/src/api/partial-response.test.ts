/** What clients hear of blocks that an answer is without. */
import { compressSync } from 'snappy';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeBlock } from '../../../storage/block/block-writer.ts';
import { nodeFileSystem } from '../../../storage/io/node-file-system.ts';
import { blockInput, smallSeries } from '../../support/blocks.ts';
import { ulidOf } from '../../support/blocks-database.ts';
import { ReadRequest } from '../../support/protocol.ts';
import { decodeSamples } from '../../support/read-answers.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';
import { type RunningServer, serveDatabase } from './serve.ts';

let directory: TemporaryDirectory;
let api: RunningServer;

/** Two blocks, of which one has a damaged chunk. */
beforeAll(async () => {
  directory = new TemporaryDirectory('partial');
  const [first, second] = [1, 2].map((n) => `${directory.path}/data/bucket/${ulidOf(n)}`) as [string, string];
  writeBlock(nodeFileSystem, first, { ...blockInput(smallSeries.slice(0, 1)), ulid: ulidOf(1) });
  writeBlock(nodeFileSystem, second, { ...blockInput(smallSeries.slice(1)), ulid: ulidOf(2) });
  const file = nodeFileSystem.open(`${second}/chunks/000001`, 'update');
  file.write(Uint8Array.of(0xff), 12);
  file.close();
  api = await serveDatabase({ directory: `${directory.path}/data` });
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

function read(query: string): Promise<Response> {
  const matchers = [{ type: 2, name: '__name__', value: '.+' }];
  const body = compressSync(
    ReadRequest.encode({ queries: [{ startTimestampMs: 0, endTimestampMs: 1000, matchers }] } as object).finish(),
  );
  const headers = { 'content-encoding': 'snappy', 'content-type': 'application/x-protobuf' };
  return fetch(`${api.url}/api/v1/read${query}`, { method: 'POST', headers, body: new Uint8Array(body) });
}

const WARNING = `partial response: block ${ulidOf(2)} could not be read: ${ulidOf(2)}/chunks/000001 at 8: `;

test('a read fails on a damaged block if it is to be whole, and else says in a header what it is without', async () => {
  const whole = await read('?partial_response=false');
  expect(whole.status).toBe(500);
  const partial = await read('');
  expect([partial.status, partial.headers.get('x-varve-warning')]).toEqual([200, expect.stringContaining(WARNING)]);
  const [series] = decodeSamples(new Uint8Array(await partial.arrayBuffer()));
  expect(series?.map(({ labels }) => labels)).toEqual([['__name__', 'up', 'job', 'a']]);
});

test('the JSON envelope has it among its warnings', async () => {
  await (await read('')).arrayBuffer(); // From now on the block is known to be damaged.
  const response = await fetch(`${api.url}/api/v1/label/job/values`);
  expect(await response.json()).toEqual({
    status: 'success',
    data: ['a'],
    warnings: [expect.stringContaining(WARNING)],
  });
  expect(response.headers.get('x-varve-warning')).toContain(WARNING);
  const form = new URLSearchParams({ partial_response: 'false' });
  expect((await fetch(`${api.url}/api/v1/labels`, { method: 'POST', body: form })).status).toBe(500);
  expect((await fetch(`${api.url}/api/v1/labels?partial_response=maybe`)).status).toBe(400);
});
