/** A client of Prometheus's remote read protocol, for our server and for the real one alike. */
import { crc32c } from '@node-rs/crc32';
import { compressSync, uncompressSync } from 'snappy';
import { plainOfWire, type WireHistogram } from './histogram-message.ts';
import { decodeHistogramChunk, type PlainHistogram } from './oracle/histogram-chunk.ts';
import { decodeXorChunk } from './oracle/xor-decoder.ts';
import { type Bits64, ChunkedReadResponse, ReadRequest, ReadResponse, timeOf } from './protocol.ts';
import { labelText, SampleList, type SeriesMap } from './series.ts';

/** One query: both ends inclusive, as in the protocol. Matchers are `[name, operator, value]`. */
export interface ReadQuery {
  readonly startMs: number;
  readonly endMs: number;
  readonly matchers: readonly (readonly [name: string, operator: '=' | '!=' | '=~' | '!~', value: string])[];
}

/** Every series that there is. */
export const EVERYTHING: ReadQuery['matchers'] = [['__name__', '=~', '.+']];

const OPERATORS = ['=', '!=', '=~', '!~'];
const SAMPLES = 0;
const STREAMED_XOR_CHUNKS = 1;
const XOR = 1;
const FLOAT_HISTOGRAM = 3;

interface DecodedLabel {
  readonly name: string;
  readonly value: string;
}

/** The answer to one query as SAMPLES. `base` is the URL before `/api/v1/read`. */
export async function readSamples(base: string, query: ReadQuery, tenant?: string): Promise<SeriesMap> {
  const response = await post(base, query, [SAMPLES], tenant);
  const decoded = ReadResponse.decode(uncompressSync(Buffer.from(await response.arrayBuffer())) as Uint8Array);
  const { results } = decoded as unknown as {
    results: { timeseries: { labels: DecodedLabel[]; samples: { value: Bits64; timestamp: Bits64 }[] }[] }[];
  };
  if (results.length !== 1) throw new Error(`${results.length} results for one query`);
  const series: SeriesMap = new Map();
  for (const { labels, samples } of results[0]?.timeseries ?? []) {
    const list = addSeries(series, labels);
    for (const { timestamp, value } of samples) list.push(timeOf(timestamp), unsigned(value));
  }
  return series;
}

/**
 * The answer to one query as STREAMED_XOR_CHUNKS, decoded and cut to the query's range. Throws if a frame is damaged,
 * or if the chunks of a series are not sorted or overlap.
 */
export async function readStreamed(base: string, query: ReadQuery, tenant?: string): Promise<SeriesMap> {
  const response = await post(base, query, [STREAMED_XOR_CHUNKS, SAMPLES], tenant);
  const type = response.headers.get('Content-Type') ?? '';
  if (!type.includes('application/x-streamed-protobuf')) throw new Error(`not streamed: Content-Type ${type}`);
  const series: SeriesMap = new Map();
  const lastTimes = new Map<SampleList, number>();
  for (const frame of frames(Buffer.from(await response.arrayBuffer()))) {
    const { chunkedSeries } = ChunkedReadResponse.decode(frame) as unknown as {
      chunkedSeries: { labels: DecodedLabel[]; chunks: EncodedChunk[] }[];
    };
    for (const { labels, chunks } of chunkedSeries) {
      // A long series may come in several frames.
      const list = series.get(labelKey(labels)) ?? addSeries(series, labels);
      for (const chunk of chunks) lastTimes.set(list, appendChunk(list, chunk, lastTimes.get(list), query));
    }
  }
  for (const [labels, { timestamps }] of series) if (timestamps.length === 0) series.delete(labels);
  return series;
}

/** A series that may have histograms beside floats; what is stale has nothing but its time. */
export interface ReadSeries {
  readonly floats: SampleList;
  readonly histograms: PlainHistogram[];
}

/** The answer to one query as SAMPLES, with histograms. */
export async function readHistograms(base: string, query: ReadQuery): Promise<Map<string, ReadSeries>> {
  const response = await post(base, query, [SAMPLES]);
  const decoded = ReadResponse.decode(uncompressSync(Buffer.from(await response.arrayBuffer())) as Uint8Array);
  const { results } = decoded as unknown as {
    results: {
      timeseries: {
        labels: DecodedLabel[];
        samples: { value: Bits64; timestamp: Bits64 }[];
        histograms: WireHistogram[];
      }[];
    }[];
  };
  return new Map(
    (results[0]?.timeseries ?? []).map(({ labels, samples, histograms }) => {
      const floats = new SampleList();
      for (const { timestamp, value } of samples) floats.push(timeOf(timestamp), unsigned(value));
      return [labelKey(labels), { floats, histograms: histograms.map(plainOfWire) }];
    }),
  );
}

/** The same as STREAMED_XOR_CHUNKS, not cut to the query's range. */
export async function readHistogramChunks(base: string, query: ReadQuery): Promise<Map<string, ReadSeries>> {
  const response = await post(base, query, [STREAMED_XOR_CHUNKS]);
  const series = new Map<string, ReadSeries>();
  for (const frame of frames(Buffer.from(await response.arrayBuffer()))) {
    const { chunkedSeries } = ChunkedReadResponse.decode(frame) as unknown as {
      chunkedSeries: { labels: DecodedLabel[]; chunks: EncodedChunk[] }[];
    };
    for (const { labels, chunks } of chunkedSeries) {
      const key = labelKey(labels);
      const { floats, histograms } = series.get(key) ?? { floats: new SampleList(), histograms: [] };
      series.set(key, { floats, histograms });
      for (const { type, data } of chunks) {
        if (type === XOR) {
          const { timestamps, bits } = decodeXorChunk(data);
          timestamps.forEach((timestampMs, i) => void floats.push(timestampMs, bits[i] as bigint));
        } else histograms.push(...decodeHistogramChunk(data, type === FLOAT_HISTOGRAM).rows);
      }
    }
  }
  return series;
}

interface EncodedChunk {
  readonly minTimeMs: Bits64;
  readonly maxTimeMs: Bits64;
  readonly type: number;
  readonly data: Uint8Array;
}

/** Returns the chunk's last time. */
function appendChunk(list: SampleList, chunk: EncodedChunk, after: number | undefined, query: ReadQuery): number {
  if (chunk.type !== XOR) throw new Error(`chunk type ${chunk.type}`);
  const { timestamps, bits } = decodeXorChunk(chunk.data);
  const [first, last] = [timestamps[0], timestamps.at(-1)];
  if (first === undefined || last === undefined) throw new Error('an empty chunk');
  if (first !== timeOf(chunk.minTimeMs) || last !== timeOf(chunk.maxTimeMs)) throw new Error('chunk times are wrong');
  if (after !== undefined && first <= after) throw new Error(`chunk at ${first} after a sample at ${after}`);
  for (let i = 0; i < timestamps.length; i++) {
    const timestampMs = timestamps[i] as number;
    if (timestampMs >= query.startMs && timestampMs <= query.endMs) list.push(timestampMs, bits[i] as bigint);
  }
  return last;
}

/** Frames of a streamed answer: length as a varint, CRC32C of the payload (big-endian), payload. */
function* frames(body: Buffer): Generator<Buffer> {
  let offset = 0;
  while (offset < body.length) {
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = body.readUInt8(offset++);
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    const checksum = body.readUInt32BE(offset);
    const payload = body.subarray(offset + 4, offset + 4 + length);
    if (payload.length !== length) throw new Error(`frame cut: ${payload.length} of ${length} bytes`);
    if (crc32c(payload) !== checksum) throw new Error(`frame at ${offset}: wrong checksum`);
    yield payload;
    offset += 4 + length;
  }
}

async function post(base: string, query: ReadQuery, types: number[], tenant?: string): Promise<Response> {
  const response = await requestRead(`${base}/api/v1/read`, query, types, tenant);
  if (!response.ok) throw new Error(`remote read: ${response.status} ${await response.text()}`);
  return response;
}

/** Whatever the server answers to one query; `url` is that of the endpoint. */
export async function requestRead(
  url: string,
  query: ReadQuery,
  types: readonly number[] = [SAMPLES],
  tenant?: string,
): Promise<Response> {
  const { startMs, endMs, matchers } = query;
  const request = {
    queries: [
      {
        startTimestampMs: startMs,
        endTimestampMs: endMs,
        matchers: matchers.map(([name, operator, value]) => ({ type: OPERATORS.indexOf(operator), name, value })),
      },
    ],
    acceptedResponseTypes: types,
  };
  const headers: Record<string, string> = {
    'Content-Type': 'application/x-protobuf',
    'Content-Encoding': 'snappy',
    'X-Prometheus-Remote-Read-Version': '0.1.0',
  };
  if (tenant !== undefined) headers['X-Scope-OrgID'] = tenant;
  const body = compressSync(ReadRequest.encode(request).finish()) as Buffer<ArrayBuffer>;
  return await fetch(url, { method: 'POST', headers, body });
}

function addSeries(series: SeriesMap, labels: readonly DecodedLabel[]): SampleList {
  const key = labelKey(labels);
  if (series.has(key)) throw new Error(`${key}: twice in one answer`);
  const list = new SampleList();
  series.set(key, list);
  return list;
}

function labelKey(labels: readonly DecodedLabel[]): string {
  return labelText(labels.map(({ name, value }) => [name, value] as const));
}

function unsigned({ low, high }: Bits64): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
