import { expect, test } from 'vitest';
import { writeRequest } from '../../support/remote-write.ts';
import { serve, serveDatabase } from './serve.ts';

const HEADERS = {
  'Content-Type': 'application/x-protobuf',
  'Content-Encoding': 'snappy',
  'X-Prometheus-Remote-Write-Version': '0.1.0',
};

function body(): Buffer<ArrayBuffer> {
  return writeRequest([{ labels: [['__name__', 'up']], samples: [[Date.now(), 1]] }]);
}

test.each(['commit', 'interval'] as const)('with --wal.sync=%s a write and the status say so', async (walSync) => {
  await using api = await serveDatabase({ settings: { walSync, walSyncIntervalMs: 50 } });
  const written = await fetch(`${api.url}/api/v1/write`, { method: 'POST', headers: HEADERS, body: body() });
  expect([written.status, written.headers.get('durability')]).toEqual([204, walSync]);
  const status = await fetch(`${api.url}/api/v1/status/walreplay`);
  expect(await status.json()).toMatchObject({
    status: 'success',
    data: { state: 'done', sync: walSync, ...(walSync === 'interval' ? { syncIntervalSeconds: 0.05 } : {}) },
  });
});

test('while it replays, the status has the segments as in Prometheus', async () => {
  const replay = { replayedBytes: 41, totalBytes: 100, firstSegment: 3, lastSegment: 7, segment: 5 };
  await using api = await serve({ replayProgress: () => replay });
  const status = await fetch(`${api.url}/api/v1/status/walreplay`);
  expect(status.status).toBe(200);
  expect(await status.json()).toEqual({
    status: 'success',
    data: {
      min: 3,
      max: 7,
      current: 5,
      state: 'in progress',
      replayedBytes: 41,
      totalBytes: 100,
      sync: 'commit',
      ack: 'local',
    },
  });
});

test('with --wal.ack=bucket a write and the status say so', async () => {
  await using api = await serveDatabase({ settings: { walAck: 'bucket', walAckIntervalMs: 50 } });
  const written = await fetch(`${api.url}/api/v1/write`, { method: 'POST', headers: HEADERS, body: body() });
  expect([written.status, written.headers.get('durability')]).toEqual([204, 'bucket']);
  const status = await fetch(`${api.url}/api/v1/status/walreplay`);
  expect(await status.json()).toMatchObject({ data: { ack: 'bucket', ackIntervalSeconds: 0.05 } });
});

test('while it restores, it says how far it is', async () => {
  await using api = await serve({ restoreProgress: () => ({ bytes: 41, totalBytes: 100 }) });
  const ready = await fetch(`${api.url}/-/ready`);
  expect([ready.status, await ready.text()]).toEqual([
    503,
    expect.stringContaining('restoring from the bucket: 41 % (41 of 100 bytes)'),
  ]);
});
