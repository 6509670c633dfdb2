/** A configuration file in use, and how it follows what is on disk: what it says now, or, while that is wrong, said last. */
import { createHash } from 'node:crypto';
import { ConfigError } from './config-node.ts';
import type { Reloadable } from './reloader.ts';

/** Reads a whole file. Rejects with an Error that names it. */
export type ConfigFileReader = (path: string) => Promise<{ readonly bytes: Buffer }>;

export interface ConfigFileOptions<Config> {
  /** As given by the flag. */
  readonly path: string;
  /** Without the dashes, for errors. */
  readonly flag: string;
  /** Reads the text of the file at `path`. Throws ConfigError. */
  readonly parse: (text: string, path: string) => Config;
  readonly warningsOf: (config: Config) => readonly string[];
  readonly readFile: ConfigFileReader;
}

export class ConfigFile<Config> implements Reloadable {
  readonly #options: ConfigFileOptions<Config>;
  readonly #listeners: ((config: Config) => void)[] = [];
  #current: Config;
  /** What was in the file at the last attempt, and at the last look. */
  #seen: string;
  #lastLook = '';

  private constructor(options: ConfigFileOptions<Config>, { config, digest }: Loaded<Config>) {
    this.#options = options;
    this.#current = config;
    this.#seen = digest;
  }

  /** Reads the file. Rejects with ConfigError. */
  static async open<Config>(options: ConfigFileOptions<Config>): Promise<ConfigFile<Config>> {
    const bytes = await read(options);
    return new ConfigFile(options, { config: parse(options, bytes), digest: digestOf(bytes) });
  }

  /** The last valid configuration. */
  get current(): Config {
    return this.#current;
  }

  get warnings(): readonly string[] {
    return this.#options.warningsOf(this.#current);
  }

  /** Calls `listener` with each later configuration. It must not throw. */
  onChange(listener: (config: Config) => void): void {
    this.#listeners.push(listener);
  }

  async hasSettledChange(): Promise<boolean> {
    const look = await this.#options.readFile(this.#options.path).then(({ bytes }) => digestOf(bytes), String);
    const isSettled = look === this.#lastLook;
    this.#lastLook = look;
    return isSettled && look !== this.#seen;
  }

  async reload(): Promise<readonly string[]> {
    const bytes = await read(this.#options).catch((error: Error) => {
      this.#seen = String(error.cause);
      throw error;
    });
    this.#seen = digestOf(bytes);
    this.#current = parse(this.#options, bytes);
    for (const listener of this.#listeners) listener(this.#current);
    return this.warnings;
  }
}

interface Loaded<Config> {
  readonly config: Config;
  readonly digest: string;
}

async function read<Config>({ path, flag, readFile }: ConfigFileOptions<Config>): Promise<Buffer> {
  try {
    return (await readFile(path)).bytes;
  } catch (error) {
    throw new ConfigError(`cannot read ${path} (--${flag}): ${(error as Error).message}`, { cause: error });
  }
}

function parse<Config>({ path, parse: parseText }: ConfigFileOptions<Config>, bytes: Buffer): Config {
  return parseText(bytes.toString('utf8'), path);
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64');
}
