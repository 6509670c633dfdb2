/** HA pairs as senders and readers meet them. */
import { expect, test } from 'vitest';
import { EVERYTHING, readSamples, readStreamed } from '../../support/remote-read.ts';
import { writeRequest } from '../../support/remote-write.ts';
import { serveDatabase, write } from './serve.ts';

const SETTINGS = { haReplicaLabel: 'replica', haClusterLabels: ['cluster'] };

function body(replica: string, timestampMs: number): Buffer<ArrayBuffer> {
  const labels = [
    ['__name__', 'up'],
    ['cluster', 'eu'],
    ['replica', replica],
  ] as const;
  return writeRequest([{ labels, samples: [[timestampMs, 1]] }]);
}

test('both replicas are answered 204, one is stored, and each of them reads it', async () => {
  await using api = await serveDatabase({ settings: SETTINGS });
  const nowMs = Date.now();
  for (const replica of ['a', 'b', 'b']) {
    expect(await write(api.url, body(replica, nowMs))).toMatchObject({ status: 204, text: '' });
  }
  const range = { startMs: nowMs - 1000, endMs: nowMs };
  for (const replica of ['a', 'b', 'nobody']) {
    const query = { ...range, matchers: [...EVERYTHING, ['replica', '=', replica]] } as const;
    for (const read of [readSamples, readStreamed]) {
      expect([...(await read(api.url, query)).keys()]).toEqual(['{__name__="up", cluster="eu"}']);
    }
  }
  const status = (await (await fetch(`${api.url}/api/v1/status/ha`)).json()) as { data: object[] };
  expect(status).toMatchObject({
    status: 'success',
    data: [
      {
        tenant: 'default-tenant',
        cluster: { cluster: 'eu' },
        elected: 'a',
        replicas: [
          { replica: 'a', elected: true, intervalSeconds: 0, missingSeries: 0 },
          { replica: 'b', elected: false },
        ],
      },
    ],
  });
  const metrics = await (await fetch(`${api.url}/metrics`)).text();
  const count = (line: string): number =>
    Number(
      metrics
        .split('\n')
        .find((text) => text.startsWith(line))
        ?.split(' ')[1],
    );
  expect(count('varve_samples_received_total{tenant="default-tenant"}')).toBe(3);
  expect(count('varve_samples_stored_total{tenant="default-tenant"}')).toBe(1);
  expect(count('varve_samples_dropped_total{tenant="default-tenant",reason="shadow"}')).toBe(2);
  const senders = (await (await fetch(`${api.url}/api/v1/status/senders`)).json()) as { data: { dropped: number }[] };
  expect(senders.data.reduce((sum, { dropped }) => sum + dropped, 0)).toBe(2);
});

test('without the flags a replica label is a label', async () => {
  await using api = await serveDatabase();
  const nowMs = Date.now();
  for (const replica of ['a', 'b']) await write(api.url, body(replica, nowMs));
  const query = { startMs: nowMs - 1000, endMs: nowMs, matchers: [['replica', '=', 'b']] } as const;
  expect([...(await readSamples(api.url, query)).keys()]).toEqual(['{__name__="up", cluster="eu", replica="b"}']);
  const status = await (await fetch(`${api.url}/api/v1/status/ha`)).json();
  expect(status).toEqual({ status: 'success', data: [] });
});
