/** The bucket that `--objstore.config-file` or `--objstore.config` describes, as `varve serve` opens it. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  type BucketLocation,
  type Clock,
  type Executor,
  type ShipSettings,
  StorageError,
} from '../../storage/index.ts';
import { ConfigError } from '../config/config-node.ts';
import { FlagError, SERVE_FLAGS } from '../config/flags.ts';
import { secretText } from '../config/secret.ts';
import type { ServeSettings } from '../config/settings.ts';
import { parseBucketConfig } from '../objectstore/bucket-config.ts';
import { bucketLocation } from '../objectstore/open-bucket.ts';
import type { StoreType } from '../objectstore/prices.ts';
import { probeBucket } from '../objectstore/probe.ts';
import { readConfigFile } from './read-config-file.ts';

export interface ConfiguredBucket {
  readonly location: BucketLocation;
  readonly type: StoreType;
  readonly warnings: readonly string[];
  /** Of a bucket that is a directory. */
  readonly directory: string | undefined;
}

/** What the flags say; undefined without them: blocks stay in the data directory. Rejects with ConfigError. */
export async function configuredBucket(
  { objstoreConfig, objstoreConfigFile }: Pick<ServeSettings, 'objstoreConfig' | 'objstoreConfigFile'>,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<ConfiguredBucket | undefined> {
  const flag = `--${SERVE_FLAGS[objstoreConfig === undefined ? 'objstoreConfigFile' : 'objstoreConfig'].name}`;
  let text: string;
  if (objstoreConfig !== undefined) text = secretText(objstoreConfig);
  else if (objstoreConfigFile !== undefined) text = await readText(objstoreConfigFile, flag);
  else return undefined;
  const { config, warnings } = parseBucketConfig(text, {
    name: objstoreConfigFile ?? flag,
    environment,
    readFile: (path) => readFileSync(path),
  });
  const directory = config.type === 'FILESYSTEM' ? resolve(config.directory) : undefined;
  return { location: bucketLocation(config), type: config.type, warnings, directory };
}

/** The bucket as the engine is to see it: the one in the data directory needs no uploads. */
export function engineBucket(bucket: ConfiguredBucket | undefined, dataDirectory: string): BucketLocation | undefined {
  return bucket?.directory === join(dataDirectory, 'bucket') ? undefined : bucket?.location;
}

/** A bucket that goes with the data directory saves nothing. Throws FlagError if answers were to wait for it. */
export function shipSettings(
  { walShipIntervalMs, walAck, walAckIntervalMs }: ServeSettings,
  location: BucketLocation | undefined,
  { bucketDirectory, dataDirectory }: { readonly bucketDirectory: string | undefined; readonly dataDirectory: string },
): ShipSettings {
  const isInside = bucketDirectory !== undefined && `${bucketDirectory}/`.startsWith(`${dataDirectory}/`);
  const isOff = location === undefined || isInside;
  if (walAck === 'bucket' && isOff) {
    const [ack, file] = [SERVE_FLAGS.walAck.name, SERVE_FLAGS.objstoreConfigFile.name];
    throw new FlagError(`--${ack}=bucket needs a bucket outside of the data directory: see --${file}`);
  }
  if (isOff) return { intervalMs: 0, ack: 'local' };
  return { intervalMs: walAck === 'bucket' ? walAckIntervalMs : walShipIntervalMs, ack: walAck };
}

/**
 * Asks the store once. Resolves with a warning if it does not answer now, which may be an outage. Rejects with ConfigError
 * if it refuses for good.
 */
export async function checkBucket(
  { location }: ConfiguredBucket,
  world: { readonly executor: Executor; readonly clock: Pick<Clock, 'after'> },
): Promise<string | undefined> {
  try {
    await probeBucket(location, world);
    return undefined;
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    if (error.kind === 'invalid')
      throw new ConfigError(`the bucket cannot be used: ${error.message}`, { cause: error });
    return `the bucket does not answer: ${error.message}`;
  }
}

async function readText(path: string, flag: string): Promise<string> {
  try {
    return (await readConfigFile(path)).bytes.toString('utf8');
  } catch (error) {
    throw new ConfigError(`cannot read ${path} (${flag}): ${(error as Error).message}`, { cause: error });
  }
}
