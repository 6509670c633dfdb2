import { spawnSync } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import packageJson from '../../../package.json' with { type: 'json' };
import { environmentName, SERVE_FLAGS } from '../../../src/config/flags.ts';
import { Program } from '../../support/program.ts';

const root: string = fileURLToPath(new URL('../../..', import.meta.url));

/** Runs the program to its end with nothing of Varve's in the environment but `environment`. */
function varve(args: readonly string[], environment: Record<string, string> = {}): Outcome {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('VARVE_'));
  const { status, stdout, stderr } = spawnSync(process.execPath, ['src/main.ts', ...args], {
    cwd: root,
    env: { ...Object.fromEntries(inherited), ...environment },
    encoding: 'utf8',
    timeout: 30_000,
  });
  return { code: status, stdout, stderr };
}
interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

test('--help names the commands', () => {
  const { code, stdout, stderr } = varve(['--help']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^ {2}serve /m);
  expect(stdout).toMatch(/^ {2}healthcheck /m);
});

test('serve --help shows every flag with its variable and its default', () => {
  const { code, stdout } = varve(['serve', '--help']);
  expect(code).toBe(0);
  const help = stdout.replaceAll(/\s+/g, ' ');
  for (const { name, defaults, defaultNote } of Object.values(SERVE_FLAGS)) {
    expect(help).toContain(` --${name} `);
    expect(help).toContain(`(env: ${environmentName(name)})`);
    const shown = defaultNote ?? defaults.join(', ');
    if (shown !== '') expect(help).toContain(`(default: ${shown}) (env: ${environmentName(name)})`);
  }
});

test('--version says which version runs where', () => {
  const { code, stdout } = varve(['--version']);
  expect(code).toBe(0);
  expect(stdout).toBe(`varve ${packageJson.version} (node ${process.version}, ${process.platform}-${process.arch})\n`);
});

test.each([
  [['serve', '--storage.pth=x'], 'unknown flag --storage.pth: the nearest is --storage.path; see varve serve --help'],
  [['serve', '--listen', ':80'], 'unknown flag --listen: the nearest is --web.listen-address; see varve serve --help'],
  [['sreve'], 'unknown command "sreve": the nearest is serve; see varve --help'],
  [['serve', '--log.level'], "flag '--log.level <debug|info|warn|error>' argument missing; see varve serve --help"],
  [['serve', '--log.level=loud'], 'invalid value "loud" for --log.level: want one of debug, info, warn, error'],
  [['serve', '--web.enable-lifecycle=maybe'], 'invalid value "maybe" for --web.enable-lifecycle: want true or false'],
  [['serve', '--log.level=info', '--log.level=warn'], '--log.level is given more than once'],
])('varve %j exits 2 and says what is wrong', (args, text) => {
  expect(varve(args)).toEqual({ code: 2, stdout: '', stderr: `varve: ${text}\n` });
});

test('a wrong variable exits 2 and names flag, variable and value', () => {
  expect(varve(['serve'], { VARVE_HEAD_IDLE_CUT: 'soon' })).toEqual({
    code: 2,
    stdout: '',
    stderr:
      'varve: invalid value "soon" for --head.idle-cut (from VARVE_HEAD_IDLE_CUT): ' +
      'want a duration such as 5m, 1h30m or 1d (units ms, s, m, h, d, w, y)\n',
  });
});

test('no command shows the help and exits 2', () => {
  const { code, stdout, stderr } = varve([]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain('varve: which command?');
});

test('a health check passes when the server answers 200, and only then', async () => {
  let status = 200;
  const asked: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    response.writeHead(status).end('replaying');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const environment = { ...process.env, VARVE_WEB_LISTEN_ADDRESS: `0.0.0.0:${port}`, VARVE_WEB_ROUTE_PREFIX: '/varve' };
  const healthcheck = async (args: readonly string[] = []): Promise<string> => {
    await using program = new Program(process.execPath, ['src/main.ts', 'healthcheck', ...args], {
      cwd: root,
      env: environment,
    });
    const { code } = await program.ended;
    return `${code} ${program.output.trim()}`.trim();
  };
  try {
    expect(await healthcheck()).toBe('0');
    expect(await healthcheck(['--url', `http://127.0.0.1:${port}/elsewhere`])).toBe('0');
    expect(asked).toEqual(['/varve/-/healthy', '/elsewhere']);
    status = 503;
    expect(await healthcheck()).toBe(`1 unhealthy: http://127.0.0.1:${port}/varve/-/healthy answers 503 replaying`);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
  expect(await healthcheck()).toContain(`1 unhealthy: http://127.0.0.1:${port}/varve/-/healthy: connect ECONNREFUSED`);
});
