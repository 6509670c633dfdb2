/** `config` of `type: S3`: the keys of Thanos, see docs/formats/objstore.md. */
import { hash } from 'node:crypto';
import type { ConfigNode } from '../config/config-node.ts';
import { type Secret, secretOf } from '../config/secret.ts';
import { type ConfigReading, countOf, fileOf, secretTextOf, textOf, warnWithoutEffect } from './config-reading.ts';
import { type HttpConfig, parseHttpConfig } from './http-config.ts';

export interface S3Config {
  readonly type: 'S3';
  /** In front of all names: '' or `a/b/`. */
  readonly prefix: string;
  readonly bucket: string;
  /** A URL without a path. */
  readonly endpoint: string;
  readonly region: string;
  /** undefined: what the AWS SDK finds in environment, files, or from the machine. */
  readonly credentials:
    | { readonly accessKey: string; readonly secretKey: Secret; readonly sessionToken: Secret | undefined }
    | undefined;
  /** The bucket is named in the path, not in the host's name. */
  readonly isPathStyle: boolean;
  /** The store is AWS's, which checks and returns SHA-256. */
  readonly isAws: boolean;
  readonly sendsContentMd5: boolean;
  /** Larger objects are sent in parts of this size; Infinity: never in parts. */
  readonly partBytes: number;
  readonly encryption: S3Encryption | undefined;
  /** Sent with each object that is put, names in lower case. */
  readonly putHeaders: Readonly<Record<string, string>>;
  readonly listVersion: 1 | 2;
  /** Most objects of one answer to a listing. */
  readonly pageObjects: number;
  /** Of one request, the first included. */
  readonly maxAttempts: number;
  readonly http: HttpConfig;
}

export type S3Encryption =
  | { readonly type: 'SSE-S3' }
  | { readonly type: 'SSE-KMS'; readonly keyId: string; readonly context: string | undefined }
  /** The key of 32 bytes in base64. */
  | { readonly type: 'SSE-C'; readonly key: Secret; readonly keyMd5: string };

const DEFAULT_PART_BYTES = 64 * 1024 * 1024;
/** S3 refuses smaller ones but for the last. */
const SMALLEST_PART_BYTES = 5 * 1024 * 1024;
const LARGEST_PART_BYTES = 1024 * 1024 * 1024;
export const DEFAULT_ATTEMPTS = 5;
/** What S3 and Google give at most. */
export const PAGE_OBJECTS = 1000;

/** Reads `config`. Throws ConfigError. */
export function parseS3Config(node: ConfigNode, prefix: string, reading: ConfigReading): S3Config {
  const given = node.fields(
    'bucket',
    'endpoint',
    'region',
    'disable_dualstack',
    'aws_sdk_auth',
    'access_key',
    'secret_key',
    'session_token',
    'insecure',
    'signature_version2',
    'put_user_metadata',
    'http_config',
    'trace',
    'list_objects_version',
    'bucket_lookup_type',
    'send_content_md5',
    'disable_multipart',
    'part_size',
    'sse_config',
    'encrypt_sse',
    'sts_endpoint',
    'max_retries',
  );
  warnWithoutEffect(reading, given, {
    disable_dualstack:
      'the address is exactly the endpoint; for both IP versions write s3.dualstack.<region>.amazonaws.com',
    signature_version2: 'requests are signed with version 4, which every store knows',
    sts_endpoint: 'set AWS_ENDPOINT_URL_STS in the environment instead',
  });
  if (given.trace?.fields('enable').enable?.boolean() === true) {
    reading.warnings.push(`${given.trace.position}: trace has no effect: requests are not logged`);
  }
  const bucket = textOf(given.bucket);
  if (bucket === undefined) return (given.bucket ?? node).fail('bucket: want the name of the bucket');
  const host = endpointHost(given.endpoint ?? node, textOf(given.endpoint));
  const isAws = /(?:^|\.)amazonaws\.com(?:\.cn)?(?::\d+)?$/.test(host);
  return {
    type: 'S3',
    prefix,
    bucket,
    endpoint: `${given.insecure?.boolean() === true ? 'http' : 'https'}://${host}`,
    region: textOf(given.region) ?? regionIn(host) ?? 'us-east-1',
    credentials: parseCredentials(node, given),
    isPathStyle: isPathStyle(given.bucket_lookup_type, host),
    isAws,
    sendsContentMd5: given.send_content_md5?.boolean() === true || !isAws,
    partBytes: given.disable_multipart?.boolean() === true ? Infinity : parsePartSize(given.part_size),
    encryption: parseEncryption(given.sse_config, given.encrypt_sse, reading),
    putHeaders: parsePutMetadata(given.put_user_metadata),
    listVersion: given.list_objects_version?.choice({ '': 2, v1: 1, v2: 2 } as const, 'list_objects_version') ?? 2,
    pageObjects: PAGE_OBJECTS,
    maxAttempts: countOf(given.max_retries, DEFAULT_ATTEMPTS - 1) + 1,
    http: parseHttpConfig(given.http_config, reading),
  };
}

function endpointHost(at: ConfigNode, text: string | undefined): string {
  if (text === undefined) return at.fail('endpoint: want the host of the store, such as s3.eu-central-1.amazonaws.com');
  const isHost =
    URL.canParse(`https://${text}`) && new URL(`https://${text}`).host === text.toLowerCase().replace(/:443$/, '');
  return isHost
    ? text.toLowerCase()
    : at.fail('endpoint: want host or host:port; http instead of https by `insecure: true`');
}

/** The region that one of AWS's hosts says: `s3.eu-west-1.amazonaws.com`, `s3.dualstack.us-east-2.amazonaws.com`. */
function regionIn(host: string): string | undefined {
  return /(?:^|\.)s3(?:-fips)?(?:\.dualstack)?[.-]([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$/.exec(host)?.[1];
}

function parseCredentials(
  node: ConfigNode,
  given: { access_key?: ConfigNode; secret_key?: ConfigNode; session_token?: ConfigNode; aws_sdk_auth?: ConfigNode },
): S3Config['credentials'] {
  const accessKey = textOf(given.access_key);
  const secretKey = secretTextOf(given.secret_key);
  const usesSdk = given.aws_sdk_auth?.boolean() === true;
  if (usesSdk && (accessKey ?? secretKey) !== undefined) {
    return (given.aws_sdk_auth as ConfigNode).fail('aws_sdk_auth and access_key exclude each other');
  }
  if (accessKey === undefined && secretKey === undefined) return undefined;
  if (accessKey === undefined) return node.fail('access_key is missing beside secret_key');
  if (secretKey === undefined) return node.fail('secret_key is missing beside access_key');
  return { accessKey, secretKey, sessionToken: secretTextOf(given.session_token) };
}

function isPathStyle(node: ConfigNode | undefined, host: string): boolean {
  const lookup = node?.choice(
    { '': 'auto', auto: 'auto', path: 'path', 'virtual-hosted': 'virtual-hosted' } as const,
    'bucket_lookup_type',
  );
  if (lookup !== undefined && lookup !== 'auto') return lookup === 'path';
  // As in minio-go, and so in Thanos: these three have the bucket in the host's name.
  return !/(?:^|\.)(?:amazonaws\.com(?:\.cn)?|storage\.googleapis\.com|aliyuncs\.com)(?::\d+)?$/.test(host);
}

function parsePartSize(node: ConfigNode | undefined): number {
  const bytes = countOf(node, DEFAULT_PART_BYTES);
  if (bytes < SMALLEST_PART_BYTES || bytes > LARGEST_PART_BYTES) {
    return (node as ConfigNode).fail(
      `part_size: want ${SMALLEST_PART_BYTES} to ${LARGEST_PART_BYTES} bytes: a part is held in memory, and S3 takes none that is smaller`,
    );
  }
  return bytes;
}

function parseEncryption(
  node: ConfigNode | undefined,
  encryptSse: ConfigNode | undefined,
  reading: ConfigReading,
): S3Encryption | undefined {
  if (encryptSse !== undefined) {
    reading.warnings.push(
      `${encryptSse.position}: encrypt_sse is not known to Thanos any more: write sse_config: {type: SSE-S3}`,
    );
  }
  const { type, kms_key_id, kms_encryption_context, encryption_key } =
    node?.fields('type', 'kms_key_id', 'kms_encryption_context', 'encryption_key') ?? {};
  const kind = type?.choice(
    { '': undefined, 'SSE-S3': 'SSE-S3', 'SSE-KMS': 'SSE-KMS', 'SSE-C': 'SSE-C' } as const,
    'sse_config.type',
  );
  if (kind === undefined) return encryptSse?.boolean() === true ? { type: 'SSE-S3' } : undefined;
  if (kind === 'SSE-S3') return { type: kind };
  if (kind === 'SSE-KMS') {
    const keyId = textOf(kms_key_id);
    if (keyId === undefined) return (type as ConfigNode).fail('SSE-KMS wants kms_key_id');
    const context = kms_encryption_context?.entries().map(([key, value]) => [key, value?.text() ?? '']) ?? [];
    return {
      type: kind,
      keyId,
      context: context.length === 0 ? undefined : JSON.stringify(Object.fromEntries(context)),
    };
  }
  if (textOf(encryption_key) === undefined) return (type as ConfigNode).fail('SSE-C wants encryption_key: a file');
  const at = encryption_key as ConfigNode;
  const key = fileOf(at, reading);
  if (key.length !== 32) return at.fail('encryption_key: want a file of exactly 32 bytes');
  return { type: kind, key: secretOf(key.toString('base64')), keyMd5: hash('md5', key, 'base64') };
}

/** As minio-go sorts them: headers that S3 knows, and metadata of the user's own. */
function parsePutMetadata(node: ConfigNode | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [key, value] of node?.entries() ?? []) {
    const name = key.toLowerCase();
    const text = value?.text() ?? '';
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name) || !/^[\t\x20-\x7e]*$/.test(text)) {
      return (value ?? (node as ConfigNode)).fail('put_user_metadata: want names and values of HTTP headers');
    }
    headers[isKnownHeader(name) ? name : `x-amz-meta-${name}`] = text;
  }
  return headers;
}

function isKnownHeader(name: string): boolean {
  return (
    /^(?:x-amz-(?:meta-|grant-|checksum-|server-side-encryption)|x-amz-(?:acl|storage-class|tagging)$)/.test(name) ||
    /^(?:content-(?:type|encoding|disposition|language)|cache-control|expires)$/.test(name)
  );
}
