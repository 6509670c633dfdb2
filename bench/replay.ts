/** Replay: a server with a full head is killed and started again; how long that takes, and in how much memory. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { sumOfMetric } from '../test/support/prometheus.ts';
import { until } from '../test/support/until.ts';
import { Varve } from '../test/support/varve.ts';
import { workDirectory } from './ingest.ts';
import { sendScrape } from './load/scrape.ts';
import { Sender } from './load/sender.ts';
import { Source } from './load/source.ts';
import { TEMPLATES } from './load/templates.ts';
import { fileSystemType, machine, residentBytes } from './usage.ts';

export interface ReplayOptions {
  readonly series: number;
  /** Samples of each series. */
  readonly steps: number;
  readonly seriesPerRequest: number;
  readonly intervalMs: number;
  readonly template: string;
  readonly directory: string | undefined;
}

export interface ReplayReport {
  readonly machine: string;
  readonly fileSystem: string;
  readonly samples: number;
  /** From the start of the process to 200 on /-/ready. */
  readonly readySeconds: number;
  /** Of it, reading the log. */
  readonly replaySeconds: number;
  readonly samplesPerSecond: number;
  /** Of the log before the kill, files made ahead left out. */
  readonly walBytes: number;
  /** What each scrape after the first, which defines the series, adds to it. */
  readonly walBytesPerSample: number;
  readonly residentBeforeBytes: number;
  readonly residentPeakBytes: number;
}

const CONNECTIONS = 4;

/** `log` gets a line on what is going on. */
export async function runReplay(options: ReplayOptions, log: (line: string) => void): Promise<ReplayReport> {
  const directory = workDirectory(options.directory);
  try {
    const data = join(directory, 'data');
    mkdirSync(data);
    await using varve = await Varve.start({ directory: data });
    const walBytesPerSample = await fill(varve, options, log);
    const walBytes = await figure(varve, 'varve_wal_record_bytes_total');
    const residentBeforeBytes = residentBytes(varve.pid).now;
    await varve.kill();
    log('killed; starting again');
    const startedMs = performance.now();
    await varve.restart();
    const readySeconds = (performance.now() - startedMs) / 1000;
    const residentPeakBytes = residentBytes(varve.pid).peak;
    const replaySeconds = await figure(varve, 'varve_wal_replay_seconds');
    const samples = await figure(varve, 'varve_wal_replayed_samples');
    return {
      machine: machine(),
      fileSystem: fileSystemType(directory),
      samples,
      readySeconds,
      replaySeconds,
      samplesPerSecond: samples / replaySeconds,
      walBytes,
      walBytesPerSample,
      residentBeforeBytes,
      residentPeakBytes,
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Writes all samples; answers how many bytes of log one of a known series takes. */
async function fill(varve: Varve, options: ReplayOptions, log: (line: string) => void): Promise<number> {
  const { series, steps, intervalMs, template } = options;
  const make = TEMPLATES[template];
  if (make === undefined) throw new Error(`no template ${template}; there are ${Object.keys(TEMPLATES).join(', ')}`);
  const source = new Source(make(), series, 1);
  const sender = new Sender({ url: `${varve.url}/api/v1/write`, connections: CONNECTIONS, rate: 0, protocol: 'v1' });
  const firstMs = Date.now() - (steps - 1) * intervalMs;
  let bytesAfterFirst = 0;
  for (let step = 0; step < steps; step++) {
    log(`scrape ${step + 1} of ${steps}: ${series} series`);
    source.step();
    await sendScrape(sender, source, options.seriesPerRequest, firstMs + step * intervalMs);
    if (step === 0) bytesAfterFirst = await settled(varve);
  }
  if (sender.errors > 0) throw new Error(`${sender.errors} requests failed: ${sender.firstError}`);
  return ((await settled(varve)) - bytesAfterFirst) / (series * (steps - 1));
}

/** The bytes of the log when the second copies of the definitions are in it, too. */
async function settled(varve: Varve): Promise<number> {
  let before = -1;
  const isSettled = async (): Promise<boolean> => {
    const bytes = await figure(varve, 'varve_wal_record_bytes_total');
    const isSame = bytes === before;
    before = bytes;
    return isSame;
  };
  // Second copies are written once a second.
  await until('the log to stand still', isSettled, { everyMs: 2500, timeoutMs: 600_000 });
  return before;
}

export async function figure(varve: Varve, name: string): Promise<number> {
  const exposition = await (await fetch(`${varve.url}/metrics`)).text();
  const value = sumOfMetric(exposition, name);
  if (value === undefined) throw new Error(`no metric ${name}`);
  return value;
}

/** The options of `replay` on the command line. Throws on one that it does not know. */
export function parseReplayOptions(args: readonly string[]): ReplayOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      series: { type: 'string', default: '1000000' },
      steps: { type: 'string', default: '12' },
      per: { type: 'string', default: '2000' },
      interval: { type: 'string', default: '15' },
      template: { type: 'string', default: 'node' },
      directory: { type: 'string' },
    },
  });
  const options = {
    series: Number(values.series),
    steps: Number(values.steps),
    seriesPerRequest: Number(values.per),
    intervalMs: Number(values.interval) * 1000,
    template: values.template,
    directory: values.directory,
  };
  const { series, steps, seriesPerRequest, intervalMs } = options;
  if (![series, steps, seriesPerRequest, intervalMs].every((n) => Number.isInteger(n) && n > 0) || steps < 2)
    throw new Error('series, per and interval are numbers above 0, steps one above 1');
  return options;
}

/** The report for people, with what it is to be held against. */
export function formatReplayReport(report: ReplayReport, { series, steps, template }: ReplayOptions): string {
  const mib = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
  const rows = [
    ['ready after', `${report.readySeconds.toFixed(2)} s`, '≤ 5 s'],
    ['  of it the log', `${report.replaySeconds.toFixed(2)} s`, ''],
    ['samples/s', `${(report.samplesPerSecond / 1e6).toFixed(2)} M`, '≥ 5 M'],
    ['WAL a sample', `${report.walBytesPerSample.toFixed(2)} B`, '≤ 5 B'],
    ['WAL in all, definitions included', mib(report.walBytes), ''],
    ['RSS before the kill', mib(report.residentBeforeBytes), ''],
    ['RSS peak at replay', mib(report.residentPeakBytes), ''],
    ['  against before', (report.residentPeakBytes / report.residentBeforeBytes).toFixed(2), '≤ 1.2'],
  ];
  return [
    `${series} series × ${steps} samples (${template}), ${report.samples} replayed after kill -9`,
    `${report.machine}, ${report.fileSystem}`,
    '',
    ...rows.map(([what = '', value = '', bar = '']) => `${what.padEnd(34)} ${value.padStart(12)}   ${bar}`.trimEnd()),
  ].join('\n');
}
