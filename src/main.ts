/** The entry of the program: the command line in, the exit code out. */
import { run } from './cli/program.ts';

// A reader of our output that goes away (`varve serve | head`) must not take the server with it.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

process.exit(await run(process.argv.slice(2), process.env));
