/** `npm run bench -- <benchmark> [options]`; see README.md beside this file. */
import { formatBucketReport, parseBucketOptions, runBucket } from './bucket.ts';
import { type QueryOrder, runQuery } from './bucket-query.ts';
import { formatCatalogReport, openCatalog, parseCatalogOptions, runCatalog } from './catalog.ts';
import { formatIngestReport, type IngestReport, parseIngestOptions, runIngest } from './ingest.ts';
import { type SendOptions, send } from './load/sender.ts';
import { formatReplayReport, parseReplayOptions, runReplay } from './replay.ts';
import { formatRows, parseRows, type Row, rowOptions } from './rows.ts';

const log = (line: string): void => console.error(line);
const [benchmark, ...args] = process.argv.slice(2);

if (benchmark === 'ingest') {
  try {
    const { rows, rest } = parseRows(args);
    const reports = rows === undefined ? [await runOne(rest)] : await runRows(rows, rest);
    if (reports.some(({ results }) => results.some(({ errors }) => errors > 0))) process.exitCode = 1;
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
} else if (benchmark === 'replay') {
  try {
    const options = parseReplayOptions(args);
    console.log(formatReplayReport(await runReplay(options, log), options));
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
} else if (benchmark === 'bucket') {
  try {
    const options = parseBucketOptions(args);
    console.log(formatBucketReport(await runBucket(options, log), options));
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
} else if (benchmark === 'bucket-query') {
  // Two queries in a process of their own.
  console.log(JSON.stringify(await runQuery(JSON.parse(args[0] ?? '{}') as QueryOrder)));
} else if (benchmark === 'catalog') {
  console.log(formatCatalogReport(runCatalog(parseCatalogOptions(args), log)));
} else if (benchmark === 'catalog-start') {
  // A start in a process of its own.
  console.log(JSON.stringify(await openCatalog(args[0] ?? '')));
} else if (benchmark === 'send') {
  // The load's own process, started by the others.
  console.log(JSON.stringify(await send(JSON.parse(args[0] ?? '{}') as SendOptions)));
} else {
  console.error(
    'usage: npm run bench -- ingest|replay|bucket|catalog [--series N] [--steps N] …  (see bench/README.md)',
  );
  process.exitCode = 2;
}
process.exit();

async function runOne(rest: readonly string[]): Promise<IngestReport> {
  const options = parseIngestOptions(rest);
  const report = await runIngest(options, log);
  console.log(formatIngestReport(report, options));
  return report;
}

async function runRows(rows: readonly Row[], rest: readonly string[]): Promise<IngestReport[]> {
  const measured: { row: Row; report: IngestReport }[] = [];
  for (const row of rows) {
    log(`row ${row.name}: ${row.title}`);
    measured.push({ row, report: await runIngest(rowOptions(row, rest), log) });
  }
  console.log(formatRows(measured));
  return measured.map(({ report }) => report);
}
