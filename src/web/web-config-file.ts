/** The web configuration in use, and how it follows its files: what they say now, or, while that is wrong, said last. */
import { createHash } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import type { Clock } from '../../storage/index.ts';
import { ConfigError } from '../config/config-node.ts';
import type { Reloadable } from '../config/reloader.ts';
import { type FileReader, loadTls, type TlsOptions } from './tls-options.ts';
import { NO_WEB_CONFIG, parseWebConfig, type WebConfig } from './web-config.ts';

/** The web configuration with the files that it names. */
export interface LoadedWebConfig extends Omit<WebConfig, 'tls'> {
  readonly tls: TlsOptions | undefined;
}

export interface WebConfigFileOptions {
  /** --web.config.file; undefined: none, plain HTTP for everyone. */
  readonly path: string | undefined;
  readonly readFile: FileReader;
  readonly clock: Pick<Clock, 'nowMs'>;
}

type Listener = (config: LoadedWebConfig) => void;

export class WebConfigFile implements Reloadable {
  readonly #options: WebConfigFileOptions;
  readonly #listeners: Listener[] = [];
  #current: LoadedWebConfig = { ...NO_WEB_CONFIG, tls: undefined };
  /** The files of the last attempt and what was in them. */
  #seen: ReadonlyMap<string, string> = new Map();
  #lastLook = '';

  private constructor(options: WebConfigFileOptions) {
    this.#options = options;
  }

  /** Reads the file and those that it names. Rejects with ConfigError. */
  static async open(options: WebConfigFileOptions): Promise<WebConfigFile> {
    const file = new WebConfigFile(options);
    if (options.path !== undefined) file.#current = await file.#load(options.path);
    return file;
  }

  /** The last valid configuration. */
  get current(): LoadedWebConfig {
    return this.#current;
  }

  /** Whether a client has to show a password or a valid certificate. */
  get isAuthenticating(): boolean {
    const { users, tls } = this.#current;
    return users.size > 0 || (tls?.clientAuth === 'require-and-verify' && tls.context.ca !== undefined);
  }

  /** Calls `listener` with each later configuration. It must not throw. */
  onChange(listener: Listener): void {
    this.#listeners.push(listener);
  }

  async hasSettledChange(): Promise<boolean> {
    const paths = [...this.#seen.keys()];
    const found = await Promise.all(paths.map((path) => fingerprintOf(path, this.#options.readFile)));
    const look = found.join('\n');
    const isSettled = look === this.#lastLook;
    this.#lastLook = look;
    return isSettled && look !== [...this.#seen.values()].join('\n');
  }

  async reload(): Promise<readonly string[]> {
    const { path } = this.#options;
    if (path === undefined) return [];
    const next = await this.#load(path);
    const [before, after] = [this.#current.tls !== undefined, next.tls !== undefined];
    if (before !== after) {
      throw new ConfigError(
        `${path}: TLS cannot be switched ${after ? 'on' : 'off'} while the server runs: restart it`,
      );
    }
    this.#current = next;
    for (const listener of this.#listeners) listener(next);
    return next.warnings;
  }

  async #load(path: string): Promise<LoadedWebConfig> {
    const seen = new Map<string, string>();
    this.#seen = seen;
    const readFile: FileReader = async (name) => {
      try {
        const file = await this.#options.readFile(name);
        seen.set(name, digest(file.bytes));
        return file;
      } catch (error) {
        seen.set(name, String(error));
        throw error;
      }
    };
    const absolute = resolve(path);
    const { bytes, isWorldReadable } = await readFile(absolute).catch((error: Error) => {
      throw new ConfigError(`cannot read ${path} (--web.config.file): ${error.message}`, { cause: error });
    });
    const { tls: config, ...rest } = parseWebConfig(bytes.toString('utf8'), { path, directory: dirname(absolute) });
    const warnings = [...rest.warnings];
    if (config?.key.path === undefined && config !== undefined && isWorldReadable) {
      warnings.push(`${path} holds a private key and can be read by every user of this machine: chmod 600`);
    }
    const tls = config && (await loadTls(config, readFile, warnings));
    if (tls !== undefined && tls.certificateExpiryMs <= this.#options.clock.nowMs()) {
      warnings.push(`the server's certificate expired at ${new Date(tls.certificateExpiryMs).toISOString()}`);
    }
    return { ...rest, tls, warnings };
  }
}

async function fingerprintOf(path: string, readFile: FileReader): Promise<string> {
  try {
    return digest((await readFile(path)).bytes);
  } catch (error) {
    return String(error);
  }
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64');
}
