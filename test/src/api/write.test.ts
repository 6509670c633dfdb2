import { expect, test } from 'vitest';
import { EVERYTHING, readSamples } from '../../support/remote-read.ts';
import { writeRequest } from '../../support/remote-write.ts';
import { serveDatabase, write } from './serve.ts';

const nowMs = Date.now();
const body = (value: number): Buffer<ArrayBuffer> =>
  writeRequest([{ labels: [['__name__', 'up']], samples: [[nowMs, value]] }]);

test('what becomes of samples is counted for each tenant, and of one that stored nothing without its name', async () => {
  await using api = await serveDatabase();
  const headers = { 'x-scope-orgid': 'again' };
  for (const value of [1, 1, 2]) expect((await write(api.url, body(value), { headers })).status).toBe(204);
  const nameless = writeRequest([{ labels: [['job', 'x']], samples: [[nowMs, 1]] }]);
  for (const tenant of ['again', 'nobody'])
    expect((await write(api.url, nameless, { headers: { 'x-scope-orgid': tenant } })).status).toBe(400);
  const text = await (await fetch(`${api.url}/metrics`)).text();
  const lines = [...text.matchAll(/^varve_samples_(\w+)_total\{(.*)\} (\d+)$/gm)].map(([, ...parts]) =>
    parts.join(' '),
  );
  expect(lines.sort()).toEqual([
    'conflicting tenant="again" 1',
    'duplicate tenant="again" 1',
    'received tenant="" 1',
    'received tenant="again" 4',
    'rejected tenant="",reason="missing-name" 1',
    'rejected tenant="again",reason="missing-name" 1',
    'stored tenant="" 0',
    'stored tenant="again" 1',
  ]);
});

test('what came in by the path of an account is read there', async () => {
  await using api = await serveDatabase();
  expect((await write(api.url, body(1), { path: '/insert/5:6/prometheus/' })).status).toBe(204);
  const query = { startMs: 0, endMs: nowMs, matchers: EVERYTHING };
  expect((await readSamples(`${api.url}/select/5:6/prometheus`, query)).size).toBe(1);
  expect((await readSamples(`${api.url}/prometheus`, query, '5_6')).size).toBe(1);
  expect((await readSamples(api.url, query)).size).toBe(0);
});
