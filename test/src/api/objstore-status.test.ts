/** What a server tells of its bucket and its disk, asked as a user asks it. */
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import { freePort } from '../../support/program.ts';
import { writeRequest } from '../../support/remote-write.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';
import { Varve } from '../../support/varve.ts';

const HOUR_MS = 3_600_000;

interface Status {
  readonly bucket: {
    readonly lastUpload: string | null;
    readonly lastError: { readonly message: string } | null;
  } | null;
  readonly usage: {
    readonly rows: readonly {
      readonly purpose: string;
      readonly operation: string;
      readonly requests: number;
      readonly failures: number;
      readonly sentBytes: number;
      readonly cost: { readonly requests: number };
    }[];
  };
  readonly cost: {
    readonly prices: { readonly currency: string };
    readonly month: { readonly storage: number };
  } | null;
  readonly blocks: readonly { readonly state: string; readonly blocks: number; readonly bytes: number }[];
  readonly backlog: { readonly blocks: number };
  readonly leftAlone: { readonly blocks: readonly object[]; readonly objects: readonly string[] };
  readonly forecast: {
    readonly disk: { readonly blockBytesPerDay: number | null; readonly daysUntilFull: number | null };
    readonly bucket: { readonly bytes: number; readonly bytesPerDay: number } | null;
  };
}

async function statusOf(url: string, prefix = ''): Promise<Status> {
  const { status, data } = (await (await fetch(`${url}${prefix}/api/v1/status/objstore`)).json()) as {
    status: string;
    data: Status;
  };
  expect(status).toBe('success');
  return data;
}

interface Quiet {
  readonly status: Status;
  readonly metrics: string;
  readonly files: readonly { readonly name: string; readonly size: number }[];
}

/** Status, metrics and the files of the bucket at one moment; undefined while blocks come or are still to be uploaded. */
async function quietStatus(url: string, store: string): Promise<Quiet | undefined> {
  const before = await statusOf(url);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const files = readdirSync(store, { recursive: true, encoding: 'utf8' }).flatMap((name) => {
    const file = statSync(join(store, name));
    return file.isFile() ? [{ name, size: file.size }] : [];
  });
  const status = await statusOf(url);
  const isQuiet = status.bucket?.lastUpload && before.backlog.blocks + status.backlog.blocks === 0;
  return isQuiet && isDeepStrictEqual(before.usage, status.usage) ? { status, metrics, files } : undefined;
}

/** Samples of five hours: the oldest of them are cut. */
async function writeHours(varve: Varve): Promise<void> {
  const nowMs = Date.now();
  const samples = Array.from({ length: 6 }, (_, i) => [nowMs - (5 - i) * HOUR_MS, i] as const);
  expect(await varve.write(writeRequest([{ labels: [['__name__', 'm']], samples }]))).toMatchObject({ status: 204 });
}

test('a bucket in a directory: requests, bytes and blocks are those that are there, and cost what the file says', async () => {
  using temporary = new TemporaryDirectory('objstore');
  const store = join(temporary.path, 'store');
  const prices = join(temporary.path, 'prices.yml');
  writeFileSync(prices, 'currency: EUR\nwrite_requests_per_1000: 1000\nstorage_per_gb_month: 1073741824\n');
  await using varve = await Varve.start({
    flags: [
      `--objstore.config={type: FILESYSTEM, config: {directory: ${store}}}`,
      `--objstore.prices-file=${prices}`,
      '--wal.ship-interval=0',
    ],
  });
  await writeHours(varve);
  const { status, metrics, files } = await until('the uploads', () => quietStatus(varve.url, store));
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  expect(status.bucket).toMatchObject({
    type: 'FILESYSTEM',
    description: `filesystem ${store}`,
    failing: false,
    lastError: null,
  });
  const put = status.usage.rows.find(({ purpose, operation }) => purpose === 'upload' && operation === 'put');
  expect(put).toMatchObject({ requests: files.length, failures: 0, sentBytes: bytes });
  expect(put?.cost.requests).toBeCloseTo(files.length, 9);
  const uploaded = status.blocks.find(({ state }) => state === 'uploaded');
  expect(status.blocks).toEqual([uploaded]);
  expect(uploaded?.blocks).toBe(files.filter(({ name }) => name.endsWith('meta.json')).length);
  expect(status.forecast.bucket?.bytes).toBe(uploaded?.bytes);
  expect(status.cost).toMatchObject({ prices: { currency: 'EUR', source: prices } });
  expect(status.cost?.month.storage).toBeCloseTo(uploaded?.bytes ?? 0, 6);
  expect(status.leftAlone).toEqual({ blocks: [], objects: [] });
  expect((await statusOf(varve.url, '/prometheus')).bucket).toMatchObject({ type: 'FILESYSTEM' });
  expect(metrics).toContain(`\nvarve_objstore_requests_total{operation="put",purpose="upload"} ${files.length}\n`);
  expect(metrics).toContain(`\nvarve_objstore_sent_bytes_total{operation="put",purpose="upload"} ${bytes}\n`);
});

test('without a bucket there is the forecast of the disk', async () => {
  await using varve = await Varve.start();
  expect(await statusOf(varve.url)).toMatchObject({
    bucket: null,
    cost: null,
    usage: { rows: [] },
    forecast: { disk: { blockBytesPerDay: null, daysUntilFull: null }, bucket: null },
  });
  await writeHours(varve);
  const { disk } = await until('a forecast', async () => {
    const { forecast } = await statusOf(varve.url);
    return forecast.disk.daysUntilFull === null ? undefined : forecast;
  });
  expect(disk.blockBytesPerDay).toBeGreaterThan(0);
  expect(disk.daysUntilFull).toBeGreaterThan(0);
});

test('no secret of the bucket stands in status, metrics or log, also while the store is down', async () => {
  const port = await freePort();
  const config = `{type: S3, config: {bucket: b, endpoint: "localhost:${port}", insecure: true, access_key: kanarienvogel, secret_key: canary-secret, session_token: canary-token, max_retries: 1}}`;
  await using varve = await Varve.start({ flags: [`--objstore.config=${config}`, '--log.level=debug'] });
  await writeHours(varve);
  const status = await until('an error', async () => {
    const now = await statusOf(varve.url);
    return now.bucket?.lastError ? now : undefined;
  });
  expect(status.bucket).toMatchObject({ type: 'S3', description: `s3 http://localhost:${port}/b`, failing: true });
  expect(status.usage.rows.reduce((sum, { failures }) => sum + failures, 0)).toBeGreaterThan(0);
  const metrics = await (await fetch(`${varve.url}/metrics`)).text();
  expect(JSON.stringify(status) + metrics + varve.output).not.toMatch(/canary|kanarienvogel/);
});

test('a file of prices that makes no sense ends the start', async () => {
  using temporary = new TemporaryDirectory('objstore');
  const prices = join(temporary.path, 'prices.yml');
  writeFileSync(prices, 'egress: 1\n');
  await expect(Varve.start({ flags: [`--objstore.prices-file=${prices}`] })).rejects.toThrow('unknown key "egress"');
});
