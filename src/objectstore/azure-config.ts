/** `config` of `type: AZURE`: the keys of Thanos, see docs/formats/objstore.md. */
import type { ConfigNode } from '../config/config-node.ts';
import { type Secret, secretOf } from '../config/secret.ts';
import { parseDuration } from '../config/units.ts';
import { type ConfigReading, countOf, secretTextOf, textOf, warnWithoutEffect } from './config-reading.ts';
import { type HttpConfig, parseHttpConfig } from './http-config.ts';
import { DEFAULT_ATTEMPTS, PAGE_OBJECTS } from './s3-config.ts';

export interface AzureConfig {
  readonly type: 'AZURE';
  /** In front of all names: '' or `a/b/`. */
  readonly prefix: string;
  readonly container: string;
  /** `https://<account>.<endpoint>`. */
  readonly accountUrl: string;
  readonly credentials: AzureCredentials;
  readonly createsContainer: boolean;
  /** Larger objects are sent in blocks of this size; Azure takes 50 000 of them. */
  readonly blockBytes: number;
  /** Most objects of one answer to a listing. */
  readonly pageObjects: number;
  readonly maxAttempts: number;
  readonly retryDelayMs: number;
  readonly maxRetryDelayMs: number;
  readonly http: HttpConfig;
}

export type AzureCredentials =
  | { readonly type: 'account-key'; readonly account: string; readonly key: Secret }
  /** The parameters that a URL ends with. */
  | { readonly type: 'shared-access-signature'; readonly query: Secret }
  | { readonly type: 'client-secret'; readonly tenantId: string; readonly clientId: string; readonly secret: Secret }
  /** The identity that the machine has; undefined: its only one, or what @azure/identity finds in the environment. */
  | { readonly type: 'identity'; readonly clientId: string | undefined };

const BLOCK_BYTES = 64 * 1024 * 1024;

/** Reads `config`. Throws ConfigError. */
export function parseAzureConfig(node: ConfigNode, prefix: string, reading: ConfigReading): AzureConfig {
  const given = node.fields(
    'storage_account',
    'storage_account_key',
    'storage_connection_string',
    'storage_create_container',
    'container',
    'endpoint',
    'az_tenant_id',
    'client_id',
    'client_secret',
    'user_assigned_id',
    'msi_resource',
    'max_retries',
    'reader_config',
    'pipeline_config',
    'http_config',
  );
  warnWithoutEffect(reading, given, { msi_resource: 'the resource follows from the endpoint' });
  warnWithoutEffect(reading, given.reader_config?.fields('max_retry_requests') ?? {}, {
    max_retry_requests: 'reads are retried as everything is, by max_retries',
  });
  const pipeline = given.pipeline_config?.fields('max_tries', 'try_timeout', 'retry_delay', 'max_retry_delay') ?? {};
  warnWithoutEffect(reading, pipeline, { try_timeout: 'http_config.response_header_timeout counts, and the size' });
  const container = textOf(given.container);
  if (container === undefined) return (given.container ?? node).fail('container: want the name of the container');
  return {
    type: 'AZURE',
    prefix,
    container,
    ...parseAccount(node, given),
    createsContainer: given.storage_create_container?.boolean() ?? true,
    blockBytes: BLOCK_BYTES,
    pageObjects: PAGE_OBJECTS,
    maxAttempts: countOf(pipeline.max_tries, countOf(given.max_retries, DEFAULT_ATTEMPTS - 1) + 1),
    retryDelayMs: pipeline.retry_delay?.parsed(parseDuration) || 500,
    maxRetryDelayMs: pipeline.max_retry_delay?.parsed(parseDuration) || 20_000,
    http: parseHttpConfig(given.http_config, reading, {
      tls_handshake_timeout: 'response_header_timeout counts then, too',
    }),
  };
}

type Given = Readonly<Record<string, ConfigNode | undefined>>;
type Account = Pick<AzureConfig, 'accountUrl' | 'credentials'>;

function parseAccount(node: ConfigNode, given: Given): Account {
  const key = secretTextOf(given.storage_account_key);
  const connection = textOf(given.storage_connection_string);
  const userAssigned = textOf(given.user_assigned_id);
  const secret = secretTextOf(given.client_secret);
  const ways = [key, connection, userAssigned, secret].filter((way) => way !== undefined).length;
  if (ways > 1) {
    return node.fail(
      'want one of storage_account_key, storage_connection_string, user_assigned_id and client_secret, got several',
    );
  }
  if (connection !== undefined) {
    const named = accountIn(connection);
    return named ?? (given.storage_connection_string as ConfigNode).fail(CONNECTION_STRING);
  }
  const account = textOf(given.storage_account);
  if (account === undefined)
    return (given.storage_account ?? node).fail('storage_account: want the name of the account');
  const endpoint = textOf(given.endpoint) ?? 'blob.core.windows.net';
  if (!/^[a-z0-9.-]+(?::\d+)?$/i.test(endpoint)) {
    return (given.endpoint as ConfigNode).fail('endpoint: want a host such as blob.core.windows.net');
  }
  const accountUrl = `https://${account}.${endpoint}`;
  if (key !== undefined) return { accountUrl, credentials: { type: 'account-key', account, key } };
  if (secret !== undefined) return { accountUrl, credentials: clientSecret(node, given, secret) };
  return { accountUrl, credentials: { type: 'identity', clientId: userAssigned ?? textOf(given.client_id) } };
}

function clientSecret(node: ConfigNode, given: Given, secret: Secret): AzureCredentials {
  const [tenantId, clientId] = [textOf(given.az_tenant_id), textOf(given.client_id)];
  if (tenantId === undefined || clientId === undefined) {
    return node.fail('client_secret wants az_tenant_id and client_id beside it');
  }
  return { type: 'client-secret', tenantId, clientId, secret };
}

const CONNECTION_STRING =
  'storage_connection_string: want AccountName=…;AccountKey=… or BlobEndpoint=…;SharedAccessSignature=…';

/** What a connection string says; undefined for what is none. */
function accountIn(text: string): Account | undefined {
  const pairs = text.split(';').map((pair) => /^\s*(\w+)=(.*)$/.exec(pair) ?? []);
  const values = new Map(pairs.map(([, key = '', value = '']) => [key.toLowerCase(), value.trim()]));
  const [account, key] = [values.get('accountname'), values.get('accountkey')];
  const signature = values.get('sharedaccesssignature');
  const scheme = values.get('defaultendpointsprotocol') || 'https';
  const host = account && `${scheme}://${account}.blob.${values.get('endpointsuffix') || 'core.windows.net'}`;
  const accountUrl = (values.get('blobendpoint') || host)?.replace(/\/+$/, '');
  if (!accountUrl || !URL.canParse(accountUrl)) return undefined;
  if (account && key) return { accountUrl, credentials: { type: 'account-key', account, key: secretOf(key) } };
  const query = signature?.replace(/^\?/, '');
  return query ? { accountUrl, credentials: { type: 'shared-access-signature', query: secretOf(query) } } : undefined;
}
