/** The servers that a benchmark can measure, each started on a fresh data directory with what it does by default. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { peers } from '../test/support/peers.ts';
import { freePort, Program } from '../test/support/program.ts';
import { Prometheus, sumOfMetric } from '../test/support/prometheus.ts';
import { Varve } from '../test/support/varve.ts';

/** A server under measurement. */
export interface RunningServer extends AsyncDisposable {
  readonly pid: number;
  /** Where to send remote write 1.0. */
  readonly writeUrl: string;
  readonly metricsUrl: string;
}

/** What Varve does besides storing; the peers are measured with the same load, without it. */
export interface Tasks {
  readonly isRelabelled: boolean;
  readonly isPair: boolean;
}

/** Five rules as people write them: most series pass most of them. */
const RELABEL_RULES = `
- {action: drop, source_labels: [__name__], regex: 'debug_.*|go_memstats_.*_unused'}
- {source_labels: [instance], regex: '([^:]+):\\d+', target_label: host}
- {action: labeldrop, regex: 'tmp_.*'}
- {action: labelmap, regex: 'meta_(.+)'}
- {action: hashmod, source_labels: [instance], modulus: 8, target_label: shard}
`;

/** A kind of server. */
export interface ServerKind {
  readonly name: string;
  readonly isInstalled: boolean;
  version(): string;
  start(directory: string, tasks: Tasks): Promise<RunningServer>;
  /** Its own counts out of its metrics page; undefined where it does not count. */
  syncs(exposition: string): number | undefined;
  cuts(exposition: string): number | undefined;
}

const varve: ServerKind = {
  name: 'varve',
  isInstalled: true,
  version: () =>
    (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version,
  async start(directory, { isRelabelled, isPair }) {
    const flags: string[] = [];
    if (isRelabelled) {
      writeFileSync(`${directory}.relabel.yml`, RELABEL_RULES);
      flags.push(`--receive.relabel-config-file=${directory}.relabel.yml`);
    }
    if (isPair) flags.push('--ha.replica-label=replica', '--ha.cluster-label=cluster');
    // What Node keeps of the sources is written when a server stops, and that under measurement is killed.
    await (await Varve.start({ flags })).stop();
    const server = await Varve.start({ directory, flags });
    return running(server, server.url);
  },
  syncs: (exposition) => sumOfMetric(exposition, 'varve_wal_syncs_total'),
  cuts: (exposition) => sumOfMetric(exposition, 'varve_head_cuts_total'),
};

const prometheus: ServerKind = {
  name: 'prometheus',
  isInstalled: peers.prometheus,
  version: () => /version (\d[\w.]*)/.exec(printedVersion('prometheus'))?.[1] ?? 'unknown',
  async start(directory) {
    const server = await Prometheus.start({ directory, flags: ['--web.enable-remote-write-receiver'] });
    return running(server, server.url);
  },
  syncs: (exposition) => sumOfMetric(exposition, 'prometheus_tsdb_wal_fsync_duration_seconds_count'),
  cuts: (exposition) => sumOfMetric(exposition, 'prometheus_tsdb_compactions_total'),
};

const victoriaMetrics: ServerKind = {
  name: 'victoria-metrics',
  isInstalled: peers.victoriaMetrics,
  // Debian's build does not know its own version.
  version: () =>
    /\d+\.\d+\.\d+/.exec(printedVersion('victoria-metrics') || packageVersion('victoria-metrics'))?.[0] ?? 'unknown',
  async start(directory) {
    const address = `127.0.0.1:${await freePort()}`;
    const server = new Program('victoria-metrics', [
      `-storageDataPath=${directory}`,
      `-httpListenAddr=${address}`,
      '-retentionPeriod=100y',
    ]);
    await server.answers(`http://${address}/health`);
    return running(server, `http://${address}`);
  },
  syncs: () => undefined,
  cuts: () => undefined,
};

/** In the order of a table's columns. */
export const SERVERS: readonly ServerKind[] = [varve, prometheus, victoriaMetrics];

function running(server: AsyncDisposable & { readonly pid: number }, url: string): RunningServer {
  return {
    pid: server.pid,
    writeUrl: `${url}/api/v1/write`,
    metricsUrl: `${url}/metrics`,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function printedVersion(program: string): string {
  const { stdout, stderr } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return `${stdout}${stderr}`.trim();
}

function packageVersion(name: string): string {
  const { stdout } = spawnSync('dpkg-query', ['--status', name], { encoding: 'utf8' });
  return /^Version: (\S+)/m.exec(stdout ?? '')?.[1] ?? '';
}
