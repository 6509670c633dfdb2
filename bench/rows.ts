/** The rows of the ingest table: what is sent, what is looked at, and what it may come to. */
import { parseArgs } from 'node:util';
import {
  formatAligned,
  type IngestOptions,
  type IngestReport,
  type IngestResult,
  parseIngestOptions,
} from './ingest.ts';

/** A figure of one run. */
interface Figure {
  readonly title: string;
  readonly of: (result: IngestResult) => number;
  readonly digits: number;
  readonly bars: readonly Bar[];
}

/** What Varve's figure may be: at most or at least a number, or so many times that of another server. */
interface Bar {
  readonly kind: 'at most' | 'at least';
  readonly limit: number;
  /** The server whose figure `limit` multiplies; undefined: the limit is the figure. */
  readonly times?: string;
}

export interface Row {
  readonly name: string;
  readonly title: string;
  /** As after `bench -- ingest`. */
  readonly args: readonly string[];
  readonly figures: readonly Figure[];
  /** Takes so long that it has to be named to be run. */
  readonly isLong?: boolean;
}

const VARVE_ONLY = '--only=varve';
const MIB = 2 ** 20;

function cpu(...bars: Bar[]): Figure {
  return { title: 'CPU µs a sample', of: (result) => result.cpuMicrosecondsPerSample, digits: 3, bars };
}

function atMost(limit: number, times?: string): Bar {
  return { kind: 'at most', limit, ...(times === undefined ? {} : { times }) };
}

function atLeast(limit: number, times?: string): Bar {
  return { kind: 'at least', limit, ...(times === undefined ? {} : { times }) };
}

const rss: Figure = { title: 'RSS MiB', of: (result) => result.residentBytes / MIB, digits: 0, bars: [] };
const peak: Figure = { title: 'RSS peak MiB', of: (result) => result.residentPeakBytes / MIB, digits: 0, bars: [] };

const ROWS: readonly Row[] = [
  {
    name: 'v1',
    title: '100 000 series, 2000 a request',
    args: ['--steps=120'],
    figures: [
      cpu(atMost(0.3), atMost(1 / 4, 'victoria-metrics'), atMost(1 / 15, 'prometheus')),
      {
        title: 'samples/s',
        of: (result) => result.samplesPerSecond,
        digits: 0,
        bars: [atLeast(2, 'victoria-metrics')],
      },
      {
        title: 'CPU µs a new series',
        of: (result) => result.cpuMicrosecondsPerNewSeries,
        digits: 2,
        bars: [atMost(3)],
      },
    ],
  },
  {
    name: 'day',
    title: '8 h of data at 60 s, with cuts, checkpoints and blocks',
    args: ['--steps=480', '--interval=60', VARVE_ONLY],
    figures: [cpu(atMost(0.45)), { title: 'cuts', of: (result) => result.cuts ?? 0, digits: 0, bars: [] }],
  },
  {
    name: 'churn',
    title: '10 % of the series replaced every 15 min, 24 h of data at 60 s',
    args: ['--churn=10%/15m', '--steps=1440', '--interval=60', VARVE_ONLY],
    figures: [
      { title: 'RSS MiB, hour 6', of: ({ residentAtLooks }) => (residentAtLooks[5] ?? 0) / MIB, digits: 0, bars: [] },
      { title: 'RSS MiB, hour 24', of: ({ residentAtLooks }) => (residentAtLooks[23] ?? 0) / MIB, digits: 0, bars: [] },
      {
        title: 'RSS from hour 6 on, ± %',
        of: ({ residentAtLooks }) => spread(residentAtLooks.slice(5)) * 100,
        digits: 1,
        bars: [atMost(10)],
      },
    ],
    isLong: true,
  },
  {
    name: 'shuffle',
    title: 'another order of series in every scrape',
    args: ['--shuffle', VARVE_ONLY],
    figures: [cpu(atMost(0.6))],
  },
  {
    name: 'kube',
    title: 'Kubernetes: long labels',
    args: ['--template=kube', VARVE_ONLY],
    figures: [cpu(atMost(0.4))],
  },
  {
    name: 'v2',
    title: 'remote write 2.0',
    args: ['--protocol=v2', '--steps=120', VARVE_ONLY],
    figures: [cpu(atMost(0.25))],
  },
  {
    name: 'relabel',
    title: 'five relabel rules',
    args: ['--relabel', '--steps=120', VARVE_ONLY],
    figures: [cpu(atMost(0.32))],
  },
  {
    name: 'ha',
    title: 'an HA pair, both replicas sending; of each sample received',
    args: ['--ha', '--steps=120', VARVE_ONLY],
    figures: [cpu(atMost(0.35))],
  },
  {
    name: 'catch-up',
    title: 'a sender back after 6 h, in order across cut windows',
    args: ['--catch-up', '--steps=360', '--interval=60', VARVE_ONLY],
    figures: [cpu(atMost(0.6)), peak, { title: 'cuts', of: (result) => result.cuts ?? 0, digits: 0, bars: [] }],
  },
  {
    name: 'million',
    title: '1 000 000 series, 12 scrapes',
    args: ['--series=1000000', '--steps=12'],
    figures: [{ ...rss, bars: [atMost(700)] }, peak],
  },
  {
    name: 'peak',
    title: '1 000 000 series, 6 h of data at 60 s',
    args: ['--series=1000000', '--steps=360', '--interval=60'],
    figures: [peak, cpu()],
    isLong: true,
  },
  {
    name: 'senders',
    title: '64 senders of 2000 series, 4 requests a second each',
    args: ['--series=128000', '--conns=64', '--rate=4', VARVE_ONLY],
    figures: [
      { title: 'ack p50 ms', of: (result) => result.latencyP50Ms, digits: 2, bars: [atMost(5)] },
      { title: 'ack p99 ms', of: (result) => result.latencyP99Ms, digits: 2, bars: [atMost(25)] },
    ],
  },
];

/** How far the values are from the middle between the least and the greatest of them, as a share of it. */
function spread(values: readonly number[]): number {
  const [least, greatest] = [Math.min(...values), Math.max(...values)];
  return (greatest - least) / (greatest + least);
}

/** A row that was run. */
interface MeasuredRow {
  readonly row: Row;
  readonly report: IngestReport;
}

/**
 * The rows that a command line names by `--row a,b`, in the order of the table, and what else it says, which overrides
 * their options. `--row all` is every row, and an empty command line every row that is not long; undefined: it means no rows.
 */
export function parseRows(args: readonly string[]): { rows: Row[] | undefined; rest: string[] } {
  const { values, tokens } = parseArgs({
    args: [...args],
    options: { row: { type: 'string' } },
    strict: false,
    tokens: true,
  });
  const own = new Set<number>();
  for (const token of tokens) {
    if (token.kind !== 'option' || token.name !== 'row') continue;
    own.add(token.index);
    if (token.inlineValue === false) own.add(token.index + 1);
  }
  const rest = args.filter((_, i) => !own.has(i));
  if (typeof values.row === 'string') return { rows: rowsNamed(values.row.split(',')), rest };
  return { rows: args.length === 0 ? ROWS.filter(({ isLong }) => isLong !== true) : undefined, rest };
}

function rowsNamed(names: readonly string[]): Row[] {
  if (names.includes('all')) return [...ROWS];
  const unknown = names.find((name) => ROWS.every((row) => row.name !== name));
  if (unknown !== undefined) throw new Error(`no row ${unknown}; there are ${ROWS.map(({ name }) => name).join(', ')}`);
  return ROWS.filter(({ name }) => names.includes(name));
}

/** What a row sends; `more` overrides the row's own options. */
export function rowOptions({ args }: Row, more: readonly string[]): IngestOptions {
  return parseIngestOptions([...args, ...more]);
}

/** The table of the rows. A figure that misses one of its bars says so. */
export function formatRows(measured: readonly MeasuredRow[]): string {
  const first = measured[0]?.report;
  const versions = new Map(
    measured.flatMap(({ report }) => report.results.map(({ name, version }) => [name, version] as const)),
  );
  const servers = [...versions.keys()];
  const header = ['row', 'figure', ...servers.map((name) => `${name} ${versions.get(name)}`), 'bar', ''];
  const lines = measured.flatMap(({ row, report }) =>
    row.figures.map((figure) => [
      `${row.name}: ${row.title}`,
      figure.title,
      ...servers.map((name) => cell(report, name, figure)),
      figure.bars.map((bar) => barText(bar)).join(', '),
      verdict(report, figure),
    ]),
  );
  return [`${first?.machine}, ${first?.fileSystem}`, '', ...formatAligned([header, ...lines], 2)].join('\n');
}

function cell(report: IngestReport, server: string, { of, digits }: Figure): string {
  const result = report.results.find(({ name }) => name === server);
  return result === undefined ? '' : of(result).toFixed(digits);
}

function barText({ kind, limit, times }: Bar): string {
  const sign = kind === 'at most' ? '≤' : '≥';
  if (times === undefined) return `${sign} ${limit}`;
  return `${sign} ${limit < 1 ? `1/${Math.round(1 / limit)}` : limit} × ${times}`;
}

/** 'ok', 'missed', or '' where nothing can be said. */
function verdict({ results }: IngestReport, { bars, of }: Figure): string {
  const own = results.find(({ name }) => name === 'varve');
  const held = bars.flatMap(({ kind, limit, times }) => {
    const other = results.find(({ name }) => name === times);
    if (own === undefined || (times !== undefined && other === undefined)) return [];
    const bound = other === undefined ? limit : limit * of(other);
    return [kind === 'at most' ? of(own) <= bound : of(own) >= bound];
  });
  if (held.length === 0) return '';
  return held.every(Boolean) ? 'ok' : 'missed';
}
