/**
 * The blocks of a local directory, by tenant. A block without a readable meta.json is no block: it may be somebody's
 * upload, and is left alone.
 */
import type { BlockPlace } from '../block/block-place.ts';
import { META_FILE } from '../block/layout.ts';
import { type BlockMeta, parseMeta } from '../block/meta.ts';
import { StorageError } from '../lib/errors.ts';
import { isUlid } from '../lib/ulid.ts';
import type { TimeRange } from '../model/time-range.ts';
import type { BlockDirectory } from './block-directory.ts';

/** Whose a block is, by its Thanos labels: what we write, what Mimir writes, or else the default tenant's. */
export interface TenantRule {
  readonly tenantLabelName: string;
  readonly defaultTenant: string;
}

const MIMIR_TENANT_LABEL = '__org_id__';

export class BlockList {
  readonly #directory: BlockDirectory;
  readonly #rule: TenantRule;
  readonly #byTenant = new Map<string, BlockMeta[]>();
  #size = 0;

  /** Without blocks until `load`. */
  constructor(directory: BlockDirectory, rule: TenantRule) {
    this.#directory = directory;
    this.#rule = rule;
  }

  /** Reads the metas of all blocks in the directory; `onSkipped` hears of what looks like a block and cannot be read. */
  load(onSkipped: (message: string) => void): void {
    for (const name of this.#directory.names()) {
      if (!isUlid(name)) continue;
      try {
        const meta = parseMeta(this.#directory.meta(name), `${name}/${META_FILE}`);
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
  select(tenant: string, range: TimeRange): BlockPlace[] {
    const overlapping = (this.#byTenant.get(tenant) ?? []).filter(
      ({ minTime, maxTime }) => minTime < range.maxTimeMs && maxTime > range.minTimeMs,
    );
    overlapping.sort((a, b) => (a.ulid < b.ulid ? -1 : 1));
    return overlapping.map((meta) => ({ meta, localDirectory: `${this.#directory.path}/${meta.ulid}` }));
  }
}
