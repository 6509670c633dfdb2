/** A real Prometheus writes to and reads from a Varve that asks for a password over TLS, and another one for a certificate. */
import { join } from 'node:path';
import { hashSync } from 'bcryptjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Certificates } from '../support/certificates.ts';
import { basic, https } from '../support/https.ts';
import { peers } from '../support/peers.ts';
import type { Program } from '../support/program.ts';
import { Prometheus } from '../support/prometheus.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { spawnVarve } from '../support/varve.ts';

const PASSWORD = 'open sesame: ä';

describe.skipIf(!peers.prometheus || !peers.openssl)('a real Prometheus', () => {
  let files: Certificates;

  beforeAll(() => {
    files = new Certificates();
    files.make('server');
    files.make('client', { names: 'DNS:prometheus.test' });
  });

  afterAll(() => files?.[Symbol.dispose]());

  interface Edge extends AsyncDisposable {
    readonly program: Program;
    readonly url: string;
  }

  async function startVarve(webConfig: string): Promise<Edge> {
    const path = files.write('web.yml', webConfig);
    const temporary = new TemporaryDirectory('edge');
    const program = spawnVarve(join(temporary.path, 'data'), [`--web.config.file=${path}`]);
    const url = await program.ready('the address', () => /https:\/\/127\.0\.0\.1:\d+/.exec(program.output)?.[0]);
    return {
      program,
      url,
      async [Symbol.asyncDispose]() {
        await program.kill();
        temporary[Symbol.dispose]();
      },
    };
  }

  /** Prometheus' own sections for one remote endpoint. */
  function remote(url: string, access: Record<string, unknown>): Record<string, unknown> {
    return { url, ...access, tls_config: { ca_file: files.ca.certFile, ...(access.tls_config ?? {}) } };
  }

  const SERVER = 'tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n';
  const rows: [what: string, webConfig: string, access: () => Record<string, unknown>][] = [
    [
      'with basic_auth',
      `${SERVER}basic_auth_users:\n  writer: ${hashSync(PASSWORD, 10)}\n`,
      () => ({ basic_auth: { username: 'writer', password: PASSWORD } }),
    ],
    [
      'with a client certificate',
      `${SERVER}  client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [prometheus.test]\n`,
      () => ({ tls_config: { cert_file: files.path('client.crt'), key_file: files.path('client.key') } }),
    ],
  ];

  test.each(rows)('%s writes, and reads back what it wrote', async (_what, webConfig, access) => {
    await using varve = await startVarve(webConfig);
    await using writer = await Prometheus.start({
      scrape: { prometheus: 'self' },
      remoteWrite: [
        { ...remote(`${varve.url}/api/v1/write`, access()), queue_config: { batch_send_deadline: '500ms' } },
      ],
    });
    await until('samples that were sent', async () => {
      return ((await writer.metric('prometheus_remote_storage_samples_total')) ?? 0) > 1000;
    });
    await until('the first write', () => varve.program.output.includes('first write from 127.0.0.1 (Prometheus/'));
    expect(await writer.metric('prometheus_remote_storage_samples_failed_total')).toBe(0);
    await using reader = await Prometheus.start({
      remoteRead: [{ ...remote(`${varve.url}/api/v1/read`, access()), read_recent: true }],
    });
    const answer = await reader.query({ expression: 'count_over_time(up[1m])', endMs: Date.now() });
    expect(answer.map(({ metric }) => metric.job)).toEqual(['prometheus']);
  });

  test('with a wrong password stores nothing, and is in the log', async () => {
    const [, webConfig] = rows[0] as (typeof rows)[number];
    await using varve = await startVarve(webConfig);
    const access = { basic_auth: { username: 'writer', password: 'wrong' } };
    await using writer = await Prometheus.start({
      scrape: { prometheus: 'self' },
      remoteWrite: [remote(`${varve.url}/api/v1/write`, access)],
    });
    await until('a refusal', async () => {
      return ((await writer.metric('prometheus_remote_storage_samples_failed_total')) ?? 0) > 0;
    });
    expect(writer.output).toContain('401 Unauthorized');
    expect(varve.program.output).toContain('msg="wrong user or password" address=127.0.0.1 user=writer');
    const headers = { authorization: basic('writer', PASSWORD) };
    const names = `${varve.url}/api/v1/label/__name__/values`;
    expect((await https(names, { ca: files.ca.certFile, headers })).text).toBe('{"status":"success","data":[]}');
  });
});
