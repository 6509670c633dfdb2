import { expect, test } from 'vitest';
import { environmentName, FlagError, SERVE_FLAGS, serveSettings } from '../../../src/config/flags.ts';
import { formatListenAddress, isLoopback } from '../../../src/config/listen-address.ts';
import type { ServeSettings } from '../../../src/config/settings.ts';

const GiB = 1024 ** 3;

/** Settings of a command line written as `name=value` words, and of an environment. */
function settings(words: readonly string[] = [], environment: Record<string, string> = {}): ServeSettings {
  const commandLine = new Map<string, string[]>();
  for (const word of words) {
    const at = word.indexOf('=');
    const name = word.slice(0, at);
    commandLine.set(name, [...(commandLine.get(name) ?? []), word.slice(at + 1)]);
  }
  return serveSettings({ commandLine, environment, memoryBytes: 4 * GiB });
}

function refusal(words: readonly string[], environment: Record<string, string> = {}): string {
  try {
    settings(words, environment);
  } catch (error) {
    if (error instanceof FlagError) return error.message;
    throw error;
  }
  return 'accepted';
}

test('without flags the settings are the documented defaults', () => {
  expect(settings()).toEqual({
    listenAddresses: [{ host: '127.0.0.1', port: 8470 }],
    externalUrl: undefined,
    routePrefix: '',
    lifecycleEnabled: false,
    storagePath: './data',
    externalLabels: [],
    memoryBudgetBytes: 2 * GiB,
    walSync: 'commit',
    walSyncIntervalMs: 1000,
    walShipIntervalMs: 10_000,
    walAck: 'local',
    walAckIntervalMs: 250,
    restore: false,
    minFreeBytes: undefined,
    localBlocksBytes: 10 * GiB,
    syncIntervalMs: 900_000,
    consistencyDelayMs: 0,
    ignoreDeletionMarksDelayMs: 86_400_000,
    minTime: undefined,
    maxTime: undefined,
    idleCutMs: 10_800_000,
    outOfOrderMs: 86_400_000,
    futureMs: 600_000,
    maxOpenWindows: 128,
    defaultTenantId: 'default-tenant',
    requireTenant: false,
    tenantHeader: 'THANOS-TENANT',
    tenantLabelName: 'tenant_id',
    relabelConfigFile: undefined,
    haReplicaLabel: undefined,
    haClusterLabels: [],
    partialResponse: true,
    queryCacheMemoryBytes: 256 * 1024 * 1024,
    queryCacheDiskBytes: 10 * 1024 * 1024 * 1024,
    logLevel: 'info',
    logFormat: 'logfmt',
  });
  expect(Object.isFrozen(settings())).toBe(true);
});

test('the head takes half of the memory, within what one head can hold', () => {
  const budget = (memoryBytes: number): number =>
    serveSettings({ commandLine: new Map(), environment: {}, memoryBytes }).memoryBudgetBytes;
  expect([64 * GiB, 2 * GiB, 0].map(budget)).toEqual([3.75 * GiB, GiB, GiB / 16]);
});

test('a flag wins over the environment, and the environment over the default', () => {
  const environment = { VARVE_STORAGE_PATH: '/from-environment', VARVE_LOG_LEVEL: 'warn' };
  expect(settings(['storage.path=/from-flag'], environment)).toMatchObject({
    storagePath: '/from-flag',
    logLevel: 'warn',
    logFormat: 'logfmt',
  });
});

test('every flag has a variable of its own', () => {
  const names = Object.values(SERVE_FLAGS).map((flag) => environmentName(flag.name));
  expect(new Set(names).size).toBe(names.length);
  expect(names).toContain('VARVE_WEB_LISTEN_ADDRESS');
  expect(names).toContain('VARVE_RECEIVE_DEFAULT_TENANT_ID');
});

test('a variable set to nothing is not set', () => {
  expect(settings([], { VARVE_STORAGE_PATH: '', VARVE_WEB_ROUTE_PREFIX: '' }).storagePath).toBe('./data');
});

test('a repeatable flag takes several values, in one variable separated by commas', () => {
  const addresses = [
    { host: '0.0.0.0', port: 80 },
    { host: '::1', port: 0 },
  ];
  expect(settings(['web.listen-address=0.0.0.0:80', 'web.listen-address=[::1]:0']).listenAddresses).toEqual(addresses);
  expect(settings([], { VARVE_WEB_LISTEN_ADDRESS: '0.0.0.0:80, [::1]:0' }).listenAddresses).toEqual(addresses);
  expect(settings([], { VARVE_LABEL: 'a="1,2",b="\\"3\\""' }).externalLabels).toEqual(['a', '1,2', 'b', '"3"']);
});

test('a flag that is not repeatable is refused when given twice', () => {
  expect(refusal(['storage.path=/a', 'storage.path=/b'])).toBe('--storage.path is given more than once');
});

test('external labels come out sorted by name', () => {
  expect(settings(['label=region="eu"', 'label=cluster="ü\\n"']).externalLabels).toEqual([
    'cluster',
    'ü\n',
    'region',
    'eu',
  ]);
});

test('the route prefix follows the external URL unless it is given', () => {
  expect(settings(['web.external-url=https://example.org/metrics/varve/'])).toMatchObject({
    externalUrl: 'https://example.org/metrics/varve',
    routePrefix: '/metrics/varve',
  });
  expect(settings(['web.external-url=https://example.org/varve', 'web.route-prefix=/']).routePrefix).toBe('');
  expect(settings(['web.route-prefix=varve/']).routePrefix).toBe('/varve');
});

test.each([
  ['web.listen-address', '8470', 'want host:port, [IPv6]:port or :port, port 0 to 65535'],
  ['web.listen-address', 'localhost:65536', 'want host:port, [IPv6]:port or :port, port 0 to 65535'],
  ['web.listen-address', '::1:80', 'want host:port, [IPv6]:port or :port, port 0 to 65535'],
  ['web.external-url', 'example.org', 'want http(s)://host[:port][/path]'],
  ['web.external-url', 'https://u:p@example.org', 'want a URL without a user or password'],
  ['web.route-prefix', '/a b', 'want a path such as /varve'],
  ['web.enable-lifecycle', 'yes', 'want true or false'],
  ['storage.path', '', 'want a directory'],
  ['label', 'region=eu', `want name="value"; in a shell quote all of it: --label='region="eu"'`],
  ['label', '1a="x"', 'want a label name: letters, digits and _, no digit first'],
  ['label', '__a="x"', 'label names that begin with __ are reserved'],
  ['label', 'a=""', 'the value of a is empty, which means no label'],
  ['label', 'a="\\x"', 'the value in quotes has an escape that is not one of \\" \\\\ \\n \\t \\r \\uXXXX'],
  ['label', 'a="\\ud800"', 'the value in quotes has an escape that is not one of \\" \\\\ \\n \\t \\r \\uXXXX'],
  [
    'head.memory-budget',
    '12 bananas',
    'want a size such as 512MiB, 2GB or a number of bytes (units are powers of 1024)',
  ],
  ['head.memory-budget', '63MiB', 'want 64MiB to 3.75GiB'],
  ['head.memory-budget', '4GiB', 'want 64MiB to 3.75GiB'],
  ['head.idle-cut', '3', 'want a duration such as 5m, 1h30m or 1d (units ms, s, m, h, d, w, y)'],
  ['head.idle-cut', '0s', 'want more than 0'],
  ['sync-block-duration', '0s', 'want more than 0'],
  ['min-time', 'soon', 'want a time such as 2026-01-31T00:00:00Z, or a duration relative to now such as -2w'],
  [
    'max-time',
    '2026-13-31T00:00:00Z',
    'want a time such as 2026-01-31T00:00:00Z, or a duration relative to now such as -2w',
  ],
  ['receive.default-tenant-id', 'a/b', `want 1 to 150 of A-Z a-z 0-9 ! . _ * ' ( ) - and neither "." nor ".."`],
  ['receive.tenant-header', 'X Tenant', 'want the name of an HTTP header'],
  ['receive.tenant-label-name', '__tenant__', 'label names that begin with __ are reserved'],
  ['receive.relabel-config-file', '', 'want a file'],
  ['ha.replica-label', 'a-b', 'want a label name: letters, digits and _, no digit first, and not __name__'],
  ['ha.cluster-label', '__name__', 'want a label name: letters, digits and _, no digit first, and not __name__'],
  ['log.level', 'loud', 'want one of debug, info, warn, error'],
  ['log.format', 'xml', 'want one of logfmt, json'],
])('--%s=%s is refused with what is wanted', (name, value, wanted) => {
  const shown = JSON.stringify(value);
  expect(refusal([`${name}=${value}`])).toBe(`invalid value ${shown} for --${name}: ${wanted}`);
  if (value === '') return;
  const variable = environmentName(name);
  expect(refusal([], { [variable]: value })).toBe(`invalid value ${shown} for --${name} (from ${variable}): ${wanted}`);
});

test('limits of time are points, or go along with the present', () => {
  expect(settings(['min-time=2026-01-31T01:00:00+01:00', 'max-time=-2w'])).toMatchObject({
    minTime: { atMs: Date.UTC(2026, 0, 31) },
    maxTime: { agoMs: 14 * 86_400_000 },
  });
  expect(settings(['max-time=2h'])).toMatchObject({ minTime: undefined, maxTime: { agoMs: -7_200_000 } });
});

test('the same external label twice is refused', () => {
  expect(refusal(['label=a="1"', 'label=a="2"'])).toContain('the label a is given twice');
});

test('cluster labels are a list in either form, and go with a replica label', () => {
  const replica = 'ha.replica-label=__replica__';
  const both = { haReplicaLabel: '__replica__', haClusterLabels: ['cluster', 'prometheus'] };
  expect(settings([replica, 'ha.cluster-label=cluster, prometheus'])).toMatchObject(both);
  expect(settings([replica, 'ha.cluster-label=cluster', 'ha.cluster-label=prometheus,cluster'])).toMatchObject(both);
  expect(settings([replica], { VARVE_HA_CLUSTER_LABEL: 'cluster,prometheus' })).toMatchObject(both);
  const alone = '--ha.replica-label and --ha.cluster-label go together: one is given without the other';
  expect(refusal([replica])).toBe(alone);
  expect(refusal(['ha.cluster-label=cluster'])).toBe(alone);
  expect(refusal([replica, 'ha.cluster-label=a,__replica__'])).toContain('must not be the replica label __replica__');
});

test('an external label may not take the place of the tenant label', () => {
  expect(refusal(['label=tenant_id="x"'])).toBe(
    '--label must not set tenant_id: --receive.tenant-label-name keeps it for the tenant',
  );
});

test('listen addresses are shown as they are read, and loopback is known', () => {
  const { listenAddresses } = settings(
    ['127.0.0.1:1', 'localhost:2', '[::1]:3', ':4', '0.0.0.0:5', 'example.org:6'].map(
      (text) => `web.listen-address=${text}`,
    ),
  );
  expect(listenAddresses.map(formatListenAddress).join(' ')).toBe(
    '127.0.0.1:1 localhost:2 [::1]:3 :4 0.0.0.0:5 example.org:6',
  );
  expect(listenAddresses.map(isLoopback)).toEqual([true, true, true, false, false, false]);
});
