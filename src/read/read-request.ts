/** Decodes a ReadRequest of the remote read protocol: proto/remote.proto in one snappy block. */
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { type ChunkCodec, Matcher, type MatcherType, StorageError, type TimeRange } from '../../storage/index.ts';

/** The wire's numbers for what a client can be answered with. */
export const ResponseType = { SAMPLES: 0, STREAMED_XOR_CHUNKS: 1 } as const;
export type ResponseType = (typeof ResponseType)[keyof typeof ResponseType];

export interface ReadQuery {
  readonly range: TimeRange;
  readonly matchers: readonly Matcher[];
}

export interface ReadRequest {
  /** The first of the client's list that we can make. */
  readonly responseType: ResponseType;
  readonly queries: readonly ReadQuery[];
}

const MAX_BYTES: number = 32 * 1024 * 1024;
/** Prometheus sends one query a request, Thanos too. */
const MAX_QUERIES = 100;
const MAX_MATCHERS = 1000;

/** Times beyond are not exact in a double; nothing is stored there. */
const MAX_TIME_MS: number = Number.MAX_SAFE_INTEGER - 1;

const MATCHER_TYPES: readonly MatcherType[] = ['=', '!=', '=~', '!~']; // By their numbers on the wire.

/** Only what is used here; protobufjs gives a 64-bit integer as an object. */
interface Wire {
  readonly queries: readonly {
    readonly startTimestampMs: { toNumber(): number } | 0;
    readonly endTimestampMs: { toNumber(): number } | 0;
    readonly matchers: readonly { readonly type: number; readonly name: string; readonly value: string }[];
  }[];
  readonly acceptedResponseTypes: readonly number[];
}

const definitions = fileURLToPath(new URL('../../proto/remote.proto', import.meta.url));
const wireReadRequest = protobuf.loadSync(definitions).lookupType('prometheus.ReadRequest');

/**
 * The request in `body`. Throws StorageError 'invalid' if it is not one, if it has no query, an unusable time range, a
 * matcher that is none, or accepts no answer that we can make; 'limit' if it is too large.
 */
export function decodeReadRequest(body: Uint8Array, codec: Pick<ChunkCodec, 'snappyDecode'>): ReadRequest {
  const bytes = codec.snappyDecode(body, MAX_BYTES);
  let wire: Wire;
  try {
    wire = wireReadRequest.decode(bytes) as unknown as Wire;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StorageError('invalid', `the body is not a ReadRequest: ${reason}`, { cause });
  }
  const { queries } = wire;
  if (queries.length === 0) throw new StorageError('invalid', 'the read request has no query');
  if (queries.length > MAX_QUERIES) {
    throw new StorageError(
      'invalid',
      `the read request has ${queries.length} queries, at most ${MAX_QUERIES} are answered`,
    );
  }
  return { responseType: negotiate(wire.acceptedResponseTypes), queries: queries.map(query) };
}

function negotiate(accepted: readonly number[]): ResponseType {
  if (accepted.length === 0) return ResponseType.SAMPLES;
  for (const type of accepted) {
    if (type === ResponseType.SAMPLES || type === ResponseType.STREAMED_XOR_CHUNKS) return type;
  }
  const shown = accepted.slice(0, 10).join(', ');
  throw new StorageError(
    'invalid',
    `none of the accepted response types (${shown}) can be made, only SAMPLES and STREAMED_XOR_CHUNKS`,
  );
}

function query({ startTimestampMs, endTimestampMs, matchers }: Wire['queries'][number], index: number): ReadQuery {
  const start = timeOf(startTimestampMs);
  const end = timeOf(endTimestampMs);
  if (start > end) throw new StorageError('invalid', `query ${index}: it ends at ${end}, before its start at ${start}`);
  if (matchers.length > MAX_MATCHERS) {
    throw new StorageError(
      'invalid',
      `query ${index}: ${matchers.length} matchers, at most ${MAX_MATCHERS} are evaluated`,
    );
  }
  return {
    // The protocol's end is inclusive.
    range: { minTimeMs: start, maxTimeMs: end + 1 },
    matchers: matchers.map(({ type, name, value }) => {
      const matcherType = MATCHER_TYPES[type];
      if (matcherType === undefined) throw new StorageError('invalid', `query ${index}: unknown matcher type ${type}`);
      return new Matcher(matcherType, name, value);
    }),
  };
}

function timeOf(time: { toNumber(): number } | 0): number {
  const ms = time === 0 ? 0 : time.toNumber();
  return Math.max(-MAX_TIME_MS, Math.min(MAX_TIME_MS, ms));
}
