/** `--web.config.file` as a user meets it: a start that is refused, reloads, and the health check beside it. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hashSync } from 'bcryptjs';
import { describe, expect, test } from 'vitest';
import { Certificates } from '../../support/certificates.ts';
import { basic, https } from '../../support/https.ts';
import { peers } from '../../support/peers.ts';
import { Program } from '../../support/program.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';
import { spawnVarve, Varve } from '../../support/varve.ts';

const root: string = fileURLToPath(new URL('../../..', import.meta.url));
const HASH = hashSync('sesame', 4);
const ALICE = { authorization: basic('alice', 'sesame') };

async function healthcheck(environment: Readonly<Record<string, string>>, ...args: string[]): Promise<string> {
  const env = { ...process.env, ...environment };
  await using program = new Program(process.execPath, ['src/main.ts', 'healthcheck', ...args], { cwd: root, env });
  const { code } = await program.ended;
  return `${code} ${program.output.trim()}`.trim();
}

test('a file that is wrong ends the start with 2, at its line, before anything listens or is written', async () => {
  using temporary = new TemporaryDirectory('web');
  const path = join(temporary.path, 'web.yml');
  writeFileSync(path, 'basic_auth_users:\n  alice: sesame\n');
  await using program = spawnVarve(join(temporary.path, 'data'), [`--web.config.file=${path}`]);
  expect((await program.ended).code).toBe(2);
  expect(program.output).toBe(`varve: ${path}:2:10: the value of "alice" is not a bcrypt hash\n`);
});

test('a change is taken within a moment; SIGHUP and POST /-/reload take it at once, and say what is wrong', async () => {
  using temporary = new TemporaryDirectory('web');
  const path = join(temporary.path, 'web.yml');
  writeFileSync(path, '');
  await using varve = await Varve.start({ flags: [`--web.config.file=${path}`, '--web.enable-lifecycle'] });
  const status = async (headers: Record<string, string> = {}): Promise<number> =>
    (await fetch(`${varve.url}/-/ready`, { headers })).status;
  const reload = async (): Promise<[number, string]> => {
    const response = await fetch(`${varve.url}/-/reload`, { method: 'POST', headers: ALICE });
    return [response.status, await response.text()];
  };
  expect(await status()).toBe(200);
  expect(await reload()).toEqual([200, '']);

  writeFileSync(path, `basic_auth_users: {alice: ${HASH}}\n`);
  await until('the password is wanted', async () => (await status()) === 401);
  expect(await status(ALICE)).toBe(200);

  writeFileSync(path, 'basic_auth_user: {}\n');
  expect(await reload()).toEqual([
    500,
    `failed to reload config: ${path}:1:1: unknown key "basic_auth_user": the nearest is basic_auth_users\n`,
  ]);
  expect([await status(), await status(ALICE)]).toEqual([401, 200]);
  const metrics = await (await fetch(`${varve.url}/metrics`, { headers: ALICE })).text();
  expect(metrics).toContain('\nvarve_config_last_reload_successful 0\n');

  writeFileSync(path, '');
  process.kill(varve.pid, 'SIGHUP');
  await until('nobody is asked', async () => (await status()) === 200);
  expect(varve.output).toContain('msg="configuration reloaded"');
});

test('the banner shows where the credentials go, and the health check needs none', async () => {
  using temporary = new TemporaryDirectory('web');
  const path = join(temporary.path, 'web.yml');
  writeFileSync(path, `basic_auth_users: {alice: ${HASH}}\n`);
  await using program = spawnVarve(join(temporary.path, 'data'), [`--web.config.file=${path}`]);
  const url = await program.ready('the address', () => /http:\/\/127\.0\.0\.1:\d+/.exec(program.output)?.[0]);
  await program.ready('the banner', () => program.output.includes('waiting for'));
  expect(program.output).toContain(
    `  - url: ${url}/api/v1/write\n    basic_auth: {username: <user>, password_file: <file>}\n`,
  );

  const address = url.replace('http://', '');
  const environment = { VARVE_WEB_LISTEN_ADDRESS: address, VARVE_WEB_CONFIG_FILE: path };
  expect(await healthcheck(environment)).toBe('0');
  expect(await healthcheck({ VARVE_WEB_LISTEN_ADDRESS: address })).toBe(
    `1 unhealthy: ${url}/-/healthy answers 401 Unauthorized`,
  );
  expect(await healthcheck({}, '--url', `http://alice:sesame@${address}/-/healthy`)).toBe('0');
  expect(await healthcheck({}, '--url', `http://alice:c4n4ry@${address}/-/healthy`)).toBe(
    `1 unhealthy: ${url}/-/healthy answers 401 Unauthorized`,
  );
});

test('a health check that meets the rate limit passes', async () => {
  using temporary = new TemporaryDirectory('web');
  const path = join(temporary.path, 'web.yml');
  writeFileSync(path, 'rate_limit: {interval: 1h, burst: 1}\n');
  await using program = spawnVarve(join(temporary.path, 'data'), [`--web.config.file=${path}`]);
  const url = await program.ready('the address', () => /http:\/\/127\.0\.0\.1:\d+/.exec(program.output)?.[0]);
  const environment = { VARVE_WEB_LISTEN_ADDRESS: url.replace('http://', ''), VARVE_WEB_CONFIG_FILE: path };
  expect([await healthcheck(environment), await healthcheck(environment)]).toEqual(['0', '0']);
  expect((await fetch(`${url}/-/healthy`)).status).toBe(429);
});

describe.skipIf(!peers.openssl)('with TLS', () => {
  test('a new certificate is shown without a restart, and the health check trusts it and no other', async () => {
    using files = new Certificates();
    files.make('server', { names: 'DNS:varve.test,IP:127.0.0.1' });
    const tls = 'tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n';
    const path = files.write('web.yml', tls);
    chmodSync(files.path('server.key'), 0o644);
    using temporary = new TemporaryDirectory('web');
    await using program = spawnVarve(join(temporary.path, 'data'), [`--web.config.file=${path}`]);
    const url = await program.ready('the address', () => /https:\/\/127\.0\.0\.1:\d+/.exec(program.output)?.[0]);
    expect(program.output).toMatch(
      /level=warn msg="\S+server\.key can be read by every user of this machine: chmod 600"/,
    );
    const ca = files.ca.certFile;
    const before = await https(`${url}/-/healthy`, { ca });
    expect(before.status).toBe(200);

    const environment = { VARVE_WEB_LISTEN_ADDRESS: url.replace('https://', ''), VARVE_WEB_CONFIG_FILE: path };
    expect(await healthcheck(environment)).toBe('0');
    using others = new Certificates();
    others.make('server');
    const elsewhere = others.write('web.yml', tls);
    expect(await healthcheck({ ...environment, VARVE_WEB_CONFIG_FILE: elsewhere })).toContain(
      "the server's certificate is not the one of --web.config.file",
    );

    files.make('server');
    const serial = async (): Promise<string> => (await https(`${url}/-/healthy`, { ca })).serverSerial;
    await until('the new certificate', async () => (await serial()) !== before.serverSerial);
    expect(await healthcheck(environment)).toBe('0');
  });

  test.each(['TLS12', 'TLS13'])(
    'a health check passes where clients have to show certificates, %s',
    async (version) => {
      using files = new Certificates();
      files.make('server');
      const path = files.write(
        'web.yml',
        'tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n' +
          `  client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n  max_version: ${version}\n`,
      );
      using temporary = new TemporaryDirectory('web');
      await using program = spawnVarve(join(temporary.path, 'data'), [`--web.config.file=${path}`]);
      const url = await program.ready('the address', () => /https:\/\/127\.0\.0\.1:\d+/.exec(program.output)?.[0]);
      const environment = { VARVE_WEB_LISTEN_ADDRESS: url.replace('https://', ''), VARVE_WEB_CONFIG_FILE: path };
      expect(await healthcheck(environment)).toBe('0');
      await program.stop();
      expect(await healthcheck(environment)).toContain('ECONNREFUSED');
    },
  );
});
