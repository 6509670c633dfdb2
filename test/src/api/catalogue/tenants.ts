/** B32, B46 and B52 to B57: limits of tenants, and their names. */
import { writeRequest } from '../../../support/remote-write.ts';
import type { LabelPairs } from '../../../support/series.ts';
import { exchange, write } from '../serve.ts';
import { GOOD, goodContent, goodRequest, nowMs, post, postAll, type Row, request, WRITE_HEAD } from './row.ts';

/** The limits of the tenants of these rows, as the file of --receive.limits-config-file has them. */
export const LIMITS = `write:
  tenants:
    few-series: {head_series_limit: 2}
    slow: {samples_per_second_limit: 1}
    small-labels: {labels_limit: 2, label_name_bytes_limit: 8, label_value_bytes_limit: 4, labels_bytes_limit: 60}
    small-requests: {request: {series_limit: 2, samples_limit: 3}}
    small-bodies: {request: {size_bytes_limit: 200}}
`;

const series = (...names: readonly string[]): { labels: LabelPairs; samples: [number, number][] }[] =>
  names.map((name) => ({ labels: [['__name__', name]], samples: [[nowMs, 1]] }));
const content = (...names: readonly string[]): Row['content'] =>
  names.map((name) => [[['__name__', name]], [[nowMs, 1]]] as const);
const KEY = 'in --receive\\.limits-config-file\\)';

const limits: Row[] = [
  {
    b: 32,
    what: 'a new series of a tenant that holds as many as it may: those that are there are stored',
    tenant: 'few-series',
    send: postAll(
      writeRequest(series('a', 'b')),
      writeRequest([...series('c'), { labels: [['__name__', 'a']], samples: [[nowMs + 1, 1]] }]),
    ),
    status: 400,
    text: new RegExp(
      `^stored 1 of 2 samples; rejected 1: series limit 2 \\(active 2; head_series_limit ${KEY} {__name__="c"}; in all 1 series-limit\\n$`,
    ),
    counts: { stored: 3, rejected: { 'series-limit': 1 } },
    content: [
      [
        [['__name__', 'a']],
        [
          [nowMs, 1],
          [nowMs + 1, 1],
        ],
      ],
      [[['__name__', 'b']], [[nowMs, 1]]],
    ],
  },
  ...(
    [
      [
        [
          ['__name__', 'm'],
          ['a', '1'],
          ['b', '2'],
        ],
        '3 labels, limit 2 \\(labels_limit',
        'too-many-labels',
      ],
      [
        [
          ['__name__', 'm'],
          ['ninebytes', '1'],
        ],
        'label name of 9 bytes, limit 8 \\(label_name_bytes_limit',
        'label-name-too-long',
      ],
      [[['__name__', 'fives']], 'label value of 5 bytes, limit 4 \\(label_value_bytes_limit', 'label-value-too-long'],
    ] as [LabelPairs, string, string][]
  ).map(([labels, text, reason]) => ({
    b: 30,
    what: `a limit of a tenant of its own: ${reason}`,
    tenant: 'small-labels',
    send: post(request(labels, [nowMs, 1])),
    status: 400,
    text: new RegExp(`rejected 1: ${text} ${KEY}`),
    counts: { rejected: { [reason]: 1 } },
  })),
  {
    b: 46,
    what: 'a tenant over its samples a second: nothing of the request is stored',
    tenant: 'slow',
    send: postAll(
      request(GOOD, ...Array.from({ length: 10_000 }, (_, i) => [nowMs - i, 1] as const)),
      writeRequest(series('x', 'y')),
    ),
    status: 429,
    text: new RegExp(`^more than 1 samples a second \\(samples_per_second_limit ${KEY}\\n$`),
    header: ['retry-after', /^\d+$/],
    counts: { stored: 10_000, rejected: { rate: 2 } },
    content: [[GOOD, Array.from({ length: 10_000 }, (_, i) => [nowMs - 9999 + i, 1] as const)]],
  },
  {
    b: 46,
    what: 'a request of more series than its tenant may send at once',
    tenant: 'small-requests',
    send: post(writeRequest(series('a', 'b', 'c'))),
    status: 400,
    text: new RegExp(`^a request of 3 series, limit 2 \\(series_limit ${KEY}\\n$`),
    counts: { rejected: { 'request-series': 3 } },
  },
  {
    b: 46,
    what: 'a request of more samples than its tenant may send at once',
    tenant: 'small-requests',
    send: post(request(GOOD, [nowMs, 1], [nowMs + 1, 1], [nowMs + 2, 1], [nowMs + 3, 1])),
    status: 400,
    text: new RegExp(`^a request of 4 samples, limit 3 \\(samples_limit ${KEY}\\n$`),
    counts: { rejected: { 'request-samples': 4 } },
  },
  {
    b: 46,
    what: 'a body of more bytes than its tenant may send, also when it is small as it comes',
    tenant: 'small-bodies',
    send: post(request([...GOOD, ['n', 'x'.repeat(1000)]], [nowMs, 1])),
    status: 400,
    text: new RegExp(`^a request of 10\\d\\d bytes, limit 200 \\(size_bytes_limit ${KEY}\\n$`),
  },
];

function refused(b: number, what: string, headers: Record<string, string>, text: RegExp, path?: string): Row {
  return {
    b,
    what,
    send: ({ api }) => write(api.url, goodRequest, { headers, ...(path === undefined ? {} : { path }) }),
    status: 400,
    text,
  };
}

const scope = (id: string): Record<string, string> => ({ 'x-scope-orgid': id });
const INVALID = /^invalid tenant ID /;
const names: Row[] = [
  ...['..', '.', 'a/../b', '/etc', 'a/b', 'a\\b', '%2e%2e%2f'].flatMap((id) => [
    refused(52, `${id} in X-Scope-OrgID`, scope(id), INVALID),
    refused(52, `${id} in THANOS-TENANT`, { 'thanos-tenant': id }, INVALID),
  ]),
  refused(
    52,
    '../ in the path',
    {},
    /^invalid tenant ID "\.\.\/" in the path/,
    '/insert/%2e%2e%2f/prometheus/api/v1/write',
  ),
  refused(52, 'too many parts in the path', {}, /^invalid account "1:2:3"/, '/insert/1:2:3/prometheus/'),
  refused(53, 'an empty name', scope(''), /^invalid tenant ID ""/),
  refused(53, '151 characters', scope('x'.repeat(151)), /\(151 characters\)/),
  refused(53, 'beyond ASCII', scope('ä'), INVALID),
  refused(53, 'a tab in it', scope('a\tb'), INVALID),
  refused(53, 'a space in it', scope('a b'), INVALID),
  {
    b: 53,
    what: 'NUL',
    send: ({ api }) => exchange(api.port, [`${WRITE_HEAD}X-Scope-OrgID: a\0b\r\nContent-Length: 0\r\n\r\n`]),
    status: 400,
    text: /./,
  },
  {
    b: 54,
    what: 'the header twice',
    send: ({ api }) => {
      const head = `${WRITE_HEAD}X-Scope-OrgID: a\r\nX-Scope-OrgID: a\r\nConnection: close\r\n`;
      return exchange(api.port, [`${head}Content-Length: ${goodRequest.length}\r\n\r\n`, goodRequest]);
    },
    status: 400,
    text: /^X-Scope-OrgID was sent more than once/,
  },
  refused(54, 'two tenants in one header', scope('a, a'), /^X-Scope-OrgID was sent more than once/),
  refused(
    54,
    'two headers that disagree',
    { ...scope('a'), 'thanos-tenant': 'b' },
    /X-Scope-OrgID says "a", THANOS-TENANT says "b"/,
  ),
  refused(
    54,
    'a header and a path that disagree',
    scope('a'),
    /X-Scope-OrgID says "a", the path says "7"/,
    '/insert/7/prometheus/',
  ),
  {
    b: 55,
    what: 'no tenant: the default tenant',
    tenant: 'default-tenant',
    send: ({ api }) => write(api.url, goodRequest),
    status: 204,
    counts: { stored: 1 },
    content: goodContent,
  },
  {
    b: 55,
    what: 'no tenant with --receive.require-tenant',
    server: 'named',
    send: ({ api }) => write(api.url, goodRequest),
    status: 401,
    text: /^no tenant \(--receive\.require-tenant\): name it in X-Scope-OrgID, THANOS-TENANT, the path /,
  },
  {
    b: 55,
    what: 'a tenant with --receive.require-tenant',
    server: 'named',
    send: post(goodRequest),
    status: 204,
    counts: { stored: 1 },
    content: goodContent,
  },
  {
    b: 55,
    what: 'the path of account 0, which is the default tenant, with --receive.require-tenant',
    server: 'named',
    tenant: 'default-tenant',
    send: ({ api }) => write(api.url, goodRequest, { path: '/insert/0/prometheus/api/v1/write' }),
    status: 204,
    counts: { stored: 1 },
    content: goodContent,
  },
  {
    b: 55,
    what: 'a read without a tenant with --receive.require-tenant',
    server: 'named',
    send: async ({ api }) => {
      const response = await fetch(`${api.url}/api/v1/labels`);
      return { status: response.status, text: await response.text(), headers: response.headers };
    },
    status: 401,
    text: /no tenant/,
  },
  ...['lost+found', 'a+b'].map((id) => refused(56, `${id}, which may not be`, scope(id), INVALID)),
  ...['wal', 'debug', '__markers__', 'con', 'CON', 'blocks', "!._*'()-"].map(
    (id): Row => ({
      b: 56,
      what: `a tenant called ${id}`,
      tenant: id,
      send: post(goodRequest),
      status: 204,
      counts: { stored: 1 },
      content: goodContent,
    }),
  ),
  ...(
    [
      ['/api/v1/receive', { 'thanos-tenant': 't2' }, 't2'],
      ['/api/v1/push', scope('t3'), 't3'],
      ['/api/prom/push', scope('t4'), 't4'],
      ['/prometheus/api/v1/write/', scope('t5'), 't5'],
      ['/insert/5/prometheus/api/v1/write', {}, '5'],
      ['/insert/5:6/prometheus/', {}, '5_6'],
      ['/insert/8/prometheus', scope('8'), '8'],
    ] as [path: string, headers: Record<string, string>, tenant: string][]
  ).map(
    ([path, headers, tenant]): Row => ({
      b: 52,
      what: `a valid tenant at ${path}`,
      tenant,
      send: ({ api }) => write(api.url, goodRequest, { path, headers }),
      status: 204,
      counts: { stored: 1 },
      content: goodContent,
    }),
  ),
];

const nameless = content();
export const TENANTS: readonly Row[] = [...limits, ...names].map((row) => ({ content: nameless ?? [], ...row }));
