/**
 * A load made ahead of its use, so that making it costs nothing while a server is measured, and each server gets the same.
 *
 *   (length u32 LE | body)*   bodies of the first step, then of the second, …; as many in each
 *
 * Before the steps of a sender that catches up stand those of the time in which it was away.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { type Protocol, Source } from './source.ts';
import { TEMPLATES } from './templates.ts';

/** What is sent: every series once in each step, in bodies of up to `seriesPerRequest`. */
export interface LoadOptions {
  /** A key of TEMPLATES. */
  readonly template: string;
  readonly series: number;
  readonly steps: number;
  readonly seriesPerRequest: number;
  readonly intervalMs: number;
  /** Another order of series in every step. */
  readonly shuffle: boolean;
  readonly protocol: Protocol;
  /** The sender was away for all the steps, and sends them when the time of the last one has come. */
  readonly catchUp: boolean;
  /** Series that come and go, if any do. */
  readonly churn: Churn | undefined;
  /** Two replicas of an HA pair send the same series, each with its own label: first the one, then the other one. */
  readonly isPair: boolean;
}

/** How many senders there are: bodies and samples of a step are so many times as many. */
export function senderCount({ isPair }: Pick<LoadOptions, 'isPair'>): number {
  return isPair ? 2 : 1;
}

/** This share of the series, whole targets, is replaced by others again and again. */
export interface Churn {
  readonly share: number;
  readonly everyMs: number;
}

const LENGTH_BYTES = 4;

/** How many steps stand before those that are measured; in the first one every series is new. */
export function stepsAhead({ steps, catchUp }: Pick<LoadOptions, 'steps' | 'catchUp'>): number {
  return catchUp ? 1 + steps : 1;
}

/** How many steps are measured. */
export function stepsMeasured({ steps, catchUp }: Pick<LoadOptions, 'steps' | 'catchUp'>): number {
  return catchUp ? steps : steps - 1;
}

/** Writes a load whose last step is now. */
export function writeLoadFile(path: string, options: LoadOptions): void {
  const { template, series, steps, intervalMs, shuffle, protocol, catchUp, churn, isPair } = options;
  const make = TEMPLATES[template];
  if (make === undefined) throw new Error(`no template ${template}; there are ${Object.keys(TEMPLATES).join(', ')}`);
  const own = isPair ? ['a', 'b'].map((replica) => ({ cluster: 'bench', replica })) : [{}];
  const sources = own.map((extra) => {
    const labelled = make().map((one) => ({ ...one, labels: { ...one.labels, ...extra } }));
    return new Source(labelled, series, 1, protocol);
  });
  const firstMs = Date.now() - (steps - 1) * intervalMs;
  const file = openSync(path, 'w');
  if (catchUp) writeMeanwhile(file, sources, options, firstMs);
  for (let step = 0; step < steps; step++) {
    for (const source of sources) {
      source.step();
      if (shuffle) source.shuffle();
      if (churn !== undefined && step > 0 && (step * intervalMs) % churn.everyMs < intervalMs)
        source.replace(churn.share);
      writeStep(file, source, options, firstMs + step * intervalMs);
    }
  }
  closeSync(file);
}

/** The sender's last step before it is away, then one for every interval with a few of its series: time goes on. */
function writeMeanwhile(file: number, sources: readonly Source[], options: LoadOptions, firstMs: number): void {
  const { series, steps, seriesPerRequest, intervalMs } = options;
  for (let step = -1; step < steps; step++) {
    for (const source of sources) {
      for (let from = 0; from < series; from += seriesPerRequest) {
        const to = step < 0 ? Math.min(series, from + seriesPerRequest) : from + 1;
        writeBody(file, source.body(from, to, firstMs + (step + 0.5) * intervalMs));
      }
    }
  }
}

function writeStep(file: number, source: Source, { series, seriesPerRequest }: LoadOptions, timestampMs: number): void {
  for (let from = 0; from < series; from += seriesPerRequest) {
    writeBody(file, source.body(from, Math.min(series, from + seriesPerRequest), timestampMs));
  }
}

function writeBody(file: number, body: Buffer): void {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(body.length);
  writeSync(file, length);
  writeSync(file, body);
}

/** Reads a load step by step. */
export class LoadReader implements Disposable {
  readonly #file: number;
  #position = 0;

  constructor(path: string) {
    this.#file = openSync(path, 'r');
  }

  /** The next `count` bodies. Throws if there are fewer. */
  next(count: number): Buffer[] {
    return Array.from({ length: count }, () => this.#read(this.#read(LENGTH_BYTES).readUInt32LE()));
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }

  #read(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    if (readSync(this.#file, bytes, 0, length, this.#position) < length) throw new Error('the load file is cut');
    this.#position += length;
    return bytes;
  }
}
