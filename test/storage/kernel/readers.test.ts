import { Worker } from 'node:worker_threads';
import { compressSync } from 'snappy';
import { expect, test } from 'vitest';
import { nextTurn } from '../../../storage/io/executor.ts';
import * as L from '../../../storage/kernel/layout.ts';
import { Seeded } from '../../support/seeded.ts';
import { type Bytes, labelField, sampleField, seriesField } from '../../support/wire-writer.ts';
import { bitsOf } from './random-request.ts';
import { PASSES, type ReadingInit, SAMPLES, STOP, valueAt } from './reading-thread.ts';
import { HIGH_ARENA, START_MS, TestHead, WINDOW_MS } from './test-head.ts';

const STEP_MS = 10_000;
const STEPS_PER_WINDOW = WINDOW_MS / STEP_MS;

/** Writes series that go on in order and others that do not, and cuts the windows behind them. */
class Writing {
  readonly #head: TestHead;
  readonly #random = new Seeded(1);
  #step = 0;
  #series = 12;
  #sealed: { window: number; generation: number } | undefined;

  constructor(head: TestHead) {
    this.#head = head;
  }

  next(): void {
    const count = this.#random.between(1, 40);
    const fields: Bytes[] = [];
    for (let series = 0; series < this.#series; series++) {
      const inOrder = Array.from({ length: count }, (_, i) => this.#step + i);
      fields.push(seriesOf('s', series, inOrder));
      if (series % 3 === 0)
        fields.push(
          seriesOf(
            'l',
            series,
            this.#random.shuffle(inOrder.map((step) => Math.max(0, step - this.#random.below(300)))),
          ),
        );
    }
    this.#head.write(compressSync(Uint8Array.from(fields.flat())), Number.MAX_SAFE_INTEGER);
    this.#step += count;
    this.#cut();
  }

  /** Seals a window that was left, and at another time takes it out of the head. */
  #cut(): void {
    const { kernel, tenant } = this.#head;
    if (this.#sealed !== undefined) {
      if (this.#random.chance(0.7)) return;
      this.#head.dropSealed(this.#sealed.window, this.#sealed.generation);
      this.#sealed = undefined;
      return;
    }
    const oldest = START_MS / WINDOW_MS + Math.floor(this.#step / STEPS_PER_WINDOW) - 2;
    for (let window = oldest - 3; window <= oldest; window++) {
      const generation = kernel.seal(tenant, window);
      if (generation === 0) continue;
      this.#sealed = { window, generation };
      return;
    }
  }
}

function seriesOf(kind: string, series: number, steps: readonly number[]): Bytes {
  const samples = steps.map((step) => {
    const time = START_MS + step * STEP_MS;
    return sampleField(time, bitsOf(valueAt(series, time)));
  });
  return seriesField(labelField('__name__', `${kind}${series}`), ...samples);
}

test.each([
  ['from the usual address on', {}],
  ['above 2 GiB', { arenaAddress: HIGH_ARENA }],
])(
  'threads that read while samples are written, sealed and dropped see whole states only, with the arena %s',
  async (_, settings) => {
    const head = new TestHead({ budgetBytes: 128 * 1024 * 1024, ...settings });
    const words = new Int32Array(new SharedArrayBuffer(12));
    const failures: Error[] = [];
    const { memory } = head.kernel.memory;
    const threads = [2, 3].map((reader) => {
      const init: ReadingInit = { memory, tenant: head.tenant, reader, words, startMs: START_MS, stepMs: STEP_MS };
      const thread = new Worker(new URL('./reading-thread.ts', import.meta.url), { workerData: init });
      thread.on('error', (error) => failures.push(error));
      return thread;
    });
    const writing = new Writing(head);
    // At least so many writes and readings at once; the readers see several windows come and go.
    for (let round = 0; failures.length === 0 && (round < 600 || Atomics.load(words, PASSES) < 300); round++) {
      writing.next();
      if (round % 20 === 0) await nextTurn();
    }
    Atomics.store(words, STOP, 1);
    await Promise.all(threads.map((thread) => new Promise((resolve) => thread.once('exit', resolve))));
    expect(failures).toEqual([]);
    expect(Atomics.load(words, SAMPLES)).not.toBe(0);
    expect(head.kernel.memory.word(head.tenant + L.TENANT_SEALED_UNTIL)).not.toBe(0);
  },
);
