/** `http_config` of a bucket's configuration: how long connections are waited for and kept, and whom they trust. */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { ConfigNode } from '../config/config-node.ts';
import { type Secret, secretOf, secretText } from '../config/secret.ts';
import { parseDuration } from '../config/units.ts';
import { type ConfigReading, countOf, fileOf, textOf, warnWithoutEffect } from './config-reading.ts';

export interface HttpConfig {
  /** Without a byte in either direction for so long, a request is given up; 0: never. */
  readonly idleTimeoutMs: number;
  /** For name, connection and TLS handshake together; S3 only. */
  readonly connectTimeoutMs: number;
  /** How long a connection that is not used is kept. */
  readonly keepAliveMs: number;
  readonly maxConnections: number;
  readonly maxIdleConnections: number;
  readonly tls: TlsClientConfig;
}

export interface TlsClientConfig {
  readonly isVerified: boolean;
  /** PEM; undefined: what Node trusts. */
  readonly ca: string | undefined;
  /** The client's certificate. */
  readonly certificate: string | undefined;
  readonly key: Secret | undefined;
  /** The name that the store's certificate has to have; undefined: that of its address. */
  readonly serverName: string | undefined;
}

export const DEFAULT_HTTP_CONFIG: HttpConfig = {
  idleTimeoutMs: 30_000,
  connectTimeoutMs: 10_000,
  keepAliveMs: 90_000,
  maxConnections: 64,
  maxIdleConnections: 64,
  tls: { isVerified: true, ca: undefined, certificate: undefined, key: undefined, serverName: undefined },
};

/** Reads `http_config`. `withoutEffect` says why a key changes nothing for one store. Throws ConfigError. */
export function parseHttpConfig(
  node: ConfigNode | undefined,
  reading: ConfigReading,
  withoutEffect: Readonly<Record<string, string>> = {},
): HttpConfig {
  if (node === undefined) return DEFAULT_HTTP_CONFIG;
  const given = node.fields(
    'idle_conn_timeout',
    'response_header_timeout',
    'insecure_skip_verify',
    'tls_handshake_timeout',
    'expect_continue_timeout',
    'max_idle_conns',
    'max_idle_conns_per_host',
    'max_conns_per_host',
    'tls_config',
    'disable_compression',
  );
  warnWithoutEffect(reading, given, {
    expect_continue_timeout: 'response_header_timeout counts then, too',
    max_idle_conns: 'there is one host, and max_idle_conns_per_host counts',
    disable_compression: 'nothing is compressed on the way',
    ...withoutEffect,
  });
  const defaults = DEFAULT_HTTP_CONFIG;
  return {
    idleTimeoutMs: given.response_header_timeout?.parsed(parseDuration) ?? defaults.idleTimeoutMs,
    connectTimeoutMs: given.tls_handshake_timeout?.parsed(parseDuration) || defaults.connectTimeoutMs,
    keepAliveMs: given.idle_conn_timeout?.parsed(parseDuration) || defaults.keepAliveMs,
    maxConnections: countOf(given.max_conns_per_host, defaults.maxConnections),
    maxIdleConnections: countOf(given.max_idle_conns_per_host, defaults.maxIdleConnections),
    tls: parseTls(given.tls_config, given.insecure_skip_verify?.boolean() ?? false, reading),
  };
}

function parseTls(node: ConfigNode | undefined, isInsecure: boolean, reading: ConfigReading): TlsClientConfig {
  const given = node?.fields('ca_file', 'cert_file', 'key_file', 'server_name', 'insecure_skip_verify') ?? {};
  const { ca_file, cert_file, key_file, server_name, insecure_skip_verify } = given;
  const isVerified = !isInsecure && insecure_skip_verify?.boolean() !== true;
  if (!isVerified) {
    reading.warnings.push(
      `${(insecure_skip_verify ?? node)?.position ?? 'http_config'}: insecure_skip_verify lets anybody on the way read and change everything`,
    );
  }
  const [certificate, key] = [pemOf(cert_file, reading), pemOf(key_file, reading)];
  if ((certificate === undefined) !== (key === undefined)) {
    return (node as ConfigNode).fail('cert_file and key_file go together: one is given without the other');
  }
  return {
    isVerified,
    ca: pemOf(ca_file, reading),
    certificate,
    key: key === undefined ? undefined : secretOf(key),
    serverName: textOf(server_name),
  };
}

function pemOf(node: ConfigNode | undefined, reading: ConfigReading): string | undefined {
  if (node === undefined || node.text() === '') return undefined;
  return fileOf(node, reading).toString('utf8');
}

/** Connections as `config` wants them; `destroy` ends those that are open. */
export function httpAgents(config: HttpConfig): { readonly http: HttpAgent; readonly https: HttpsAgent } {
  const { isVerified, ca, certificate, key, serverName } = config.tls;
  const options = {
    keepAlive: true,
    timeout: config.keepAliveMs,
    maxSockets: config.maxConnections,
    maxFreeSockets: config.maxIdleConnections,
  };
  const tls = {
    rejectUnauthorized: isVerified,
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key: secretText(key) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
  return { http: new HttpAgent(options), https: new HttpsAgent({ ...options, ...tls }) };
}
