/** Real programs under test: started on free loopback ports, watched, and ended with the test that started them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { until } from './until.ts';

/** How a program ended: by itself with a code, or by a signal. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const running = new Set<ChildProcess>();
// A test that runs into its time limit, or a runner that is interrupted, disposes of nothing.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

/** A port of 127.0.0.1 that nobody listened on a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** A running program. `await using` ends it when the test ends. */
export class Program implements AsyncDisposable {
  /** Everything it printed, both streams in the order of arrival. */
  output = '';
  readonly pid: number;
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcess;
  #ending: Ending | undefined;

  constructor(command: string, args: readonly string[], options: { env?: NodeJS.ProcessEnv; cwd?: string } = {}) {
    this.#child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(this.#child);
    const collect = (text: Buffer): void => {
      this.output += text.toString('utf8');
    };
    this.#child.stdout?.on('data', collect);
    this.#child.stderr?.on('data', collect);
    this.pid = this.#child.pid ?? 0;
    this.ended = new Promise((resolve) => {
      const end = (code: number | null, signal: NodeJS.Signals | null): void => {
        running.delete(this.#child);
        this.#ending = { code, signal };
        resolve(this.#ending);
      };
      this.#child.once('error', (error) => {
        this.output += String(error);
        end(127, null);
      });
      this.#child.once('close', end);
    });
  }

  get isRunning(): boolean {
    return this.#ending === undefined;
  }

  /** Waits until `condition` holds; gives up at once when the program has ended. */
  async ready<T>(what: string, condition: () => T | Promise<T>, timeoutMs = 60_000): Promise<NonNullable<T>> {
    let answer: T | undefined;
    const held = async (): Promise<boolean> => {
      answer = this.isRunning ? await condition() : undefined;
      return Boolean(answer) || !this.isRunning;
    };
    try {
      await until(what, held, { timeoutMs });
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.output}`, { cause: error });
    }
    if (!answer) throw new Error(`ended before ${what}: ${JSON.stringify(this.#ending)}\n${this.output}`);
    return answer;
  }

  /** Waits until `url` answers 2xx. */
  async answers(url: string, timeoutMs = 60_000): Promise<void> {
    await this.ready(
      `${url} to answer`,
      () =>
        fetch(url).then(
          ({ ok }) => ok,
          () => false,
        ),
      timeoutMs,
    );
  }

  signal(name: NodeJS.Signals): void {
    if (this.isRunning) this.#child.kill(name);
  }

  /** SIGTERM; after `graceMs` SIGKILL. Resolves with how it ended. */
  async stop(graceMs = 30_000): Promise<Ending> {
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), graceMs);
    const ending = await this.ended;
    clearTimeout(timer);
    return ending;
  }

  /** SIGKILL; resolves when the program is gone. */
  async kill(): Promise<Ending> {
    this.signal('SIGKILL');
    return this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
