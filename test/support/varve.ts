/** Our own server as a user starts it: from source, as a process, on a data directory. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { KillingBucketConfig } from './killing-bucket.ts';
import { type Ending, Program } from './program.ts';
import { TemporaryDirectory } from './temporary-directory.ts';

const root: string = fileURLToPath(new URL('../..', import.meta.url));

/** `meta.json` of a block, as far as tests look. */
export interface BlockMeta {
  readonly ulid: string;
  readonly minTime: number;
  readonly maxTime: number;
  readonly stats: { readonly numSamples: number; readonly numSeries: number; readonly numChunks: number };
  readonly thanos?: { readonly labels?: Readonly<Record<string, string>> };
}

export interface VarveOptions {
  /** Where its data lies; by default a temporary directory that goes away with the server. */
  readonly directory?: string;
  /** Further flags of `varve serve`. */
  readonly flags?: readonly string[];
  /** A machine that is not as it should be: the program is varve-on-machine.ts then. */
  readonly machine?: MachineOptions;
}

export interface MachineOptions {
  readonly segmentBytes?: number;
  /** Its disk does not sync although it says so. */
  readonly isUnsynced?: boolean;
  /** Where its blocks go for good: killing-bucket.ts. */
  readonly bucket?: KillingBucketConfig;
  /** Each of its syncs takes at least so long. */
  readonly syncDelayMs?: number;
  /** The path of a file with FileOrders in JSON (machine-file-system.ts), read at the start. */
  readonly fileOrders?: string;
}

/** Starts `varve serve` on any free port and returns the program at once, ready or not. */
export function spawnVarve(
  directory: string,
  flags: readonly string[] = [],
  port = 0,
  machine?: MachineOptions,
): Program {
  // As scripts/varve.sh has it, with what that says of memory.
  const args = [
    '--max-semi-space-size=4',
    machine === undefined ? 'src/main.ts' : 'test/support/varve-on-machine.ts',
    'serve',
    `--web.listen-address=127.0.0.1:${port}`,
    `--storage.path=${directory}`,
    ...flags,
  ];
  // Without it, every thread of the server holds a compiler for types.
  const NODE_COMPILE_CACHE = process.env.NODE_COMPILE_CACHE ?? join(root, 'build/compile-cache');
  const env = {
    MALLOC_ARENA_MAX: '2',
    ...process.env,
    NODE_COMPILE_CACHE,
    TEST_MACHINE: JSON.stringify(machine ?? {}),
  };
  return new Program(process.execPath, args, { cwd: root, env });
}

/** A server that may be killed and started again on the same data directory and port. */
export class Varve implements AsyncDisposable {
  readonly directory: string;
  readonly #temporary: TemporaryDirectory | undefined;
  readonly #machine: MachineOptions | undefined;
  #program: Program;
  #port = 0;

  private constructor(
    directory: string,
    temporary: TemporaryDirectory | undefined,
    machine: MachineOptions | undefined,
    program: Program,
  ) {
    this.directory = directory;
    this.#machine = machine;
    this.#temporary = temporary;
    this.#program = program;
  }

  /** Resolves when the server is ready. */
  static async start({ directory, flags = [], machine }: VarveOptions = {}): Promise<Varve> {
    const temporary = directory === undefined ? new TemporaryDirectory('data') : undefined;
    const path = directory ?? join(temporary?.path ?? '', 'data');
    const varve = new Varve(path, temporary, machine, spawnVarve(path, flags, 0, machine));
    try {
      await varve.#becomeReady();
    } catch (error) {
      await varve[Symbol.asyncDispose]();
      throw error;
    }
    return varve;
  }

  /** `http://127.0.0.1:<port>`, the same after a restart. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get pid(): number {
    return this.#program.pid;
  }

  /** What it printed since its last start. */
  get output(): string {
    return this.#program.output;
  }

  get isRunning(): boolean {
    return this.#program.isRunning;
  }

  /** The folder of the filesystem bucket. */
  get bucket(): string {
    return join(this.directory, 'bucket');
  }

  stop(): Promise<Ending> {
    return this.#program.stop();
  }

  kill(): Promise<Ending> {
    return this.#program.kill();
  }

  /** Starts it again after `stop` or `kill`; resolves when it is ready. */
  async restart(flags: readonly string[] = []): Promise<void> {
    await this.#program.ended;
    this.#program = spawnVarve(this.directory, flags, this.#port, this.#machine);
    await this.#becomeReady();
  }

  /** POSTs a body to a write path. Rejects if the connection breaks: then nobody knows whether it was stored. */
  async write(
    body: Uint8Array<ArrayBuffer>,
    { path = '/api/v1/write', tenant }: { path?: string; tenant?: string } = {},
  ): Promise<{ status: number; text: string }> {
    const headers: Record<string, string> = {
      'Content-Type': 'application/x-protobuf',
      'Content-Encoding': 'snappy',
      'X-Prometheus-Remote-Write-Version': '0.1.0',
    };
    if (tenant !== undefined) headers['X-Scope-OrgID'] = tenant;
    const response = await fetch(this.url + path, { method: 'POST', headers, body });
    return { status: response.status, text: await response.text() };
  }

  /** The blocks in the bucket: those whose meta.json is there. */
  blocks(): BlockMeta[] {
    const names = existsSync(this.bucket) ? readdirSync(this.bucket) : [];
    return names.flatMap((name) => {
      const path = join(this.bucket, name, 'meta.json');
      return existsSync(path) ? [JSON.parse(readFileSync(path, 'utf8')) as BlockMeta] : [];
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program.kill();
    this.#temporary?.[Symbol.dispose]();
  }

  async #becomeReady(): Promise<void> {
    const program = this.#program;
    this.#port = await program.ready('the printed address', () =>
      Number(/http:\/\/127\.0\.0\.1:(\d+)/.exec(program.output)?.[1] ?? 0),
    );
    await program.answers(`${this.url}/-/ready`);
  }
}
