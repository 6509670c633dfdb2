/** TLS settings for Node, from what the web configuration says and the files that it names. */
import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { CIPHER_SUITES, type ClientAuthType } from './tls-names.ts';
import type { PemSource, TlsConfig } from './web-config.ts';

/** What the listener needs for TLS. */
export interface TlsOptions {
  readonly context: SecureContextOptions;
  readonly clientAuth: ClientAuthType;
  /** Subject alternative names, one of which a client's certificate has to have; undefined: any. */
  readonly allowedSans: ReadonlySet<string> | undefined;
  /** When the first certificate of the server's chain expires. */
  readonly certificateExpiryMs: number;
  /** SHA-256 of the server's own certificate, as Node writes it. */
  readonly fingerprint: string;
}

/** A file as it was found. */
export interface ReadFile {
  readonly bytes: Buffer;
  /** Any user of the machine may read it. */
  readonly isWorldReadable: boolean;
}

/** Reads a whole file; rejects as Node does. */
export type FileReader = (path: string) => Promise<ReadFile>;

const DEFAULT_CIPHERS: readonly string[] = Object.values(CIPHER_SUITES);
/** As in Go: those of TLS 1.3 cannot be chosen. */
const TLS13_CIPHERS: readonly string[] = DEFAULT_CIPHERS.filter((name) => name.startsWith('TLS_'));

/** Reads certificate, key and CA, and tries them. Adds to `warnings`. Throws ConfigError. */
export async function loadTls(config: TlsConfig, readFile: FileReader, warnings: string[]): Promise<TlsOptions> {
  const { certificate, key, clientCa } = config;
  const cert = await readPem(certificate, readFile);
  const keyFile = await readPem(key, readFile);
  if (keyFile.isWorldReadable) warnings.push(`${key.path} can be read by every user of this machine: chmod 600`);
  const ca = clientCa && (await readPem(clientCa, readFile));
  const chain = certificatesOf(certificate, cert.bytes);
  if (clientCa !== undefined && ca !== undefined) certificatesOf(clientCa, ca.bytes);
  const context: SecureContextOptions = {
    cert: cert.bytes,
    key: keyFile.bytes,
    ...(ca === undefined ? {} : { ca: ca.bytes }),
    minVersion: config.minVersion,
    maxVersion: config.maxVersion,
    ciphers: ciphersOf(config),
    honorCipherOrder: config.preferServerCipherSuites,
    ...(config.curves.length === 0 ? {} : { ecdhCurve: config.curves.join(':') }),
  };
  try {
    createSecureContext(context);
  } catch (error) {
    // OpenSSL's texts name reasons, never contents.
    key.at.fail(`certificate and key cannot be used together: ${(error as Error).message}`, { cause: error });
  }
  return {
    context,
    clientAuth: config.clientAuth,
    allowedSans: config.allowedSans && new Set(config.allowedSans.map(canonicalSan)),
    certificateExpiryMs: Math.min(...chain.map(({ validToDate }) => validToDate.getTime())),
    fingerprint: (chain[0] as X509Certificate).fingerprint256,
  };
}

async function readPem({ at, path, text }: PemSource, readFile: FileReader): Promise<ReadFile> {
  if (path === undefined) return { bytes: Buffer.from(text), isWorldReadable: false };
  try {
    return await readFile(path);
  } catch (error) {
    return at.fail(`cannot read ${at.name}: ${(error as Error).message}`, { cause: error });
  }
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

function certificatesOf({ at }: PemSource, bytes: Buffer): X509Certificate[] {
  const blocks = bytes.toString('latin1').match(PEM_CERTIFICATE) ?? [];
  if (blocks.length === 0) return at.fail(`${at.name}: there is no PEM certificate`);
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (error) {
    return at.fail(`${at.name}: a certificate cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

function ciphersOf({ cipherSuites, minVersion }: TlsConfig): string {
  const names = cipherSuites.length === 0 ? DEFAULT_CIPHERS : [...new Set([...TLS13_CIPHERS, ...cipherSuites])];
  // OpenSSL 3 takes the signatures of old versions only at its lowest level.
  return [...names, ...(minVersion < 'TLSv1.2' ? ['@SECLEVEL=0'] : [])].join(':');
}

/** Why a client's certificate is refused by its names, or undefined if one of them is allowed. */
export function sanRefusal(certificate: X509Certificate, allowed: ReadonlySet<string>): string | undefined {
  const names = subjectAltNames(certificate);
  if (names.some((name) => allowed.has(name))) return undefined;
  return `no allowed name in the client's certificate, which has ${names.join(', ') || 'none'}`;
}

/** The DNS names, addresses, e-mail addresses and URIs of a certificate. */
function subjectAltNames({ subjectAltName = '' }: X509Certificate): string[] {
  // `DNS:a, IP Address:1.2.3.4, URI:"…"`: Node quotes a name that holds a comma or quote, as JSON.
  const parts = subjectAltName.matchAll(/(?:^|, )([^:,"]+):("(?:\\.|[^"\\])*"|[^,]*)/g);
  return [...parts]
    .filter(([, kind]) => kind === 'DNS' || kind === 'IP Address' || kind === 'email' || kind === 'URI')
    .map(([, , name = '']) => canonicalSan(name.startsWith('"') ? (JSON.parse(name) as string) : name));
}

/** OpenSSL writes IPv6 addresses in full, people do not. */
function canonicalSan(name: string): string {
  if (!/^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/.test(name)) return name;
  return URL.parse(`http://[${name}]/`)?.hostname.slice(1, -1) ?? name;
}
