/**
 * Translates OTLP to remote write on a thread of its own: unpacking and translating a body of some megabytes takes a
 * second, and nobody else may wait for it. Few requests are open at once, the others wait packed, and beyond a number of
 * them further ones are refused: so storms of bodies that are small only while they are packed cost no memory.
 */
import { type Executor, moduleUrl, type Port, StorageError } from '../../storage/index.ts';
import type { FromTranslator, OtlpBatch, OtlpBody, OtlpRefusals, ToTranslator } from './otlp-messages.ts';

/** The body is unpacked to more than it may be. */
export class OtlpTooLargeError extends Error {
  override name = 'OtlpTooLargeError';
}

export interface OtlpTranslatorSettings {
  /** Requests that are open at the same time: unpacked, and not yet written. */
  readonly concurrency: number;
  /** Requests that may wait for that. */
  readonly queueLength: number;
}

const DEFAULT_SETTINGS: OtlpTranslatorSettings = { concurrency: 2, queueLength: 200 };

/** What is asked for next of an open request. */
interface Question {
  readonly resolve: (answer: FromTranslator) => void;
  readonly reject: (error: Error) => void;
}

/** A request that was begun; to be closed. */
export interface OpenTranslation {
  /** Of the body, unpacked. */
  readonly bytes: number;
  /** The next part, or what is to be said at the end. Rejects with StorageError. */
  next(): Promise<OtlpBatch | OtlpRefusals>;
  /** Makes room for others. */
  close(): void;
}

export class OtlpTranslator {
  readonly #executor: Executor;
  readonly #settings: OtlpTranslatorSettings;
  readonly #questions = new Map<number, Question>();
  readonly #waiting: { readonly letIn: () => void; readonly refuse: (error: Error) => void }[] = [];
  #port: Port | undefined;
  #open = 0;
  #nextId = 1;
  #isClosed = false;

  /** The thread starts with the first request. */
  constructor(executor: Executor, settings: Partial<OtlpTranslatorSettings> = {}) {
    this.#executor = executor;
    this.#settings = { ...DEFAULT_SETTINGS, ...settings };
  }

  /**
   * Begins a body, whose bytes are not to be used any more, when it is its turn. Rejects with OtlpTooLargeError if it is
   * unpacked to more than `limitBytes`, with StorageError: 'invalid' or 'limit' for the body, 'unavailable' if too many
   * wait or the thread ended, 'closed'.
   */
  async begin(body: OtlpBody, limitBytes: number): Promise<OpenTranslation> {
    await this.#turn();
    const id = this.#nextId++;
    this.#port ??= this.#start();
    const port = this.#port;
    let isOpen = true;
    const close = (): void => {
      if (!isOpen) return;
      isOpen = false;
      if (this.#port === port) port?.post({ type: 'cancel', id } satisfies ToTranslator);
      const next = this.#waiting.shift();
      if (next === undefined) this.#open--;
      else next.letIn(); // In the place of this one.
    };
    try {
      const bytes = ownBytes(body.bytes);
      const begun = await this.#ask(port, { type: 'start', id, body: { ...body, bytes }, limitBytes }, [bytes.buffer]);
      if (begun.type !== 'begun') throw new Error(`${begun.type} where a request was to begin`);
      return { bytes: begun.bytes, next: async () => answerOf(await this.#ask(port, { type: 'next', id })), close };
    } catch (error) {
      close();
      throw error;
    }
  }

  /** Ends the thread; what is open or waits rejects. */
  close(): void {
    this.#isClosed = true;
    this.#port?.close();
    this.#fail(closing());
    for (const { refuse } of this.#waiting.splice(0)) refuse(closing());
  }

  /** Resolves when one more may be open, and counts it. */
  async #turn(): Promise<void> {
    if (this.#isClosed) throw closing();
    if (this.#open < this.#settings.concurrency) {
      this.#open++;
      return;
    }
    if (this.#waiting.length >= this.#settings.queueLength)
      throw new StorageError('unavailable', `${this.#waiting.length} OTLP requests wait already; try again`);
    await new Promise<void>((letIn, refuse) => this.#waiting.push({ letIn, refuse }));
  }

  /** Asks the thread that has the request; rejects if that has ended. */
  #ask(port: Port, message: ToTranslator, transfer?: readonly ArrayBuffer[]): Promise<FromTranslator> {
    if (this.#port !== port) {
      const error = this.#isClosed
        ? closing()
        : new StorageError('unavailable', 'the thread that translates OTLP ended');
      return Promise.reject(error);
    }
    return new Promise((resolve, reject) => {
      this.#questions.set(message.id, { resolve, reject });
      port.post(message, transfer);
    });
  }

  #start(): Port {
    const port = this.#executor.start(moduleUrl('./otlp-activity', import.meta.url), undefined);
    port.onMessage((received) => this.#receive(received as FromTranslator));
    port.onClose((error) => {
      if (this.#port !== port) return;
      const message = `the thread that translates OTLP ended: ${error?.message ?? 'without a reason'}`;
      this.#fail(new StorageError('unavailable', message, { cause: error }));
    });
    return port;
  }

  #receive(answer: FromTranslator): void {
    const question = this.#questions.get(answer.id);
    if (question === undefined) return;
    this.#questions.delete(answer.id);
    if (answer.type === 'too-large') question.reject(new OtlpTooLargeError('the body is unpacked to too many bytes'));
    else if (answer.type === 'error') question.reject(new StorageError(answer.kind, answer.message));
    else question.resolve(answer);
  }

  /** The next request starts another thread; those that were open on this one are lost. */
  #fail(error: StorageError): void {
    this.#port = undefined;
    const lost = [...this.#questions.values()];
    this.#questions.clear();
    for (const { reject } of lost) reject(error);
  }
}

function closing(): StorageError {
  return new StorageError('closed', 'the server is closing');
}

function answerOf(answer: FromTranslator): OtlpBatch | OtlpRefusals {
  if (answer.type === 'batch') return answer.batch;
  if (answer.type === 'end') return answer.refusals;
  throw new Error(`${answer.type} where a part was asked for`);
}

/** Bytes whose buffer belongs to them alone, so that it can be given away. */
function ownBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const isAlone = bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength;
  return isAlone && bytes.buffer instanceof ArrayBuffer ? new Uint8Array(bytes.buffer) : new Uint8Array(bytes);
}
