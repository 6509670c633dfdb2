import { expect, test } from 'vitest';
import type { BlockMeta } from '../../../storage/block/meta.ts';
import { type BlockUsage, blockUsage } from '../../../storage/catalog/block-usage.ts';
import { Catalog } from '../../../storage/catalog/catalog.ts';
import { encodeUlid } from '../../../storage/lib/ulid.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW_MS = 1_700_000_000_000;
const INSTANCE = '01HZZZZZZZZZZZZZZZZZZZZZZZ';

interface Given {
  readonly beginMs: number;
  readonly endMs: number;
  readonly bytes: number;
  readonly instance?: string;
}

/** What is said of blocks on this disk, whose times are relative to now. */
function usageOf(...given: readonly Given[]): BlockUsage {
  const rules = { instance: INSTANCE, tenantLabelName: 'tenant_id', defaultTenant: 'nobody' };
  const catalog = new Catalog(undefined, rules, () => {});
  for (const [i, { beginMs, endMs, bytes, instance = INSTANCE }] of given.entries()) {
    const ulid = encodeUlid(NOW_MS, new Uint8Array(10).fill(i));
    const meta = {
      version: 1,
      ulid,
      minTime: NOW_MS + beginMs,
      maxTime: NOW_MS + endMs,
      stats: {},
      compaction: { level: 1, sources: [ulid] },
      thanos: {
        labels: {},
        downsample: { resolution: 0 },
        source: 'varve',
        files: [{ rel_path: 'index', size_bytes: bytes }],
        extensions: { varve: { format: 1, instance, epoch: 1, tenant: 'a', window: 1, generation: 1, position: 1 } },
      },
    } as unknown as BlockMeta;
    catalog.addLocal(meta, '/data/blocks', NOW_MS);
  }
  const usage = blockUsage(catalog, NOW_MS);
  catalog.close();
  return usage;
}

test('no blocks, no growth', () => {
  const none = { bytes: 0, spanMs: 0 };
  expect(usageOf()).toEqual({ states: [], bucketBytes: 0, ownGrowth: none, bucketGrowth: none, leftAlone: [] });
});

test('blocks of two tenants at the same time are bytes of that time', () => {
  const window = { beginMs: -5 * HOUR_MS, endMs: -3 * HOUR_MS };
  const { ownGrowth, states } = usageOf({ ...window, bytes: 100 }, { ...window, bytes: 50 });
  expect(ownGrowth).toEqual({ bytes: 150, spanMs: 2 * HOUR_MS });
  expect(states).toEqual([{ state: 'local', blocks: 2, bytes: 150 }]);
});

test('what is older than a week does not count, of a block that is partly so the share', () => {
  const { ownGrowth } = usageOf(
    { beginMs: -30 * DAY_MS, endMs: -20 * DAY_MS, bytes: 1_000_000 },
    { beginMs: -8 * DAY_MS, endMs: -6 * DAY_MS, bytes: 200 },
    { beginMs: -2 * DAY_MS, endMs: -1 * DAY_MS, bytes: 30 },
  );
  expect(ownGrowth).toEqual({ bytes: 130, spanMs: 6 * DAY_MS });
});

test('blocks of others on this disk are not cut here', () => {
  const window = { beginMs: -5 * HOUR_MS, endMs: -3 * HOUR_MS };
  const { ownGrowth } = usageOf({ ...window, bytes: 100, instance: '01HZZZZZZZZZZZZZZZZZZZZZZX' });
  expect(ownGrowth).toEqual({ bytes: 0, spanMs: 0 });
});
