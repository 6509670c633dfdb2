/** What the bucket costs and how long the disk will do, as `varve serve` keeps account of it. */
import { type BucketLocation, BucketUsage, type Clock } from '../../storage/index.ts';
import { ConfigError } from '../config/config-node.ts';
import { SERVE_FLAGS } from '../config/flags.ts';
import type { ServeSettings } from '../config/settings.ts';
import { Account } from '../objectstore/account.ts';
import { LIST_PRICES, type Prices, parsePrices, type StoreType } from '../objectstore/prices.ts';
import type { Log } from '../telemetry/log.ts';
import type { ConfiguredBucket } from './bucket.ts';
import { readConfigFile } from './read-config-file.ts';

/** What a store asks by its list, or by the file that the flag names. Rejects with ConfigError. */
export async function configuredPrices(
  { pricesFile: path }: Pick<ServeSettings, 'pricesFile'>,
  type: StoreType = 'FILESYSTEM',
): Promise<Prices> {
  if (path === undefined) return LIST_PRICES[type];
  let text: string;
  try {
    text = (await readConfigFile(path)).bytes.toString('utf8');
  } catch (error) {
    const flag = SERVE_FLAGS.pricesFile.name;
    throw new ConfigError(`cannot read ${path} (--${flag}): ${(error as Error).message}`, { cause: error });
  }
  return parsePrices(text, path, LIST_PRICES[type]);
}

interface AccountParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly prices: Prices;
  readonly bucket: Pick<ConfiguredBucket, 'type'> | undefined;
  /** Where blocks go; undefined: they stay in the data directory. */
  readonly location: BucketLocation | undefined;
}

export function openAccount({ clock, log, prices, bucket, location }: AccountParts): Account {
  if (location === undefined) return new Account({ clock, log });
  const { description, usage } = location;
  const type = bucket?.type ?? 'FILESYSTEM';
  return new Account({ clock, log, bucket: { type, description, usage: new BucketUsage(usage), prices } });
}
