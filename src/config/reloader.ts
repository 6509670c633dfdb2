/** Reloads configuration files: when they change, when a signal says so, or by POST /-/reload. */
import type { Clock } from '../../storage/index.ts';
import type { Log } from '../telemetry/log.ts';
import type { GaugeMetric, Metrics } from '../telemetry/metrics.ts';

/** A configuration that may be read anew while the server runs. */
export interface Reloadable {
  /**
   * Whether its files are other than at the last attempt, and the same as at the last look: a file that is being written
   * may say, for a moment, that nobody needs a password. Never rejects.
   */
  hasSettledChange(): Promise<boolean>;
  /** Takes what the files say now, and resolves with warnings. Rejects with ConfigError; then the old one stays. */
  reload(): Promise<readonly string[]>;
}

export interface ReloaderOptions {
  readonly files: readonly Reloadable[];
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Pick<Clock, 'nowMs' | 'every'>;
}

const WATCH_MS = 1000;

export class Reloader {
  readonly #options: ReloaderOptions;
  readonly #successful: GaugeMetric;
  readonly #successTime: GaugeMetric;
  /** One attempt at a time; never rejects. */
  #last: Promise<void> = Promise.resolve();
  #isLooking = false;

  /** The files have just been read. */
  constructor(options: ReloaderOptions) {
    this.#options = options;
    this.#successful = options.metrics.gauge({
      name: 'config_last_reload_successful',
      help: 'Whether the last attempt to read the configuration files succeeded.',
    });
    this.#successTime = options.metrics.gauge({
      name: 'config_last_reload_success_timestamp_seconds',
      help: 'When the configuration files were last read with success.',
    });
    this.#succeeded();
  }

  /** Reads every file anew. Rejects with the first error; the files beside it are taken nevertheless. */
  reload(reason: string): Promise<void> {
    const attempt = this.#last.then(() => this.#reload(reason));
    this.#last = attempt.catch(() => {});
    return attempt;
  }

  /** Looks for changes every second until the returned function is called. By content: mounted secrets change by links. */
  watch(): () => void {
    return this.#options.clock.every(WATCH_MS, () => void this.#look());
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return; // The disk is slow.
    this.#isLooking = true;
    await this.#last;
    const changed = await Promise.all(this.#options.files.map((file) => file.hasSettledChange()));
    if (changed.includes(true)) await this.reload('a file has changed').catch(() => {}); // It is in the log.
    this.#isLooking = false;
  }

  async #reload(reason: string): Promise<void> {
    const { files, log } = this.#options;
    const results = await Promise.allSettled(files.map((file) => file.reload()));
    for (const result of results) {
      if (result.status === 'rejected') {
        log.error('the configuration is not taken: the one before it stays', { reason, error: result.reason as Error });
      } else for (const warning of result.value) log.warn(warning);
    }
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) {
      this.#successful.set(0);
      throw failed.reason;
    }
    this.#succeeded();
    log.info('configuration reloaded', { reason });
  }

  #succeeded(): void {
    this.#successful.set(1);
    this.#successTime.set(this.#options.clock.nowMs() / 1000);
  }
}
