/**
 * Answers a request of the remote read protocol in one of its two forms. Format: docs/formats/remote-read.md.
 *
 *   SAMPLES               one ReadResponse in one snappy block: sent when all of it is made
 *   STREAMED_XOR_CHUNKS   frames of ChunkedReadResponse: sent while they are made, chunks as they lie in the blocks
 */
import {
  ByteWriter,
  type Chunk,
  chunkSampleCount,
  crc32c,
  type Labels,
  type MergedSamples,
  type MergedSeries,
  mergeChunks,
  mergeSamples,
  readChunks,
  SampleBuffer,
  type SeriesSource,
  selectSeries,
} from '../../storage/index.ts';
import { bytesField, bytesFieldHeader, histogramFields, int64Field, labelFields, sampleFields } from './protobuf.ts';
import { type Answer, ReadBudget, type ReadContext } from './read-context.ts';
import { decodeReadRequest, type ReadQuery, ResponseType } from './read-request.ts';
import { SnappyBlock } from './snappy-block.ts';

/** Largest message in a frame, as with Prometheus; only a single larger chunk makes a larger one. */
const MAX_FRAME_BYTES = 1_048_576;
/** Room for the tags and lengths around the series in a frame. */
const FRAME_OVERHEAD = 32;
/** What is compressed, or travels between threads, at a time: about this much. */
const PIECE_BYTES = 262_144;

/** Decodes the request and answers it; matchers on `ignoredLabel` do not count. Throws as decodeReadRequest; the body throws StorageError as the sources do. */
export async function answerRemoteRead(body: Uint8Array, context: ReadContext, ignoredLabel?: string): Promise<Answer> {
  const { queries: asked, responseType } = decodeReadRequest(body, context.codec);
  const queries = asked.map(({ range, matchers }) => ({
    range,
    matchers: matchers.filter(({ name }) => name !== ignoredLabel),
  }));
  const sources = await context.sources(queries.map(({ range }) => range));
  if (responseType === ResponseType.SAMPLES) {
    return {
      contentType: 'application/x-protobuf',
      contentEncoding: 'snappy',
      body: samplesBody(queries, sources, context),
    };
  }
  return {
    contentType: 'application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse',
    contentEncoding: undefined,
    body: framesBody(queries, sources, context),
  };
}

async function* samplesBody(
  queries: readonly ReadQuery[],
  sources: readonly SeriesSource[][],
  context: ReadContext,
): AsyncGenerator<Uint8Array, void, undefined> {
  const budget = new ReadBudget(context.limits);
  const response = new SnappyBlock();
  const samples: MergedSamples = { floats: new SampleBuffer(), histograms: [] };
  const timeSeries = new ByteWriter();
  const scratch = new ByteWriter();
  for (const [index, query] of queries.entries()) {
    const result = new SnappyBlock();
    const piece = new ByteWriter(PIECE_BYTES);
    for await (const { labels, parts } of seriesWithChunks(sources[index] ?? [], query, context)) {
      mergeSamples(parts, query.range, context.codec, samples);
      const count = samples.floats.length + samples.histograms.length;
      if (count === 0) continue;
      timeSeries.reset();
      labelFields(timeSeries, labels, scratch);
      sampleFields(timeSeries, samples.floats);
      histogramFields(timeSeries, samples.histograms, scratch);
      budget.spend(count, timeSeries.length);
      bytesField(piece, 1, timeSeries.bytes);
      if (piece.length < PIECE_BYTES) continue;
      result.append(piece.bytes);
      piece.reset();
    }
    result.append(piece.bytes);
    scratch.reset();
    bytesFieldHeader(scratch, 1, result.length);
    response.append(scratch.bytes);
    response.appendBlock(result);
  }
  yield* response.pieces();
}

async function* framesBody(
  queries: readonly ReadQuery[],
  sources: readonly SeriesSource[][],
  context: ReadContext,
): AsyncGenerator<Uint8Array, void, undefined> {
  const budget = new ReadBudget(context.limits);
  const piece = new ByteWriter(PIECE_BYTES + MAX_FRAME_BYTES);
  const frames = new FrameEncoder(piece);
  for (const [index, query] of queries.entries()) {
    for await (const { labels, parts } of seriesWithChunks(sources[index] ?? [], query, context)) {
      const chunks = mergeChunks(parts, query.range, context.codec);
      for (const chunk of chunks) budget.spend(chunkSampleCount(chunk), chunk.bytes.length);
      for (let from = 0; from < chunks.length; ) {
        from = frames.encode(index, labels, chunks, from);
        if (piece.length < PIECE_BYTES) continue;
        yield piece.bytes.slice();
        piece.reset();
      }
    }
  }
  if (piece.length > 0) yield piece.bytes.slice();
}

/** The series of a query one by one, each with the chunks of its parts; other reads get a turn after each batch. */
async function* seriesWithChunks(
  sources: readonly SeriesSource[],
  { matchers, range }: ReadQuery,
  context: ReadContext,
): AsyncGenerator<{ labels: Labels; parts: Chunk[][] }, void, undefined> {
  for await (const batch of selectSeries(sources, matchers, range)) {
    const chunks = await readChunks(batch, range);
    for (const [i, parts] of chunks.entries()) yield { labels: (batch[i] as MergedSeries).labels, parts };
    await context.turn();
  }
}

/** Appends frames: the message's length (uvarint), its CRC-32C (big-endian), the message. One series a frame. */
class FrameEncoder {
  readonly #target: ByteWriter;
  readonly #series: ByteWriter = new ByteWriter();
  readonly #chunk: ByteWriter = new ByteWriter();
  readonly #message: ByteWriter = new ByteWriter();

  constructor(target: ByteWriter) {
    this.#target = target;
  }

  /** Encodes one frame with as many of `chunks[from…]` as fit, at least one; returns the index after the last of them. */
  encode(queryIndex: number, labels: Labels, chunks: readonly Chunk[], from: number): number {
    this.#series.reset();
    labelFields(this.#series, labels, this.#chunk);
    let next = from;
    do {
      this.#encodeChunk(chunks[next] as Chunk);
      const bytes = this.#series.length + this.#chunk.length + FRAME_OVERHEAD;
      if (next > from && bytes > MAX_FRAME_BYTES) break;
      bytesField(this.#series, 2, this.#chunk.bytes);
      next++;
    } while (next < chunks.length);
    this.#message.reset();
    bytesField(this.#message, 1, this.#series.bytes);
    if (queryIndex > 0) int64Field(this.#message, 2, queryIndex);
    this.#target.uvarint(this.#message.length);
    this.#target.u32be(crc32c(this.#message.bytes));
    this.#target.raw(this.#message.bytes);
    return next;
  }

  /** Chunk { min_time_ms = 1, max_time_ms = 2, type = 3, data = 4 } */
  #encodeChunk({ minTimeMs, maxTimeMs, encoding, bytes }: Chunk): void {
    this.#chunk.reset();
    int64Field(this.#chunk, 1, minTimeMs);
    int64Field(this.#chunk, 2, maxTimeMs);
    int64Field(this.#chunk, 3, encoding);
    bytesField(this.#chunk, 4, bytes);
  }
}
