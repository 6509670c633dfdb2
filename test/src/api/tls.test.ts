/** TLS as --web.config.file asks for it, on a real connection with certificates that openssl made. */

import { chmodSync, readFileSync } from 'node:fs';
import { request as plainRequest } from 'node:http';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConfigError } from '../../../src/config/config-node.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { type Certificate, Certificates, pem } from '../../support/certificates.ts';
import { type HttpsOptions, https } from '../../support/https.ts';
import { peers } from '../../support/peers.ts';
import { until } from '../../support/until.ts';
import { openWebConfig, type RunningServer, serve } from './serve.ts';

let files: Certificates;
let strangers: Certificates;
let client: Certificate;
let expired: Certificate;
let stranger: Certificate;

beforeAll(() => {
  if (!peers.openssl) return;
  files = new Certificates();
  strangers = new Certificates();
  files.make('server');
  client = files.make('client', { names: 'DNS:sender.test,IP:fd00::1,URI:spiffe://test/sender,email:a@b.test' });
  expired = files.make('expired', { days: -1 });
  stranger = strangers.make('stranger');
});

afterAll(() => {
  files?.[Symbol.dispose]();
  strangers?.[Symbol.dispose]();
});

/** Writes a web configuration with TLS and `more` lines of tls_server_config. */
function config(more = ''): string {
  const lines = `cert_file: server.crt\nkey_file: server.key\n${more}`.replaceAll(/^/gm, '  ');
  return files.write('web.yml', `tls_server_config:\n${lines}\n`);
}

/** What a request comes to: its status, or 'refused'. */
async function ask(api: RunningServer, options: Partial<HttpsOptions> = {}): Promise<number | 'refused'> {
  const url = `https://127.0.0.1:${api.port}/-/healthy`;
  return https(url, { ca: files.ca.certFile, ...options }).then(
    ({ status }) => status,
    () => 'refused',
  );
}

describe.skipIf(!peers.openssl)('over TLS', () => {
  test('requests come in over TLS 1.3 or 1.2, over nothing older, and not without TLS', async () => {
    await using api = await serve({ webConfigPath: config() });
    const url = `https://127.0.0.1:${api.port}/-/healthy`;
    const answer = await https(url, { ca: files.ca.certFile });
    expect(answer).toMatchObject({ status: 200, text: 'Varve is healthy.\n', protocol: 'TLSv1.3' });
    expect((await https(url, { ca: files.ca.certFile, version: 'TLSv1.2' })).protocol).toBe('TLSv1.2');
    expect(await ask(api, { version: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' })).toBe('refused');
    const plain = new Promise((resolve, reject) => {
      plainRequest(`http://127.0.0.1:${api.port}/-/healthy`, resolve).on('error', reject).end();
    });
    await expect(plain).rejects.toThrow();
    expect(await ask(api)).toBe(200);
  });

  test.each([
    ['min_version: TLS13', 'TLSv1.2', 'refused'],
    ['max_version: TLS12', 'TLSv1.3', 'refused'],
    ['max_version: TLS12', 'TLSv1.2', 200],
    ['min_version: TLS11', 'TLSv1.1', 200],
  ] as const)('%s, and a client of %s: %s', async (more, version, outcome) => {
    await using api = await serve({ webConfigPath: config(more) });
    const ciphers = version === 'TLSv1.1' ? { ciphers: 'ALL:@SECLEVEL=0' } : {};
    expect(await ask(api, { version, ...ciphers })).toBe(outcome);
  });

  test('the suite is the first of the server that the client has, or the other way round', async () => {
    const suites = 'cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]';
    const offered = {
      ca: files.ca.certFile,
      version: 'TLSv1.2',
      ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384',
    } as const;
    for (const [prefer, cipher] of [
      ['true', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
      ['false', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
    ]) {
      await using api = await serve({ webConfigPath: config(`${suites}\nprefer_server_cipher_suites: ${prefer}`) });
      expect((await https(`https://127.0.0.1:${api.port}/-/healthy`, offered)).cipher).toBe(cipher);
      // Those of TLS 1.3 stay, as in Go.
      expect((await https(`https://127.0.0.1:${api.port}/-/healthy`, { ca: files.ca.certFile })).protocol).toBe(
        'TLSv1.3',
      );
      expect(await ask(api, { version: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305' })).toBe('refused');
    }
  });

  describe('client_auth_type', () => {
    type Outcome = 200 | 'refused';
    const rows: [type: string, outcomes: Record<'none' | 'client' | 'expired' | 'stranger', Outcome>][] = [
      ['NoClientCert', { none: 200, client: 200, expired: 200, stranger: 200 }],
      ['RequestClientCert', { none: 200, client: 200, expired: 200, stranger: 200 }],
      ['RequireAnyClientCert', { none: 'refused', client: 200, expired: 200, stranger: 200 }],
      ['VerifyClientCertIfGiven', { none: 200, client: 200, expired: 'refused', stranger: 'refused' }],
      ['RequireAndVerifyClientCert', { none: 'refused', client: 200, expired: 'refused', stranger: 'refused' }],
    ];
    test.each(rows)('%s', async (type, outcomes) => {
      const ca = type === 'NoClientCert' ? '' : '\nclient_ca_file: ca.crt';
      await using api = await serve({ webConfigPath: config(`client_auth_type: ${type}${ca}`) });
      for (const version of ['TLSv1.3', 'TLSv1.2'] as const) {
        const shown = { client, expired, stranger };
        expect({
          none: await ask(api, { version }),
          client: await ask(api, { version, client: shown.client }),
          expired: await ask(api, { version, client: shown.expired }),
          stranger: await ask(api, { version, client: shown.stranger }),
        }).toEqual(outcomes);
      }
    });

    test.each<[san: string, outcome: Outcome]>([
      ['sender.test', 200],
      ['fd00::1', 200],
      ['FD00:0::1', 200],
      ['spiffe://test/sender', 200],
      ['a@b.test', 200],
      ['sender', 'refused'],
      ['*.test', 'refused'],
    ])('client_allowed_sans: [%s]', async (san, outcome) => {
      const more = `client_auth_type: RequireAndVerifyClientCert\nclient_ca_file: ca.crt\nclient_allowed_sans: ["${san}"]`;
      await using api = await serve({ webConfigPath: config(more) });
      expect(await ask(api, { client })).toBe(outcome);
    });

    test('an empty list of names allows nobody', async () => {
      const more = 'client_auth_type: RequireAndVerifyClientCert\nclient_ca_file: ca.crt\nclient_allowed_sans: []';
      await using api = await serve({ webConfigPath: config(more) });
      expect(await ask(api, { client })).toBe('refused');
    });
  });

  test('certificate and key may stand in the file', async () => {
    const inline = (file: string): string => pem(file).replaceAll(/^/gm, '    ');
    const path = files.write(
      'inline.yml',
      `tls_server_config:\n  cert: |\n${inline(files.path('server.crt'))}\n  key: |\n${inline(files.path('server.key'))}\n`,
      0o644,
    );
    await using api = await serve({ webConfigPath: path });
    expect(await ask(api)).toBe(200);
    expect(api.webConfig.current.warnings).toEqual([
      expect.stringContaining('holds a private key and can be read by every'),
    ]);
  });

  test('a reload takes the new certificate and the new rules for clients', async () => {
    await using api = await serve({ webConfigPath: config() });
    const url = `https://127.0.0.1:${api.port}/-/healthy`;
    const before = await https(url, { ca: files.ca.certFile });
    files.make('server');
    config('client_auth_type: RequireAndVerifyClientCert\nclient_ca_file: ca.crt');
    await api.webConfig.reload();
    expect(await ask(api)).toBe('refused');
    const after = await https(url, { ca: files.ca.certFile, client });
    expect(after.serverSerial).not.toBe(before.serverSerial);
  });

  test('a stop does not wait for connections on which no request came', async () => {
    const api = await serve({ webConfigPath: config() });
    const ca = readFileSync(files.ca.certFile);
    const silent = connect({ host: '127.0.0.1', port: api.port, ca });
    await new Promise((resolve) => silent.once('secureConnect', resolve));
    const closed = new Promise((resolve) => silent.once('close', resolve));
    // The session tickets of TLS 1.3 have to be read before the end can be seen.
    silent.resume().on('error', () => {});
    await api.server.close(600_000);
    await closed;
  });

  test('an invalid file leaves everything as it was', async () => {
    await using api = await serve({ webConfigPath: config() });
    for (const wrong of ['nonsense: 1', '', 'tls_server_config: {cert_file: gone, key_file: server.key}']) {
      files.write('web.yml', wrong);
      await expect(api.webConfig.reload()).rejects.toBeInstanceOf(ConfigError);
      expect(await ask(api)).toBe(200);
    }
  });

  test('TLS cannot be switched off while the server runs', async () => {
    await using api = await serve({ webConfigPath: config() });
    files.write('web.yml', 'basic_auth_users: {}');
    await expect(api.webConfig.reload()).rejects.toThrow(
      'TLS cannot be switched off while the server runs: restart it',
    );
  });

  test.each<[what: string, text: string, message: RegExp]>([
    [
      'no certificate',
      'cert_file: gone.crt\n  key_file: server.key',
      /:2:14: cannot read cert_file: ENOENT.*gone\.crt/,
    ],
    ['no key', 'cert_file: server.crt\n  key_file: gone.key', /:3:13: cannot read key_file: ENOENT/],
    [
      'another key',
      'cert_file: server.crt\n  key_file: client.key',
      /:3:13: certificate and key cannot be used together/,
    ],
    ['a key for a certificate', 'cert_file: server.key\n  key_file: server.key', /:2:14: cert_file: there is no PEM/],
    [
      'no CA in its file',
      'cert_file: server.crt\n  key_file: server.key\n  client_ca_file: server.key\n  client_auth_type: RequestClientCert',
      /:4:19: client_ca_file: there is no PEM certificate/,
    ],
  ])('%s is an error with its place', async (_what, text, message) => {
    await expect(openWebConfig(files.write('web.yml', `tls_server_config:\n  ${text}\n`))).rejects.toThrow(message);
  });

  test('no file at all is an error that names it and the flag', async () => {
    await expect(openWebConfig('/nowhere/web.yml')).rejects.toThrow(
      /^cannot read \/nowhere\/web\.yml \(--web\.config\.file\): ENOENT/,
    );
  });

  test('an expired certificate and a key that everyone may read are warnings', async () => {
    const { keyFile } = files.make('old', { days: -1 });
    chmodSync(keyFile, 0o644);
    const path = files.write('web.yml', 'tls_server_config: {cert_file: old.crt, key_file: old.key}');
    const { current } = await openWebConfig(path);
    expect(current.warnings).toEqual([
      `${keyFile} can be read by every user of this machine: chmod 600`,
      expect.stringMatching(/^the server's certificate expired at \d{4}-/),
    ]);
  });

  test('refused handshakes are counted, and the expiry of the certificate shows', async () => {
    const metrics = new Metrics();
    await using api = await serve({ metrics, webConfigPath: config('min_version: TLS13') });
    expect(await ask(api, { version: 'TLSv1.2' })).toBe('refused');
    await until('the count', async () => (await metrics.text()).includes('varve_tls_handshake_failures_total 1'));
    // It was no HTTP request.
    expect(await metrics.text()).not.toContain('varve_http_requests_total{');
    const expiry = /^varve_tls_certificate_expiry_timestamp_seconds (\S+)$/m.exec(await metrics.text())?.[1];
    expect(Number(expiry) * 1000).toBe(api.webConfig.current.tls?.certificateExpiryMs);
  });
});
