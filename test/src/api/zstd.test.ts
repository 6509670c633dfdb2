/** Writes packed with zstd, as vmagent sends them. */
import { zstdCompressSync } from 'node:zlib';
import { uncompressSync } from 'snappy';
import { expect, test } from 'vitest';
import { writeRequest } from '../../support/remote-write.ts';
import { serveDatabase, write } from './serve.ts';

const ZSTD = { headers: { 'content-encoding': 'zstd' } };
const NOW_MS: number = Date.now();

function plain(value: number): Buffer {
  return uncompressSync(writeRequest([{ labels: [['__name__', 'up']], samples: [[NOW_MS, value]] }])) as Buffer;
}

test('a body packed with zstd is stored like one packed with snappy', async () => {
  await using api = await serveDatabase();
  expect((await write(api.url, zstdCompressSync(plain(1)), ZSTD)).status).toBe(204);
  expect(api.database.stats()).toMatchObject({ samplesStored: 1 });
  const snappy = writeRequest([{ labels: [['__name__', 'up']], samples: [[NOW_MS, 1]] }]);
  expect((await write(api.url, snappy)).status).toBe(204);
  expect(api.database.stats()).toMatchObject({ samplesStored: 1, samplesDuplicate: 1 });
});

test.each([
  ['not zstd', Buffer.from('not zstd at all'), 400, /decompressed/],
  ['cut', zstdCompressSync(plain(1)).subarray(0, -3), 400, /./],
  ['snappy after all', writeRequest([{ labels: [['__name__', 'up']], samples: [[NOW_MS, 1]] }]), 400, /decompressed/],
  ['33 MiB of zeros', zstdCompressSync(Buffer.alloc(33 * 1024 * 1024)), 413, /33554432/],
  ['a message that is damaged', zstdCompressSync(plain(1).subarray(0, -1)), 400, /^protobuf: .* at byte /],
])('a body that is %s stores nothing', async (_, body, status, text) => {
  await using api = await serveDatabase();
  const answer = await write(api.url, body, ZSTD);
  expect([answer.status, answer.text]).toEqual([status, expect.stringMatching(text)]);
  expect(api.database.stats()).toMatchObject({ samplesStored: 0, headSeries: 0 });
});

test('a body that cannot be unpacked stands in the row of its sender', async () => {
  await using api = await serveDatabase();
  await write(api.url, Buffer.from('not zstd at all'), ZSTD);
  const { data } = (await (await fetch(`${api.url}/api/v1/status/senders`)).json()) as { data: unknown[] };
  expect(data).toMatchObject([{ failedRequests: 1, lastRejection: expect.stringContaining('decompressed') }]);
});
