import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { until } from '../../support/until.ts';
import { exchange, serve, statusOf } from './serve.ts';

const REPLAY = { replayedBytes: 41, totalBytes: 100, firstSegment: 3, lastSegment: 7, segment: 5 };

describe('before the database is ready', () => {
  test.each(['/-/healthy', '/health'])('%s is 200', async (path) => {
    await using api = await serve();
    const response = await fetch(api.url + path);
    expect([response.status, await response.text()]).toEqual([200, 'Varve is healthy.\n']);
    const head = await fetch(api.url + path, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  test.each(['/-/ready', '/ready', '/metrics', '/api/v1/status/buildinfo', '/prometheus/api/v1/status/buildinfo'])(
    '%s is 503 with the reason and Retry-After',
    async (path) => {
      await using api = await serve({ replayProgress: () => REPLAY });
      const response = await fetch(api.url + path);
      expect(response.status).toBe(503);
      expect(response.headers.get('retry-after')).toBe('2');
      expect(await response.text()).toContain('not ready: replaying the WAL: 41 % (41 of 100 bytes)');
    },
  );

  test('a write is 503 whatever it holds, so that its sender tries again', async () => {
    await using api = await serve();
    const response = await fetch(`${api.url}/api/v1/write`, { method: 'POST', body: 'x' });
    expect([response.status, await response.text()]).toEqual([503, 'not ready: opening the database\n']);
  });

  test('a database that did not open is the reason', async () => {
    await using api = await serve({ database: Promise.reject(new Error('the disk is gone')) });
    const text = await until('the reason', async () => {
      const answer = await (await fetch(`${api.url}/-/ready`)).text();
      return answer.includes('did not open') && answer;
    });
    expect(text).toBe('not ready: the database did not open: the disk is gone\n');
  });
});

describe('a wrong path', () => {
  test('is 404 in plain text and names the right one', async () => {
    await using api = await serve();
    const response = await fetch(`${api.url}/api/v1/remote_write?x=1`, { method: 'POST', body: 'x' });
    expect(response.status).toBe(404);
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('x-powered-by')).toBeNull();
    expect(await response.text()).toBe('404 page not found: "/api/v1/remote_write"; did you mean /api/v1/write?\n');
  });

  test('that is no path at all is 400', async () => {
    await using api = await serve();
    const response = await fetch(`${api.url}/api/v1/label/%zz/values`);
    expect(response.status).toBe(400);
  });
});

describe('the wrong method', () => {
  test('on a path that is only read is 405 and Allow: GET, HEAD', async () => {
    await using api = await serve();
    const response = await fetch(`${api.url}/-/healthy`, {
      method: 'POST',
      body: 'x',
      headers: { 'content-type': '?' },
    });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });
});

describe('the lifecycle calls', () => {
  test('quit tells the program after it has answered', async () => {
    let quits = 0;
    await using api = await serve({ settings: { lifecycleEnabled: true }, onQuit: () => quits++ });
    const response = await fetch(`${api.url}/-/quit`, { method: 'PUT' });
    expect(response.status).toBe(200);
    await until('the call', () => quits === 1);
  });

  test('reload says that there is nothing to reload', async () => {
    await using api = await serve({ settings: { lifecycleEnabled: true } });
    const response = await fetch(`${api.url}/-/reload`, { method: 'POST' });
    expect(response.status).toBe(501);
    expect(await response.text()).toMatch(/^nothing to reload/);
  });
});

describe('listening', () => {
  test('happens on every address, with one set of routes', async () => {
    const loopback = { host: '127.0.0.1', port: 0 };
    await using api = await serve({ settings: { listenAddresses: [loopback, loopback, { host: '::1', port: 0 }] } });
    const ports = api.server.addresses.map(({ port }) => port);
    expect(new Set(ports).size).toBe(3);
    for (const { host, port } of api.server.addresses) {
      const name = host === '::1' ? '[::1]' : host;
      expect((await fetch(`http://${name}:${port}/-/healthy`)).status).toBe(200);
    }
    expect(api.logLines).toEqual([]);
  });

  test('beyond this machine is one loud line in the log', async () => {
    await using api = await serve({ settings: { listenAddresses: [{ host: '0.0.0.0', port: 0 }] } });
    expect(api.logLines).toHaveLength(1);
    expect(api.logLines[0]).toMatch(/level=warn .*WITHOUT AUTHENTICATION.* address=0\.0\.0\.0:\d+/);
  });

  test('fails by naming an address that is taken, and holds no other', async () => {
    await using api = await serve();
    const free = { host: '127.0.0.1', port: 0 };
    const taken = { host: '127.0.0.1', port: api.port };
    await expect(serve({ settings: { listenAddresses: [free, taken] } })).rejects.toThrow(
      `cannot listen on 127.0.0.1:${api.port}: `,
    );
  });

  test('puts every route below the route prefix', async () => {
    await using api = await serve({ settings: { routePrefix: '/varve' } });
    expect((await fetch(`${api.url}/-/healthy`)).status).toBe(200);
    expect((await fetch(`${api.url}/api/v1/write`, { method: 'POST', body: 'x' })).status).toBe(503);
    const outside = await fetch(`http://127.0.0.1:${api.port}/api/v1/write`, { method: 'POST', body: 'x' });
    expect([outside.status, await outside.text()]).toEqual([
      404,
      '404 page not found: "/api/v1/write"; did you mean /varve/api/v1/write?\n',
    ]);
  });
});

describe('closing', () => {
  test('ends at once connections that are idle or were never used', async () => {
    await using api = await serve();
    await fetch(`${api.url}/-/healthy`);
    const unused = connect(api.port, '127.0.0.1');
    await new Promise((resolve) => unused.once('connect', resolve));
    const closed = new Promise((resolve) => unused.once('close', resolve));
    await api.server.close();
    await closed;
    await expect(fetch(`${api.url}/-/healthy`)).rejects.toThrow();
  });

  test('waits for a request that has begun, and answers it', async () => {
    await using api = await serve();
    const socket = connect(api.port, '127.0.0.1');
    socket.write('POST /-/nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: keep-alive\r\n');
    await until('the first bytes to arrive', async () => socket.bytesWritten > 0);
    await fetch(`${api.url}/-/healthy`);
    const closing = api.server.close();
    let answer = '';
    socket.on('data', (bytes) => {
      answer += bytes.toString();
    });
    const ended = new Promise((resolve) => socket.once('end', resolve));
    socket.write('\r\nab');
    await Promise.all([closing, ended]);
    expect(statusOf(answer)).toBe(404);
    expect(answer).toMatch(/connection: close/i);
  });
});

describe('what is not HTTP as we take it', () => {
  const head = 'POST /api/v1/write HTTP/1.1\r\nHost: x\r\n';
  const rows: [what: string, bytes: string, status: number][] = [
    ['a chunked body with a Content-Length', `${head}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n`, 400],
    ['two Content-Lengths', `${head}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc`, 400],
    ['a bare CR in a header', `${head}X-Other: a\rb\r\n\r\n`, 400],
    ['17 KiB of headers', `${head}X-Long: ${'x'.repeat(17 * 1024)}\r\n\r\n`, 431],
    ['garbage', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', 400],
  ];
  test.each(rows)('%s is refused in plain text, and counted', async (_what, bytes, status) => {
    await using api = await serve();
    const answer = await exchange(api.port, [bytes]);
    expect(statusOf(answer)).toBe(status);
    expect(answer).toContain('Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n');
    expect((await fetch(`${api.url}/-/healthy`)).status).toBe(200);
  });
});
