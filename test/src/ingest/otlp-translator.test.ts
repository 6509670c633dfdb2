import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, expect, test } from 'vitest';
import type { OtlpBatch, OtlpBody, OtlpRefusals } from '../../../src/ingest/otlp-messages.ts';
import {
  type OpenTranslation,
  OtlpTranslator,
  type OtlpTranslatorSettings,
} from '../../../src/ingest/otlp-translator.ts';
import { type Executor, type Port, workerExecutor } from '../../../storage/index.ts';
import { readWriteRequest } from '../../support/oracle/write-request.ts';
import { asJson, asProtobuf, attributes, DELTA, type Metric, request } from '../../support/otlp.ts';

const LIMIT = 32 * 1024 * 1024;
const AT = '1700000000123456789';

let translator: OtlpTranslator | undefined;
afterEach(() => {
  translator?.close();
  translator = undefined;
});

function started(settings: Partial<OtlpTranslatorSettings> = {}, executor: Executor = workerExecutor): OtlpTranslator {
  translator = new OtlpTranslator(executor, settings);
  return translator;
}

/** A gauge of so many points, each a series. */
function gauge(points: number): Metric {
  const dataPoints = Array.from({ length: points }, (_, i) => ({
    timeUnixNano: AT,
    asInt: String(i),
    attributes: attributes({ i: String(i) }),
  }));
  return { name: 'g', gauge: { dataPoints } };
}

function body(points: number): OtlpBody {
  return { bytes: asProtobuf(request([gauge(points)])), format: 'protobuf', encoding: 'none' };
}

async function rest(translation: OpenTranslation): Promise<{ batches: OtlpBatch[]; refusals: OtlpRefusals }> {
  const batches: OtlpBatch[] = [];
  for (;;) {
    const part = await translation.next();
    if (!('body' in part)) {
      translation.close();
      return { batches, refusals: part };
    }
    batches.push(part);
  }
}

const seriesIn = (batches: readonly OtlpBatch[]): number =>
  batches.reduce((sum, batch) => sum + (readWriteRequest(batch.body)?.length ?? Number.NaN), 0);

test('every form and packing becomes the same', async () => {
  const model = request([
    gauge(3),
    { name: 'd', sum: { dataPoints: [{ timeUnixNano: AT, asInt: '1' }], aggregationTemporality: DELTA } },
  ]);
  const bodies: OtlpBody[] = (['protobuf', 'json'] as const).flatMap((format) => {
    const bytes = format === 'json' ? asJson(model) : asProtobuf(model);
    return [
      { format, encoding: 'none' as const, bytes: Buffer.from(bytes) },
      { format, encoding: 'gzip' as const, bytes: gzipSync(bytes) },
      { format, encoding: 'zstd' as const, bytes: zstdCompressSync(bytes) },
    ];
  });
  const all = started();
  const made = await Promise.all(
    bodies.map(async (one) => {
      const translation = await all.begin(one, LIMIT);
      if (one.format === 'protobuf') expect(translation.bytes).toBe(asProtobuf(model).length);
      return rest(translation);
    }),
  );
  for (const { batches, refusals } of made) {
    expect(batches.map(({ body: bytes, dataPoints }) => [Buffer.from(bytes).toString('hex'), dataPoints])).toEqual([
      [Buffer.from(made[0]?.batches[0]?.body ?? []).toString('hex'), 3],
    ]);
    expect(refusals).toEqual({
      dataPoints: 1,
      byReason: new Map([['delta', 1]]),
      text: 'refused 1 data point of "d": delta temporality is not accepted: send cumulative',
    });
  }
});

test('requests that are open together come part by part, each in its order', async () => {
  const all = started({ concurrency: 2 });
  const [first, second] = await Promise.all([all.begin(body(12_000), LIMIT), all.begin(body(12_000), LIMIT)]);
  const [ofFirst, ofSecond] = await Promise.all([first.next(), second.next()]);
  expect('body' in ofFirst && 'body' in ofSecond).toBe(true);
  second.close();
  const { batches } = await rest(first);
  expect(seriesIn([ofFirst as OtlpBatch, ...batches])).toBe(12_000);
  expect(batches.length).toBe(2);
});

test('others wait for their turn, too many are refused, and a body that is wrong makes room', async () => {
  const all = started({ concurrency: 1, queueLength: 2 });
  const first = await all.begin(body(1), LIMIT);
  const wrong = all.begin({ bytes: Buffer.from('x'), format: 'protobuf', encoding: 'gzip' }, LIMIT);
  const third = all.begin(body(3), LIMIT);
  wrong.catch(() => undefined);
  await expect(all.begin(body(4), LIMIT)).rejects.toMatchObject({
    kind: 'unavailable',
    message: /^2 OTLP requests wait/,
  });
  first.close();
  first.close();
  await expect(wrong).rejects.toMatchObject({ kind: 'invalid', message: /^the body cannot be decompressed: / });
  expect(seriesIn((await rest(await third)).batches)).toBe(3);
  expect(seriesIn((await rest(await all.begin(body(5), LIMIT))).batches)).toBe(5);
});

test('a body is unpacked to its limit and no further', async () => {
  const all = started();
  for (const bytes of [gzipSync(Buffer.alloc(4_000_000)), zstdCompressSync(Buffer.alloc(4_000_000))]) {
    const encoding = bytes[0] === 0x1f ? 'gzip' : 'zstd';
    await expect(all.begin({ bytes, format: 'protobuf', encoding }, 1_000_000)).rejects.toMatchObject({
      name: 'OtlpTooLargeError',
    });
  }
});

test('when the thread ends, what is open is lost and told to come again; the next request starts another', async () => {
  const ends: ((error?: Error) => void)[] = [];
  let posts = 0;
  const dying: Executor = {
    ...workerExecutor,
    start(entry, init): Port {
      const port = workerExecutor.start(entry, init);
      const post: Port['post'] = (message, transfer) => {
        posts++;
        port.post(message, transfer);
      };
      return { ...port, post, onClose: (listener) => void ends.push(listener) };
    },
  };
  const all = started({ concurrency: 2 }, dying);
  const open = await all.begin(body(1), LIMIT);
  const asked = all.begin(body(2), LIMIT);
  // It was asked, and cannot have answered.
  while (posts < 2) await Promise.resolve();
  ends[0]?.(new Error('out of memory'));
  await expect(asked).rejects.toMatchObject({ kind: 'unavailable', message: expect.stringContaining('out of memory') });
  await expect(open.next()).rejects.toMatchObject({ kind: 'unavailable' });
  open.close();
  const again = await Promise.all([all.begin(body(3), LIMIT), all.begin(body(4), LIMIT)]);
  for (const [i, translation] of again.entries()) expect(seriesIn((await rest(translation)).batches)).toBe(3 + i);
  expect(ends.length).toBe(2);
});

test('what is open or waits when it is closed gets an error', async () => {
  const all = started({ concurrency: 1 });
  const open = await all.begin(body(1), LIMIT);
  const waiting = all.begin(body(2), LIMIT);
  waiting.catch(() => undefined);
  all.close();
  for (const promise of [open.next(), waiting, all.begin(body(3), LIMIT)])
    await expect(promise).rejects.toMatchObject({ kind: 'closed' });
});
