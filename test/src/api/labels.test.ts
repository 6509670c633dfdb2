import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeRequest } from '../../support/remote-write.ts';
import { type RunningServer, serveDatabase, write } from './serve.ts';

/** Midnight: far enough from any window's border. */
const timeMs = Math.floor(Date.now() / 86_400_000) * 86_400_000;
const timeS = timeMs / 1000;

let api: RunningServer;
beforeAll(async () => {
  api = await serveDatabase();
  const series = (labels: [string, string][], t: number) => ({ labels, samples: [[t, 1]] as const });
  const body = writeRequest([
    series(
      [
        ['__name__', 'up'],
        ['instance', 'a:9100'],
        ['job', 'node'],
      ],
      timeMs,
    ),
    series(
      [
        ['__name__', 'up'],
        ['instance', 'b:9100'],
        ['job', 'node'],
      ],
      timeMs,
    ),
    series(
      [
        ['__name__', 'up'],
        ['job', 'late'],
      ],
      timeMs + 7_200_000,
    ),
    series(
      [
        ['__name__', 'http.requests'],
        ['__proto__', 'x'],
        ['a.b', 'dotted'],
        ['job', 'web'],
      ],
      timeMs,
    ),
  ]);
  expect((await write(api.url, body)).status).toBe(204);
  const other = writeRequest([
    series(
      [
        ['__name__', 'other'],
        ['team', 'b'],
      ],
      timeMs,
    ),
  ]);
  expect((await write(api.url, other, { headers: { 'x-scope-orgid': 'team-b' } })).status).toBe(204);
});
afterAll(() => api[Symbol.asyncDispose]());

async function get(path: string, params: [string, string][] = [], tenant?: string): Promise<[number, unknown]> {
  const query = new URLSearchParams(params).toString();
  const headers = tenant === undefined ? {} : { 'x-scope-orgid': tenant };
  const response = await fetch(`${api.url}${path}?${query}`, { headers });
  expect(response.headers.get('content-type')).toBe('application/json');
  return [response.status, await response.json()];
}

async function post(path: string, params: [string, string][]): Promise<[number, unknown]> {
  const response = await fetch(api.url + path, { method: 'POST', body: new URLSearchParams(params) });
  return [response.status, await response.json()];
}

const success = (data: unknown, warnings?: string[]): [number, unknown] => [
  200,
  { status: 'success', data, ...(warnings === undefined ? {} : { warnings }) },
];
const badData = (error: unknown): [number, unknown] => [400, { status: 'error', errorType: 'bad_data', error }];
const truncated = ['results truncated due to limit'];

describe('/api/v1/labels', () => {
  test('lists the names of labels, by GET and by POST, under every alias', async () => {
    const names = success(['__name__', '__proto__', 'a.b', 'instance', 'job']);
    for (const prefix of ['', '/prometheus', '/select/0/prometheus']) {
      expect(await get(`${prefix}/api/v1/labels`)).toEqual(names);
      expect(await post(`${prefix}/api/v1/labels`, [])).toEqual(names);
    }
  });

  test('takes selectors, a time range and a limit', async () => {
    const late: [string, string][] = [['start', String(timeS + 7200)]];
    expect(await get('/api/v1/labels', late)).toEqual(success(['__name__', 'job']));
    expect(await get('/api/v1/labels', [['end', new Date(timeMs - 1).toISOString()]])).toEqual(success([]));
    expect(
      await post('/api/v1/labels', [
        ['match[]', '{job="node"}'],
        ['match[]', 'http.requests{'],
      ]),
    ).toEqual(badData(expect.stringMatching(/^1:\d+: parse error: /)));
    expect(
      await post('/api/v1/labels', [
        ['match[]', 'up{job="late"}'],
        ['match[]', '{"http.requests"}'],
      ]),
    ).toEqual(success(['__name__', '__proto__', 'a.b', 'job']));
    expect(await get('/api/v1/labels', [['limit', '2']])).toEqual(success(['__name__', '__proto__'], truncated));
  });
});

describe('/api/v1/label/<name>/values', () => {
  test.each<[string, string[]]>([
    ['job', ['late', 'node', 'web']],
    ['instance', ['a:9100', 'b:9100']],
    ['__name__', ['http.requests', 'up']],
    ['U__a_2e_b', ['dotted']],
    ['a.b', ['dotted']],
    ['__proto__', ['x']],
    ['constructor', []],
    ['x'.repeat(3000), []],
  ])('of %s', async (name, values) => {
    expect(await get(`/api/v1/label/${name}/values`)).toEqual(success(values));
  });

  test('is GET only, as in Prometheus', async () => {
    const response = await fetch(`${api.url}/api/v1/label/job/values`, { method: 'POST' });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  test('belong to the tenant that asks', async () => {
    expect(await get('/api/v1/label/__name__/values', [], 'team-b')).toEqual(success(['other']));
    expect(await get('/select/team-b/prometheus/api/v1/label/__name__/values')).toEqual(success(['other']));
    expect(await get('/api/v1/label/__name__/values', [], 'nobody')).toEqual(success([]));
  });
});

describe('/api/v1/series', () => {
  test('lists the labels of series, with a limit and a warning', async () => {
    expect(await get('/api/v1/series', [['match[]', 'up{job="node"}']])).toEqual(
      success([
        { __name__: 'up', instance: 'a:9100', job: 'node' },
        { __name__: 'up', instance: 'b:9100', job: 'node' },
      ]),
    );
    const limited = await post('/api/v1/series', [
      ['match[]', '{__name__!=""}'],
      ['limit', '1'],
    ]);
    expect(limited).toEqual([200, expect.objectContaining({ data: [expect.anything()], warnings: truncated })]);
  });

  test.each<[what: string, params: [string, string][], error: unknown]>([
    ['no match[]', [], 'no match[] parameter provided'],
    [
      'an empty selector',
      [['match[]', '{}']],
      'invalid parameter "match[]": match[] must contain at least one non-empty matcher',
    ],
    [
      'half a selector',
      [['match[]', 'up{']],
      expect.stringMatching(/^invalid parameter "match\[\]": 1:4: parse error: /),
    ],
    [
      'a bad expression',
      [['match[]', '{a=~"("}']],
      expect.stringMatching(/^invalid parameter "match\[\]": .*parse error/),
    ],
    [
      'a negative limit',
      [
        ['match[]', 'up'],
        ['limit', '-1'],
      ],
      'invalid parameter "limit": limit must be non-negative',
    ],
    [
      'no time',
      [
        ['match[]', 'up'],
        ['start', 'x'],
      ],
      `invalid parameter "start": invalid time value for 'start': cannot parse "x" to a valid timestamp`,
    ],
  ])('is refused for %s', async (_what, params, error) => {
    expect(await get('/api/v1/series', params)).toEqual(badData(error));
    expect(await post('/api/v1/series', params)).toEqual(badData(error));
  });

  test('with an expression that is slow elsewhere answers', async () => {
    expect(await get('/api/v1/series', [['match[]', '{__name__=~"(a+)+$"}']])).toEqual(success([]));
  });

  test('with a form that is too large is 413', async () => {
    const response = await fetch(`${api.url}/api/v1/series`, {
      method: 'POST',
      body: new URLSearchParams({ 'match[]': 'x'.repeat(2 ** 20) }),
    });
    expect(response.status).toBe(413);
  });
});

test('buildinfo has the shape of Prometheus and no features', async () => {
  const [status, body] = (await get('/api/v1/status/buildinfo')) as [number, { data: object }];
  expect(status).toBe(200);
  expect(Object.keys(body.data)).toEqual(['version', 'revision', 'branch', 'buildUser', 'buildDate', 'goVersion']);
});
