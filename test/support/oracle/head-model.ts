/**
 * Oracle for the head: maps of maps. Takes requests as write-request.ts reads them and tells what must be stored and
 * what must be answered.
 */
import type { WireHistogram } from './histogram-message.ts';
import { judgeLabels, type LabelLimits, type WireExemplar, type WireSample, type WireSeries } from './write-request.ts';

export interface ModelOutcome {
  received: number;
  stored: number;
  duplicates: number;
  conflicts: number;
  newSeries: number;
  /** Of those stored and duplicates. */
  histograms: number;
  exemplars: number;
  exemplarsStored: number;
  /** Dropped exemplars by reason. */
  readonly dropped: Map<string, number>;
  /** Series of 2.0 that were refused and had no samples. */
  emptySeries: number;
  /** Rejected samples by reason. */
  readonly rejected: Map<string, number>;
}

interface ModelSample {
  readonly bits: bigint;
  /** 0 = it has none. */
  readonly startMs: number;
  /** A sealed generation, or 0 for what is open. */
  generation: number;
}

/** What a tenant may have; as much as there is room for where nothing is said. */
export interface ModelLimits {
  readonly labels?: LabelLimits;
  readonly series?: number;
}

/** Samples by time. */
type ModelSeries = Map<number, ModelSample>;

/** A histogram or an exemplar; kinds as in the log. */
export interface ModelItem {
  readonly kind: 1 | 2 | 3;
  readonly timeMs: number;
  readonly bytes: Uint8Array;
  /** As of a sample. */
  generation: number;
}

/** By what no two of them share: their time, and of exemplars the bytes. */
type ModelItems = Map<string, ModelItem>;

const WINDOW_MS = 7_200_000;
const MAX_WINDOWS = 128;

const FUTURE_MS = 600_000;
const DAY_MS = 86_400_000;

/** Why a time is refused where `latestMs`, ten minutes from now, is the newest that is taken. */
function judgeTime(time: bigint, latestMs: number): 'negative' | 'unit' | 'future' | 'range' | undefined {
  const nowMs = latestMs - FUTURE_MS;
  if (time < 0n) return 'negative';
  const isOfToday = (ms: bigint): boolean => Math.abs(Number(ms) - nowMs) <= DAY_MS;
  if (Number(time) <= nowMs - DAY_MS && isOfToday(time * 1000n)) return 'unit';
  if (time <= BigInt(latestMs)) return undefined;
  if (isOfToday(time / 1000n) || isOfToday(time / 1_000_000n)) return 'unit';
  return time > 2n ** 53n ? 'range' : 'future';
}

/** What one tenant has. */
export class HeadModel {
  /** What 2.0 said of metrics, as `metadataKey` spells it. */
  readonly metadata: Set<string> = new Set();
  /** By labels, as `keyOf` spells them. */
  readonly series: Map<string, ModelSeries> = new Map();
  /** Of the same series. */
  readonly items: Map<string, ModelItems> = new Map();
  newestMs = -1;
  #windows = new Set<number>();
  readonly #limits: ModelLimits;

  constructor(limits: ModelLimits = {}) {
    this.#limits = limits;
  }

  apply(request: readonly WireSeries[], latestMs: number): ModelOutcome {
    const outcome: ModelOutcome = {
      received: 0,
      stored: 0,
      duplicates: 0,
      conflicts: 0,
      newSeries: 0,
      histograms: 0,
      exemplars: 0,
      exemplarsStored: 0,
      emptySeries: 0,
      dropped: new Map(),
      rejected: new Map(),
    };
    for (const series of request) {
      const samples = series.samples.length + series.histograms.length;
      outcome.received += samples;
      outcome.exemplars += series.exemplars.length;
      if (series.v2?.refused === 'no-samples') outcome.emptySeries++;
      if (samples + series.exemplars.length > 0) this.#applySeries(series, latestMs, outcome);
    }
    return outcome;
  }

  #applySeries(wire: WireSeries, latestMs: number, outcome: ModelOutcome): void {
    const reject = (reason: string, samples: number): void => {
      if (samples > 0) outcome.rejected.set(reason, (outcome.rejected.get(reason) ?? 0) + samples);
    };
    const drop = (reason: string, exemplars: number): void => {
      if (exemplars > 0) outcome.dropped.set(reason, (outcome.dropped.get(reason) ?? 0) + exemplars);
    };
    const refused = wire.v2?.refused ?? '';
    if (refused !== '') {
      reject(refused, wire.samples.length + wire.histograms.length);
      drop('series', wire.exemplars.length);
      return;
    }
    const verdict = judgeLabels(wire, this.#limits.labels);
    if ('refused' in verdict) {
      reject(verdict.refused, wire.samples.length + wire.histograms.length);
      drop('series', wire.exemplars.length);
      return;
    }
    const key = keyOf(verdict.labels);
    if (!this.series.has(key) && this.series.size >= (this.#limits.series ?? Infinity)) {
      reject('series-limit', wire.samples.length + wire.histograms.length);
      drop('series', wire.exemplars.length);
      return;
    }
    const series = this.series.get(key) ?? new Map<number, ModelSample>();
    const items: ModelItems = this.items.get(key) ?? new Map<string, ModelItem>();
    if (!this.series.has(key)) outcome.newSeries++;
    this.series.set(key, series);
    this.items.set(key, items);
    const said = wire.v2?.metadata;
    const name = verdict.labels.find(([label]) => label === '__name__')?.[1] ?? '';
    if (said !== undefined) this.metadata.add(metadataKey(name, said.type, said.help, said.unit));
    const parts = [...wire.samples, ...wire.histograms, ...wire.exemplars].sort((a, b) => a.place - b.place);
    for (const part of parts) {
      const refused = judgeTime(part.timestampMs, latestMs);
      if ('stored' in part) this.#placeExemplar(items, part, refused !== undefined, outcome, drop);
      else if ('broken' in part && part.broken !== undefined) reject('histogram', 1);
      else if (refused !== undefined) reject(refused, 1);
      else if ('bits' in part) this.#place(series, items, part, outcome, reject);
      else this.#placeHistogram(series, items, part, outcome, reject);
    }
  }

  #place(
    series: ModelSeries,
    items: ModelItems,
    { timestampMs, bits, startMs = 0n }: WireSample,
    outcome: ModelOutcome,
    reject: (reason: string, samples: number) => void,
  ): void {
    const timeMs = Number(timestampMs);
    const known = series.get(timeMs);
    if (known !== undefined) {
      if (known.bits === bits) outcome.duplicates++;
      else outcome.conflicts++;
      return;
    }
    if (items.has(histogramKey(timeMs))) outcome.conflicts++;
    else if (!this.#opens(timeMs)) reject('windows', 1);
    else {
      const start = startMs < 0n || startMs >= 2n ** 53n ? 0 : Number(startMs);
      series.set(timeMs, { bits, startMs: start, generation: 0 });
      outcome.stored++;
      this.newestMs = Math.max(this.newestMs, timeMs);
    }
  }

  #placeHistogram(
    series: ModelSeries,
    items: ModelItems,
    { timestampMs, bytes, isFloat }: WireHistogram,
    outcome: ModelOutcome,
    reject: (reason: string, samples: number) => void,
  ): void {
    const timeMs = Number(timestampMs);
    const kind = isFloat ? 2 : 1;
    const known = items.get(histogramKey(timeMs));
    if (known?.kind === kind && Buffer.compare(known.bytes, bytes) === 0) {
      outcome.duplicates++;
      outcome.histograms++;
    } else if (known !== undefined || series.has(timeMs)) outcome.conflicts++;
    else if (!this.#opens(timeMs)) reject('windows', 1);
    else {
      items.set(histogramKey(timeMs), { kind, timeMs, bytes, generation: 0 });
      outcome.stored++;
      outcome.histograms++;
      this.newestMs = Math.max(this.newestMs, timeMs);
    }
  }

  #placeExemplar(
    items: ModelItems,
    { timestampMs, stored: bytes }: WireExemplar,
    isTimeRefused: boolean,
    outcome: ModelOutcome,
    drop: (reason: string, exemplars: number) => void,
  ): void {
    const timeMs = Number(timestampMs);
    if (typeof bytes === 'string') drop(bytes, 1);
    else if (isTimeRefused) drop('time', 1);
    else if (!this.#opens(timeMs)) drop('windows', 1);
    else {
      const key = `${timeMs} ${Buffer.from(bytes).toString('hex')}`;
      if (items.has(key)) return;
      items.set(key, { kind: 3, timeMs, bytes, generation: 0 });
      outcome.exemplarsStored++;
    }
  }

  /** Whether there may be samples of the window of a time. */
  #opens(timeMs: number): boolean {
    const window = Math.floor(timeMs / WINDOW_MS);
    if (!this.#windows.has(window) && this.#windows.size === MAX_WINDOWS) return false;
    this.#windows.add(window);
    return true;
  }

  /** Live windows with samples that no seal closed. */
  openWindows(): number[] {
    const windows = new Set<number>();
    for (const { timeMs, held } of this.#all()) if (held.generation === 0) windows.add(Math.floor(timeMs / WINDOW_MS));
    return [...windows];
  }

  seal(window: number, generation: number): void {
    for (const { timeMs, held } of this.#all())
      if (held.generation === 0 && Math.floor(timeMs / WINDOW_MS) === window) held.generation = generation;
  }

  drop(window: number, generation: number): void {
    let rest = 0;
    for (const { timeMs, held, remove } of this.#all()) {
      if (Math.floor(timeMs / WINDOW_MS) !== window) continue;
      if (held.generation === generation) remove();
      else rest++;
    }
    if (rest === 0) this.#windows.delete(window);
  }

  /** Everything that is held. */
  *#all(): Generator<{ timeMs: number; held: { generation: number }; remove: () => void }> {
    for (const samples of this.series.values())
      for (const [timeMs, held] of samples) yield { timeMs, held, remove: () => samples.delete(timeMs) };
    for (const items of this.items.values())
      for (const [key, held] of items) yield { timeMs: held.timeMs, held, remove: () => items.delete(key) };
  }
}

function histogramKey(timeMs: number): string {
  return `${timeMs} histogram`;
}

/** One spelling for each thing that is said of a metric. */
export function metadataKey(name: string, type: number, help: Uint8Array, unit: Uint8Array): string {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  return JSON.stringify([name, type, hex(help), hex(unit)]);
}

/** One spelling for each label set; the pairs are in canonical order. */
export function keyOf(labels: readonly (readonly [name: string, value: string])[]): string {
  return JSON.stringify(labels);
}
