/** Many tenants that fell silent beside one that does not: none of them may hold the log back. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { EVERYTHING, readStreamed } from '../support/remote-read.ts';
import { type WrittenSeries, writeRequest } from '../support/remote-write.ts';
import { sampleCount } from '../support/series.ts';
import { until } from '../support/until.ts';
import { Varve } from '../support/varve.ts';

const TENANTS = 1000;
const ACTIVE_SERIES = 500;
const ACTIVE_SAMPLES = 20;
const HOUR_MS = 3_600_000;
const STEP_MS = 15 * 60_000;
const STEPS = 1000;
const MEBIBYTE = 2 ** 20;
const catchUp = { timeoutMs: 90_000, everyMs: 250 };
const startMs = Date.now() - 30 * 24 * HOUR_MS;

function idleRequest(tenant: number): WrittenSeries[] {
  return [0, 1, 2].map((index) => ({
    labels: [
      ['__name__', 'idle'],
      ['index', String(index)],
    ],
    samples: [
      [startMs, tenant],
      [startMs + 15_000, index],
    ],
  }));
}

/** A quarter of an hour of the active tenant: 10 000 values that no compression makes small. */
function activeRequest(step: number): WrittenSeries[] {
  return Array.from({ length: ACTIVE_SERIES }, (_, index) => ({
    labels: [
      ['__name__', 'active'],
      ['index', String(index)],
    ],
    samples: Array.from({ length: ACTIVE_SAMPLES }, (_, i) => [
      startMs + (step + i / ACTIVE_SAMPLES) * STEP_MS,
      Math.random(),
    ]),
  }));
}

/** Bytes of the log; the segments that were made ahead hold nothing and are always as many. */
function logBytes(directory: string): number {
  const names = readdirSync(directory).filter((name) => !name.startsWith('.spare'));
  return names.reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}

test('1000 idle tenants and an active one: the log stays small and the idle ones end up in the bucket', async () => {
  await using varve = await Varve.start({ flags: ['--head.idle-cut=2s'] });
  const wal = join(varve.directory, 'wal');
  for (let first = 0; first < TENANTS; first += 50) {
    const answers = Array.from({ length: 50 }, (_, i) =>
      varve.write(writeRequest(idleRequest(first + i)), { tenant: `idle-${first + i}` }),
    );
    for (const { status } of await Promise.all(answers)) expect(status).toBe(204);
  }
  const blocksOf = (isWanted: (tenant: string) => boolean): number =>
    varve.blocks().filter(({ thanos }) => isWanted(thanos?.labels?.tenant_id ?? '')).length;
  const isIdle = (tenant: string): boolean => tenant.startsWith('idle-');

  // At least 8 bytes a sample: more than 75 MiB of log in all.
  for (let step = 0; step < STEPS; step++) {
    const answer = await varve.write(writeRequest(activeRequest(step)), { tenant: 'active' });
    expect(answer).toEqual({ status: 204, text: '' });
    if (step % 100 !== 99) continue;
    const windowsDue = Math.floor((step * STEP_MS) / (2 * HOUR_MS)) - 2;
    await until('the cuts to catch up', () => blocksOf((tenant) => tenant === 'active') >= windowsDue, catchUp);
    await until('a short log', () => logBytes(wal) <= 48 * MEBIBYTE, catchUp);
  }
  await until('the idle tenants in the bucket', () => blocksOf(isIdle) >= TENANTS, catchUp);
  expect(blocksOf(isIdle)).toBe(TENANTS);
  await until('a short log', () => logBytes(wal) <= 32 * MEBIBYTE, catchUp);

  await varve.kill();
  await varve.restart();
  const query = { startMs, endMs: Date.now(), matchers: EVERYTHING };
  for (const tenant of [0, 499, 999]) {
    expect(sampleCount(await readStreamed(varve.url, query, `idle-${tenant}`))).toBe(6);
  }
  const lastSteps = { ...query, startMs: startMs + (STEPS - 20) * STEP_MS };
  expect(sampleCount(await readStreamed(varve.url, lastSteps, 'active'))).toBe(20 * ACTIVE_SERIES * ACTIVE_SAMPLES);
}, 180_000);
