/**
 * The object stores that tests talk to, each started on free loopback ports and ended with the test that started it.
 * `npm run objectstores` installs them.
 */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { freePort, Program } from './program.ts';
import { SwiftServer } from './swift.ts';
import { TemporaryDirectory } from './temporary-directory.ts';

const cache: string =
  process.env.VARVE_OBJECTSTORES ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'varve-objectstores');
const swiftRoot: string = join(cache, 'swift');
const fakeGcsServer: string = join(cache, 'bin/fake-gcs-server');
const azurite: string = join(import.meta.dirname, '../emulators/node_modules/azurite/dist/src/blob/main.js');

/** What this machine has. With CI=true a test that is skipped for want of one fails the run. */
export const objectStores: { readonly swift: boolean; readonly gcs: boolean; readonly azurite: boolean } = {
  swift: existsSync(join(swiftRoot, 'complete')),
  gcs: existsSync(fakeGcsServer),
  azurite: existsSync(azurite),
};

/** A running store. */
export interface ObjectStore extends AsyncDisposable {
  readonly port: number;
  /** Makes a bucket. */
  makeBucket(name: string): Promise<void>;
  /** The text of a `bucket.yml` for it, by way of `port`: its own, or that of something in between. */
  configText(bucket: string, options?: ConfigOptions): string;
  /** What has to stand in the environment of a process that opens it by way of `port`. */
  environment(port?: number): Readonly<Record<string, string>>;
}

export interface ConfigOptions {
  readonly port?: number;
  /** Further keys of `config`, as YAML in a flow map. */
  readonly keys?: string;
  readonly prefix?: string;
  readonly secret?: string;
}

function yaml(type: string, { keys = '', prefix = '' }: ConfigOptions, config: string): string {
  return `{type: ${type}, prefix: "${prefix}", config: {${config}${keys === '' ? '' : `, ${keys}`}}}`;
}

export async function startSwift(): Promise<ObjectStore> {
  const server = await SwiftServer.start(swiftRoot);
  return {
    port: server.port,
    makeBucket: (name) => server.makeBucket(name),
    configText: (bucket, options = {}) => {
      const { port = server.port, secret = server.secretKey } = options;
      const endpoint = `endpoint: "127.0.0.1:${port}", insecure: true`;
      const credentials = `access_key: "${server.accessKey}", secret_key: "${secret}"`;
      return yaml('S3', options, `bucket: ${bucket}, ${endpoint}, ${credentials}`);
    },
    environment: () => ({}),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** The account and key of every Azurite, as its documentation has them. */
const AZURITE_ACCOUNT = 'devstoreaccount1';
const AZURITE_KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

export async function startAzurite(): Promise<ObjectStore> {
  const temporary = new TemporaryDirectory('azurite');
  const port = await freePort();
  const where = ['--location', temporary.path, '--blobHost', '127.0.0.1', '--blobPort', String(port)];
  const args = [azurite, ...where, '--skipApiVersionCheck', '--disableTelemetry'];
  const program = new Program(process.execPath, args, { cwd: temporary.path });
  await program.ready('azurite', () => program.output.includes('successfully listens'));
  const connection = (to: number, key: string): string =>
    `DefaultEndpointsProtocol=http;AccountName=${AZURITE_ACCOUNT};AccountKey=${key};BlobEndpoint=http://127.0.0.1:${to}/${AZURITE_ACCOUNT}`;
  return {
    port,
    makeBucket: async (name) => {
      await BlobServiceClient.fromConnectionString(connection(port, AZURITE_KEY)).createContainer(name);
    },
    configText: (bucket, options = {}) => {
      const text = connection(options.port ?? port, options.secret ?? AZURITE_KEY);
      return yaml('AZURE', options, `container: ${bucket}, storage_connection_string: "${text}"`);
    },
    environment: () => ({}),
    [Symbol.asyncDispose]: async () => {
      await program.stop();
      temporary[Symbol.dispose]();
    },
  };
}

/** It asks for no credentials. */
export async function startFakeGcs(): Promise<ObjectStore> {
  const port = await freePort();
  const flags = [
    '-scheme',
    'http',
    '-host',
    '127.0.0.1',
    '-port',
    String(port),
    '-backend',
    'memory',
    '-log-level',
    'warn',
  ];
  const program = new Program(fakeGcsServer, [...flags, '-external-url', `http://127.0.0.1:${port}`]);
  const url = `http://127.0.0.1:${port}/storage/v1/b`;
  await program.answers(`${url}?project=p`);
  return {
    port,
    makeBucket: async (name) => {
      const headers = { 'Content-Type': 'application/json' };
      const { ok } = await fetch(`${url}?project=p`, { method: 'POST', headers, body: JSON.stringify({ name }) });
      if (!ok) throw new Error(`fake-gcs-server made no bucket ${name}`);
    },
    configText: (bucket, options = {}) => yaml('GCS', options, `bucket: ${bucket}`),
    environment: (to = port) => ({ STORAGE_EMULATOR_HOST: `http://127.0.0.1:${to}` }),
    [Symbol.asyncDispose]: async () => void (await program.stop()),
  };
}
