/** The API on a loopback port of its own, and a raw connection to it for what fetch cannot send. */
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type Server, type StartServerOptions, startServer } from '../../../src/api/server.ts';
import { readConfigFile } from '../../../src/cli/read-config-file.ts';
import type { ServeSettings } from '../../../src/config/settings.ts';
import { ReaderPool } from '../../../src/read/reader-pool.ts';
import { createLog } from '../../../src/telemetry/log.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { WebConfigFile } from '../../../src/web/web-config-file.ts';
import { Database, nodeFileSystem, systemClock, systemRandom, workerExecutor } from '../../../storage/index.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';

const SETTINGS: ServeSettings = {
  listenAddresses: [{ host: '127.0.0.1', port: 0 }],
  externalUrl: undefined,
  routePrefix: '',
  lifecycleEnabled: false,
  webConfigFile: undefined,
  storagePath: 'data',
  objstoreConfig: undefined,
  objstoreConfigFile: undefined,
  pricesFile: undefined,
  externalLabels: [],
  memoryBudgetBytes: 256 * 1024 * 1024,
  walSync: 'commit',
  walSyncIntervalMs: 1000,
  walShipIntervalMs: 10_000,
  walAck: 'local',
  walAckIntervalMs: 250,
  restore: false,
  restoreInstance: undefined,
  minFreeBytes: undefined,
  localBlocksBytes: 1024 * 1024 * 1024,
  syncIntervalMs: 900_000,
  consistencyDelayMs: 0,
  ignoreDeletionMarksDelayMs: 86_400_000,
  minTime: undefined,
  maxTime: undefined,
  idleCutMs: 10_800_000,
  outOfOrderMs: 86_400_000,
  futureMs: 600_000,
  maxOpenWindows: 128,
  defaultTenantId: 'default-tenant',
  limitsConfigFile: undefined,
  requireTenant: false,
  tenantHeader: 'THANOS-TENANT',
  tenantLabelName: 'tenant_id',
  relabelConfigFile: undefined,
  haReplicaLabel: undefined,
  haClusterLabels: [],
  partialResponse: true,
  queryCacheMemoryBytes: 0,
  queryCacheDiskBytes: 0,
  logLevel: 'info',
  logFormat: 'logfmt',
};

export interface RunningServer extends AsyncDisposable {
  readonly server: Server;
  readonly port: number;
  readonly webConfig: WebConfigFile;
  /** `http://127.0.0.1:<port>` and the route prefix. */
  readonly url: string;
  readonly logLines: string[];
}

export type ServeOptions = Partial<Omit<StartServerOptions, 'settings' | 'webConfig'>> & {
  settings?: Partial<ServeSettings>;
  /** What --web.config.file says. */
  webConfigPath?: string;
  /** The data directory of `serveDatabase`; by default one of its own. */
  directory?: string;
};

/** Starts the API; with a database that never opens, unless one is given. */
export async function serve({ settings = {}, webConfigPath, ...given }: ServeOptions = {}): Promise<RunningServer> {
  const logLines: string[] = [];
  const webConfig = await openWebConfig(webConfigPath);
  const server = await startServer({
    settings: { ...SETTINGS, ...settings },
    database: new Promise(() => {}),
    readers: () => {
      throw new Error('this test has no readers');
    },
    log: createLog({ level: 'info', format: 'logfmt', clock: systemClock, write: (line) => void logLines.push(line) }),
    metrics: new Metrics(),
    clock: systemClock,
    onFirstWrite: () => {},
    onQuit: () => {},
    webConfig,
    ...given,
  });
  const port = server.addresses[0]?.port as number;
  return {
    server,
    port,
    webConfig,
    url: `http://127.0.0.1:${port}${settings.routePrefix ?? ''}`,
    logLines,
    [Symbol.asyncDispose]: () => server.close(0),
  };
}

export function openWebConfig(path: string | undefined): Promise<WebConfigFile> {
  return WebConfigFile.open({ path, readFile: readConfigFile, clock: systemClock });
}

/** Starts the API on a database of its own, in a temporary directory that goes away with it. */
export async function serveDatabase(options: ServeOptions = {}): Promise<RunningServer & { database: Database }> {
  const directory = new TemporaryDirectory('api');
  const settings = { ...SETTINGS, ...options.settings };
  const database = await Database.open({
    directory: options.directory ?? join(directory.path, 'data'),
    memoryBudgetBytes: settings.memoryBudgetBytes,
    externalLabels: settings.externalLabels,
    tenantLabelName: settings.tenantLabelName,
    defaultTenant: settings.defaultTenantId,
    idleCutMs: settings.idleCutMs,
    ...(settings.haReplicaLabel === undefined
      ? {}
      : { ha: { replica: settings.haReplicaLabel, clusters: settings.haClusterLabels } }),
    walSyncIntervalMs: settings.walSync === 'interval' ? settings.walSyncIntervalMs : 0,
    times: {
      futureMs: settings.futureMs,
      outOfOrderMs: settings.outOfOrderMs,
      maxOpenWindows: settings.maxOpenWindows,
    },
    fileSystem: nodeFileSystem,
    clock: systemClock,
    random: systemRandom,
    executor: workerExecutor,
    onEvent: () => {},
  });
  const readers = new ReaderPool(database, { threads: 1 });
  const running = await serve({ database: Promise.resolve(database), readers: () => readers, ...options });
  return {
    ...running,
    database,
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]();
      await readers.close();
      await database.close();
      directory[Symbol.dispose]();
    },
  };
}

/** POSTs a body to a write path, with a sender's headers unless others are given. */
export async function write(
  url: string,
  body: Uint8Array<ArrayBuffer>,
  { path = '/api/v1/write', headers = {} }: { path?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; text: string; headers: Headers }> {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy', ...headers },
    body,
  });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

/**
 * Sends bytes as they are, from any loopback address, and returns all that came back until the server closed the connection, or until `enough` says
 * so. Writing may fail half-way: a server may answer before it has read everything.
 */
export async function exchange(
  port: number,
  parts: Iterable<string | Uint8Array>,
  enough: (answer: string) => boolean = () => false,
  localAddress = '127.0.0.1',
): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  let answer = '';
  const ended = new Promise<void>((resolve, reject) => {
    socket.on('data', (bytes) => {
      answer += bytes.toString('latin1');
      if (enough(answer)) resolve();
    });
    socket.on('end', resolve);
    socket.on('close', () => resolve());
    socket.on('error', (error) => (answer === '' ? reject(error) : resolve()));
  });
  await Promise.race([sendAll(socket, parts), ended]);
  await ended;
  socket.destroy();
  return answer;
}

async function sendAll(socket: Socket, parts: Iterable<string | Uint8Array>): Promise<void> {
  const closed = new Promise((resolve) => socket.once('close', resolve));
  for (const part of parts) {
    if (socket.destroyed) return;
    if (!socket.write(part)) await Promise.race([closed, new Promise((resolve) => socket.once('drain', resolve))]);
  }
}

/** The status of a raw answer. */
export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
}
