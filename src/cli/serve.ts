/** `varve serve`: opens the data directory, answers HTTP, and ends when it is told to, with everything on disk. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import {
  type BucketLocation,
  Database,
  type DatabaseEvent,
  type Executor,
  type FileSystem,
  nodeFileSystem,
  RestoreChoiceError,
  type ShipSettings,
  StorageError,
  systemClock,
  systemRandom,
  workerExecutor,
} from '../../storage/index.ts';
import { type Server, startServer } from '../api/server.ts';
import type { RestoreProgress } from '../api/service.ts';
import { ConfigFile } from '../config/config-file.ts';
import { SERVE_FLAGS } from '../config/flags.ts';
import { type LimitsConfig, parseLimitsConfig } from '../config/limits-config.ts';
import { formatListenAddress, localUrl } from '../config/listen-address.ts';
import { type Reloadable, Reloader } from '../config/reloader.ts';
import type { ListenAddress, ServeSettings } from '../config/settings.ts';
import type { RelabelRule } from '../ingest/relabel.ts';
import { parseRelabelConfig } from '../ingest/relabel-config.ts';
import { RelabelPolicy } from '../ingest/relabel-policy.ts';
import { DEFAULT_READER_POOL_SETTINGS, ReaderPool } from '../read/reader-pool.ts';
import { exportBucketUsage } from '../telemetry/bucket-metrics.ts';
import { DatabaseJournal } from '../telemetry/database-journal.ts';
import { exportDatabase, exportTenantBacklogs } from '../telemetry/database-metrics.ts';
import { createLog, type Log } from '../telemetry/log.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { VERSION } from '../telemetry/version.ts';
import { WebConfigFile } from '../web/web-config-file.ts';
import { configuredPrices, openAccount } from './account.ts';
import { banner, firstWriteText } from './banner.ts';
import { type ConfiguredBucket, checkBucket, configuredBucket, engineBucket, shipSettings } from './bucket.ts';
import { EXIT } from './exit-codes.ts';
import { readConfigFile } from './read-config-file.ts';
import { instancesText, restoreFirst } from './restore.ts';
import { StopRequest } from './stop-request.ts';
import { openStoragePath } from './storage-path.ts';

/** What the engine runs on. Another than the real one is for tests of what it does when a machine fails. */
export interface Machine {
  readonly fileSystem: FileSystem;
  readonly executor: Executor;
  readonly walSegmentBytes?: number;
  readonly bucket?: BucketLocation;
  /** SQLite works on the machine's own disk, past `fileSystem`. */
  readonly isCatalogInMemory?: boolean;
}

const REAL_MACHINE: Machine = { fileSystem: nodeFileSystem, executor: workerExecutor };

/**
 * Runs the server until a signal or POST /-/quit ends it, and resolves with the exit code. Throws FlagError if the data
 * directory cannot be used, ConfigError if a configuration file cannot; nothing listens then. Ends the process itself when
 * the engine is broken, or when it is told to stop a second time.
 */
export async function serve(settings: ServeSettings, machine: Machine = REAL_MACHINE): Promise<number> {
  const startedMs = systemClock.monotonicMs();
  const webConfig = await openWebConfig(settings);
  const limits = await openLimits(settings);
  const relabelConfig = await openRelabelConfig(settings);
  const bucket = await configuredBucket(settings);
  const prices = await configuredPrices(settings, bucket?.type);
  const dataDirectory = openStoragePath(settings.storagePath);
  const log = standardErrorLog(settings);
  const stop = new StopRequest(log);
  stop.listenToSignals();
  watchProcess(log);
  const warnings = [webConfig.current.warnings, limits?.warnings ?? [], bucket?.warnings ?? []].flat();
  for (const warning of warnings) log.warn(warning);
  await lookAtBucket(bucket, machine, log);

  const journal = new DatabaseJournal(log, systemClock);
  const metrics = new Metrics();
  const files: Reloadable[] = settings.webConfigFile === undefined ? [] : [webConfig];
  if (limits !== undefined) files.push(limits);
  if (relabelConfig !== undefined) files.push(relabelConfig);
  const reloader = openReloader(files, log, metrics);
  const location = engineBucket(bucket, dataDirectory) ?? machine.bucket;
  const ship = shipSettings(settings, location, { bucketDirectory: bucket?.directory, dataDirectory });
  const account = openAccount({ clock: systemClock, log, prices, bucket, location });
  if (account.bucket !== undefined) exportBucketUsage(metrics, account.bucket.usage);
  const onEvent = (event: DatabaseEvent): void => {
    journal.record(event);
    account.note(event);
  };
  let restoreProgress: RestoreProgress | undefined;
  const opening = restoreFirst(settings, { directory: dataDirectory, location, log }, (progress) => {
    restoreProgress = progress;
  }).then(() => openDatabase(settings, machine, onEvent, { directory: dataDirectory, relabelConfig, location, ship }));
  let readers: ReaderPool | undefined;
  const starting = startServer({
    settings,
    database: opening,
    readers: (database) => {
      readers = new ReaderPool(database);
      return readers;
    },
    log,
    metrics,
    clock: systemClock,
    replayProgress: () => journal.replayProgress,
    restoreProgress: () => restoreProgress,
    onFirstWrite: (write) => void process.stdout.write(firstWriteText(write)),
    onQuit: () => stop.make('POST /-/quit'),
    webConfig,
    limits,
    account,
    ...(reloader === undefined ? {} : { reload: () => reloader.reload('POST /-/reload') }),
  });

  try {
    // Told to stop while it replays, it may go at once: nothing has been accepted yet.
    const running = await Promise.race([stop.made.then(() => undefined), Promise.all([opening, starting])]);
    if (running === undefined) return EXIT.ok;
    const [database, server] = running;
    exportDatabase(metrics, () => database.stats());
    exportTenantBacklogs(metrics, () => database.tenantBacklogs());
    const stopAccount = account.watch(database);
    printBanner({ settings, server, webConfig, dataDirectory, bucket }, systemClock.monotonicMs() - startedMs);
    log.info('stopping', { reason: await stop.made });
    stopAccount();
    await server.close();
    await readers?.close();
    await database.close();
    log.info('stopped');
    return EXIT.ok;
  } catch (error) {
    if (error instanceof RestoreChoiceError) {
      process.stderr.write(`varve: ${error.message}\n${instancesText(error.instances)}`);
      return EXIT.usage;
    }
    log.error('the server cannot go on', { error: error instanceof Error ? error : String(error) });
    return error instanceof StorageError && error.kind === 'locked' ? EXIT.locked : EXIT.failure;
  }
}

/** Rejects with ConfigError for a bucket that will never work; one that does not answer now may do so later. */
async function lookAtBucket(bucket: ConfiguredBucket | undefined, { executor }: Machine, log: Log): Promise<void> {
  if (bucket === undefined) return;
  const warning = await checkBucket(bucket, { executor, clock: systemClock });
  if (warning !== undefined) log.warn(warning, { bucket: bucket.location.description });
}

function watchProcess(log: Log): void {
  process.on('uncaughtException', (error) => {
    log.error('a bug: the process ends, and the WAL restores what was acknowledged', { error: error.stack ?? error });
    process.exit(EXIT.internal);
  });
}

function openWebConfig({ webConfigFile }: ServeSettings): Promise<WebConfigFile> {
  return WebConfigFile.open({ path: webConfigFile, readFile: readConfigFile, clock: systemClock });
}

async function openLimits({ limitsConfigFile: path }: ServeSettings): Promise<ConfigFile<LimitsConfig> | undefined> {
  if (path === undefined) return undefined;
  return await ConfigFile.open({
    path,
    flag: SERVE_FLAGS.limitsConfigFile.name,
    parse: parseLimitsConfig,
    warningsOf: ({ warnings }) => warnings,
    readFile: readConfigFile,
  });
}

type RelabelConfig = ConfigFile<readonly RelabelRule[]>;

async function openRelabelConfig({ relabelConfigFile: path }: ServeSettings): Promise<RelabelConfig | undefined> {
  if (path === undefined) return undefined;
  return await ConfigFile.open({
    path,
    flag: SERVE_FLAGS.relabelConfigFile.name,
    parse: parseRelabelConfig,
    warningsOf: () => [],
    readFile: readConfigFile,
  });
}

function relabelPolicy(config: RelabelConfig): RelabelPolicy {
  const policy = new RelabelPolicy(config.current);
  config.onChange((rules) => policy.use(rules));
  return policy;
}

/** Listens to SIGHUP for the rest of the process's life, and to changes of configuration files, if there are any. */
function openReloader(files: readonly Reloadable[], log: Log, metrics: Metrics): Reloader | undefined {
  if (files.length === 0) {
    process.on('SIGHUP', () => log.info('nothing to reload: flags are read at the start only'));
    return undefined;
  }
  const reloader = new Reloader({ files, log, metrics, clock: systemClock });
  process.on('SIGHUP', () => void reloader.reload('SIGHUP').catch(() => {})); // Why not stands in the log.
  reloader.watch();
  return reloader;
}

function standardErrorLog({ logLevel, logFormat }: ServeSettings): Log {
  const write = (line: string): void => void process.stderr.write(line);
  return createLog({ level: logLevel, format: logFormat, clock: systemClock, write });
}

/** What the engine is given besides flags. */
interface DatabaseConfiguration {
  readonly directory: string;
  readonly relabelConfig: RelabelConfig | undefined;
  readonly location: BucketLocation | undefined;
  readonly ship: ShipSettings;
}

function openDatabase(
  settings: ServeSettings,
  machine: Machine,
  onEvent: (event: DatabaseEvent) => void,
  { directory, relabelConfig, location, ship }: DatabaseConfiguration,
): Promise<Database> {
  const { haReplicaLabel: replica, haClusterLabels: clusters } = settings;
  return Database.open({
    ...machine,
    ...(location === undefined ? {} : { bucket: location }),
    ...(relabelConfig === undefined ? {} : { policy: relabelPolicy(relabelConfig) }),
    ...(replica === undefined ? {} : { ha: { replica, clusters } }),
    ship,
    host: hostname(),
    directory,
    ...(machine.isCatalogInMemory ? {} : { catalogPath: join(directory, 'catalog.sqlite') }),
    memoryBudgetBytes: settings.memoryBudgetBytes,
    externalLabels: settings.externalLabels,
    tenantLabelName: settings.tenantLabelName,
    defaultTenant: settings.defaultTenantId,
    idleCutMs: settings.idleCutMs,
    blocks: {
      localBlocksBytes: settings.localBlocksBytes,
      syncIntervalMs: settings.syncIntervalMs,
      consistencyDelayMs: settings.consistencyDelayMs,
      ignoreDeletionMarksDelayMs: settings.ignoreDeletionMarksDelayMs,
      ...(settings.minTime === undefined ? {} : { minTime: settings.minTime }),
      ...(settings.maxTime === undefined ? {} : { maxTime: settings.maxTime }),
    },
    walSyncIntervalMs: settings.walSync === 'interval' ? settings.walSyncIntervalMs : 0,
    ...(settings.minFreeBytes === undefined ? {} : { minFreeBytes: settings.minFreeBytes }),
    times: {
      futureMs: settings.futureMs,
      outOfOrderMs: settings.outOfOrderMs,
      maxOpenWindows: settings.maxOpenWindows,
    },
    queryCache: {
      memoryBytes: Math.floor(settings.queryCacheMemoryBytes / DEFAULT_READER_POOL_SETTINGS.threads),
      diskBytes: settings.queryCacheDiskBytes,
    },
    clock: systemClock,
    random: systemRandom,
    onEvent: (event) => {
      onEvent(event);
      if (event.kind === 'failed') process.exit(EXIT.internal);
    },
  });
}

interface Running {
  readonly settings: ServeSettings;
  readonly server: Server;
  readonly webConfig: WebConfigFile;
  readonly dataDirectory: string;
  readonly bucket: ConfiguredBucket | undefined;
}

function printBanner({ settings, server, webConfig, dataDirectory, bucket }: Running, readyAfterMs: number): void {
  const { routePrefix, externalUrl, memoryBudgetBytes } = settings;
  const { tls, users } = webConfig.current;
  const scheme = tls === undefined ? 'http' : 'https';
  const addresses = server.addresses.map(({ host, port }) => {
    return `${scheme}://${formatListenAddress({ host: host || '::', port })}${routePrefix}`;
  });
  process.stdout.write(
    banner({
      version: VERSION,
      readyAfterMs,
      addresses,
      url: externalUrl ?? localUrl(server.addresses[0] as ListenAddress, { routePrefix, scheme }),
      needsPassword: users.size > 0,
      dataDirectory,
      bucket: bucket?.location.description ?? join(dataDirectory, 'bucket'),
      memoryBudgetBytes,
    }),
  );
}
