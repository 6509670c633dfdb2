/**
 * Oracle for the head: maps of maps. Takes requests as write-request.ts reads them and tells what must be stored and
 * what must be answered.
 */
import { judgeLabels, type LabelLimits, type WireSeries } from './write-request.ts';

export interface ModelOutcome {
  received: number;
  stored: number;
  duplicates: number;
  conflicts: number;
  newSeries: number;
  exemplars: number;
  /** Series of 2.0 that were refused and had no samples. */
  emptySeries: number;
  /** Rejected samples by reason. */
  readonly rejected: Map<string, number>;
}

interface ModelSample {
  readonly bits: bigint;
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

/** The samples of one tenant. */
export class HeadModel {
  /** What 2.0 said of metrics, as `metadataKey` spells it. */
  readonly metadata: Set<string> = new Set();
  /** By labels, as `keyOf` spells them. */
  readonly series: Map<string, ModelSeries> = new Map();
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
      exemplars: 0,
      emptySeries: 0,
      rejected: new Map(),
    };
    for (const series of request) {
      outcome.received += series.samples.length + series.histograms;
      outcome.exemplars += series.exemplars;
      if (series.v2?.refused === 'no-samples') outcome.emptySeries++;
      else if (series.samples.length + series.histograms > 0) this.#applySeries(series, latestMs, outcome);
    }
    return outcome;
  }

  #applySeries(wire: WireSeries, latestMs: number, outcome: ModelOutcome): void {
    const reject = (reason: string, samples: number): void => {
      outcome.rejected.set(reason, (outcome.rejected.get(reason) ?? 0) + samples);
    };
    const refused = wire.v2?.refused ?? '';
    if (refused !== '') {
      reject(refused, wire.samples.length + wire.histograms);
      return;
    }
    const verdict = judgeLabels(wire, this.#limits.labels);
    if ('refused' in verdict) {
      reject(verdict.refused, wire.samples.length + wire.histograms);
      return;
    }
    const key = keyOf(verdict.labels);
    let series = this.series.get(key);
    if (series === undefined && this.series.size >= (this.#limits.series ?? Infinity)) {
      reject('series-limit', wire.samples.length + wire.histograms);
      return;
    }
    if (series === undefined) {
      series = new Map();
      this.series.set(key, series);
      outcome.newSeries++;
    }
    const said = wire.v2?.metadata;
    const name = verdict.labels.find(([label]) => label === '__name__')?.[1] ?? '';
    if (said !== undefined) this.metadata.add(metadataKey(name, said.type, said.help, said.unit));
    if (wire.histograms > 0) reject('histogram', wire.histograms);
    for (const { timestampMs, bits } of wire.samples) {
      const refused = judgeTime(timestampMs, latestMs);
      if (refused !== undefined) reject(refused, 1);
      else this.#place(series, Number(timestampMs), bits, outcome, reject);
    }
  }

  #place(
    series: ModelSeries,
    timeMs: number,
    bits: bigint,
    outcome: ModelOutcome,
    reject: (reason: string, samples: number) => void,
  ): void {
    const window = Math.floor(timeMs / WINDOW_MS);
    const known = series.get(timeMs);
    if (known !== undefined) {
      if (known.bits === bits) outcome.duplicates++;
      else outcome.conflicts++;
      return;
    }
    if (!this.#windows.has(window) && this.#windows.size === MAX_WINDOWS) {
      reject('windows', 1);
      return;
    }
    this.#windows.add(window);
    series.set(timeMs, { bits, generation: 0 });
    outcome.stored++;
    this.newestMs = Math.max(this.newestMs, timeMs);
  }

  /** Live windows with samples that no seal closed. */
  openWindows(): number[] {
    const windows = new Set<number>();
    for (const samples of this.series.values())
      for (const [timeMs, { generation }] of samples) if (generation === 0) windows.add(Math.floor(timeMs / WINDOW_MS));
    return [...windows];
  }

  seal(window: number, generation: number): void {
    for (const samples of this.series.values())
      for (const [timeMs, sample] of samples)
        if (sample.generation === 0 && Math.floor(timeMs / WINDOW_MS) === window) sample.generation = generation;
  }

  drop(window: number, generation: number): void {
    let rest = 0;
    for (const samples of this.series.values()) {
      for (const [timeMs, sample] of samples) {
        if (Math.floor(timeMs / WINDOW_MS) !== window) continue;
        if (sample.generation === generation) samples.delete(timeMs);
        else rest++;
      }
    }
    if (rest === 0) this.#windows.delete(window);
  }
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
