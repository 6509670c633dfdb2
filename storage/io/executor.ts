/**
 * Where an activity runs: on a worker thread of its own, or inline on the caller's. An activity is a module that
 * exports `run(port, init, world)`; `init` must survive a structured clone, and shared memory in it is shared. The world
 * does not: a thread of its own meets the machine's, an inline activity the one that its executor was made with.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { inlineWait, type World } from './world.ts';

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
}

/** The URL of a sibling module in the form it runs in here: `.ts` from source, `.js` from a build. */
export function moduleUrl(name: string, base: string): URL {
  return new URL(base.endsWith('.ts') ? `${name}.ts` : `${name}.js`, base);
}

/** Runs every activity on a worker thread of its own. */
export const workerExecutor: Executor = {
  start(entry, init) {
    const worker = new Worker(moduleUrl('./worker-main', import.meta.url), { workerData: { entry: entry.href, init } });
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
  },
};

/**
 * Runs every activity on the caller's thread, in the world given. Messages still travel as clones, in later turns of the
 * event loop.
 */
export function inlineExecutor(surroundings: Omit<World, 'wait'>): Executor {
  const world: World = { ...surroundings, wait: inlineWait(surroundings.clock) };
  return {
    start(entry, init) {
      const { port1, port2 } = new MessageChannel();
      const failures: ((error: Error) => void)[] = [];
      void import(entry.href)
        .then((module: { run: Run<unknown> }) => module.run(messagePort(port2), init, world))
        .catch((error: Error) => {
          for (const listener of failures) listener(error);
        });
      return { ...messagePort(port1), onClose: (listener) => void failures.push(listener) };
    },
  };
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
