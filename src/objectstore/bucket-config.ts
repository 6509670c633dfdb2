/**
 * The bucket's configuration, of `--objstore.config-file` or `--objstore.config`: Thanos's YAML as it is, so that one file
 * drives both products. Source: thanos-io/objstore, providers/{s3,gcs,azure,filesystem}. Keys: docs/formats/objstore.md.
 */
import { resolve } from 'node:path';
import { type ConfigNode, parseConfig } from '../config/config-node.ts';
import { nearest } from '../config/nearest.ts';
import type { Environment } from '../config/placeholders.ts';
import { type AzureConfig, parseAzureConfig } from './azure-config.ts';
import { type ConfigReading, textOf } from './config-reading.ts';
import { type GcsConfig, parseGcsConfig } from './gcs-config.ts';
import { OTHER_STORES, s3ConfigText } from './other-stores.ts';
import { parseS3Config, type S3Config } from './s3-config.ts';

/** Plain values and secrets (secret.ts): it survives a structured clone. */
export type BucketConfig = S3Config | GcsConfig | AzureConfig | FilesystemConfig;

export interface FilesystemConfig {
  readonly type: 'FILESYSTEM';
  /** Absolute, with the prefix. */
  readonly directory: string;
}

export interface ParsedBucketConfig {
  readonly config: BucketConfig;
  /** What is accepted, but not what its author may think. */
  readonly warnings: readonly string[];
}

export interface BucketConfigSource {
  /** What the text is called in errors. */
  readonly name: string;
  readonly environment: Environment;
  /** For the files that the configuration names: certificates and keys. Throws an Error that names the file. */
  readonly readFile: (path: string) => Buffer;
}

const TYPES = ['S3', 'GCS', 'AZURE', 'FILESYSTEM'] as const;

/** Reads the text of a bucket's configuration. Throws ConfigError. */
export function parseBucketConfig(
  text: string,
  { name, environment, readFile }: BucketConfigSource,
): ParsedBucketConfig {
  const root = parseConfig(text, name, environment);
  const { type, config, prefix, hedging_config } = root.fields('type', 'config', 'prefix', 'hedging_config');
  const reading: ConfigReading = { warnings: [], readFile };
  if (hedging_config !== undefined) {
    reading.warnings.push(`${hedging_config.position}: hedging_config has no effect: no request is made twice`);
  }
  if (type === undefined) return root.fail(`type: want one of ${TYPES.join(', ')}`);
  return {
    config: parseStore(type, config ?? type, { prefix: parsePrefix(prefix), reading }),
    warnings: reading.warnings,
  };
}

function parseStore(
  type: ConfigNode,
  config: ConfigNode,
  { prefix, reading }: { prefix: string; reading: ConfigReading },
): BucketConfig {
  const name = type.text().toUpperCase();
  if (config === type) return type.fail(`${name} wants its config`);
  switch (name) {
    case 'S3':
      return parseS3Config(config, prefix, reading);
    case 'GCS':
      return parseGcsConfig(config, prefix, reading);
    case 'AZURE':
      return parseAzureConfig(config, prefix, reading);
    case 'FILESYSTEM': {
      const { directory } = config.fields('directory');
      const path = textOf(directory);
      if (path === undefined) return (directory ?? config).fail('directory: want the directory of the bucket');
      return { type: 'FILESYSTEM', directory: resolve(path, prefix) };
    }
  }
  if (OTHER_STORES.includes(name)) return type.fail(`${name} speaks S3, use that: ${s3ConfigText(name)}`);
  return type.fail(`unknown type ${JSON.stringify(type.text())}: the nearest is ${nearest(name, TYPES)}`);
}

/** `a/b/` of `/a/b`; ''. */
function parsePrefix(node: ConfigNode | undefined): string {
  const parts = (node?.text() ?? '').split('/').filter((part) => part !== '');
  if (parts.some((part) => part === '.' || part === '..'))
    return (node as ConfigNode).fail('prefix: want no . and no ..');
  return parts.map((part) => `${part}/`).join('');
}
