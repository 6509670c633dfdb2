import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { secretText } from '../../../src/config/secret.ts';
import { type ParsedBucketConfig, parseBucketConfig } from '../../../src/objectstore/bucket-config.ts';
import type { S3Config } from '../../../src/objectstore/s3-config.ts';

const FILES: Readonly<Record<string, string>> = {
  'ca.pem': 'a CA',
  'key.bin': '0123456789abcdef0123456789abcdef',
  short: 'x',
};

function parsed(text: string, environment: Record<string, string> = {}): ParsedBucketConfig {
  return parseBucketConfig(text, {
    name: 'bucket.yml',
    environment,
    readFile: (path) => {
      const content = FILES[path];
      if (content === undefined) throw new Error(`${path} is not there`);
      return Buffer.from(content);
    },
  });
}

function s3(config: string): S3Config {
  return parsed(`type: S3\nconfig: {bucket: b, endpoint: localhost:9000, ${config}}`).config as S3Config;
}

// thanos docs/storage.md, the example as it stands there.
const THANOS_S3 = `type: S3
config:
  bucket: "blocks"
  endpoint: "s3.eu-west-1.amazonaws.com"
  region: ""
  disable_dualstack: false
  aws_sdk_auth: false
  access_key: ""
  insecure: false
  signature_version2: false
  secret_key: ""
  session_token: ""
  put_user_metadata: {}
  http_config:
    idle_conn_timeout: 1m30s
    response_header_timeout: 2m
    insecure_skip_verify: false
    tls_handshake_timeout: 10s
    expect_continue_timeout: 1s
    max_idle_conns: 100
    max_idle_conns_per_host: 100
    max_conns_per_host: 0
    tls_config:
      ca_file: ""
      cert_file: ""
      key_file: ""
      server_name: ""
      insecure_skip_verify: false
    disable_compression: false
  trace:
    enable: false
  list_objects_version: ""
  bucket_lookup_type: auto
  send_content_md5: true
  disable_multipart: false
  part_size: 67108864
  sse_config:
    type: ""
    kms_key_id: ""
    kms_encryption_context: {}
    encryption_key: ""
  sts_endpoint: ""
  max_retries: 0
prefix: ""
`;

test("Thanos's own file is taken as it is", () => {
  const { config, warnings } = parsed(THANOS_S3);
  expect(config).toMatchObject({
    type: 'S3',
    prefix: '',
    bucket: 'blocks',
    endpoint: 'https://s3.eu-west-1.amazonaws.com',
    region: 'eu-west-1',
    credentials: undefined,
    isPathStyle: false,
    isAws: true,
    partBytes: 64 * 1024 * 1024,
    encryption: undefined,
    http: { idleTimeoutMs: 120_000, connectTimeoutMs: 10_000, keepAliveMs: 90_000, maxConnections: 64 },
  });
  expect(warnings).toEqual([
    'bucket.yml:19:30: expect_continue_timeout has no effect: response_header_timeout counts then, too',
    'bucket.yml:20:21: max_idle_conns has no effect: there is one host, and max_idle_conns_per_host counts',
  ]);
});

test('a file for MinIO with its keys in variables', () => {
  const text = `
type: s3
prefix: /a//b/
config:
  bucket: thanos
  endpoint: minio:9000
  insecure: true
  access_key: $(KEY_ID)
  secret_key: \${KEY}
`;
  const config = parsed(text, { KEY_ID: 'me', KEY: 'canary: "x' }).config as S3Config;
  expect(config).toMatchObject({ prefix: 'a/b/', endpoint: 'http://minio:9000', isPathStyle: true, isAws: false });
  expect(config.credentials?.accessKey).toBe('me');
  const clone = structuredClone(config);
  expect(clone.credentials && secretText(clone.credentials.secretKey)).toBe('canary: "x');
  expect(inspect(config, { depth: 9, showHidden: true }) + JSON.stringify(config)).not.toContain('canary');
});

test.each([
  ['endpoint: s3.amazonaws.com', { isPathStyle: false, isAws: true, region: 'us-east-1' }],
  ['endpoint: s3.dualstack.us-east-2.amazonaws.com', { isPathStyle: false, isAws: true, region: 'us-east-2' }],
  ['endpoint: s3.cn-north-1.amazonaws.com.cn', { isPathStyle: false, isAws: true, region: 'cn-north-1' }],
  ['endpoint: storage.googleapis.com', { isPathStyle: false, isAws: false }],
  ['endpoint: amazonaws.com.example.org', { isPathStyle: true, isAws: false }],
  ['endpoint: minio:9000, bucket_lookup_type: virtual-hosted', { isPathStyle: false }],
  ['endpoint: s3.amazonaws.com, bucket_lookup_type: path', { isPathStyle: true }],
])('where the bucket stands: %s', (config, expected) => {
  expect(parsed(`{type: S3, config: {bucket: b, ${config}}}`).config).toMatchObject(expected);
});

test('encryption is that of S3, of KMS with a context, or by a key of ours', () => {
  expect(s3('sse_config: {type: SSE-S3}').encryption).toEqual({ type: 'SSE-S3' });
  expect(s3('sse_config: {type: SSE-KMS, kms_key_id: k, kms_encryption_context: {a: b}}').encryption).toEqual({
    type: 'SSE-KMS',
    keyId: 'k',
    context: '{"a":"b"}',
  });
  const own = s3('sse_config: {type: SSE-C, encryption_key: key.bin}').encryption;
  expect(own?.type === 'SSE-C' && [secretText(own.key), own.keyMd5]).toEqual([
    'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
    'hRasmdxgYDKV3nvbahU1MA==',
  ]);
});

test('encrypt_sse of older files is SSE-S3, with a warning', () => {
  const { config, warnings } = parsed('type: S3\nconfig:\n  bucket: b\n  endpoint: e\n  encrypt_sse: true');
  expect((config as S3Config).encryption).toEqual({ type: 'SSE-S3' });
  expect(warnings).toEqual([
    'bucket.yml:5:16: encrypt_sse is not known to Thanos any more: write sse_config: {type: SSE-S3}',
  ]);
});

test('metadata of puts: headers that S3 knows are sent as they are, others as x-amz-meta', () => {
  const { putHeaders } = s3('put_user_metadata: {X-Amz-Storage-Class: STANDARD_IA, X-Amz-Acl: private, Team: a b}');
  expect(putHeaders).toEqual({
    'x-amz-storage-class': 'STANDARD_IA',
    'x-amz-acl': 'private',
    'x-amz-meta-team': 'a b',
  });
});

test('keys without effect are named when they say something', () => {
  const { warnings } = parsed(`type: S3
config:
  bucket: b
  endpoint: e
  signature_version2: true
  sts_endpoint: https://sts
  trace: {enable: true}
  http_config: {insecure_skip_verify: true, disable_compression: true, tls_config: {ca_file: ca.pem}}
hedging_config: {enabled: true}
`);
  expect(warnings.map((warning) => warning.replace(/:.*?: /, ' '))).toEqual([
    'bucket.yml hedging_config has no effect: no request is made twice',
    'bucket.yml signature_version2 has no effect: requests are signed with version 4, which every store knows',
    'bucket.yml sts_endpoint has no effect: set AWS_ENDPOINT_URL_STS in the environment instead',
    'bucket.yml trace has no effect: requests are not logged',
    'bucket.yml disable_compression has no effect: nothing is compressed on the way',
    'bucket.yml insecure_skip_verify lets anybody on the way read and change everything',
  ]);
});

test('a bucket in a directory has its prefix in the path', () => {
  expect(parsed('type: FILESYSTEM\nprefix: p/q\nconfig: {directory: /srv/bucket}').config).toEqual({
    type: 'FILESYSTEM',
    directory: '/srv/bucket/p/q',
  });
});

const BASE = 'bucket: b, endpoint: e';

test.each<[text: string, message: string]>([
  ['type: S3', 'bucket.yml:1:7: S3 wants its config'],
  ['config: {bucket: b}', 'bucket.yml:1:1: type: want one of S3, GCS, AZURE, FILESYSTEM'],
  ['type: GCP\nconfig: {}', 'bucket.yml:1:7: unknown type "GCP": the nearest is GCS'],
  ['type: S3\nconf: {}', 'bucket.yml:2:1: unknown key "conf": the nearest is config'],
  ['type: S3\nconfig:\n  bukcet: b', 'bucket.yml:3:3: unknown key "bukcet" in config: the nearest is bucket'],
  ['type: S3\nconfig: {endpoint: e}', 'bucket.yml:2:9: bucket: want the name of the bucket'],
  [
    'type: S3\nconfig: {bucket: b}',
    'bucket.yml:2:9: endpoint: want the host of the store, such as s3.eu-central-1.amazonaws.com',
  ],
  [
    'type: S3\nconfig: {bucket: b, endpoint: "https://e"}',
    'bucket.yml:2:31: endpoint: want host or host:port; http instead of https by `insecure: true`',
  ],
  [`type: S3\nconfig: {${BASE}, access_key: x}`, 'bucket.yml:2:9: secret_key is missing beside access_key'],
  [`type: S3\nconfig: {${BASE}, secret_key: canary}`, 'bucket.yml:2:9: access_key is missing beside secret_key'],
  [
    `type: S3\nconfig: {${BASE}, access_key: x, secret_key: canary, aws_sdk_auth: true}`,
    'bucket.yml:2:83: aws_sdk_auth and access_key exclude each other',
  ],
  [
    'type: S3\nconfig:\n  secret_key: x${NONE}\n  bucket: b\n  endpoint: e\n  access_key: a',
    'bucket.yml:3:15: the variable NONE is not set in the environment; a value for that: ${NONE:-value}',
  ],
  [
    `type: S3\nconfig: {${BASE}, part_size: 1000}`,
    'bucket.yml:2:45: part_size: want 5242880 to 1073741824 bytes: a part is held in memory, and S3 takes none that is smaller',
  ],
  [
    `type: S3\nconfig: {${BASE}, sse_config: {type: SSE}}`,
    'bucket.yml:2:53: unknown sse_config.type "SSE": the nearest is SSE-C',
  ],
  [
    `type: S3\nconfig: {${BASE}, sse_config: {type: SSE-C, encryption_key: short}}`,
    'bucket.yml:2:76: encryption_key: want a file of exactly 32 bytes',
  ],
  [
    `type: S3\nconfig: {${BASE}, sse_config: {type: SSE-C, encryption_key: none}}`,
    'bucket.yml:2:76: encryption_key: cannot read the file: none is not there',
  ],
  [
    `type: S3\nconfig: {${BASE}, http_config: {tls_config: {cert_file: ca.pem}}}`,
    'bucket.yml:2:60: cert_file and key_file go together: one is given without the other',
  ],
  [
    `type: S3\nconfig: {${BASE}, http_config: {response_header_timeout: soon}}`,
    'bucket.yml:2:73: response_header_timeout: want a duration such as 5m, 1h30m or 1d (units ms, s, m, h, d, w, y)',
  ],
  ['type: S3\nprefix: a/../b\nconfig: {bucket: b, endpoint: e}', 'bucket.yml:2:9: prefix: want no . and no ..'],
  ['type: FILESYSTEM\nconfig: {directory: ""}', 'bucket.yml:2:21: directory: want the directory of the bucket'],
  [`type: S3\nconfig: {${BASE}}\n---\ntype: S3\nconfig: {${BASE}}`, 'bucket.yml:3:1: want one YAML document only'],
])('%j is refused with its place, and without secrets', (text, message) => {
  expect(() => parsed(text)).toThrow(expect.objectContaining({ name: 'ConfigError', message }));
});

test.each(['ALIYUNOSS', 'BOS', 'COS', 'OBS', 'OCI', 'SWIFT'])(
  'type %s gets the S3 configuration to use, which is one',
  (type) => {
    let message = '';
    try {
      parsed(`type: ${type}\nconfig: {anything: else}`);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toMatch(new RegExp(`^bucket.yml:1:7: ${type} speaks S3, use that: `));
    const shown = message
      .replace(/^.*use that: /, '')
      .replaceAll(/<(?:host of the cluster's S3 API|namespace|region|bucket)>/g, 'x');
    expect(parsed(shown).warnings).toEqual([]);
  },
);

// thanos docs/storage.md, the examples as they stand there, but for the secrets.
test("Thanos's own file for Google, with a key of a service account", () => {
  const text = `type: GCS
config:
  bucket: "logs"
  service_account: |-
    {"type": "service_account", "private_key": "canary"}
  use_grpc: false
  grpc_conn_pool_size: 0
  http_config: {}
  chunk_size_bytes: 300000
  max_retries: 0
prefix: ""
`;
  const { config, warnings } = parsed(text);
  expect(config).toMatchObject({ type: 'GCS', bucket: 'logs', chunkBytes: 2 * 256 * 1024, maxAttempts: 5 });
  expect(warnings).toEqual([]);
  expect(inspect(config, { depth: 9, showHidden: true })).not.toContain('canary');
});

test("Thanos's own file for Azure", () => {
  const text = `type: AZURE
config:
  storage_account: "acc"
  storage_account_key: "Y2FuYXJ5"
  storage_connection_string: ""
  storage_create_container: false
  container: "blocks"
  endpoint: ""
  user_assigned_id: ""
  max_retries: 0
  reader_config:
    max_retry_requests: 0
  pipeline_config:
    max_tries: 7
    try_timeout: 0s
    retry_delay: 1s
    max_retry_delay: 0s
  http_config: {}
  msi_resource: ""
`;
  const { config, warnings } = parsed(text);
  expect(config).toMatchObject({
    type: 'AZURE',
    accountUrl: 'https://acc.blob.core.windows.net',
    container: 'blocks',
    credentials: { type: 'account-key', account: 'acc' },
    createsContainer: false,
    maxAttempts: 7,
    retryDelayMs: 1000,
    maxRetryDelayMs: 20_000,
  });
  expect(warnings).toEqual([]);
  expect(inspect(config, { depth: 9, showHidden: true })).not.toContain('Y2FuYXJ5');
});

test.each([
  [
    'storage_account: a, az_tenant_id: t, client_id: c, client_secret: s',
    { type: 'client-secret', tenantId: 't', clientId: 'c' },
  ],
  ['storage_account: a, user_assigned_id: u', { type: 'identity', clientId: 'u' }],
  ['storage_account: a', { type: 'identity', clientId: undefined }],
  [
    'storage_connection_string: "AccountName=a;AccountKey=k;EndpointSuffix=core.chinacloudapi.cn"',
    { type: 'account-key', account: 'a' },
  ],
  [
    'storage_connection_string: "BlobEndpoint=https://a.blob/;SharedAccessSignature=?sv=1"',
    { type: 'shared-access-signature' },
  ],
])('who logs in at Azure: %s', (config, credentials) => {
  expect(parsed(`{type: AZURE, config: {container: c, ${config}}}`).config).toMatchObject({ credentials });
});

test.each<[text: string, message: string]>([
  ['container: c', 'bucket.yml:1:23: storage_account: want the name of the account'],
  ['storage_account: a', 'bucket.yml:1:23: container: want the name of the container'],
  [
    'container: c, storage_connection_string: canary',
    'bucket.yml:1:65: storage_connection_string: want AccountName=…;AccountKey=… or BlobEndpoint=…;SharedAccessSignature=…',
  ],
  [
    'container: c, storage_account: a, client_secret: canary',
    'bucket.yml:1:23: client_secret wants az_tenant_id and client_id beside it',
  ],
  [
    'container: c, storage_account: a, client_secret: canary, storage_account_key: canary',
    'bucket.yml:1:23: want one of storage_account_key, storage_connection_string, user_assigned_id and client_secret, got several',
  ],
])('Azure: %j is refused with its place', (config, message) => {
  expect(() => parsed(`{type: AZURE, config: {${config}}}`)).toThrow(
    expect.objectContaining({ name: 'ConfigError', message }),
  );
});

test('a service account that is no JSON is refused without showing it', () => {
  const message = 'bucket.yml:1:50: service_account: want the JSON of a key, not the name of a file';
  expect(() => parsed('{type: GCS, config: {bucket: b, service_account: canary.json}}')).toThrow(
    expect.objectContaining({ message }),
  );
});
