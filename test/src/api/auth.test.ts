/** What stands before every route, besides the rows B48 to B50 of the catalogue: basic authentication, response headers and the rate limit of --web.config.file. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hashSync } from 'bcryptjs';
import { afterAll, describe, expect, test } from 'vitest';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { basic } from '../../support/https.ts';
import { writeRequest } from '../../support/remote-write.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';
import { exchange, type RunningServer, serve, serveDatabase, statusOf } from './serve.ts';

const directory = new TemporaryDirectory('auth');
afterAll(() => directory[Symbol.dispose]());

let count = 0;
function webConfig(text: string): string {
  const path = join(directory.path, `web-${count++}.yml`);
  writeFileSync(path, text);
  return path;
}

const COST = 4;
const USERS = {
  alice: hashSync('open sesame', COST),
  'with:colon': hashSync('x', COST),
  // Of exporter-toolkit's tests, made by htpasswd.
  dave: '$2y$10$2UXri9cIDdgeKjBo4Rlpx.U3ZLDV8X1IxKmsfOvhcM5oXQt/mLmXq',
  long: hashSync('x'.repeat(72), COST),
  empty: hashSync('', COST),
  '': hashSync('nameless', COST),
  müller: hashSync('pässwörd', COST),
};

function users(of: Readonly<Record<string, string>> = USERS): string {
  return `basic_auth_users:\n${Object.entries(of)
    .map(([user, hash]) => `  "${user}": ${hash}\n`)
    .join('')}`;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** GET /-/healthy with these lines in its head, as they are. */
async function ask(api: RunningServer, ...lines: readonly string[]): Promise<Answer> {
  const head = ['GET /-/healthy HTTP/1.1', 'Host: x', 'Connection: close', ...lines].join('\r\n');
  const answer = await exchange(api.port, [Buffer.from(`${head}\r\n\r\n`, 'latin1')]);
  return { status: statusOf(answer), text: answer };
}

function authorization(user: string, password: string): string {
  return `Authorization: ${basic(user, password)}`;
}

describe('who is let in', () => {
  test.each(['/-/healthy', '/-/ready', '/metrics', '/api/v1/write', '/nowhere', '/%zz'])(
    'no path is exempt: %s',
    async (path) => {
      await using api = await serve({ webConfigPath: webConfig(users()) });
      for (const method of ['GET', 'POST', 'OPTIONS', 'HEAD']) {
        expect([method, (await fetch(api.url + path, { method })).status]).toEqual([method, 401]);
      }
    },
  );

  test('a body is not asked for before its sender is known', async () => {
    await using api = await serve({ webConfigPath: webConfig(users()) });
    const head = 'POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n';
    const answer = await exchange(api.port, [head], (text) => text.includes('Unauthorized'));
    expect(statusOf(answer)).toBe(401);
  });

  test('a write of a known sender is stored, on one connection after another that is refused', async () => {
    await using api = await serveDatabase({ webConfigPath: webConfig(users()) });
    const body = writeRequest([{ labels: [['__name__', 'up']], samples: [[Date.now(), 1]] }]);
    const statuses: number[] = [];
    for (const password of ['wrong', 'open sesame', 'wrong', 'open sesame']) {
      const headers = { authorization: basic('alice', password), 'content-encoding': 'snappy' };
      statuses.push((await fetch(`${api.url}/api/v1/write`, { method: 'POST', headers, body })).status);
    }
    expect(statuses).toEqual([401, 204, 401, 204]);
  });
});

describe('a reload', () => {
  test('lets in who is new, and no longer lets in who is gone or has another password', async () => {
    const path = webConfig(users());
    await using api = await serve({ webConfigPath: path });
    const alice = authorization('alice', 'open sesame');
    expect((await ask(api, alice)).status).toBe(200);
    writeFileSync(path, users({ alice: hashSync('other', COST), bob: hashSync('open sesame', COST) }));
    await api.webConfig.reload();
    expect((await ask(api, alice)).status).toBe(401);
    expect((await ask(api, authorization('alice', 'other'))).status).toBe(200);
    expect((await ask(api, authorization('bob', 'open sesame'))).status).toBe(200);
    expect((await ask(api, authorization('dave', 'dave123'))).status).toBe(401);
  });

  test('that takes authentication away says so as loudly as a start without it', async () => {
    const path = webConfig(users());
    const metrics = new Metrics();
    const listenAddresses = [{ host: '0.0.0.0', port: 0 }];
    await using api = await serve({ webConfigPath: path, metrics, settings: { listenAddresses } });
    expect(api.logLines).toEqual([]);
    expect(await metrics.text()).toContain('\nvarve_unauthenticated_listeners 0\n');
    writeFileSync(path, '');
    await api.webConfig.reload();
    expect(api.logLines.join('')).toContain('LISTENING BEYOND THIS MACHINE WITHOUT AUTHENTICATION');
    expect(await metrics.text()).toContain('\nvarve_unauthenticated_listeners 1\n');
  });
});

// B49 of the catalogue of bad input.
describe('passwords that are tried', () => {
  test('are limited for an address before bcrypt; who was let in before goes on', async () => {
    await using api = await serve({ webConfigPath: webConfig(users()) });
    const alice = authorization('alice', 'open sesame');
    expect((await ask(api, alice)).status).toBe(200);
    const tries = Array.from({ length: 200 }, (_, i) => ask(api, authorization('alice', `guess ${i}`)));
    const statuses = (await Promise.all(tries)).map(({ status }) => status);
    const compared = statuses.filter((status) => status === 401).length;
    expect(compared).toBeGreaterThan(0);
    expect(compared).toBeLessThan(100);
    expect(statuses.filter((status) => status === 503).length).toBe(200 - compared);
    expect((await ask(api, alice)).status).toBe(200);
  });

  test('one that has to wait is told to try again, not that it is wrong', async () => {
    await using api = await serve({ webConfigPath: webConfig(users()) });
    let last: Answer | undefined;
    for (let i = 0; i < 30 && last?.status !== 503; i++) last = await ask(api, authorization('eve', `guess ${i}`));
    expect(last?.status).toBe(503);
    expect(last?.text).toMatch(/^Retry-After: 1\r$/im);
    expect(last?.text).toContain('too many new passwords are being tried: try again\n');
  });

  test('senders that begin together with one password are one try', async () => {
    await using api = await serve({ webConfigPath: webConfig(users()) });
    const dave = authorization('dave', 'dave123');
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask(api, dave)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  });

  test('that are wrong are in the log with the address, and no password or unknown name is', async () => {
    await using api = await serve({ webConfigPath: webConfig(users()) });
    await ask(api, authorization('alice', 'c4n4ry'));
    await ask(api, authorization('c4n4ry', 'c4n4ry'));
    expect(api.logLines).toEqual([
      expect.stringMatching(/ level=warn msg="wrong user or password" address=127\.0\.0\.1 user=alice\n$/),
      expect.stringMatching(/ level=warn msg="wrong user or password" address=127\.0\.0\.1\n$/),
    ]);
  });
});

describe('headers', () => {
  const text = 'http_server_config: {headers: {X-Frame-Options: deny, Strict-Transport-Security: max-age=1}}\n';

  test('are on every answer, refusals too', async () => {
    await using api = await serve({ webConfigPath: webConfig(text + users()) });
    const headers = { authorization: basic('alice', 'open sesame') };
    for (const response of [
      await fetch(`${api.url}/-/healthy`, { headers }),
      await fetch(`${api.url}/nowhere`, { headers }),
      await fetch(`${api.url}/-/healthy`),
    ]) {
      expect(response.headers.get('x-frame-options')).toBe('deny');
      expect(response.headers.get('strict-transport-security')).toBe('max-age=1');
      expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    }
  });

  test('change with a reload', async () => {
    const path = webConfig(text);
    await using api = await serve({ webConfigPath: path });
    writeFileSync(path, '');
    await api.webConfig.reload();
    expect((await fetch(`${api.url}/-/healthy`)).headers.get('x-frame-options')).toBeNull();
  });
});

describe('the rate limit', () => {
  test('answers 429 beyond its burst, as Prometheus does', async () => {
    const metrics = new Metrics();
    await using api = await serve({ metrics, webConfigPath: webConfig('rate_limit: {interval: 1h, burst: 2}') });
    const answers = [await ask(api), await ask(api), await ask(api)];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
    expect(answers[2]?.text).toMatch(/\r\n\r\nToo Many Requests\n$/);
    expect(await metrics.text()).toContain('varve_http_requests_total{handler="none",code="429"} 1\n');
  });
});
