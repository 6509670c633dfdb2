/** `config` of `type: GCS`: the keys of Thanos, see docs/formats/objstore.md. */
import type { ConfigNode } from '../config/config-node.ts';
import { type Secret, secretOf } from '../config/secret.ts';
import { type ConfigReading, countOf, textOf, warnWithoutEffect } from './config-reading.ts';
import { type HttpConfig, parseHttpConfig } from './http-config.ts';
import { DEFAULT_ATTEMPTS, PAGE_OBJECTS } from './s3-config.ts';

export interface GcsConfig {
  readonly type: 'GCS';
  /** In front of all names: '' or `a/b/`. */
  readonly prefix: string;
  readonly bucket: string;
  /** The JSON of a key; undefined: what Google's library finds in the environment or from the machine. */
  readonly serviceAccount: Secret | undefined;
  /** Larger objects are sent in pieces of this size. */
  readonly chunkBytes: number;
  /** Most objects of one answer to a listing. */
  readonly pageObjects: number;
  readonly maxAttempts: number;
  readonly http: HttpConfig;
}

const DEFAULT_CHUNK_BYTES = 16 * 1024 * 1024;
/** Pieces are multiples of it. */
const CHUNK_UNIT_BYTES = 256 * 1024;

/** Reads `config`. Throws ConfigError. */
export function parseGcsConfig(node: ConfigNode, prefix: string, reading: ConfigReading): GcsConfig {
  const given = node.fields(
    'bucket',
    'service_account',
    'use_grpc',
    'grpc_conn_pool_size',
    'http_config',
    'chunk_size_bytes',
    'max_retries',
  );
  warnWithoutEffect(reading, given, {
    use_grpc: "requests go over HTTP, by Google's JSON API",
    grpc_conn_pool_size: "requests go over HTTP, by Google's JSON API",
  });
  const bucket = textOf(given.bucket);
  if (bucket === undefined) return (given.bucket ?? node).fail('bucket: want the name of the bucket');
  const chunkBytes = countOf(given.chunk_size_bytes, DEFAULT_CHUNK_BYTES);
  return {
    type: 'GCS',
    prefix,
    bucket,
    serviceAccount: parseServiceAccount(given.service_account),
    chunkBytes: Math.ceil(chunkBytes / CHUNK_UNIT_BYTES) * CHUNK_UNIT_BYTES,
    pageObjects: PAGE_OBJECTS,
    maxAttempts: countOf(given.max_retries, DEFAULT_ATTEMPTS - 1) + 1,
    http: parseHttpConfig(given.http_config, reading, {
      tls_handshake_timeout: 'response_header_timeout counts then, too',
    }),
  };
}

function parseServiceAccount(node: ConfigNode | undefined): Secret | undefined {
  const text = textOf(node);
  if (node === undefined || text === undefined) return undefined;
  try {
    // Its error would show the text.
    const key: unknown = JSON.parse(text);
    if (typeof key === 'object' && key !== null && 'type' in key) return secretOf(text);
  } catch {}
  return node.fail('service_account: want the JSON of a key, not the name of a file');
}
