/** The same web configurations for promtool and for us: what one takes, the other takes. */
import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readConfigFile } from '../../src/cli/read-config-file.ts';
import { WebConfigFile } from '../../src/web/web-config-file.ts';
import { Certificates } from '../support/certificates.ts';
import { peers } from '../support/peers.ts';

const HASH = '$2y$10$qRTBuFoULoYNA7AQ/F3ck.trZBPyjV64.oA4ZsSBCIWvXuvQlQTuu';
const TLS = 'tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n';

const VALID = [
  '',
  'tls_server_config: {}',
  'tls_server_config:\n',
  TLS,
  `${TLS}  min_version: TLS10\n  max_version: TLS13\n`,
  `${TLS}  client_auth_type: RequireClientCert\n`,
  `${TLS}  client_auth_type: RequestClientCert\n  client_ca_file: ca.crt\n`,
  `${TLS}  client_auth_type: VerifyClientCertIfGiven\n`,
  `${TLS}  client_auth_type: "NoClientCert"\n  prefer_server_cipher_suites: no\n`,
  `${TLS}  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]\n`,
  `${TLS}  curve_preferences: [CurveP256, CurveP384, CurveP521, X25519]\n`,
  `${TLS}http_server_config: {http2: false}\n`,
  'http_server_config: {headers: {X-Frame-Options: sameorigin, X-XSS-Protection: 1, Content-Security-Policy: "x y"}}',
  `basic_auth_users: {alice: ${HASH}, "a:b": ${HASH}, 7: ${HASH}}`,
  `basic_auth_users: &users {alice: ${HASH}}\n`,
];

const INVALID = [
  'nonsense',
  '[]',
  'tls_server_confg: {}',
  'tls_server_config: {cert_filse: server.crt}',
  'tls_server_config: {cert_file: server.crt}',
  'tls_server_config: {key_file: server.key}',
  'tls_server_config: {cert_file: "", key_file: "", client_auth_type: x}',
  'tls_server_config: {cert_file: gone.crt, key_file: server.key}',
  'tls_server_config: {cert_file: server.crt, key_file: ca.key}',
  'tls_server_config: {cert_file: server.key, key_file: server.key}',
  `${TLS}  client_ca_file: ca.crt\n`,
  `${TLS}  client_ca_file: gone.crt\n  client_auth_type: RequestClientCert\n`,
  `${TLS}  client_auth_type: requireandverifyclientcert\n`,
  `${TLS}  min_version: TLS111\n`,
  `${TLS}  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048]\n`,
  `${TLS}  curve_preferences: [CurveP257]\n`,
  `${TLS}  cert_file: server.crt\n`,
  `${TLS}  cipher_suites: TLS_AES_128_GCM_SHA256: 1\n`,
  'http_server_config: {http2: perhaps}',
  'http_server_config: {headers: {Content-Type: x}}',
  'http_server_config: {headers: {X-Frame-Options: foo}}',
  'http_server_config: {headers: {x-frame-options: deny}}',
  'http_server_config: {headers: {X-Content-Type-Options: sniff}}',
  'basic_auth_users: {john: doe}',
  'basic_auth_users: [john]',
  `basic_auth_users: {john: ${HASH.replace('$2y$', '$3y$')}}`,
];

describe.skipIf(!peers.promtool || !peers.openssl)('promtool and we agree', () => {
  let files: Certificates;

  beforeAll(() => {
    files = new Certificates();
    files.make('server');
  });
  afterAll(() => files?.[Symbol.dispose]());

  async function verdicts(text: string): Promise<{ promtool: string; ours: string }> {
    const path = files.write('web.yml', text);
    const { status } = spawnSync('promtool', ['check', 'web-config', path], { cwd: dirname(path) });
    const ours = await WebConfigFile.open({ path, readFile: readConfigFile, clock: { nowMs: () => 0 } }).then(
      () => 'taken',
      () => 'refused',
    );
    return { promtool: status === 0 ? 'taken' : 'refused', ours };
  }

  test.each(VALID)('that it is valid: %j', async (text) => {
    expect(await verdicts(text)).toEqual({ promtool: 'taken', ours: 'taken' });
  });

  test.each(INVALID)('that it is invalid: %j', async (text) => {
    expect(await verdicts(text)).toEqual({ promtool: 'refused', ours: 'refused' });
  });
});
