/**
 * OTLP requests as tests write them down: once, as the object that their JSON form is, and from it both forms. The
 * protobuf form is made by protobufjs from definitions that share nothing with the server's.
 */
import protobuf from 'protobufjs';
import { transcodeJson } from '../../src/ingest/otlp-json.ts';
import { MetricsTranslation } from '../../src/ingest/otlp-metrics.ts';
import { EXPORT_REQUEST } from '../../src/ingest/otlp-schema.ts';
import { readWriteRequest } from './oracle/write-request.ts';
import { WriteRequest } from './protocol.ts';

/** `double_bits` has the number and the wire form of `as_double`, so that NaN payloads pass. */
const SOURCE = `
  syntax = "proto3";
  message Request { repeated ResourceMetrics resource_metrics = 1; }
  message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; string schema_url = 3; }
  message Resource { repeated KeyValue attributes = 1; uint32 dropped_attributes_count = 2; }
  message ScopeMetrics { Scope scope = 1; repeated Metric metrics = 2; string schema_url = 3; }
  message Scope { string name = 1; string version = 2; repeated KeyValue attributes = 3; }
  message Metric {
    string name = 1; string description = 2; string unit = 3;
    Gauge gauge = 5; Sum sum = 7; Histogram histogram = 9; ExponentialHistogram exponential_histogram = 10;
    Summary summary = 11; repeated KeyValue metadata = 12;
  }
  message Gauge { repeated NumberDataPoint data_points = 1; }
  message Sum { repeated NumberDataPoint data_points = 1; int32 aggregation_temporality = 2; bool is_monotonic = 3; }
  message Histogram { repeated HistogramDataPoint data_points = 1; int32 aggregation_temporality = 2; }
  message ExponentialHistogram { repeated ExponentialPoint data_points = 1; int32 aggregation_temporality = 2; }
  message Summary { repeated SummaryDataPoint data_points = 1; }
  message NumberDataPoint {
    fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
    oneof value { fixed64 double_bits = 4; sfixed64 as_int = 6; }
    repeated Exemplar exemplars = 5; repeated KeyValue attributes = 7; uint32 flags = 8;
  }
  message Exemplar { fixed64 time_unix_nano = 2; double as_double = 3; bytes span_id = 4; bytes trace_id = 5; }
  message HistogramDataPoint {
    fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4; optional double sum = 5;
    repeated fixed64 bucket_counts = 6; repeated double explicit_bounds = 7; repeated Exemplar exemplars = 8;
    repeated KeyValue attributes = 9; uint32 flags = 10; optional double min = 11; optional double max = 12;
  }
  message ExponentialPoint {
    repeated KeyValue attributes = 1; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4;
    optional double sum = 5; sint32 scale = 6; fixed64 zero_count = 7; Buckets positive = 8; Buckets negative = 9;
    uint32 flags = 10; repeated Exemplar exemplars = 11; optional double min = 12; optional double max = 13;
    double zero_threshold = 14;
  }
  message Buckets { sint32 offset = 1; repeated uint64 bucket_counts = 2; }
  message Quantile { double quantile = 1; double value = 2; }
  message SummaryDataPoint {
    fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4; double sum = 5;
    repeated Quantile quantile_values = 6; repeated KeyValue attributes = 7; uint32 flags = 8;
  }
  message KeyValue { string key = 1; AnyValue value = 2; }
  message AnyValue {
    oneof value {
      string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4;
      ArrayValue array_value = 5; KeyValueList kvlist_value = 6; bytes bytes_value = 7;
    }
  }
  message ArrayValue { repeated AnyValue values = 1; }
  message KeyValueList { repeated KeyValue values = 1; }

  message Response { PartialSuccess partial_success = 1; }
  message PartialSuccess { int64 rejected_data_points = 1; string error_message = 2; }
  message Status { int32 code = 1; string message = 2; }
`;

const { root } = protobuf.parse(SOURCE);
const Request = root.lookupType('Request');
export const OtlpResponse: protobuf.Type = root.lookupType('Response');
export const OtlpStatus: protobuf.Type = root.lookupType('Status');

export interface AnyValue {
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  readonly intValue?: string;
  readonly doubleValue?: number | string;
  readonly arrayValue?: { readonly values: readonly AnyValue[] };
  readonly kvlistValue?: { readonly values: readonly KeyValue[] };
  readonly bytesValue?: string;
}
export interface KeyValue {
  readonly key: string;
  readonly value?: AnyValue;
}
interface PointBase {
  readonly timeUnixNano?: string;
  readonly attributes?: readonly KeyValue[];
  readonly flags?: number;
}
export interface NumberPoint extends PointBase {
  readonly asDouble?: number | string;
  readonly asInt?: string;
}
export interface HistogramPoint extends PointBase {
  readonly count?: string;
  readonly sum?: number | string;
  readonly bucketCounts?: readonly string[];
  readonly explicitBounds?: readonly (number | string)[];
}
export interface SummaryPoint extends PointBase {
  readonly count?: string;
  readonly sum?: number;
  readonly quantileValues?: readonly { readonly quantile?: number; readonly value?: number }[];
}
export interface ExponentialPoint extends PointBase {
  readonly count?: string;
  readonly sum?: number;
  readonly scale?: number;
  readonly zeroCount?: string;
  readonly zeroThreshold?: number;
  readonly positive?: { readonly offset?: number; readonly bucketCounts: readonly (string | number)[] };
  readonly negative?: { readonly offset?: number; readonly bucketCounts: readonly (string | number)[] };
}
export interface Metric {
  readonly name?: string;
  readonly description?: string;
  readonly unit?: string;
  readonly gauge?: { readonly dataPoints: readonly NumberPoint[] };
  readonly sum?: {
    readonly dataPoints: readonly NumberPoint[];
    readonly aggregationTemporality?: number;
    readonly isMonotonic?: boolean;
  };
  readonly histogram?: { readonly dataPoints: readonly HistogramPoint[]; readonly aggregationTemporality?: number };
  readonly exponentialHistogram?: {
    readonly dataPoints: readonly ExponentialPoint[];
    readonly aggregationTemporality?: number;
  };
  readonly summary?: { readonly dataPoints: readonly SummaryPoint[] };
}
export interface OtlpRequest {
  readonly resourceMetrics: readonly {
    readonly resource?: { readonly attributes: readonly KeyValue[] };
    readonly scopeMetrics: readonly { readonly scope?: object; readonly metrics: readonly Metric[] }[];
  }[];
}

export const CUMULATIVE = 2;
export const DELTA = 1;

/** `{stringValue}` attributes of an object. */
export function attributes(values: Readonly<Record<string, string>>): KeyValue[] {
  return Object.entries(values).map(([key, stringValue]) => ({ key, value: { stringValue } }));
}

/** One resource with one scope. */
export function request(metrics: readonly Metric[], resource: Readonly<Record<string, string>> = {}): OtlpRequest {
  return { resourceMetrics: [{ resource: { attributes: attributes(resource) }, scopeMetrics: [{ metrics }] }] };
}

export function asJson(model: OtlpRequest): Buffer<ArrayBuffer> {
  return Buffer.from(JSON.stringify(model));
}

export function asProtobuf(model: OtlpRequest): Buffer<ArrayBuffer> {
  return Buffer.from(Request.encode(Request.fromObject(withBits(model) as object)).finish());
}

const bits = new BigUint64Array(1);
const float = new Float64Array(bits.buffer);

/** The model with `doubleBits` for `asDouble`; a double of the form `bits:<hex>` is that. */
function withBits(model: unknown): unknown {
  if (Array.isArray(model)) return model.map(withBits);
  if (typeof model !== 'object' || model === null) return model;
  const entries = Object.entries(model).map(([key, value]) =>
    key === 'asDouble' ? ['doubleBits', bitsOf(value as number | string)] : [key, withBits(value)],
  );
  // Not Object.fromEntries: a key may be `__proto__`, but only as a value of ours.
  return Object.assign({}, ...entries.map(([key, value]) => ({ [key as string]: value })));
}

function bitsOf(value: number | string): string {
  if (typeof value === 'string' && value.startsWith('bits:')) return BigInt(`0x${value.slice(5)}`).toString();
  float[0] = Number(value);
  return (bits[0] as bigint).toString();
}

export interface Translated {
  /** `name{label="value"} value@timestamp`, one for each sample in the order written; a NaN is its bits. */
  readonly samples: string[];
  /** The same for native histograms: `name{…} {count 3 sum 1.5 schema 2 zero 1 + offset:delta,delta … − …}@timestamp`. */
  readonly histograms: string[];
  readonly refused: string;
  readonly refusedPoints: number;
  readonly batches: number;
}

/** What becomes of a request in its protobuf form. */
export function translate(bytes: Uint8Array): Translated {
  const translation = new MetricsTranslation(bytes);
  const samples: string[] = [];
  const histograms: string[] = [];
  let batches = 0;
  for (const { body } of translation.batches()) {
    batches++;
    histograms.push(...histogramsIn(body));
    const series = readWriteRequest(body);
    if (series === undefined) throw new Error('the body of a batch is damaged');
    for (const { labels, samples: rows } of series) {
      const text = seriesText(labels.map(([name, value]) => [String(Buffer.from(name)), String(Buffer.from(value))]));
      for (const { timestampMs, bits } of rows) samples.push(`${text} ${valueText(bits)}@${timestampMs}`);
    }
  }
  const { refusals } = translation;
  return { samples, histograms, refused: refusals.text(), refusedPoints: refusals.dataPoints, batches };
}

function histogramsIn(body: Uint8Array): string[] {
  const { timeseries = [] } = WriteRequest.toObject(WriteRequest.decode(body), { longs: String }) as DecodedRequest;
  return timeseries.flatMap(({ labels = [], histograms = [] }) =>
    histograms.map((h) => {
      bits[0] = BigInt(h.sum ?? 0);
      const parts = [`count ${h.countInt} sum ${valueText(bits[0])} schema ${h.schema ?? 0}`];
      parts.push(`zero ${h.zeroCountInt} within ${h.zeroThreshold}`);
      parts.push(...layoutText('+', h.positiveSpans, h.positiveDeltas));
      parts.push(...layoutText('−', h.negativeSpans, h.negativeDeltas));
      return `${seriesText(labels.map(({ name, value }) => [name, value]))} {${parts.join(' ')}}@${h.timestamp}`;
    }),
  );
}

interface DecodedRequest {
  readonly timeseries?: readonly {
    readonly labels?: readonly { readonly name: string; readonly value: string }[];
    readonly histograms?: readonly DecodedHistogram[];
  }[];
}

interface DecodedSpan {
  readonly offset?: number;
  readonly length?: number;
}

interface DecodedHistogram {
  readonly countInt?: string;
  readonly sum?: string;
  readonly schema?: number;
  readonly zeroCountInt?: string;
  readonly zeroThreshold?: number;
  readonly positiveSpans?: readonly DecodedSpan[];
  readonly positiveDeltas?: readonly string[];
  readonly negativeSpans?: readonly DecodedSpan[];
  readonly negativeDeltas?: readonly string[];
  readonly timestamp?: string;
}

/** `+5:4,-2,1 12:3`: sign, then of each span its offset and its deltas. */
function layoutText(sign: string, spans: readonly DecodedSpan[] = [], deltas: readonly string[] = []): string[] {
  let at = 0;
  const texts = spans.map(({ offset = 0, length = 0 }) => {
    at += length;
    return `${offset}:${deltas.slice(at - length, at).join(',')}`;
  });
  if (at !== deltas.length) throw new Error(`${deltas.length} deltas for ${at} buckets`);
  return texts.length === 0 ? [] : [sign + texts.join(' ')];
}

/** The same for its JSON form. */
export function translateJson(json: string | Uint8Array): Translated {
  return translate(transcodeJson(Buffer.from(json as string), EXPORT_REQUEST, 32 * 1024 * 1024));
}

function seriesText(labels: readonly (readonly [name: string, value: string])[]): string {
  const name = labels.find(([label]) => label === '__name__')?.[1] ?? '';
  const rest = labels.filter(([label]) => label !== '__name__');
  return `${name}{${rest.map(([label, value]) => `${label}=${JSON.stringify(value)}`).join(', ')}}`;
}

function valueText(valueBits: bigint): string {
  bits[0] = valueBits;
  const value = float[0] as number;
  if (Number.isNaN(value)) return valueBits.toString(16);
  return Object.is(value, -0) ? '-0' : String(value);
}
