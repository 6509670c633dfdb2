import { expect, test } from 'vitest';
import { parseWebConfig, type WebConfig } from '../../../src/web/web-config.ts';

const HASH = '$2y$10$qRTBuFoULoYNA7AQ/F3ck.trZBPyjV64.oA4ZsSBCIWvXuvQlQTuu';

function parsed(text: string): WebConfig {
  return parseWebConfig(text, { path: 'web.yml', directory: '/etc/varve' });
}

/** A tls_server_config with what it has to have and `more`. */
function tls(more: string): string {
  return `tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n${more.replaceAll(/^/gm, '  ')}\n`;
}

test('a file that says nothing is plain HTTP for everyone', () => {
  for (const text of [
    '',
    'tls_server_config:\n',
    'tls_server_config: {}\nbasic_auth_users:\n',
    '{http_server_config: {}}',
  ]) {
    expect(parsed(text)).toEqual({ tls: undefined, headers: [], users: new Map(), rateLimit: undefined, warnings: [] });
  }
});

test('paths start from the directory of the file', () => {
  expect(parsed(tls('client_ca_file: /ca.crt\nclient_auth_type: RequestClientCert')).tls).toMatchObject({
    certificate: { path: '/etc/varve/server.crt' },
    key: { path: '/etc/varve/server.key' },
    clientCa: { path: '/ca.crt' },
  });
});

test('the defaults are those of Prometheus', () => {
  expect(parsed(tls('')).tls).toMatchObject({
    clientAuth: 'none',
    allowedSans: undefined,
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    cipherSuites: [],
    preferServerCipherSuites: true,
    curves: [],
  });
});

test('certificate and key may stand in the file itself', () => {
  const { tls } = parsed('tls_server_config:\n  cert: |\n    -----BEGIN\n    x\n  key: k\n');
  expect(tls?.certificate).toMatchObject({ path: undefined, text: '-----BEGIN\nx\n' });
  expect(tls?.key).toMatchObject({ path: undefined, text: 'k' });
});

test.each([
  ['NoClientCert', 'none'],
  ['RequestClientCert', 'request'],
  ['RequireAnyClientCert', 'require-any'],
  ['RequireClientCert', 'require-any'],
  ['VerifyClientCertIfGiven', 'verify-if-given'],
  ['RequireAndVerifyClientCert', 'require-and-verify'],
])('client_auth_type %s', (name, clientAuth) => {
  expect(parsed(tls(`client_auth_type: ${name}`)).tls?.clientAuth).toBe(clientAuth);
});

test('suites, curves and versions get the names of OpenSSL', () => {
  const { tls: config } = parsed(
    tls(
      'min_version: TLS10\nmax_version: TLS12\nprefer_server_cipher_suites: false\n' +
        'cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]\n' +
        'curve_preferences: [CurveP521, X25519]\nclient_allowed_sans: [a, 1]',
    ),
  );
  expect(config).toMatchObject({
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.2',
    preferServerCipherSuites: false,
    cipherSuites: ['ECDHE-RSA-AES128-GCM-SHA256', 'TLS_AES_128_GCM_SHA256'],
    curves: ['P-521', 'X25519'],
    allowedSans: ['a', '1'],
  });
});

test('headers, users and the rate limit', () => {
  const { headers, users, rateLimit } = parsed(
    `http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n    X-XSS-Protection: 1\n` +
      `    X-Content-Type-Options: nosniff\n    Strict-Transport-Security: ''\n` +
      `basic_auth_users:\n  alice: ${HASH}\n  7: ${HASH}\nrate_limit: {interval: 1.5s, burst: 3}\n`,
  );
  expect(new Map(headers)).toEqual(
    new Map([
      ['X-Frame-Options', 'deny'],
      ['X-XSS-Protection', '1'],
      ['X-Content-Type-Options', 'nosniff'],
    ]),
  );
  expect(users).toEqual(
    new Map([
      ['alice', HASH],
      ['7', HASH],
    ]),
  );
  expect(rateLimit).toEqual({ intervalMs: 1500, burst: 3 });
});

test.each(['0', '"0"', '0s'])('a rate limit with interval %s is none', (interval) => {
  expect(parsed(`rate_limit: {interval: ${interval}, burst: 0}`).rateLimit).toBeUndefined();
});

test.each<[text: string, message: string]>([
  [
    'tls_server_config:\n  cert_filse: x',
    '2:3: unknown key "cert_filse" in tls_server_config: the nearest is cert_file',
  ],
  ['tls_serverconfig: {}', '1:1: unknown key "tls_serverconfig": the nearest is tls_server_config'],
  ['tls_server_config: {key_file: k}', '1:20: missing one of cert or cert_file'],
  ['tls_server_config: {cert_file: "", key_file: k}', '1:20: missing one of cert or cert_file'],
  ['tls_server_config: {cert: c, key: ""}', '1:20: missing one of key or key_file'],
  ['tls_server_config: {client_auth_type: NoClientCert}', '1:20: missing one of cert or cert_file'],
  [
    tls('client_auth_type: RequireClient'),
    '4:21: unknown client_auth_type "RequireClient": the nearest is RequireClientCert',
  ],
  [
    tls('client_ca_file: ca'),
    "4:19: client CA's have been configured without a Client Auth Policy: set client_auth_type",
  ],
  [tls('min_version: TLS111'), '4:16: unknown TLS version "TLS111": the nearest is TLS11'],
  [tls('min_version: TLS13\nmax_version: TLS12'), '2:3: min_version is above max_version'],
  [tls('curve_preferences: [CurveP257]'), '4:23: unknown curve "CurveP257": the nearest is CurveP256'],
  [
    tls('cipher_suites:\n- TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048'),
    '5:5: unknown cipher "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048": the nearest is TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
  ],
  ['http_server_config: {http2: maybe}', '1:29: http_server_config.http2: want true or false, got something else'],
  [
    'http_server_config:\n  headers:\n    Content-Type: foo',
    '3:5: unknown key "Content-Type" in http_server_config.headers: the nearest is X-Content-Type-Options',
  ],
  [
    'http_server_config: {headers: {X-Frame-Options: foo}}',
    '1:49: invalid value for X-Frame-Options: want deny or sameorigin, got "foo"',
  ],
  [
    'http_server_config: {headers: {Content-Security-Policy: "a\\nb"}}',
    '1:57: invalid value for Content-Security-Policy: not a value of an HTTP header',
  ],
  ['basic_auth_users: {john: sesame}', '1:26: the value of "john" is not a bcrypt hash'],
  ['basic_auth_users: {john: }', '1:19: the value of "john" is not a bcrypt hash'],
  [`basic_auth_users: {john: ${HASH.replace('10', '03')}}`, '1:26: the value of "john" is not a bcrypt hash'],
  ['rate_limit: {interval: soon}', '1:24: interval: want a duration such as 100ms, 1s or 1m30s'],
  ['rate_limit: {interval: 5}', '1:24: interval: want a duration such as 100ms, 1s or 1m30s'],
])('%j is refused', (text, message) => {
  expect(() => parsed(text)).toThrow(expect.objectContaining({ name: 'ConfigError', message: `web.yml:${message}` }));
});

test.each<[text: string, warning: string]>([
  ['http_server_config: {http2: true}', 'web.yml:1:29: http2 has no effect: connections are HTTP/1.1'],
  [tls('cert: x'), 'web.yml:4:9: cert has no effect beside cert_file'],
  ['tls_server_config: {min_version: TLS13}', 'web.yml:1:20: without cert_file and key_file there is no TLS'],
  [tls('min_version: TLS11'), 'web.yml:2:3: TLS versions before 1.2 are not safe'],
  [
    tls('client_auth_type: RequireAndVerifyClientCert'),
    'web.yml:2:3: without client_ca_file a client certificate of any public CA passes',
  ],
  [
    tls('client_allowed_sans: [a]'),
    'web.yml:2:3: client_allowed_sans protects only with client_auth_type RequireAndVerifyClientCert',
  ],
  [
    `basic_auth_users: {a: ${HASH.replace('10', '18')}}`,
    'web.yml:1:23: bcrypt with cost 18 makes the first request of a user wait for seconds',
  ],
  [
    `basic_auth_users: {'a:b': ${HASH}}`,
    'web.yml:1:27: nobody can log in as "a:b": a user name ends at its first colon',
  ],
  ['rate_limit: {interval: 1s}', 'web.yml:1:13: rate_limit with a burst below 1 refuses every request'],
  [
    'rate_limit: {interval: 1s, burst: 9}',
    'web.yml:1:13: rate_limit answers 429, and what a Prometheus writes then is lost, not sent again',
  ],
])('%j is taken with a warning', (text, warning) => {
  expect(parsed(text).warnings).toContain(warning);
});

test('no error shows what may be a secret', () => {
  const secret = 'c4n4ry';
  const texts = [
    `basic_auth_users: {john: ${secret}}`,
    `basic_auth_users: {john: [${secret}]}`,
    `basic_auth_users:\n  john: ${secret}\n bad indent: ${secret}`,
    `tls_server_config:\n  key: "${secret}`,
    `tls_server_config: {cert: x, key: {${secret}: 1}}`,
    `tls_server_config: {key: |\n ${secret}}`,
  ];
  for (const text of texts) {
    try {
      parsed(text);
      expect.unreachable(text);
    } catch (error) {
      expect(error).toMatchObject({ name: 'ConfigError' });
      expect((error as Error).message).not.toContain(secret);
    }
  }
});
