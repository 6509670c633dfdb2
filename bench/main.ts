/**
 * `npm run bench -- <benchmark> [options]`; see README.md beside this file. Each benchmark is loaded when it is asked for:
 * what a process measures of itself must not hold the others.
 */
import type { QueryOrder } from './bucket-query.ts';
import type { IngestReport } from './ingest.ts';
import type { SendOptions } from './load/sender.ts';
import type { Row } from './rows.ts';

const log = (line: string): void => console.error(line);
const [benchmark = '', ...args] = process.argv.slice(2);

const BENCHMARKS: Readonly<Record<string, () => Promise<void>>> = {
  async ingest() {
    const { parseRows } = await import('./rows.ts');
    const { rows, rest } = parseRows(args);
    const reports = rows === undefined ? [await runOne(rest)] : await runRows(rows, rest);
    if (reports.some(({ results }) => results.some(({ errors }) => errors > 0))) process.exitCode = 1;
  },
  async replay() {
    const { formatReplayReport, parseReplayOptions, runReplay } = await import('./replay.ts');
    const options = parseReplayOptions(args);
    console.log(formatReplayReport(await runReplay(options, log), options));
  },
  async bucket() {
    const { formatBucketReport, parseBucketOptions, runBucket } = await import('./bucket.ts');
    const options = parseBucketOptions(args);
    console.log(formatBucketReport(await runBucket(options, log), options));
  },
  async catalog() {
    const { formatCatalogReport, parseCatalogOptions, runCatalog } = await import('./catalog.ts');
    console.log(formatCatalogReport(runCatalog(parseCatalogOptions(args), log)));
  },
};

/** What the benchmarks start in processes of their own; each prints its figures as JSON. */
const PARTS: Readonly<Record<string, () => Promise<unknown>>> = {
  'bucket-query': async () => (await import('./bucket-query.ts')).runQuery(JSON.parse(args[0] ?? '{}') as QueryOrder),
  'catalog-start': async () => (await import('./catalog-start.ts')).openCatalog(args[0] ?? ''),
  send: async () => (await import('./load/sender.ts')).send(JSON.parse(args[0] ?? '{}') as SendOptions),
};

const run = BENCHMARKS[benchmark];
const part = PARTS[benchmark];
if (run !== undefined) {
  try {
    await run();
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
} else if (part !== undefined) {
  console.log(JSON.stringify(await part()));
} else {
  const names = Object.keys(BENCHMARKS).join('|');
  console.error(`usage: npm run bench -- ${names} [--series N] [--steps N] …  (see bench/README.md)`);
  process.exitCode = 2;
}
process.exit();

async function runOne(rest: readonly string[]): Promise<IngestReport> {
  const { formatIngestReport, parseIngestOptions, runIngest } = await import('./ingest.ts');
  const options = parseIngestOptions(rest);
  const report = await runIngest(options, log);
  console.log(formatIngestReport(report, options));
  return report;
}

async function runRows(rows: readonly Row[], rest: readonly string[]): Promise<IngestReport[]> {
  const [{ formatRows, rowOptions }, { runIngest }] = await Promise.all([import('./rows.ts'), import('./ingest.ts')]);
  const measured: { row: Row; report: IngestReport }[] = [];
  for (const row of rows) {
    log(`row ${row.name}: ${row.title}`);
    measured.push({ row, report: await runIngest(rowOptions(row, rest), log) });
  }
  console.log(formatRows(measured));
  return measured.map(({ report }) => report);
}
