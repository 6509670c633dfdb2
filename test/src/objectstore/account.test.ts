/** The account of an engine on a simulated machine, whose bucket counts by itself what it is asked. */
import { beforeAll, expect, test } from 'vitest';
import { Account } from '../../../src/objectstore/account.ts';
import type { Forecast } from '../../../src/objectstore/forecast.ts';
import { LIST_PRICES } from '../../../src/objectstore/prices.ts';
import { createLog } from '../../../src/telemetry/log.ts';
import { openBucketAt } from '../../../storage/bucket/bucket-location.ts';
import { DirectoryBucket } from '../../../storage/bucket/directory-bucket.ts';
import { BucketUsage, bytesContent, type DatabaseEvent } from '../../../storage/index.ts';
import { BucketControl } from '../../support/controlled-bucket.ts';
import { OpenedDatabase } from '../../support/opened-database.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';
import { SimMachine } from '../../support/sim-machine.ts';

const HOUR_MS = 3_600_000;
const NOW_MS = 1_700_000_000_000;
const PARTIAL = '01HZZZZZZZZZZZZZZZZZZZZZZY';

interface Accounted extends AsyncDisposable {
  readonly opened: OpenedDatabase;
  readonly machine: SimMachine;
  readonly control: BucketControl;
  readonly account: Account;
  readonly logLines: string[];
}

// Loading takes turns that no test counts.
beforeAll(async () => {
  await openBucketAt(new BucketControl().location, new SimMachine(new SimFileSystem(), NOW_MS, seededChance(1)));
});

async function open(hasBucket = true, disk = new SimFileSystem()): Promise<Accounted> {
  disk.capacity = 10 ** 9;
  const machine = new SimMachine(disk, NOW_MS, seededChance(1));
  const control = new BucketControl();
  const logLines: string[] = [];
  const { description, usage } = control.location;
  const account = new Account({
    clock: machine.clock,
    log: createLog({
      level: 'info',
      format: 'logfmt',
      clock: machine.clock,
      write: (line) => void logLines.push(line),
    }),
    bucket: hasBucket ? { type: 'S3', description, usage: new BucketUsage(usage), prices: LIST_PRICES.S3 } : undefined,
  });
  const opened = await OpenedDatabase.open(machine, {
    ...(hasBucket ? { bucket: control.location } : {}),
    onEvent: (event: DatabaseEvent) => account.note(event),
  });
  const stop = account.watch(opened.database);
  return {
    opened,
    machine,
    control,
    account,
    logLines,
    async [Symbol.asyncDispose]() {
      stop();
      const closing = opened.database.close();
      await machine.turns(200);
      await closing;
    },
  };
}

/** Five hours of samples, of which some are cut. */
async function cut({ opened, machine }: Accounted): Promise<void> {
  for (let i = 0; i <= 5; i++) {
    const written = opened.write('t', [[NOW_MS - (5 - i) * HOUR_MS, i]]);
    await machine.turns();
    await written;
  }
  await machine.until('a cut', () => opened.database.stats().cuts > 0);
}

test('the rows are what the bucket was asked, and cost what the prices say', async () => {
  await using accounted = await open();
  const { control, account, opened, machine } = accounted;
  await cut(accounted);
  await machine.until('an upload', () => opened.database.stats().uploads > 0 && opened.database.stats().syncs > 0);
  const seen = new Map<string, number>();
  for (const { purpose, operation } of control.calls) {
    seen.set(`${purpose} ${operation}`, (seen.get(`${purpose} ${operation}`) ?? 0) + 1);
  }
  const counted = account.rows().map(({ purpose, operation, requests }) => [`${purpose} ${operation}`, requests]);
  expect(new Map(counted as [string, number][])).toEqual(seen);
  expect(seen.get('upload put')).toBeGreaterThanOrEqual(3);
  expect(account.rows().find(({ operation }) => operation === 'put')?.sentBytes).toBe(
    opened.database.stats().uploadedBytes,
  );

  const forecastNow = (): Forecast => account.forecast(opened.database.stats(), opened.database.blockUsage());
  const forecast = forecastNow();
  expect(forecast.bucket?.bytes).toBe(opened.database.blockUsage().bucketBytes);
  expect(account.monthlyCost(forecast)?.usage).toBeUndefined();
  machine.clock.advance(HOUR_MS);
  await machine.turns();
  const puts = control.count('put') + control.count('list');
  expect(account.monthlyCost(forecastNow())?.usage?.requests).toBeGreaterThan((puts / 1000) * 0.005 * 24 * 20);
});

test('what is in the bucket and no block of ours is listed, and left alone', async () => {
  const disk = new SimFileSystem();
  const store = new DirectoryBucket(disk, '/store');
  await store.put(`${PARTIAL}/index`, bytesContent(new Uint8Array(10)));
  await store.put('notes.txt', bytesContent(new Uint8Array(1)));
  await using accounted = await open(true, disk);
  const { opened, machine, account } = accounted;
  await machine.until('a sync', () => opened.database.stats().syncs > 0);
  expect(opened.database.blockUsage().leftAlone).toMatchObject([{ ulid: PARTIAL, state: 'partial' }]);
  expect(account.strays).toEqual(['notes.txt']);
  expect(account.lastError).toBeUndefined();
});

test('what went wrong last is kept, with its time', async () => {
  await using accounted = await open();
  const { opened, machine, control, account } = accounted;
  control.fate = ({ operation }) => (operation === 'list' ? 'before' : undefined);
  machine.clock.advance(HOUR_MS);
  await machine.until('an outage', () => opened.database.stats().bucketFailing === 1);
  expect(account.lastError?.message).toContain('is refused');
  expect(account.lastError?.atMs).toBeGreaterThanOrEqual(NOW_MS + HOUR_MS);
});

test('the log has a forecast when there is a block to reckon with, and one each day from then on', async () => {
  await using accounted = await open(false);
  const { machine, logLines } = accounted;
  machine.clock.advance(HOUR_MS);
  expect(logLines).toEqual([]);
  await cut(accounted);
  machine.clock.advance(HOUR_MS);
  expect(logLines).toHaveLength(1);
  expect(logLines[0]).toMatch(
    /msg="forecast of disk and bucket" disk_available_bytes=\d+ block_bytes_a_day=\d+ .*days_until_full=\d/,
  );
  expect(logLines[0]).not.toContain('cost');
  for (let hour = 0; hour < 23; hour++) machine.clock.advance(HOUR_MS);
  expect(logLines).toHaveLength(1);
  machine.clock.advance(HOUR_MS);
  expect(logLines).toHaveLength(2);
  expect(logLines[1]).toMatch(/other_bytes_a_day=\d/);
});
