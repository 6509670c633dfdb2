/**
 * A load made ahead of its use, so that making it costs nothing while a server is measured, and each server gets the same.
 *
 *   (length u32 LE | body)*   bodies of the first step, then of the second, …; as many in each
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { Source } from './source.ts';
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
}

const LENGTH_BYTES = 4;

/** Writes a load whose last step is now. */
export function writeLoadFile(path: string, options: LoadOptions): void {
  const { template, series, steps, seriesPerRequest, intervalMs, shuffle } = options;
  const make = TEMPLATES[template];
  if (make === undefined) throw new Error(`no template ${template}; there are ${Object.keys(TEMPLATES).join(', ')}`);
  const source = new Source(make(), series, 1);
  const firstMs = Date.now() - (steps - 1) * intervalMs;
  const file = openSync(path, 'w');
  for (let step = 0; step < steps; step++) {
    source.step();
    if (shuffle) source.shuffle();
    for (let from = 0; from < series; from += seriesPerRequest) {
      const body = source.body(from, Math.min(series, from + seriesPerRequest), firstMs + step * intervalMs);
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt32LE(body.length);
      writeSync(file, length);
      writeSync(file, body);
    }
  }
  closeSync(file);
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
