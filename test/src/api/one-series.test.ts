import { zstdCompressSync } from 'node:zlib';
import { uncompressSync } from 'snappy';
import { expect, test } from 'vitest';
import { asJson, asProtobuf, attributes, request } from '../../support/otlp.ts';
import { EVERYTHING, readSamples } from '../../support/remote-read.ts';
import { writeRequest } from '../../support/remote-write.ts';
import { HEADERS_V2, writeRequestV2 } from '../../support/remote-write-v2.ts';
import { bitsOf } from '../../support/series.ts';
import { serveDatabase, write } from './serve.ts';

const SORTED = [
  ['__name__', 'queue_length'],
  ['job', 'shop'],
  ['shard', '7'],
] as const;
const UNSORTED = [SORTED[2], SORTED[0], ['empty', ''], SORTED[1]] as const;

test('the same series by 1.0 sorted and unsorted, 2.0 sorted and unsorted, and OTLP is one series', async () => {
  await using api = await serveDatabase();
  const nowMs = Date.now();
  const point = (ms: number): ReturnType<typeof request> =>
    request(
      [
        {
          name: 'queue.length',
          gauge: { dataPoints: [{ timeUnixNano: `${ms}000000`, asInt: '5', attributes: attributes({ shard: '7' }) }] },
        },
      ],
      { 'service.name': 'shop' },
    );
  const otlp = { path: '/api/v1/otlp/v1/metrics', headers: { 'content-encoding': 'identity' } };
  const sends: ((ms: number) => ReturnType<typeof write>)[] = [
    (ms) => write(api.url, writeRequest([{ labels: SORTED, samples: [[ms, 5]] }])),
    (ms) => write(api.url, writeRequest([{ labels: UNSORTED, samples: [[ms, 5]] }])),
    (ms) => write(api.url, writeRequestV2([{ labels: SORTED, samples: [[ms, 5]] }]), { headers: HEADERS_V2 }),
    (ms) => write(api.url, writeRequestV2([{ labels: UNSORTED, samples: [[ms, 5]] }]), { headers: HEADERS_V2 }),
    (ms) => {
      const body = zstdCompressSync(uncompressSync(writeRequestV2([{ labels: SORTED, samples: [[ms, 5]] }])) as Buffer);
      return write(api.url, body as Buffer<ArrayBuffer>, { headers: { ...HEADERS_V2, 'content-encoding': 'zstd' } });
    },
    (ms) =>
      write(api.url, asProtobuf(point(ms)), {
        ...otlp,
        headers: { ...otlp.headers, 'content-type': 'application/x-protobuf' },
      }),
    (ms) =>
      write(api.url, asJson(point(ms)), { ...otlp, headers: { ...otlp.headers, 'content-type': 'application/json' } }),
  ];
  // Each way twice, so that each meets the series as one that it knows and as one that it does not.
  for (let i = 0; i < 2 * sends.length; i++) {
    const answer = await (sends[i % sends.length] as (typeof sends)[number])(nowMs + i);
    expect(answer.status, `${i}: ${answer.text}`).toBeLessThan(300);
  }
  const stored = await readSamples(api.url, { startMs: nowMs, endMs: nowMs + 1000, matchers: EVERYTHING });
  expect([...stored.keys()]).toEqual(['{__name__="queue_length", job="shop", shard="7"}']);
  const [samples] = stored.values();
  expect(samples?.timestamps).toEqual(Array.from({ length: 2 * sends.length }, (_, i) => nowMs + i));
  expect(new Set(samples?.bits)).toEqual(new Set([bitsOf(5)]));
});
