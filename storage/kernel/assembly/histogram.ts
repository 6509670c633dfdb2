/**
 * Native histograms as senders write them. The first walk over a request checks their wire format, the second one the
 * rules of Prometheus; they are stored as they came.
 *
 *   Histogram { uint64 count_int = 1; double count_float = 2; double sum = 3; sint32 schema = 4; double zero_threshold = 5;
 *     uint64 zero_count_int = 6; double zero_count_float = 7; BucketSpan negative_spans = 8; sint64 negative_deltas = 9;
 *     double negative_counts = 10; BucketSpan positive_spans = 11; sint64 positive_deltas = 12;
 *     double positive_counts = 13; ResetHint reset_hint = 14; int64 timestamp = 15; double custom_values = 16;
 *     int64 start_timestamp = 17 }
 *   BucketSpan { sint32 offset = 1; uint32 length = 2 }
 *
 * Source: prometheus prompb/types.proto, prompb/io/prometheus/write/v2/types.proto; the rules: model/histogram, Validate.
 */
import * as L from '../layout';
import { readVarint, unzigzag, varintEnd } from './bytes';
import { fail, fieldEnd, fieldNumber, readField, wireType } from './fields';
import { skipField } from './labels';

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;

const COUNT_INT: u32 = 1;
const COUNT_FLOAT: u32 = 2;
const SUM: u32 = 3;
const SCHEMA: u32 = 4;
const ZERO_THRESHOLD: u32 = 5;
const ZERO_COUNT_INT: u32 = 6;
const ZERO_COUNT_FLOAT: u32 = 7;
const NEGATIVE_SPANS: u32 = 8; // then deltas and counts
const POSITIVE_SPANS: u32 = 11;
const RESET_HINT: u32 = 14;
const TIMESTAMP: u32 = 15;
const CUSTOM_VALUES: u32 = 16;
const START_TIMESTAMP: u32 = 17;

// Fields by their wire types, a bit each; the others have eight bytes. Lists may be packed.
const VARINTS: u32 = 0x2c052;
const SPANS: u32 = 0x900;
const DELTA_LISTS: u32 = 0x1200;
const DOUBLE_LISTS: u32 = 0x12400;

const CUSTOM_BUCKETS: i32 = -53;
const SCHEMA_MIN: i32 = -4;
const SCHEMA_MAX: i32 = 8;
const MAX_TIME: i64 = 9007199254740991;

/** Checks the wire format of a histogram; false as `fail` says it. */
export function checkHistogram(at: usize, end: usize): bool {
  while (at < end) {
    const start = at,
      body = readField(at, end);
    if (body === 0) return false;
    at = fieldEnd;
    if (fieldNumber > START_TIMESTAMP) continue;
    const bit: u32 = (<u32>1) << fieldNumber;
    if (bit & SPANS) {
      if (wireType !== BYTES) return fail(L.ERROR_FIELD_TYPE, start);
      if (!checkSpan(body, at)) return false;
    } else if (wireType === BYTES) {
      if (bit & DELTA_LISTS) {
        for (let number = body; number < at; number = varintEnd) {
          readVarint(number, at);
          if (varintEnd === 0) return fail(L.ERROR_LENGTH, number);
        }
      } else if (!(bit & DOUBLE_LISTS)) return fail(L.ERROR_FIELD_TYPE, start);
      else if ((at - body) & 7) return fail(L.ERROR_LENGTH, start);
    } else if (wireType !== (bit & (VARINTS | DELTA_LISTS) ? VARINT : FIXED64)) return fail(L.ERROR_FIELD_TYPE, start);
  }
  return true;
}

function checkSpan(at: usize, end: usize): bool {
  for (; at < end; at = fieldEnd) {
    if (readField(at, end) === 0) return false;
    if (fieldNumber <= 2 && wireType !== VARINT) return fail(L.ERROR_FIELD_TYPE, at);
  }
  return true;
}

/** What `judgeHistogram` read. */
export let histogramTime: i64 = 0;
export let histogramKind: u32 = 0;

let count: u64 = 0;
let zeroCount: u64 = 0;
let sum: u64 = 0;
let zeroThreshold: u64 = 0;
let schema: i32 = 0;
let zeroField: u32 = 0;
let hint: u64 = 0;
let startTime: i64 = 0;

/** Which rule a histogram breaks whose wire format was checked: one of RULE_…, 0 = none. */
export function judgeHistogram(at: usize, end: usize): u32 {
  readScalars(at, end);
  if (end - at > L.MAX_HISTOGRAM_BYTES) return L.RULE_TOO_LONG;
  const isFloat = histogramKind === L.KIND_FLOAT_HISTOGRAM;
  if (zeroField === (isFloat ? ZERO_COUNT_INT : ZERO_COUNT_FLOAT)) return L.RULE_MIXED;
  readSide(at, end, NEGATIVE_SPANS, isFloat);
  const mixed = isMixed,
    spans = sideSpans,
    buckets = sideBuckets,
    spanProblem = judgeSpans(),
    bucketProblem = sideNegative,
    inNegative = sideSum;
  readSide(at, end, POSITIVE_SPANS, isFloat);
  if (mixed || isMixed) return L.RULE_MIXED;
  if (hint > 3) return L.RULE_RESET_HINT;
  if (startTime < 0 || startTime > MAX_TIME) return L.RULE_START;
  let problem: u32 = 0;
  if (schema === CUSTOM_BUCKETS) problem = judgeCustom(at, end, isFloat, spans, buckets);
  else if (schema < SCHEMA_MIN || schema > SCHEMA_MAX) problem = L.RULE_SCHEMA;
  else {
    problem = judgeSpans();
    if (problem === 0) problem = spanProblem;
    if (problem === 0 && bucketProblem) problem = L.RULE_NEGATIVE_BUCKET;
    if (problem === 0 && isFloat && reinterpret<f64>(zeroCount) < 0) problem = L.RULE_NEGATIVE_ZERO_BUCKET;
    if (problem === 0 && hasBounds(at, end)) problem = L.RULE_EXPONENTIAL_BOUNDS;
  }
  if (problem !== 0) return problem;
  return isFloat ? judgeFloatCount() : judgeCount(inNegative);
}

function judgeFloatCount(): u32 {
  const value = reinterpret<f64>(count);
  if (value !== value) return L.RULE_COUNT_NAN;
  if (value < 0) return L.RULE_NEGATIVE_COUNT;
  return sideNegative ? L.RULE_NEGATIVE_BUCKET : 0;
}

/** Observations that are not numbers are in no bucket, but in the count; the sum tells that there are some. */
function judgeCount(inNegative: u64): u32 {
  if (sideNegative) return L.RULE_NEGATIVE_BUCKET;
  const inBuckets = inNegative + sideSum + zeroCount;
  const total = reinterpret<f64>(sum);
  if (total !== total) return inBuckets > count ? L.RULE_COUNT_LOW : 0;
  return inBuckets === count ? 0 : L.RULE_COUNT;
}

/** The numbers that a histogram has once; of several the last one counts. */
function readScalars(at: usize, end: usize): void {
  count = zeroCount = sum = zeroThreshold = hint = 0;
  schema = 0;
  zeroField = 0;
  startTime = histogramTime = 0;
  histogramKind = L.KIND_HISTOGRAM;
  while (at < end) {
    at = nextField(at, end);
    switch (number) {
      case COUNT_INT:
      case COUNT_FLOAT:
        histogramKind = number === COUNT_INT ? L.KIND_HISTOGRAM : L.KIND_FLOAT_HISTOGRAM;
        count = scalar;
        break;
      case SUM:
        sum = scalar;
        break;
      case SCHEMA:
        schema = <i32>unzigzag(<u64>(<u32>scalar));
        break;
      case ZERO_THRESHOLD:
        zeroThreshold = scalar;
        break;
      case ZERO_COUNT_INT:
      case ZERO_COUNT_FLOAT:
        zeroField = number;
        zeroCount = scalar;
        break;
      case RESET_HINT:
        hint = scalar;
        break;
      case TIMESTAMP:
        histogramTime = <i64>scalar;
        break;
      case START_TIMESTAMP:
        startTime = <i64>scalar;
        break;
    }
  }
}

// One side of the buckets.
let sideSpans: u32 = 0;
let sideBuckets: u32 = 0;
/** Of all spans together: buckets, and the gaps before them. */
let sideLength: i64 = 0;
let sideGaps: i64 = 0;
let firstOffset: i32 = 0;
let offsetNegative: bool = false;
/** Whether a bucket has fewer than no observations. */
let sideNegative: bool = false;
/** Observations in the buckets of integers. */
let sideSum: u64 = 0;
/** Whether there are buckets of the other kind of histogram. */
let isMixed: bool = false;
let lastBucket: i64 = 0;

/** Reads the side whose spans are the field `spans`; its deltas and counts are the next two. */
function readSide(at: usize, end: usize, spans: u32, isFloat: bool): void {
  sideSpans = sideBuckets = 0;
  sideLength = sideGaps = lastBucket = 0;
  firstOffset = 0;
  offsetNegative = sideNegative = isMixed = false;
  sideSum = 0;
  while (at < end) {
    at = nextField(at, end);
    if (number === spans) readSpan(content, at);
    else if (number === spans + 1 || number === spans + 2) {
      const isDeltas = number === spans + 1;
      if (isDeltas !== isFloat) readBuckets(at, isFloat);
      else if (content < at) isMixed = true;
    }
  }
}

function readSpan(at: usize, end: usize): void {
  let offset: i32 = 0,
    length: u32 = 0;
  while (at < end) {
    const tag = readVarint(at, end);
    if (tag === 0x08) offset = <i32>unzigzag(<u64>(<u32>readVarint(varintEnd, end)));
    else if (tag === 0x10) length = <u32>readVarint(varintEnd, end);
    at = skipField(at, end);
  }
  if (sideSpans === 0) firstOffset = offset;
  else offsetNegative = offsetNegative || offset < 0;
  sideSpans++;
  sideLength += length;
  sideGaps += offset;
}

/** The buckets of the field at work, which ends at `end`: one, or a list. */
function readBuckets(end: usize, isFloat: bool): void {
  for (let at = content; at < end; sideBuckets++) {
    if (isFloat) {
      sideNegative = sideNegative || load<f64>(at) < 0;
      at += 8;
    } else {
      lastBucket += unzigzag(readVarint(at, end));
      at = varintEnd;
      sideNegative = sideNegative || lastBucket < 0;
      sideSum += <u64>lastBucket;
    }
  }
}

/** Whether the spans of the side that was read last fit its buckets. */
function judgeSpans(): u32 {
  if (offsetNegative) return L.RULE_SPAN_OFFSET;
  return sideLength === <i64>sideBuckets ? 0 : L.RULE_SPANS;
}

/** The rules of custom buckets, which are positive ones; `negativeSpans` and `negativeBuckets` are how many there are. */
function judgeCustom(at: usize, end: usize, isFloat: bool, negativeSpans: u32, negativeBuckets: u32): u32 {
  const problem = judgeBounds(at, end);
  if (problem !== 0) return problem;
  if (firstOffset < 0) return L.RULE_SPAN_OFFSET;
  const spans = judgeSpans();
  if (spans !== 0) return spans;
  if (<i64>bounds + 1 < sideLength + sideGaps) return L.RULE_BOUNDS;
  if (isFloat ? reinterpret<f64>(zeroCount) !== 0 : zeroCount !== 0) return L.RULE_CUSTOM_ZERO_COUNT;
  if (reinterpret<f64>(zeroThreshold) !== 0) return L.RULE_CUSTOM_ZERO_THRESHOLD;
  if (negativeSpans !== 0) return L.RULE_CUSTOM_NEGATIVE_SPANS;
  return negativeBuckets !== 0 ? L.RULE_CUSTOM_NEGATIVE_BUCKETS : 0;
}

let bounds: u32 = 0;

function judgeBounds(at: usize, end: usize): u32 {
  let previous: f64 = -Infinity;
  bounds = 0;
  while (at < end) {
    at = nextField(at, end);
    if (number !== CUSTOM_VALUES) continue;
    for (let next = content; next < at; next += 8) {
      const bound = load<f64>(next);
      if (bound !== bound) return L.RULE_BOUND_NAN;
      if (bounds > 0 && bound <= previous) return L.RULE_BOUND_ORDER;
      previous = bound;
      bounds++;
    }
  }
  return previous === Infinity ? L.RULE_BOUND_INFINITE : 0;
}

function hasBounds(at: usize, end: usize): bool {
  while (at < end) {
    at = nextField(at, end);
    if (number === CUSTOM_VALUES && content < at) return true;
  }
  return false;
}

// The field at work of a message whose wire format was checked.
let number: u32 = 0;
let content: usize = 0;
let scalar: u64 = 0;

/** Reads the field at `at`: its number, where its content begins, and its value if it has no length. Returns its end. */
function nextField(at: usize, end: usize): usize {
  const tag = <u32>readVarint(at, end);
  number = tag >>> 3;
  content = varintEnd;
  switch (tag & 7) {
    case VARINT: {
      scalar = readVarint(content, end);
      return varintEnd;
    }
    case FIXED64: {
      scalar = load<u64>(content);
      return content + 8;
    }
    case BYTES: {
      const size = <usize>readVarint(content, end);
      content = varintEnd;
      return content + size;
    }
    default:
      return content + 4;
  }
}
