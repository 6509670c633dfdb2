/** Compares passwords with bcrypt hashes on one thread of its own, one after the other. */
import { type Executor, moduleUrl, type Port } from '../../storage/index.ts';
import type { PasswordAnswer, PasswordQuestion } from './password-activity.ts';

interface Waiting {
  readonly resolve: (matches: boolean) => void;
  readonly reject: (error: Error) => void;
}

export class PasswordChecker {
  readonly #executor: Executor;
  readonly #waiting = new Map<number, Waiting>();
  #port: Port | undefined;
  #nextId = 1;

  /** The thread starts with the first question. */
  constructor(executor: Executor) {
    this.#executor = executor;
  }

  /** How many comparisons have not ended. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Whether `hash`, a bcrypt hash, is one of `password`. Rejects if the thread ends; the next call starts another. */
  matches(hash: string, password: string): Promise<boolean> {
    this.#port ??= this.#start();
    const question: PasswordQuestion = { id: this.#nextId++, hash, password };
    return new Promise((resolve, reject) => {
      this.#waiting.set(question.id, { resolve, reject });
      this.#port?.post(question);
    });
  }

  /** Ends the thread; comparisons that have not ended reject. */
  close(): void {
    this.#port?.close();
    this.#fail(new Error('the server is closing'));
  }

  #start(): Port {
    const port = this.#executor.start(moduleUrl('./password-activity', import.meta.url), undefined);
    port.onMessage((message) => {
      const { id, matches } = message as PasswordAnswer;
      this.#waiting.get(id)?.resolve(matches);
      this.#waiting.delete(id);
    });
    port.onClose((error) => this.#fail(error ?? new Error('the password thread ended')));
    return port;
  }

  #fail(error: Error): void {
    this.#port = undefined;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
