/**
 * Where an activity runs: on a worker thread of its own, or inline on the caller's. An activity is a module that
 * exports `run(port, init, world)`; `init` must survive a structured clone, and shared memory in it is shared. The world
 * does not: a thread of its own meets the machine's, an inline activity the one that its executor was made with.
 */
import { type MessagePort, Worker } from 'node:worker_threads';
import { InlineWaits, type World } from './world.ts';

/** One end of a message channel; messages are structured clones. */
export interface Port {
  post(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Called when the other end is gone; `error` is set if it failed. */
  onClose(listener: (error?: Error) => void): void;
  close(): void;
}

export type Run<Init> = (port: Port, init: Init, world: World) => void | Promise<void>;

export interface Executor {
  /** Starts the activity of the module at `entry` and returns the caller's end. `close` ends it. */
  start(entry: URL, init: unknown): Port;
  /** Wakes the activities that wait for a word of shared memory (`World.wait`). */
  notify(words: Int32Array, index: number): void;
}

interface Activity {
  readonly run: Run<unknown>;
}

const loaded = new Map<string, Promise<Activity>>();

/** Loads the module of an activity, once for all its starts on this thread. */
export function loadActivity(entry: URL): Promise<Activity> {
  let activity = loaded.get(entry.href);
  if (activity === undefined) {
    activity = import(entry.href) as Promise<Activity>;
    loaded.set(entry.href, activity);
  }
  return activity;
}

/** The URL of a sibling module in the form it runs in here: `.ts` from source, `.js` from a build. */
export function moduleUrl(name: string, base: string): URL {
  return new URL(base.endsWith('.ts') ? `${name}.ts` : `${name}.js`, base);
}

/** Runs every activity on a worker thread of its own, whose first module is `main`; see worker-main.ts. */
export function workersOf(main: URL): Executor {
  return {
    start: (entry, init) => startWorker(main, entry, init),
    notify: (words, index) => void Atomics.notify(words, index),
  };
}

/** Runs every activity on a worker thread of its own, in the world of this machine. */
export const workerExecutor: Executor = workersOf(moduleUrl('./worker-main', import.meta.url));

function startWorker(main: URL, entry: URL, init: unknown): Port {
  const worker = new Worker(main, { workerData: { entry: entry.href, init } });
  worker.unref();
  let closed = false;
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    onMessage: (listener) => void worker.on('message', listener),
    onClose(listener) {
      let error: Error | undefined;
      worker.on('error', (cause) => {
        error = cause instanceof Error ? cause : new Error(String(cause));
      });
      worker.on('exit', (code) => {
        if (!closed) listener(error ?? new Error(`worker ${entry.pathname} ended with code ${code}`));
      });
    },
    close() {
      closed = true;
      void worker.terminate();
    },
  };
}

/**
 * Runs every activity on the caller's thread, in the world given. Messages still travel as clones; each arrives in a
 * later turn of the event loop, so that the same calls always give the same run.
 */
export function inlineExecutor(surroundings: Omit<World, 'wait'>): Executor {
  const waits = new InlineWaits(surroundings.clock);
  const world: World = { ...surroundings, wait: waits.wait };
  return {
    start(entry, init) {
      const outer = new InlinePort();
      const inner = new InlinePort(outer);
      void loadActivity(entry)
        .then(({ run }) => run(inner, init, world))
        .catch((error: Error) => inner.close(error));
      return outer;
    },
    notify: (words, index) => waits.notify(words, index),
  };
}

/** One of two ends on one thread. */
class InlinePort implements Port {
  #other: InlinePort | undefined;
  readonly #listeners: ((message: unknown) => void)[] = [];
  readonly #closeListeners: ((error?: Error) => void)[] = [];
  /** What came before anybody listened. */
  readonly #early: unknown[] = [];
  #isOpen = true;

  constructor(other?: InlinePort) {
    this.#other = other;
    if (other !== undefined) other.#other = this;
  }

  post(message: unknown, transfer: readonly ArrayBuffer[] = []): void {
    const clone = structuredClone(message, { transfer: [...transfer] });
    const other = this.#other as InlinePort;
    setImmediate(() => other.#receive(clone));
  }

  onMessage(listener: (message: unknown) => void): void {
    this.#listeners.push(listener);
    for (const message of this.#early.splice(0)) listener(message);
  }

  onClose(listener: (error?: Error) => void): void {
    this.#closeListeners.push(listener);
  }

  /** Closes both ends; the other one's owner is told. */
  close(error?: Error): void {
    const other = this.#other as InlinePort;
    if (!this.#isOpen) return;
    this.#isOpen = false;
    other.#isOpen = false;
    for (const listener of other.#closeListeners) listener(error);
  }

  #receive(message: unknown): void {
    if (!this.#isOpen) return;
    if (this.#listeners.length === 0) this.#early.push(message);
    for (const listener of this.#listeners) listener(message);
  }
}

/** Resolves in a later turn of the event loop, after the messages that have arrived until then were delivered. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The engine's view of a Node message port. */
export function messagePort(port: MessagePort): Port {
  return {
    post: (message, transfer) => port.postMessage(message, transfer as ArrayBuffer[] | undefined),
    onMessage: (listener) => void port.on('message', listener),
    onClose: (listener) => void port.on('close', () => listener()),
    close: () => port.close(),
  };
}
