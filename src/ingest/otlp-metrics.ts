/**
 * From OTLP's metrics to remote write, as the OTLP receiver of Prometheus 3 translates them by default. The walk over a
 * request stops whenever a body of a megabyte is full, so that a request that becomes much more than itself (a
 * histogram is a series for each bucket, and each has all the labels) costs no more memory than that.
 *
 *   request ─ resource ┬ attributes ─► job, instance ─────────────┐
 *                      │             └► target_info               │
 *                      └ scope ─ metric ┬ name, unit ─► __name__ ─┤
 *                                       └ data point ─► labels ───┴─► series, one a sample
 *
 * What becomes what: docs/formats/otlp.md. Source: prometheus storage/remote/otlptranslator/prometheusremotewrite.
 */
import { type Attribute, type LabelMap, LabelNames, labelsOf, readAttribute } from './otlp-attributes.ts';
import { readExponentialPoint } from './otlp-exponential.ts';
import { type MetricKind, metricName, unitName } from './otlp-names.ts';
import {
  type DataPoint,
  type PointReader,
  type PointSample,
  readHistogramPoint,
  readNumberPoint,
  readPointTime,
  readSummaryPoint,
  readSumPoint,
} from './otlp-points.ts';
import { checkMessage, FieldCursor } from './otlp-protobuf.ts';
import { type RefusalReason, Refusals } from './otlp-refusals.ts';
import { IDENTIFYING, ResourceFacts } from './otlp-resource.ts';
import { EXPORT_REQUEST } from './otlp-schema.ts';
import { WriteRequestWriter } from './write-request.ts';

/** A part of a request. */
export interface WriteBatch {
  /** A WriteRequest of remote write 1.0, not compressed; a view that is valid until the next batch is asked for. */
  readonly body: Uint8Array;
  /** How many data points became it. */
  readonly dataPoints: number;
}

const REQUEST = { resourceMetrics: 1 } as const;
const RESOURCE_METRICS = { resource: 1, scopeMetrics: 2 } as const;
const RESOURCE = { attributes: 1 } as const;
const SCOPE_METRICS = { metrics: 2 } as const;
const METRIC = {
  name: 1,
  description: 2,
  unit: 3,
  gauge: 5,
  sum: 7,
  histogram: 9,
  exponentialHistogram: 10,
  summary: 11,
} as const;
/** Of a gauge, sum, histogram or summary. */
const DATA = { dataPoints: 1, temporality: 2, isMonotonic: 3 } as const;
const TEMPORALITY = { delta: 1, cumulative: 2 } as const;

/**
 * A batch is closed after the data point that takes it to one of these. The engine would take 32 MiB and 100 000 series,
 * but translating a batch holds up every other request.
 */
const BATCH_BYTES: number = 1024 * 1024;
const BATCH_SERIES = 5_000;
/** A data point that would become more is refused; a batch is then never larger than both together. */
const POINT_MAX_BYTES: number = 8 * 1024 * 1024;
/** What a request may become in all: eight times what it may be. */
const REQUEST_MAX_BYTES: number = 256 * 1024 * 1024;
/** The engine's limit in UTF-8; here in UTF-16 units, which are never more. The engine's own answer is more precise. */
const SERIES_MAX_LENGTH = 65_536;
/** Tag and length. */
const EXEMPLAR_FRAME_BYTES = 6;
/** A sample, its timestamp and the framing of its series. */
const SAMPLE_BYTES = 40;

const TARGET_INFO = 'target_info';
/** Half of PromQL's default lookback: a query anywhere between the first and the last data point finds one. */
const TARGET_INFO_INTERVAL_MS = 150_000;
/** 41 hours of them; after that only the last one. */
const TARGET_INFO_MAX_STEPS = 1000;

const RESERVED: ReadonlySet<string> = new Set(['__name__']);

/** What is said of a metric before its data points. */
interface MetricHead {
  /** As the sender has it. */
  readonly name: string;
  /** In Prometheus. */
  readonly translated: string;
  readonly read: PointReader;
  /** Why none of its data points is taken. */
  readonly refusal: RefusalReason | undefined;
  readonly description: string;
  /** In Prometheus' words. */
  readonly unit: string;
  /** As in MetricMetadata of remote write. */
  readonly type: number;
  /** Where its gauge, sum, histogram or summary lies. */
  readonly from: number;
  readonly to: number;
}

/** The translation of one request. */
export class MetricsTranslation {
  readonly refusals: Refusals = new Refusals();
  readonly #bytes: Uint8Array;
  readonly #writer = new WriteRequestWriter();
  readonly #names = new LabelNames();
  #writtenBytes = 0;
  #batchPoints = 0;

  /** `bytes` is an ExportMetricsServiceRequest. Throws StorageError 'invalid' if it is not a well-formed one. */
  constructor(bytes: Uint8Array) {
    checkMessage(bytes, EXPORT_REQUEST);
    this.#bytes = bytes;
  }

  /** All of the request that can be stored, in its order. Once it has ended, `refusals` has the rest. */
  *batches(): Generator<WriteBatch, void, undefined> {
    const cursor = new FieldCursor(this.#bytes, 0, this.#bytes.length);
    while (cursor.next()) {
      if (cursor.number === REQUEST.resourceMetrics) yield* this.#resourceMetrics(cursor.from, cursor.to);
    }
    if (this.#writer.seriesCount > 0) yield this.#takeBatch();
  }

  *#resourceMetrics(from: number, to: number): Generator<WriteBatch, void, undefined> {
    // The resource counts for all of them, also for those before it.
    const resource = new ResourceFacts(this.#resourceAttributes(from, to));
    const cursor = new FieldCursor(this.#bytes, from, to);
    while (cursor.next()) {
      if (cursor.number === RESOURCE_METRICS.scopeMetrics) yield* this.#scopeMetrics(resource, cursor.from, cursor.to);
    }
    this.#addTargetInfo(resource);
    if (this.#isBatchFull()) yield this.#takeBatch();
  }

  *#scopeMetrics(resource: ResourceFacts, from: number, to: number): Generator<WriteBatch, void, undefined> {
    const cursor = new FieldCursor(this.#bytes, from, to);
    while (cursor.next()) {
      if (cursor.number !== SCOPE_METRICS.metrics) continue;
      const head = this.#metricHead(cursor.from, cursor.to);
      if (head !== undefined) yield* this.#metric(resource, head);
    }
  }

  *#metric(resource: ResourceFacts, head: MetricHead): Generator<WriteBatch, void, undefined> {
    const cursor = new FieldCursor(this.#bytes, head.from, head.to);
    let isDescribed = head.refusal !== undefined;
    while (cursor.next()) {
      if (cursor.number !== DATA.dataPoints) continue;
      if (!isDescribed) this.#describe(head);
      isDescribed = true;
      this.#addPoint(resource, head, head.read(this.#bytes, cursor.from, cursor.to));
      if (this.#isBatchFull()) yield this.#takeBatch();
    }
  }

  #describe({ type, translated, description, unit }: MetricHead): void {
    if (this.#hasRoomFor(translated.length + description.length + unit.length))
      this.#writer.metadata(type, translated, description, unit);
  }

  #resourceAttributes(from: number, to: number): Attribute[] {
    const attributes: Attribute[] = [];
    const cursor = new FieldCursor(this.#bytes, from, to);
    while (cursor.next()) {
      if (cursor.number !== RESOURCE_METRICS.resource) continue;
      const inner = new FieldCursor(this.#bytes, cursor.from, cursor.to);
      while (inner.next()) {
        if (inner.number === RESOURCE.attributes) attributes.push(readAttribute(this.#bytes, inner.from, inner.to));
      }
    }
    return attributes;
  }

  /** Undefined if it has no data that is known. */
  #metricHead(from: number, to: number): MetricHead | undefined {
    const cursor = new FieldCursor(this.#bytes, from, to);
    let [name, description, unit, kind, dataFrom, dataTo] = ['', '', '', 0, 0, 0];
    while (cursor.next()) {
      if (cursor.number === METRIC.name) name = cursor.text();
      else if (cursor.number === METRIC.description) description = cursor.text();
      else if (cursor.number === METRIC.unit) unit = cursor.text();
      else if (READERS.has(cursor.number)) [kind, dataFrom, dataTo] = [cursor.number, cursor.from, cursor.to];
    }
    const read = READERS.get(kind);
    if (read === undefined) {
      this.refusals.add('unknown-kind', name, 0);
      return undefined;
    }
    const { temporality, isMonotonic } = this.#dataFacts(dataFrom, dataTo);
    let nameKind: MetricKind = kind === METRIC.gauge ? 'gauge' : 'other';
    if (kind === METRIC.sum && isMonotonic) nameKind = 'counter';
    const translated = metricName(name, unit, nameKind);
    let refusal: RefusalReason | undefined;
    if (kind !== METRIC.gauge && kind !== METRIC.summary && temporality !== TEMPORALITY.cumulative) {
      refusal = temporality === TEMPORALITY.delta ? 'delta' : 'no-temporality';
    }
    if (translated === undefined) refusal ??= 'metric-name';
    return {
      name,
      translated: translated ?? '',
      read: refusal === undefined ? read : readPointTime,
      refusal,
      description,
      unit: unitName(unit),
      type: kind === METRIC.sum && !isMonotonic ? METADATA_TYPE.gauge : (TYPES.get(kind) ?? 0),
      from: dataFrom,
      to: dataTo,
    };
  }

  #dataFacts(from: number, to: number): { readonly temporality: number; readonly isMonotonic: boolean } {
    const cursor = new FieldCursor(this.#bytes, from, to);
    let [temporality, monotonic] = [0, 0];
    while (cursor.next()) {
      if (cursor.number === DATA.temporality) temporality = cursor.uint32();
      else if (cursor.number === DATA.isMonotonic) monotonic = cursor.uint32();
    }
    return { temporality, isMonotonic: monotonic !== 0 };
  }

  #addPoint(resource: ResourceFacts, head: MetricHead, point: DataPoint): void {
    resource.note(point.timeMs);
    const refusal = head.refusal ?? point.refusal ?? this.#write(resource, head, point);
    if (refusal === undefined) this.#batchPoints++;
    else this.refusals.add(refusal, head.name, 1);
  }

  /** Writes the series of a data point, or says why not. */
  #write(
    resource: ResourceFacts,
    head: MetricHead,
    { timeMs, attributes, samples, histogram, exemplars = [] }: DataPoint,
  ): RefusalReason | undefined {
    if (timeMs === 0) return 'no-time';
    const translated = labelsOf(attributes, RESERVED, this.#names);
    if ('unnamed' in translated) return 'label-name';
    const { labels } = translated;
    resource.identify(labels);
    const length = lengthOf(labels) + head.translated.length;
    if (length > SERIES_MAX_LENGTH) return 'labels-too-long';
    if (histogram !== undefined) return this.#writeHistogram(labels, head.translated, histogram, exemplars);
    if (!this.#hasRoomFor((length + SAMPLE_BYTES) * samples.length + exemplarBytes(samples))) return 'too-large';
    let sorted: string[] = [];
    for (const sample of samples) {
      distinguish(labels, head.translated, sample);
      // Only values change between the samples of a point, but for the first with a label of its own.
      if (sorted.length !== labels.size) sorted = [...labels.keys()].sort();
      this.#writer.beginSeries(pairsOf(sorted, labels));
      this.#writer.sample(timeMs, sample.low, sample.high);
      for (const exemplar of sample.exemplars ?? []) this.#writer.exemplar(exemplar);
      this.#writer.endSeries();
    }
    return undefined;
  }

  #writeHistogram(
    labels: LabelMap,
    name: string,
    histogram: Uint8Array,
    exemplars: readonly Uint8Array[],
  ): RefusalReason | undefined {
    const bytes = lengthOf(labels) + name.length + SAMPLE_BYTES + histogram.length + exemplarBytes([{ exemplars }]);
    if (!this.#hasRoomFor(bytes)) return 'too-large';
    labels.set('__name__', name);
    this.#writer.beginSeries(pairsOf([...labels.keys()].sort(), labels));
    this.#writer.histogram(histogram);
    for (const exemplar of exemplars) this.#writer.exemplar(exemplar);
    this.#writer.endSeries();
    return undefined;
  }

  /** The series with the attributes of a resource that are in no other series; none if there is nothing to join it on. */
  #addTargetInfo(resource: ResourceFacts): void {
    const { attributes, earliestMs, latestMs } = resource;
    if (earliestMs > latestMs || attributes.every(({ key }) => IDENTIFYING.has(key))) return;
    const translated = labelsOf(attributes, IDENTIFYING, this.#names);
    if ('unnamed' in translated) {
      this.refusals.add('label-name', TARGET_INFO, 0);
      return;
    }
    const { labels } = translated;
    resource.identify(labels);
    labels.set('__name__', TARGET_INFO);
    if (!labels.get('job') && !labels.get('instance')) return;
    const steps = Math.min(Math.ceil((latestMs - earliestMs) / TARGET_INFO_INTERVAL_MS), TARGET_INFO_MAX_STEPS);
    const length = lengthOf(labels);
    if (length > SERIES_MAX_LENGTH || !this.#hasRoomFor(length + SAMPLE_BYTES * (steps + 1))) {
      this.refusals.add(length > SERIES_MAX_LENGTH ? 'labels-too-long' : 'too-large', TARGET_INFO, 0);
      return;
    }
    this.#writer.beginSeries(pairsOf([...labels.keys()].sort(), labels));
    for (let step = 0; step < steps; step++) this.#writeOne(earliestMs + step * TARGET_INFO_INTERVAL_MS);
    this.#writeOne(latestMs);
    this.#writer.endSeries();
  }

  #writeOne(timeMs: number): void {
    this.#writer.sample(timeMs, 0, 0x3ff0_0000);
  }

  #hasRoomFor(bytes: number): boolean {
    return bytes <= POINT_MAX_BYTES && this.#writtenBytes + this.#writer.length + bytes <= REQUEST_MAX_BYTES;
  }

  #isBatchFull(): boolean {
    return this.#writer.length >= BATCH_BYTES || this.#writer.seriesCount >= BATCH_SERIES;
  }

  #takeBatch(): WriteBatch {
    this.#writtenBytes += this.#writer.length;
    const batch = { body: this.#writer.take(), dataPoints: this.#batchPoints };
    this.#batchPoints = 0;
    return batch;
  }
}

/** Of remote write's MetricMetadata. Source: prometheus prompb/types.proto. */
const METADATA_TYPE = { counter: 1, gauge: 2, histogram: 3, summary: 5 } as const;
const TYPES: ReadonlyMap<number, number> = new Map([
  [METRIC.gauge, METADATA_TYPE.gauge],
  [METRIC.sum, METADATA_TYPE.counter],
  [METRIC.histogram, METADATA_TYPE.histogram],
  [METRIC.exponentialHistogram, METADATA_TYPE.histogram],
  [METRIC.summary, METADATA_TYPE.summary],
]);

/** By the field that they are in. */
const READERS: ReadonlyMap<number, PointReader> = new Map([
  [METRIC.gauge, readNumberPoint],
  [METRIC.sum, readSumPoint],
  [METRIC.histogram, readHistogramPoint],
  [METRIC.exponentialHistogram, readExponentialPoint],
  [METRIC.summary, readSummaryPoint],
]);

/** Makes the labels of a data point those of one of its series. */
function distinguish(labels: LabelMap, name: string, { suffix, label, labelValue }: PointSample): void {
  labels.set('__name__', name + suffix);
  if (label !== '') labels.set(label, labelValue);
}

function exemplarBytes(samples: readonly Pick<PointSample, 'exemplars'>[]): number {
  let bytes = 0;
  for (const { exemplars = [] } of samples) for (const { length } of exemplars) bytes += length + EXEMPLAR_FRAME_BYTES;
  return bytes;
}

function lengthOf(labels: LabelMap): number {
  let length = 0;
  for (const [name, value] of labels) length += name.length + value.length;
  return length;
}

/** A label with an empty value is none. */
function pairsOf(names: readonly string[], labels: LabelMap): string[] {
  const pairs: string[] = [];
  for (const name of names) {
    const value = labels.get(name) as string;
    if (value !== '') pairs.push(name, value);
  }
  return pairs;
}
