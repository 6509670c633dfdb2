/** The command line `varve`: which command was called, with what, and how a mistake in it is told. */
import { totalmem } from 'node:os';
import { Command, CommanderError, Option } from 'commander';
import { ConfigError } from '../config/config-node.ts';
import {
  environmentName,
  type Flag,
  FlagError,
  RESTORE_FLAGS,
  restoreSettings,
  SERVE_FLAGS,
  serveSettings,
} from '../config/flags.ts';
import { nearest } from '../config/nearest.ts';
import { VERSION } from '../telemetry/version.ts';
import { EXIT } from './exit-codes.ts';
import { checkHealth, healthQuestion } from './healthcheck.ts';
import type { Machine } from './serve.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Runs the command that `args` (without node and script) name and resolves with the exit code. Never rejects. `machine`: see serve.ts. */
export async function run(args: readonly string[], environment: Environment, machine?: Machine): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = commandLine(environment, machine, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok; // --help, --version
    const isUsage = [CommanderError, FlagError, ConfigError].some((kind) => error instanceof kind);
    process.stderr.write(
      `varve: ${error instanceof CommanderError ? usageText(error, program, args) : messageOf(error)}\n`,
    );
    return isUsage ? EXIT.usage : EXIT.failure;
  }
}

function commandLine(
  environment: Environment,
  machine: Machine | undefined,
  exitWith: (code: number) => void,
): Command {
  const program = new Command('varve')
    .description('Long-term storage for Prometheus: remote write in, TSDB blocks in object storage, remote read out.')
    .version(
      `varve ${VERSION} (node ${process.version}, ${process.platform}-${process.arch})`,
      '--version',
      'Show the version.',
    )
    .helpOption('-h, --help', 'Show help.')
    .helpCommand('help [command]', 'Show the help of a command.')
    .exitOverride()
    .configureOutput({ outputError: () => {} });

  const serveCommand = program
    .command('serve')
    .description('Run the server. Each flag is also a variable in the environment; a flag wins over its variable.')
    .allowExcessArguments(false)
    .action(async () => {
      const commandLine = givenFlags(serveCommand);
      const settings = serveSettings({ commandLine, environment, memoryBytes: memoryBytes() });
      // Loaded here, so that a health check does not load the server.
      const { serve } = await import('./serve.ts');
      exitWith(await serve(settings, machine));
    });
  for (const flag of Object.values(SERVE_FLAGS)) serveCommand.addOption(optionOf(flag));

  const restoreCommand = program
    .command('restore')
    .description('Restore an empty data directory from the WAL that a lost machine shipped to the bucket.')
    .allowExcessArguments(false)
    .action(async () => {
      const settings = restoreSettings({ commandLine: givenFlags(restoreCommand), environment });
      const { restore } = await import('./restore.ts');
      exitWith(await restore(settings));
    });
  for (const flag of Object.values(RESTORE_FLAGS)) restoreCommand.addOption(optionOf(flag));

  program
    .command('healthcheck')
    .description('Ask a running server whether it is healthy; exit 0 if it is, 1 if not. For container health checks.')
    .allowExcessArguments(false)
    .option('--url <URL>', 'Where it answers. (default: /-/healthy on the address of VARVE_WEB_LISTEN_ADDRESS)')
    .action(async ({ url }: { url?: string }) => {
      const question =
        url === undefined ? await healthQuestion(environment) : { url: parseUrl(url), webConfig: undefined };
      exitWith((await checkHealth(question)) ? EXIT.ok : EXIT.failure);
    });
  return program;
}

/** The flag as commander sees it: it only collects texts; their order of precedence and meaning are the table's. */
function optionOf(flag: Flag): Option {
  const shownDefault = flag.defaultNote ?? flag.defaults.join(', ');
  const description = [
    flag.description,
    shownDefault === '' ? '' : `(default: ${shownDefault})`,
    `(env: ${environmentName(flag.name)})`,
  ];
  const option = new Option(
    `--${flag.name} ${flag.placeholder || '[true|false]'}`,
    description.filter(Boolean).join(' '),
  );
  return option.argParser((text: string, earlier: readonly string[] = []) => [...earlier, text]);
}

function givenFlags(command: Command): Map<string, readonly string[]> {
  const given = new Map<string, readonly string[]>();
  for (const option of command.options) {
    const texts: unknown = command.getOptionValue(option.attributeName());
    if (Array.isArray(texts)) given.set(option.name(), texts);
    else if (texts === true) given.set(option.name(), ['true']); // A switch without a value.
  }
  return given;
}

/** A mistake in the command line in one sentence; an unknown name with the known one that is nearest. */
function usageText(error: CommanderError, program: Command, args: readonly string[]): string {
  if (error.code === 'commander.help') return 'which command? See above.';
  const command = program.commands.find((candidate) => candidate.name() === args[0]);
  const help = `see varve ${command === undefined ? '' : `${command.name()} `}--help`;
  const unknown = /'(.*)'/s.exec(error.message)?.[1] ?? '';
  if (error.code === 'commander.unknownOption') {
    const shown = unknown.split('=', 1)[0] as string;
    const flags = (command === undefined ? program.commands : [command]).flatMap(({ options }) => options);
    const known = flags.flatMap(({ long }) => long ?? []);
    return `unknown flag ${shown}: the nearest is ${nearest(shown, known)}; ${help}`;
  }
  if (error.code === 'commander.unknownCommand') {
    const known = program.commands.map((candidate) => candidate.name());
    return `unknown command ${JSON.stringify(unknown)}: the nearest is ${nearest(unknown, known)}; ${help}`;
  }
  return `${error.message.replace(/^error: /, '').replaceAll(/\boption\b/g, 'flag')}; ${help}`;
}

function parseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) throw new FlagError(`--url: want http(s)://host[:port]/path`);
  return url;
}

/** The limit of the container, or all memory of the machine. */
function memoryBytes(): number {
  return Math.min(process.constrainedMemory() || Number.POSITIVE_INFINITY, totalmem());
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
