/** `npm run bench -- <benchmark> [options]`; see README.md beside this file. */
import { formatIngestReport, parseIngestOptions, runIngest } from './ingest.ts';
import { type SendOptions, send } from './load/sender.ts';
import { formatReplayReport, parseReplayOptions, runReplay } from './replay.ts';

const [benchmark, ...args] = process.argv.slice(2);

if (benchmark === 'ingest') {
  try {
    const options = parseIngestOptions(args);
    const report = await runIngest(options, (line) => console.error(line));
    console.log(formatIngestReport(report, options));
    if (report.results.some(({ errors }) => errors > 0)) process.exitCode = 1;
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
} else if (benchmark === 'replay') {
  try {
    const options = parseReplayOptions(args);
    console.log(formatReplayReport(await runReplay(options, (line) => console.error(line)), options));
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
} else if (benchmark === 'send') {
  // The load's own process, started by the others.
  console.log(JSON.stringify(await send(JSON.parse(args[0] ?? '{}') as SendOptions)));
} else {
  console.error('usage: npm run bench -- ingest|replay [--series N] [--steps N] …  (see bench/README.md)');
  process.exitCode = 2;
}
process.exit();
