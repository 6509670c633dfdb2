/**
 * The reader thread's side of read-job.ts: runs the reads that main starts, several at a time. A read that waits for
 * its client costs the others nothing; one that computes gives them a turn after each batch.
 */
import {
  BlockError,
  BlockFaults,
  nextTurn,
  type Port,
  type Reader,
  type Snapshot,
  StorageError,
  type TimeRange,
} from '../../storage/index.ts';
import type { Answer, ReadContext } from './read-context.ts';
import { CREDIT_BYTES, type FromReader, type ReadJob, type ReadLimits, type ToReader } from './read-job.ts';
import { answerRemoteRead } from './remote-read.ts';
import { answerLabelNames, answerLabelValues, answerSeries } from './series-json.ts';

/** Serves reads on `port` for as long as the port lives. */
export function serveReads(port: Port, reader: Reader, limits: ReadLimits): void {
  const reads = new Map<number, Read>();
  port.onMessage((raw) => {
    const message = raw as ToReader;
    if (message.type !== 'start') {
      reads.get(message.id)?.receive(message);
      return;
    }
    const read = new Read(message.id, { port, reader, limits });
    reads.set(message.id, read);
    void read.run(message.job).finally(() => reads.delete(message.id));
  });
  post(port, { type: 'ready' });
}

interface Surroundings {
  readonly port: Port;
  readonly reader: Reader;
  readonly limits: ReadLimits;
}

/** One read, from start to end or error. */
class Read implements ReadContext {
  readonly codec: ReadContext['codec'];
  readonly limits: ReadLimits;
  readonly #id: number;
  readonly #port: Port;
  readonly #reader: Reader;
  #credit = CREDIT_BYTES;
  #isCancelled = false;
  #snapshots: readonly Snapshot[] | undefined;
  /** The ranges are the same whenever the answer is made again. */
  #hasAsked = false;
  #faults: BlockFaults | undefined;
  /** Continues the read after a message; set while it waits for one. */
  #wake: (() => void) | undefined;

  constructor(id: number, { port, reader, limits }: Surroundings) {
    this.#id = id;
    this.#port = port;
    this.#reader = reader;
    this.limits = limits;
    this.codec = reader.codec;
  }

  /** Never rejects: what goes wrong is sent to main. */
  async run(job: ReadJob): Promise<void> {
    const id = this.#id;
    const faults = new BlockFaults({
      isPartialAllowed: job.partialResponse !== false,
      onCorrupt: (ulid, message) => post(this.#port, { type: 'corrupt', ulid, message }),
    });
    this.#faults = faults;
    try {
      while (!(await this.#isAnswered(job, faults))) this.#throwIfCancelled();
    } catch (error) {
      // What is not a StorageError is a bug of ours; main reports it as such.
      const kind = error instanceof StorageError ? error.kind : 'corrupt';
      const text = error instanceof Error ? error.message : String(error);
      const message = error instanceof StorageError ? text : `internal error: ${text}`;
      post(this.#port, { type: 'error', id, kind, message });
    }
  }

  /**
   * Sends the answer; false if a block failed before any of it was sent, and it is to be made again without that block or
   * with fresh snapshots.
   */
  async #isAnswered(job: ReadJob, faults: BlockFaults): Promise<boolean> {
    const id = this.#id;
    let isBegun = false;
    try {
      const { body, contentType, contentEncoding } = await answer(job, this);
      const head = () => ({ contentType, contentEncoding, warnings: faults.warnings() });
      for await (const piece of body) {
        await this.#until(() => this.#credit > 0);
        const bytes = transferable(piece);
        this.#credit -= bytes.length;
        isBegun = true;
        post(this.#port, { type: 'chunk', id, head: head(), bytes }, [bytes.buffer]);
      }
      post(this.#port, { type: 'end', id, head: head() });
      return true;
    } catch (error) {
      if (!(error instanceof BlockError)) throw error;
      const isLeftOut = faults.leaveOut(error); // Also: it is reported, if it is damaged.
      if (isBegun) throw error;
      if (isLeftOut) return false;
      if (error.kind !== 'not-found' || faults.isListFresh) throw error;
      faults.isListFresh = true;
      this.#snapshots = undefined;
      post(this.#port, { type: 'stale', id });
      return false;
    }
  }

  receive(message: Exclude<ToReader, { type: 'start' }>): void {
    if (message.type === 'cancel') this.#isCancelled = true;
    else if (message.type === 'credit') this.#credit += message.bytes;
    else this.#snapshots = message.snapshots;
    this.#wake?.();
  }

  async sources(ranges: readonly TimeRange[]) {
    if (!this.#hasAsked) post(this.#port, { type: 'ranges', id: this.#id, ranges });
    this.#hasAsked = true;
    await this.#until(() => this.#snapshots !== undefined);
    return (this.#snapshots ?? []).map((snapshot) => this.#reader.sources(snapshot, this.#faults));
  }

  warnings(): readonly string[] {
    return this.#faults?.warnings() ?? [];
  }

  async turn(): Promise<void> {
    await nextTurn();
    this.#throwIfCancelled();
  }

  async #until(condition: () => boolean): Promise<void> {
    this.#throwIfCancelled();
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#throwIfCancelled();
    }
  }

  #throwIfCancelled(): void {
    if (this.#isCancelled) throw new StorageError('closed', 'the read was cancelled');
  }
}

function answer(job: ReadJob, context: ReadContext): Promise<Answer> {
  switch (job.kind) {
    case 'remote-read':
      return answerRemoteRead(job.body, context, job.ignoredLabel);
    case 'labels':
      return answerLabelNames(job, context);
    case 'values':
      return answerLabelValues(job.name, job, context);
    case 'series':
      return answerSeries(job, context);
  }
}

function post(port: Port, message: FromReader, transfer?: readonly ArrayBuffer[]): void {
  port.post(message, transfer);
}

/** The same bytes in a buffer of their own, which can move to another thread. */
function transferable(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength) return new Uint8Array(buffer);
  return new Uint8Array(bytes);
}
