/**
 * The messages of remote write 1.0 and remote read, as the tests see them. It shares nothing with the server's own
 * definitions, so that it can disagree with them. One deliberate difference: `Sample.value` and the numbers of a float
 * histogram are fixed64, which has the wire form of a double, so that NaN payloads pass as bits.
 */
import protobuf from 'protobufjs';

const SOURCE = `
  syntax = "proto3";
  message Label { string name = 1; string value = 2; }
  message Sample { fixed64 value = 1; int64 timestamp = 2; }
  message BucketSpan { sint32 offset = 1; uint32 length = 2; }
  message Histogram {
    oneof count { uint64 count_int = 1; fixed64 count_float = 2; }
    fixed64 sum = 3; sint32 schema = 4; double zero_threshold = 5;
    oneof zero_count { uint64 zero_count_int = 6; fixed64 zero_count_float = 7; }
    repeated BucketSpan negative_spans = 8; repeated sint64 negative_deltas = 9; repeated fixed64 negative_counts = 10;
    repeated BucketSpan positive_spans = 11; repeated sint64 positive_deltas = 12; repeated fixed64 positive_counts = 13;
    int32 reset_hint = 14; int64 timestamp = 15; repeated double custom_values = 16; int64 start_timestamp = 17;
  }
  message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; repeated Histogram histograms = 4; }
  message WriteRequest { repeated TimeSeries timeseries = 1; }

  message LabelMatcher { int32 type = 1; string name = 2; string value = 3; }
  message Query { int64 start_timestamp_ms = 1; int64 end_timestamp_ms = 2; repeated LabelMatcher matchers = 3; }
  message ReadRequest { repeated Query queries = 1; repeated int32 accepted_response_types = 2 [packed = true]; }
  message QueryResult { repeated TimeSeries timeseries = 1; }
  message ReadResponse { repeated QueryResult results = 1; }

  message Chunk { int64 min_time_ms = 1; int64 max_time_ms = 2; int32 type = 3; bytes data = 4; }
  message ChunkedSeries { repeated Label labels = 1; repeated Chunk chunks = 2; }
  message ChunkedReadResponse { repeated ChunkedSeries chunked_series = 1; int64 query_index = 2; }
`;

const { root } = protobuf.parse(SOURCE);

export const WriteRequest: protobuf.Type = root.lookupType('WriteRequest');
export const Histogram: protobuf.Type = root.lookupType('Histogram');
export const ReadRequest: protobuf.Type = root.lookupType('ReadRequest');
export const ReadResponse: protobuf.Type = root.lookupType('ReadResponse');
export const ChunkedReadResponse: protobuf.Type = root.lookupType('ChunkedReadResponse');

/** A 64-bit integer as protobufjs gives and takes it. */
export interface Bits64 {
  readonly low: number;
  readonly high: number;
}

/** An int64 that is a time: exact, because times stay below 2^53. */
export function timeOf({ low, high }: Bits64): number {
  return high * 2 ** 32 + (low >>> 0);
}
