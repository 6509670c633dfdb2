/** Ingest: the same remote-write load to each server in turn, and what it cost each. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import {
  type Churn,
  type LoadOptions,
  senderCount,
  stepsAhead,
  stepsMeasured,
  writeLoadFile,
} from './load/load-file.ts';
import type { Measurement, SendOptions } from './load/sender.ts';
import { SERVERS, type ServerKind } from './servers.ts';
import { diskBytes, fileSystemType, machine, residentBytes } from './usage.ts';

export interface IngestOptions extends LoadOptions {
  readonly connections: number;
  /** Requests a second of each connection; 0: the next one as soon as the last is answered. */
  readonly rate: number;
  /** Varve relabels all series by five rules. */
  readonly isRelabelled: boolean;
  /** Names of the servers to measure; those that are not installed are left out. */
  readonly only: readonly string[];
  /** Where the data directories are made; undefined: any real disk. */
  readonly directory: string | undefined;
}

/** What one server did with the load. Sizes are bytes. */
export interface IngestResult extends Measurement {
  readonly name: string;
  readonly version: string;
  readonly cpuMicrosecondsPerSample: number;
  readonly cpuMicrosecondsPerNewSeries: number;
  readonly samplesPerSecond: number;
  readonly residentBytes: number;
  readonly residentPeakBytes: number;
  readonly diskBytes: number;
  readonly syncs: number | undefined;
  readonly cuts: number | undefined;
}

export interface IngestReport {
  readonly machine: string;
  readonly fileSystem: string;
  readonly results: readonly IngestResult[];
}

/** File systems on which a sync costs nothing, so that durability would look free. */
const MEMORY_FILE_SYSTEMS = ['tmpfs', 'ramfs'];

const HOUR_MS = 3_600_000;

const mainModule: string = fileURLToPath(new URL('./main.ts', import.meta.url));

/** Measures the servers one after the other. `log` gets a line on what is going on. */
export async function runIngest(options: IngestOptions, log: (line: string) => void): Promise<IngestReport> {
  const unknown = options.only.find((name) => SERVERS.every((kind) => kind.name !== name));
  if (unknown !== undefined)
    throw new Error(`no server ${unknown}; there are ${SERVERS.map(({ name }) => name).join(', ')}`);
  const directory = workDirectory(options.directory);
  try {
    const loadFile = join(directory, 'load');
    log(`making the load: ${options.series} series × ${options.steps} steps`);
    writeLoadFile(loadFile, options);
    const results: IngestResult[] = [];
    for (const kind of SERVERS) {
      if (!options.only.includes(kind.name)) continue;
      if (!kind.isInstalled) log(`${kind.name} is not installed`);
      else results.push(await measure(kind, join(directory, kind.name), loadFile, options, log));
    }
    return { machine: machine(), fileSystem: fileSystemType(directory), results };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measure(
  kind: ServerKind,
  directory: string,
  loadFile: string,
  options: IngestOptions,
  log: (line: string) => void,
): Promise<IngestResult> {
  const { series, connections, rate, protocol } = options;
  mkdirSync(directory);
  await using server = await kind.start(directory, options);
  log(`sending to ${kind.name} ${kind.version()}`);
  const requestsPerStep = Math.ceil(series / options.seriesPerRequest) * senderCount(options);
  const sent = await sendFromChild({
    loadFile,
    url: server.writeUrl,
    pid: server.pid,
    stepsAhead: stepsAhead(options),
    stepsMeasured: stepsMeasured(options),
    requestsPerStep,
    connections,
    rate,
    protocol,
    ...(options.churn === undefined ? {} : { stepsPerLook: Math.max(1, Math.round(HOUR_MS / options.intervalMs)) }),
  });
  const resident = residentBytes(server.pid);
  const exposition = await (await fetch(server.metricsUrl)).text();
  const samples = series * stepsMeasured(options) * senderCount(options);
  return {
    ...sent,
    name: kind.name,
    version: kind.version(),
    cpuMicrosecondsPerSample: (sent.cpuSeconds / samples) * 1e6,
    cpuMicrosecondsPerNewSeries: (sent.firstStepCpuSeconds / series) * 1e6,
    samplesPerSecond: samples / sent.wallSeconds,
    residentBytes: resident.now,
    residentPeakBytes: resident.peak,
    diskBytes: diskBytes(directory),
    syncs: kind.syncs(exposition),
    cuts: kind.cuts(exposition),
  };
}

async function sendFromChild(options: SendOptions): Promise<Measurement> {
  const { stdout } = await promisify(execFile)(process.execPath, [mainModule, 'send', JSON.stringify(options)]);
  return JSON.parse(stdout) as Measurement;
}

/** A fresh directory on a disk. Throws if there is none. */
export function workDirectory(given: string | undefined): string {
  const parents = given === undefined ? [tmpdir(), '.'] : [given];
  for (const parent of parents) {
    if (!existsSync(parent)) mkdirSync(parent, { recursive: true });
    if (!MEMORY_FILE_SYSTEMS.includes(fileSystemType(parent))) return mkdtempSync(join(resolve(parent), 'data-bench-'));
  }
  const types = parents.map((parent) => `${parent} is ${fileSystemType(parent)}`).join(', ');
  throw new Error(`${types}: a sync costs nothing there; name a directory on a disk with --directory`);
}

/** The options of `ingest` on the command line. Throws on one that it does not know. */
export function parseIngestOptions(args: readonly string[]): IngestOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      series: { type: 'string', default: '100000' },
      steps: { type: 'string', default: '60' },
      per: { type: 'string', default: '2000' },
      conns: { type: 'string', default: '4' },
      interval: { type: 'string', default: '15' },
      template: { type: 'string', default: 'node' },
      shuffle: { type: 'boolean', default: false },
      churn: { type: 'string' },
      protocol: { type: 'string', default: 'v1' },
      'catch-up': { type: 'boolean', default: false },
      rate: { type: 'string', default: '0' },
      relabel: { type: 'boolean', default: false },
      ha: { type: 'boolean', default: false },
      only: { type: 'string', default: SERVERS.map(({ name }) => name).join(',') },
      directory: { type: 'string' },
    },
  });
  const { protocol } = values;
  if (protocol !== 'v1' && protocol !== 'v2') throw new Error(`protocol is v1 or v2, not ${protocol}`);
  const options: IngestOptions = {
    template: values.template,
    series: Number(values.series),
    steps: Number(values.steps),
    seriesPerRequest: Number(values.per),
    intervalMs: Number(values.interval) * 1000,
    shuffle: values.shuffle,
    churn: values.churn === undefined ? undefined : parseChurn(values.churn),
    protocol,
    catchUp: values['catch-up'],
    isRelabelled: values.relabel,
    isPair: values.ha,
    connections: Number(values.conns),
    rate: Number(values.rate),
    only: values.only.split(','),
    directory: values.directory,
  };
  const { series, steps, seriesPerRequest, intervalMs, connections } = options;
  const counts = [series, steps, seriesPerRequest, intervalMs, connections];
  if (!counts.every((count) => Number.isInteger(count) && count > 0) || steps < 2 || !(options.rate >= 0)) {
    throw new Error('series, per, conns and interval are numbers above 0, steps one above 1, rate one from 0 on');
  }
  return options;
}

/** `10%/15m`: this share of the series, this often. */
function parseChurn(text: string): Churn {
  const [, percent, minutes] = /^(\d+(?:\.\d+)?)%\/(\d+)m$/.exec(text) ?? [];
  const churn = { share: Number(percent) / 100, everyMs: Number(minutes) * 60_000 };
  if (!(churn.share > 0 && churn.share <= 1 && churn.everyMs > 0))
    throw new Error(`churn is like 10%/15m, not ${text}`);
  return churn;
}

/** The report as a table for people. */
export function formatIngestReport({ machine, fileSystem, results }: IngestReport, options: IngestOptions): string {
  const { series, steps, intervalMs, seriesPerRequest, connections, template, protocol, rate } = options;
  const manner = [
    template,
    ...(protocol === 'v1' ? [] : [protocol]),
    ...(options.shuffle ? ['shuffled'] : []),
    ...(options.churn === undefined
      ? []
      : [`${options.churn.share * 100} % replaced every ${options.churn.everyMs / 60_000} min`]),
    ...(options.catchUp ? ['after an absence'] : []),
    ...(rate === 0 ? [] : [`${rate} requests a second each`]),
    ...(options.isRelabelled ? ['five relabel rules'] : []),
    ...(options.isPair ? ['from two replicas'] : []),
  ];
  const load = `${series} series × ${steps} steps of ${intervalMs / 1000} s (${manner.join(', ')})`;
  const rows: [string, (result: IngestResult) => string][] = [
    ['CPU µs a sample', (r) => r.cpuMicrosecondsPerSample.toFixed(3)],
    ['CPU µs a new series', (r) => r.cpuMicrosecondsPerNewSeries.toFixed(2)],
    ['samples/s', (r) => count(r.samplesPerSecond)],
    ['ack p50 ms', (r) => r.latencyP50Ms.toFixed(2)],
    ['ack p99 ms', (r) => r.latencyP99Ms.toFixed(2)],
    ['RSS MiB', (r) => count(r.residentBytes / 2 ** 20)],
    ['RSS peak MiB', (r) => count(r.residentPeakBytes / 2 ** 20)],
    ...(results[0]?.residentAtLooks ?? []).map((_, hour): [string, (result: IngestResult) => string] => [
      `RSS MiB, hour ${hour + 1}`,
      (r) => count((r.residentAtLooks[hour] ?? 0) / 2 ** 20),
    ]),
    ['disk MiB', (r) => (r.diskBytes / 2 ** 20).toFixed(1)],
    ['fsyncs', (r) => count(r.syncs)],
    ['cuts', (r) => count(r.cuts)],
    ['errors', (r) => count(r.errors)],
  ];
  const lines = formatAligned(
    [
      ['', ...results.map((result) => `${result.name} ${result.version}`)],
      ...rows.map(([title, cell]) => [title, ...results.map(cell)]),
    ],
    1,
  );
  const errors = results.filter((result) => result.errors > 0).map(({ name, firstError }) => `${name}: ${firstError}`);
  return [
    `${load}, ${seriesPerRequest} series a request, ${connections} connections`,
    `${machine}, ${fileSystem}`,
    '',
    ...lines,
    ...errors,
  ].join('\n');
}

function count(value: number | undefined): string {
  return value === undefined ? '–' : Math.round(value).toLocaleString('en-US').replaceAll(',', ' ');
}

/** Lines of a table: the first `left` columns are aligned to the left, the others to the right. */
export function formatAligned(rows: readonly (readonly string[])[], left: number): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((cells) => (cells[column] ?? '').length)));
  return rows.map((cells) =>
    widths
      .map((width, column) => {
        const cell = cells[column] ?? '';
        return column < left ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('   ')
      .trimEnd(),
  );
}
