/**
 * The file of `--web.config.file`, as Prometheus and every exporter has it: TLS, basic authentication, response headers
 * and a rate limit. Here only what it says; src/web/tls-options.ts reads the files that it names.
 * Source: prometheus/exporter-toolkit docs/web-configuration.md, web/tls_config.go, web/handler.go.
 */
import { resolve } from 'node:path';
import { type ConfigNode, parseConfig } from '../config/config-node.ts';
import { parseGoDuration } from '../config/units.ts';
import { ValueError } from '../config/value-error.ts';
import { bcryptCost } from './bcrypt-hash.ts';
import {
  CIPHER_SUITES,
  CLIENT_AUTH_TYPES,
  type ClientAuthType,
  CURVES,
  TLS_VERSIONS,
  type TlsVersion,
} from './tls-names.ts';

/** PEM text, or the file that holds it, and where the configuration says so. */
export interface PemSource {
  readonly at: ConfigNode;
  /** Absolute, or undefined for text that stands in the configuration itself. */
  readonly path: string | undefined;
  readonly text: string;
}

/** `tls_server_config`, in the words of OpenSSL. */
export interface TlsConfig {
  readonly certificate: PemSource;
  readonly key: PemSource;
  readonly clientCa: PemSource | undefined;
  readonly clientAuth: ClientAuthType;
  /** undefined: any client certificate that passes. */
  readonly allowedSans: readonly string[] | undefined;
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** Empty: our defaults. */
  readonly cipherSuites: readonly string[];
  readonly preferServerCipherSuites: boolean;
  /** Empty: OpenSSL's defaults. */
  readonly curves: readonly string[];
}

/** A token bucket: `burst` requests at once, and one more every `intervalMs`. */
export interface RateLimit {
  readonly intervalMs: number;
  readonly burst: number;
}

export interface WebConfig {
  /** undefined: plain HTTP. */
  readonly tls: TlsConfig | undefined;
  /** Headers of every answer. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** bcrypt hashes by user name; empty: no authentication. */
  readonly users: ReadonlyMap<string, string>;
  readonly rateLimit: RateLimit | undefined;
  /** What is accepted, but not what its author may think. */
  readonly warnings: readonly string[];
}

/** Without a file: plain HTTP for everyone. */
export const NO_WEB_CONFIG: WebConfig = {
  tls: undefined,
  headers: [],
  users: new Map(),
  rateLimit: undefined,
  warnings: [],
};

/** Beyond this a password takes seconds to check, in JavaScript as in Go. */
const SLOW_BCRYPT_COST = 13;

const HEADERS: Readonly<Record<string, readonly string[]>> = {
  'Strict-Transport-Security': [],
  'X-Content-Type-Options': ['nosniff'],
  'X-Frame-Options': ['deny', 'sameorigin'],
  'X-XSS-Protection': [],
  'Content-Security-Policy': [],
};

/** Reads the text of the file at `path`; `directory` is what relative paths in it start from. Throws ConfigError. */
export function parseWebConfig(text: string, { path, directory }: { path: string; directory: string }): WebConfig {
  const warnings: string[] = [];
  const { tls_server_config, http_server_config, basic_auth_users, rate_limit } = parseConfig(text, path).fields(
    'tls_server_config',
    'http_server_config',
    'basic_auth_users',
    'rate_limit',
  );
  return {
    tls: tls_server_config && parseTls(tls_server_config, directory, warnings),
    headers: http_server_config === undefined ? [] : parseHttp(http_server_config, warnings),
    users: basic_auth_users === undefined ? new Map() : parseUsers(basic_auth_users, warnings),
    rateLimit: rate_limit && parseRateLimit(rate_limit, warnings),
    warnings,
  };
}

function parseTls(node: ConfigNode, directory: string, warnings: string[]): TlsConfig | undefined {
  const given = node.fields(
    'cert',
    'key',
    'client_ca',
    'cert_file',
    'key_file',
    'client_auth_type',
    'client_ca_file',
    'cipher_suites',
    'curve_preferences',
    'min_version',
    'max_version',
    'prefer_server_cipher_suites',
    'client_allowed_sans',
  );
  const pem = (file: ConfigNode | undefined, inline: ConfigNode | undefined): PemSource | undefined => {
    if (file !== undefined && inline !== undefined) {
      warnings.push(`${inline.position}: ${inline.name} has no effect beside ${file.name}`);
    }
    if (file !== undefined && file.text() !== '') return { at: file, path: resolve(directory, file.text()), text: '' };
    if (inline !== undefined && inline.text() !== '') return { at: inline, path: undefined, text: inline.text() };
    return undefined;
  };
  const certificate = pem(given.cert_file, given.cert);
  const key = pem(given.key_file, given.key);
  const clientCa = pem(given.client_ca_file, given.client_ca);
  const authType = given.client_auth_type?.text() ?? '';
  const isEnabled = certificate !== undefined || key !== undefined || clientCa !== undefined || authType !== '';
  if (!isEnabled) {
    if (Object.keys(given).length > 0)
      warnings.push(`${node.position}: without cert_file and key_file there is no TLS`);
    return undefined;
  }
  if (certificate === undefined) return node.fail('missing one of cert or cert_file');
  if (key === undefined) return node.fail('missing one of key or key_file');
  const clientAuth = authType === '' ? 'none' : given.client_auth_type?.choice(CLIENT_AUTH_TYPES, 'client_auth_type');
  const config: TlsConfig = {
    certificate,
    key,
    clientCa,
    clientAuth: clientAuth ?? 'none',
    allowedSans: given.client_allowed_sans?.items().map((item) => item.text()),
    minVersion: given.min_version?.choice(TLS_VERSIONS, 'TLS version') ?? 'TLSv1.2',
    maxVersion: given.max_version?.choice(TLS_VERSIONS, 'TLS version') ?? 'TLSv1.3',
    cipherSuites: given.cipher_suites?.items().map((item) => item.choice(CIPHER_SUITES, 'cipher')) ?? [],
    preferServerCipherSuites: given.prefer_server_cipher_suites?.boolean() ?? true,
    curves: given.curve_preferences?.items().map((item) => item.choice(CURVES, 'curve')) ?? [],
  };
  checkTls(config, node, warnings);
  return config;
}

function checkTls(config: TlsConfig, node: ConfigNode, warnings: string[]): void {
  const { clientCa, clientAuth, allowedSans, minVersion, maxVersion } = config;
  if (minVersion > maxVersion) node.fail('min_version is above max_version');
  if (clientCa !== undefined && clientAuth === 'none') {
    clientCa.at.fail("client CA's have been configured without a Client Auth Policy: set client_auth_type");
  }
  if (clientCa === undefined && (clientAuth === 'verify-if-given' || clientAuth === 'require-and-verify')) {
    warnings.push(`${node.position}: without client_ca_file a client certificate of any public CA passes`);
  }
  if (allowedSans !== undefined && clientAuth !== 'require-and-verify') {
    warnings.push(
      `${node.position}: client_allowed_sans protects only with client_auth_type RequireAndVerifyClientCert`,
    );
  }
  if (minVersion < 'TLSv1.2') warnings.push(`${node.position}: TLS versions before 1.2 are not safe`);
}

function parseHttp(node: ConfigNode, warnings: string[]): WebConfig['headers'] {
  const { http2, headers } = node.fields('http2', 'headers');
  if (http2?.boolean() === true) {
    warnings.push(`${http2.position}: http2 has no effect: connections are HTTP/1.1`);
  }
  if (headers === undefined) return [];
  return Object.entries(headers.fields(...Object.keys(HEADERS)))
    .map(([name, value]) => [name, headerValue(name, value as ConfigNode)] as const)
    .filter(([, value]) => value !== '');
}

function headerValue(name: string, node: ConfigNode): string {
  const value = node.text();
  const allowed = HEADERS[name] as readonly string[];
  if (allowed.length > 0 && !allowed.includes(value)) {
    node.fail(`invalid value for ${name}: want ${allowed.join(' or ')}, got ${JSON.stringify(value)}`);
  }
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) node.fail(`invalid value for ${name}: not a value of an HTTP header`);
  return value;
}

function parseUsers(node: ConfigNode, warnings: string[]): Map<string, string> {
  const users = new Map<string, string>();
  for (const [user, value] of node.entries()) {
    const at = value ?? node;
    const hash = value?.text() ?? '';
    const cost = bcryptCost(hash);
    // Never shown: it may be the password itself.
    if (cost === undefined) return at.fail(`the value of ${JSON.stringify(user)} is not a bcrypt hash`);
    if (cost > SLOW_BCRYPT_COST) {
      warnings.push(`${at.position}: bcrypt with cost ${cost} makes the first request of a user wait for seconds`);
    }
    if (user.includes(':')) {
      warnings.push(
        `${at.position}: nobody can log in as ${JSON.stringify(user)}: a user name ends at its first colon`,
      );
    }
    users.set(user, hash);
  }
  return users;
}

function parseRateLimit(node: ConfigNode, warnings: string[]): RateLimit | undefined {
  const { interval, burst } = node.fields('interval', 'burst');
  let intervalMs = 0;
  try {
    intervalMs = parseGoDuration(interval?.text() ?? '0');
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    interval?.fail(`interval: ${error.message}`);
  }
  const requests = burst?.integer() ?? 0;
  if (intervalMs === 0) return undefined;
  if (requests < 1) warnings.push(`${node.position}: rate_limit with a burst below 1 refuses every request`);
  warnings.push(`${node.position}: rate_limit answers 429, and what a Prometheus writes then is lost, not sent again`);
  return { intervalMs, burst: requests };
}
