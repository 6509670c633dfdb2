/**
 * The blocks of the bucket, by tenant. A block without a readable meta.json is no block: it may be somebody's upload,
 * and is left alone.
 */
import { META_FILE } from '../block/layout.ts';
import { type BlockMeta, parseMeta } from '../block/meta.ts';
import { StorageError } from '../lib/errors.ts';
import { isUlid } from '../lib/ulid.ts';
import type { TimeRange } from '../model/time-range.ts';
import type { Bucket } from './bucket.ts';

/** Whose a block is, by its Thanos labels: what we write, what Mimir writes, or else the default tenant's. */
export interface TenantRule {
  readonly tenantLabelName: string;
  readonly defaultTenant: string;
}

const MIMIR_TENANT_LABEL = '__org_id__';

export class BlockList {
  readonly #rule: TenantRule;
  readonly #byTenant = new Map<string, BlockMeta[]>();
  #size = 0;

  constructor(rule: TenantRule) {
    this.#rule = rule;
  }

  /** Reads the metas of all blocks in the bucket; `onSkipped` hears of what looks like a block and cannot be read. */
  async load(bucket: Bucket, onSkipped: (message: string) => void): Promise<void> {
    for (const name of await bucket.directories()) {
      if (!isUlid(name)) continue;
      try {
        const meta = parseMeta(await bucket.get(`${name}/${META_FILE}`), `${name}/${META_FILE}`);
        if (meta.ulid === name) this.add(meta);
        else onSkipped(`${name}/${META_FILE} is of the block ${meta.ulid}`);
      } catch (error) {
        if (!(error instanceof StorageError)) throw error;
        onSkipped(error.message);
      }
    }
  }

  /** How many blocks there are. */
  get size(): number {
    return this.#size;
  }

  get tenants(): IterableIterator<string> {
    return this.#byTenant.keys();
  }

  add(meta: BlockMeta): void {
    const labels = meta.thanos?.labels ?? {};
    const tenant = labels[this.#rule.tenantLabelName] ?? labels[MIMIR_TENANT_LABEL] ?? this.#rule.defaultTenant;
    const blocks = this.#byTenant.get(tenant);
    if (blocks === undefined) this.#byTenant.set(tenant, [meta]);
    else blocks.push(meta);
    this.#size++;
  }

  /** All blocks, in no order. */
  *[Symbol.iterator](): IterableIterator<BlockMeta> {
    for (const blocks of this.#byTenant.values()) yield* blocks;
  }

  /** A tenant's blocks that overlap the range, in the order they were made: the earlier one's samples win. */
  select(tenant: string, range: TimeRange): BlockMeta[] {
    const overlapping = (this.#byTenant.get(tenant) ?? []).filter(
      ({ minTime, maxTime }) => minTime < range.maxTimeMs && maxTime > range.minTimeMs,
    );
    return overlapping.sort((a, b) => (a.ulid < b.ulid ? -1 : 1));
  }
}
