/** Histograms in the answers of remote read, taken apart by protobufjs and the plain decoder. */
import { compressSync, uncompressSync } from 'snappy';
import { expect, test } from 'vitest';
import { answerRemoteRead } from '../../../src/read/remote-read.ts';
import { encodeHistograms } from '../../../storage/chunk/histogram-chunk.ts';
import type { Chunk } from '../../../storage/model/series-source.ts';
import { plainOfWire, type WireHistogram } from '../../support/histogram-message.ts';
import { runOf } from '../../support/histograms.ts';
import { memoryContext } from '../../support/memory-reader.ts';
import {
  bitsOfFloat,
  decodeHistogramChunk,
  encodeHistogramChunk,
  encodeXor2Chunk,
  type PlainHistogram,
  stale,
} from '../../support/oracle/histogram-chunk.ts';
import { ReadRequest, ReadResponse } from '../../support/protocol.ts';
import { decodeFrames } from '../../support/read-answers.ts';

function histogram(timeMs: number, isFloat: boolean, count: number): PlainHistogram {
  const number = (value: number): bigint => (isFloat ? bitsOfFloat(value) : BigInt(value));
  return {
    timeMs,
    isFloat,
    schema: 3,
    zeroThreshold: 2 ** -128,
    positiveSpans: [[-1, 2]],
    negativeSpans: [[4, 1]],
    customValues: [],
    count: number(4 * count),
    zeroCount: number(count),
    sum: 0x7ff8000000000abcn,
    positive: [number(count), number(isFloat ? count : 0)],
    negative: [number(count)],
  };
}

const floats = [histogram(1000, true, 1), histogram(2000, true, 2), stale(3000, true)];
const integers = [histogram(4000, false, 1), histogram(5000, false, 2), histogram(7000, false, 3)];
const gauges = [histogram(8000, false, 9), histogram(9000, false, 2)];
const series = {
  labels: ['__name__', 'latency'],
  chunks: [
    encodeHistograms(runOf(floats)),
    encodeHistograms(runOf(integers, 1)),
    [[6000, bitsOfFloat(-0)] as const],
    encodeHistograms(runOf(gauges, 3)),
  ],
};

async function answer(
  type: number,
  startMs: number,
  endMs: number,
  chunks: typeof series.chunks | Chunk[] = series.chunks,
) {
  const matchers = [{ type: 0, name: '__name__', value: 'latency' }];
  const query = { startTimestampMs: startMs, endTimestampMs: endMs, matchers };
  const request = ReadRequest.encode({ queries: [query], acceptedResponseTypes: [type] }).finish();
  const { body } = await answerRemoteRead(compressSync(request), memoryContext([{ series: [{ ...series, chunks }] }]));
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return Buffer.concat(pieces);
}

test('SAMPLES has floats and histograms side by side, with every bit, and says where nothing was reset', async () => {
  const decoded = ReadResponse.decode(uncompressSync(await answer(0, 2000, 8000)) as Uint8Array) as unknown as {
    results: { timeseries: { samples: object[]; histograms: WireHistogram[] }[] }[];
  };
  const [answered] = decoded.results[0]?.timeseries ?? [];
  expect(answered?.histograms.map(plainOfWire)).toEqual([...floats.slice(1), ...integers, gauges[0]]);
  // Whether the chunk that the float lies inside of was reset before its first row, a reader finds out itself.
  expect(answered?.histograms.map(({ resetHint }) => resetHint)).toEqual([0, 0, 0, 2, 2, 3]);
  expect(answered?.samples.length).toBe(1);
});

test('frames have chunks as they lie in the source, and cut ones, with the types of the protocol', async () => {
  const frames = decodeFrames(await answer(1, 2000, 9000));
  const chunks = frames.flatMap((frame) => frame.chunks);
  expect(chunks.map(({ type, minTimeMs, maxTimeMs }) => [type, minTimeMs, maxTimeMs])).toEqual([
    [3, 2000, 3000],
    [2, 4000, 5000],
    [1, 6000, 6000],
    [2, 7000, 7000],
    [2, 8000, 9000],
  ]);
  const rows = chunks
    .filter(({ type }) => type !== 1)
    .flatMap(({ type, data }) => decodeHistogramChunk(data, type === 3).rows);
  expect(rows).toEqual([...floats.slice(1), ...integers, ...gauges]);
  expect(Buffer.compare(chunks[4]?.data as Uint8Array, (series.chunks[3] as Chunk).bytes)).toBe(0);
});

test('chunks with start timestamps are written again in the encodings of the protocol', async () => {
  const foreign = (encoding: number, minTimeMs: number, maxTimeMs: number, bytes: Uint8Array): Chunk => ({
    minTimeMs,
    maxTimeMs,
    encoding,
    bytes,
  });
  const started = (rows: readonly PlainHistogram[]) => rows.map((row) => ({ ...row, startMs: 500 }));
  const samples = [100, 200, 300].map((timeMs) => ({ timeMs, bits: bitsOfFloat(timeMs), startMs: 50 }));
  const chunks = [
    foreign(4, 100, 300, encodeXor2Chunk(samples)),
    foreign(6, 1000, 3000, encodeHistogramChunk(started(floats), 0, true)),
    foreign(5, 4000, 7000, encodeHistogramChunk(started(integers), 0, true)),
  ];
  const frames = decodeFrames(await answer(1, 0, 9000, chunks));
  const answered = frames.flatMap((frame) => frame.chunks);
  expect(answered.map(({ type, minTimeMs, maxTimeMs }) => [type, minTimeMs, maxTimeMs])).toEqual([
    [1, 100, 300],
    [3, 1000, 3000],
    [2, 4000, 7000],
  ]);
  const [, second, third] = answered;
  expect(decodeHistogramChunk(second?.data as Uint8Array, true).rows).toEqual(floats);
  expect(decodeHistogramChunk(third?.data as Uint8Array, false).rows).toEqual(integers);
});
