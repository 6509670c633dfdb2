/** Senders that write without pause and keep a record of every answer, for the tests in which the server ends. */
import { Journal, outcomeOf } from './journal.ts';
import { EVERYTHING, type ReadQuery } from './remote-read.ts';
import { type WrittenSeries, writeRequest } from './remote-write.ts';
import type { Varve } from './varve.ts';

const SENDERS = 4;
/** Every so many requests of the first sender, one follows that has to be refused. */
const REFUSED_EVERY = 10;
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** The shape of a request. Data time runs as fast as the server answers. */
export interface LoadShape {
  readonly series: number;
  readonly samples: number;
  /** Between two samples of a series. */
  readonly stepMs: number;
}

const MINUTE_OF_SAMPLES: LoadShape = { series: 10, samples: 20, stepMs: 3_000 };

export class DurableLoad {
  readonly journal: Journal = new Journal();
  /** All that can have been written, and what must not. */
  readonly wholeRange: ReadQuery;
  readonly #shape: LoadShape;
  readonly #startMs: number;
  #next = 0;

  constructor(shape: LoadShape = MINUTE_OF_SAMPLES) {
    this.#shape = shape;
    const now = Date.now();
    this.#startMs = now - 60 * DAY_MS;
    this.wholeRange = { startMs: this.#startMs, endMs: now + 400 * DAY_MS, matchers: EVERYTHING };
  }

  /** Sends on several connections until `isOver`, or until a connection breaks. */
  async run(varve: Varve, isOver: () => boolean): Promise<void> {
    const first = this.#next;
    await Promise.all(Array.from({ length: SENDERS }, (_, sender) => this.#send(varve, sender, first, isOver)));
  }

  async #send(varve: Varve, sender: number, first: number, isOver: () => boolean): Promise<void> {
    for (let n = first; !isOver(); n++) {
      this.#next = Math.max(this.#next, n + 1);
      const request = this.#request(sender, n);
      if (!(await this.#deliver(varve, request, writeRequest(request)))) return;
      if (n % REFUSED_EVERY !== 0 || sender !== 0) continue;
      const refused = this.#refusedRequest(n);
      if (!(await this.#deliver(varve, refused.request, refused.body))) return;
    }
  }

  #request(sender: number, n: number): WrittenSeries[] {
    const { series, samples, stepMs } = this.#shape;
    return Array.from({ length: series }, (_, index) => ({
      labels: [
        ['__name__', 'durable'],
        ['index', String(index)],
        ['sender', String(sender)],
      ],
      samples: Array.from({ length: samples }, (_, i) => [
        this.#startMs + (n * samples + i) * stepMs,
        Math.sin(n * samples + i + index),
      ]),
    }));
  }

  /** One that has to be refused: cut short, or of a time to come. Its samples must not appear. */
  #refusedRequest(n: number): { request: WrittenSeries[]; body: Buffer<ArrayBuffer> } {
    const aheadMs = n % (2 * REFUSED_EVERY) === 0 ? 0 : 365 * DAY_MS;
    const request = this.#request(0, n).map(({ samples }, index) => ({
      labels: [
        ['__name__', 'refused'],
        ['index', String(index)],
      ] as const,
      samples: samples.map(([timestampMs, value]) => [timestampMs + aheadMs, value] as const),
    }));
    const body = writeRequest(request);
    return { request, body: aheadMs === 0 ? body.subarray(0, body.length - 3) : body };
  }

  /** False when nobody answers any more. */
  async #deliver(varve: Varve, request: WrittenSeries[], body: Buffer<ArrayBuffer>): Promise<boolean> {
    const answer = await varve.write(body).catch(() => undefined);
    this.journal.record(request, answer === undefined ? 'unknown' : outcomeOf(answer.status));
    return answer !== undefined;
  }
}
