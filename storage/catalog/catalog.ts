/**
 * Every block that is known: where it lies, in which state it is, whose it is and what it holds. A SQLite file, so that
 * memory does not grow with the number of blocks. It holds nothing that the local directories and the bucket do not say
 * themselves: it may be deleted, a damaged one is made anew, and one that can no longer be written goes on in memory.
 * Spec: docs/formats/data-directory.md.
 */
import Sqlite from 'better-sqlite3';
import { LRUCache } from 'lru-cache';
import type { BlockPlace } from '../block/block-place.ts';
import { META_FILE } from '../block/layout.ts';
import { type BlockCoverage, type BlockMeta, blockCoverage, parseMeta } from '../block/meta.ts';
import type { OwnBlock } from '../head/replay.ts';
import { CorruptionError } from '../lib/errors.ts';
import { ulidTimeMs } from '../lib/ulid.ts';
import { type TimeLimit, type TimeRange, timeOf } from '../model/time-range.ts';
import type { BlockEvent } from './block-event.ts';
import { type CatalogFile, copyInMemory, openCatalogFile } from './catalog-file.ts';

/**
 * local: on this disk only. uploading: the same, and on its way. uploaded: of this instance, whole in the bucket. foreign:
 * of others, whole in the bucket. partial: in the bucket without meta.json. unread: its meta.json is still to be read.
 * unreadable: its meta.json makes no sense.
 */
export type BlockState = 'local' | 'uploading' | 'uploaded' | 'foreign' | 'partial' | 'unread' | 'unreadable';

export interface CatalogRules {
  /** Whose blocks are ours. */
  readonly instance: string;
  /** Whose a block is, by its Thanos labels: what we write, what Mimir writes, or else the default tenant's. */
  readonly tenantLabelName: string;
  readonly defaultTenant: string;
  /** Which bucket the rows are of; undefined: there is none but the local directories. */
  readonly bucket?: string;
  /** For how long readers still use a block after it was marked for deletion; default: a day. */
  readonly ignoreDeletionMarksDelayMs?: number;
  /** For how long they do not use a new block of others yet; default: they do at once. */
  readonly consistencyDelayMs?: number;
  /** Blocks that lie wholly before or behind are not read. */
  readonly minTime?: TimeLimit;
  readonly maxTime?: TimeLimit;
}

/** How many blocks, and their bytes. */
export interface BlockCount {
  readonly blocks: number;
  readonly bytes: number;
}

/** A block as people are shown it. */
export interface CatalogEntry {
  readonly ulid: string;
  readonly state: BlockState | 'marked';
  readonly reason: string | null;
  readonly tenant: string | null;
  readonly minTimeMs: number | null;
  readonly maxTimeMs: number | null;
  readonly bytes: number;
  readonly localDirectory: string | null;
  readonly bucketDirectory: string | null;
  readonly firstSeenMs: number;
  readonly uploadedMs: number | null;
  readonly deletionMs: number | null;
}

const IGNORE_DELETION_MARKS_DELAY_MS = 86_400_000;
const MIMIR_TENANT_LABEL = '__org_id__';
/** Whole in the bucket. */
const IN_BUCKET = "('uploaded', 'foreign')";
const READABLE = "('local', 'uploading', 'uploaded', 'foreign')";
/** The columns of a CatalogEntry. */
const ENTRY = `ulid, iif(deletion IS NULL, state, 'marked') AS state, reason, tenant, min_time AS minTimeMs,
  max_time AS maxTimeMs, bytes, local AS localDirectory, directory AS bucketDirectory,
  first_seen AS firstSeenMs, uploaded AS uploadedMs, deletion AS deletionMs`;
/** Text of parsed metas that are kept, in characters. */
const META_CACHE_CHARACTERS = 8 * 1024 * 1024;
/** Thanos does not wait for blocks whose sources have been there long enough. */
const COMPACTED_SOURCES: ReadonlySet<string> = new Set(['compactor', 'compactor.repair', 'bucket.repair']);
/** After these a database goes on in memory. */
const BROKEN_FILE = /^SQLITE_(?:FULL|IOERR|READONLY|CANTOPEN|CORRUPT|NOTADB)/;

interface PlaceRow {
  readonly ulid: string;
  readonly meta: string;
  readonly local: string | null;
  readonly directory: string | null;
}

export class Catalog {
  readonly rules: CatalogRules;
  /** There was none: what is in the bucket only is not known. */
  readonly isNew: boolean;
  readonly #onEvent: (event: BlockEvent) => void;
  #sqlite: Sqlite.Database;
  readonly #statements = new Map<string, Sqlite.Statement>();
  readonly #metas = new LRUCache<string, BlockMeta>({ maxSize: META_CACHE_CHARACTERS });

  /** Opens the file, or makes it; undefined: in memory. */
  constructor(file: CatalogFile | undefined, rules: CatalogRules, onEvent: (event: BlockEvent) => void) {
    this.rules = rules;
    this.#onEvent = onEvent;
    this.#sqlite = openCatalogFile(file, (message) => onEvent({ kind: 'catalog-lost', message }));
    this.isNew = this.sql('SELECT count(*) FROM facts').pluck().get() === 0;
    this.change(() => this.#keepTo(rules));
  }

  close(): void {
    this.#sqlite.close();
  }

  /** The statement of a text, prepared once. */
  sql(text: string): Sqlite.Statement {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      statement = this.#sqlite.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }

  /** Runs changes as one. If the file cannot be written, all that it holds goes on in memory. */
  change<T>(work: () => T): T {
    try {
      return this.#sqlite.transaction(work)();
    } catch (error) {
      if (!(error instanceof Sqlite.SqliteError && BROKEN_FILE.test(error.code))) throw error;
      const copy = copyInMemory(this.#sqlite);
      this.#statements.clear();
      this.#sqlite.close();
      this.#sqlite = copy;
      this.#onEvent({ kind: 'catalog-lost', message: `it goes on in memory: ${error.message}` });
      return this.#sqlite.transaction(work)();
    }
  }

  /** By state, those marked for deletion apart. */
  counts(): ReadonlyMap<BlockState | 'marked', BlockCount> {
    const rows = this.sql(
      `SELECT iif(deletion IS NULL, state, 'marked') AS state, count(*) AS blocks, sum(bytes) AS bytes
       FROM blocks INDEXED BY blocks_by_state GROUP BY 1`,
    ).all() as ({ state: BlockState | 'marked' } & BlockCount)[];
    return new Map(rows.map(({ state, blocks, bytes }) => [state, { blocks, bytes }]));
  }

  /** A tenant's blocks that overlap the range, in the order they were made: the earlier one's samples win. */
  select(tenant: string, range: TimeRange, nowMs: number): BlockPlace[] {
    const { minTime, maxTime, ignoreDeletionMarksDelayMs = IGNORE_DELETION_MARKS_DELAY_MS } = this.rules;
    const rows = this.sql(
      `SELECT ulid, meta, local, iif(state IN ${IN_BUCKET}, directory, NULL) AS directory FROM blocks
       WHERE tenant = ? AND max_time > ? AND min_time < ? AND state IN ${READABLE}
         AND visible_from <= ? AND (deletion IS NULL OR deletion > ?) ORDER BY ulid`,
    ).all(
      tenant,
      Math.max(range.minTimeMs, timeOf(minTime, nowMs) ?? range.minTimeMs),
      Math.min(range.maxTimeMs, timeOf(maxTime, nowMs) ?? range.maxTimeMs),
      nowMs,
      nowMs - ignoreDeletionMarksDelayMs,
    ) as PlaceRow[];
    return rows.map(({ ulid, meta, local, directory }) => ({
      meta: this.#parsed(ulid, meta),
      ...(local === null ? {} : { localDirectory: `${local}/${ulid}` }),
      ...(directory === null ? {} : { bucketDirectory: directory }),
    }));
  }

  /** The blocks that were cut from the log of this instance in an epoch. */
  ownBlocks(epoch: number): OwnBlock[] {
    const rows = this.sql('SELECT ulid, coverage FROM blocks WHERE epoch = ? ORDER BY ulid').all(epoch) as {
      ulid: string;
      coverage: string;
    }[];
    return rows.map(({ ulid, coverage }) => ({ ulid, coverage: JSON.parse(coverage) as BlockCoverage }));
  }

  /** The greatest name of a block that was cut here; undefined if there is none. */
  newestOwn(): string | undefined {
    return (this.sql('SELECT max(ulid) FROM blocks WHERE epoch IS NOT NULL').pluck().get() as string) ?? undefined;
  }

  /** The names of the blocks that are not whole in the bucket, oldest first. */
  notUploaded(): string[] {
    return this.sql("SELECT ulid FROM blocks WHERE state IN ('local', 'uploading') ORDER BY ulid")
      .pluck()
      .all() as string[];
  }

  /** The blocks that are not whole in the bucket, and since when the oldest is known. */
  backlog(): BlockCount & { readonly oldestMs: number } {
    return this.sql(
      `SELECT count(*) AS blocks, coalesce(sum(bytes), 0) AS bytes, coalesce(min(first_seen), 0) AS oldestMs
       FROM blocks WHERE state IN ('local', 'uploading')`,
    ).get() as BlockCount & { readonly oldestMs: number };
  }

  /** Of the blocks on this disk. */
  localBytes(): number {
    return this.sql('SELECT coalesce(sum(bytes), 0) FROM blocks INDEXED BY blocks_here WHERE local IS NOT NULL')
      .pluck()
      .get() as number;
  }

  /** A block that lies complete in `directory`/<ULID> on this disk. */
  addLocal(meta: BlockMeta, directory: string, nowMs: number): void {
    const { ulid } = meta;
    const coverage = this.#ownCoverage(meta, `${directory}/${ulid}/${META_FILE}`);
    this.change(() => {
      this.sql(
        `INSERT INTO blocks (ulid, state, first_seen, local) VALUES (?, 'local', ?, ?)
         ON CONFLICT DO UPDATE SET local = excluded.local, state = iif(state IN ${IN_BUCKET}, state, 'local')`,
      ).run(ulid, nowMs, directory);
      this.#describe(meta, coverage);
    });
  }

  /** The block is not on this disk any more. If it is not whole in the bucket either, nobody can read it. */
  removeLocal(ulid: string): void {
    this.change(() => {
      this.sql(
        "UPDATE blocks SET local = NULL, state = iif(state IN ('local', 'uploading'), 'partial', state) WHERE ulid = ?",
      ).run(ulid);
      this.sql('DELETE FROM blocks WHERE ulid = ? AND local IS NULL AND directory IS NULL').run(ulid);
    });
  }

  /** Names of blocks on this disk, and the directory that each is in. */
  localBlocks(): ReadonlyMap<string, string> {
    const rows = this.sql('SELECT ulid, local FROM blocks WHERE local IS NOT NULL').all() as {
      ulid: string;
      local: string;
    }[];
    return new Map(rows.map(({ ulid, local }) => [ulid, local]));
  }

  /** The directory on this disk that a block is in, if it is. */
  localDirectory(ulid: string): string | undefined {
    return (this.sql('SELECT local FROM blocks WHERE ulid = ?').pluck().get(ulid) as string | null) ?? undefined;
  }

  noteUploading(ulid: string): void {
    this.change(() => this.sql("UPDATE blocks SET state = 'uploading' WHERE ulid = ?").run(ulid));
  }

  /** The bucket has verified a file of a block. */
  noteSent(ulid: string, name: string): void {
    this.change(() => this.sql("UPDATE blocks SET sent = json_insert(sent, '$[#]', ?) WHERE ulid = ?").run(name, ulid));
  }

  /** The bucket holds all of a block under its name. */
  noteUploaded(ulid: string, nowMs: number): void {
    this.change(() =>
      this.sql(
        `UPDATE blocks SET state = 'uploaded', directory = ulid, uploaded = ?, sent = '[]', missing = 0,
           version = NULL, listed_version = NULL WHERE ulid = ?`,
      ).run(nowMs, ulid),
    );
  }

  /** Blocks that are whole in the bucket. */
  bucketCount(): number {
    return this.sql(`SELECT count(*) FROM blocks WHERE state IN ${IN_BUCKET}`).pluck().get() as number;
  }

  /**
   * A block is not in the bucket any more. If it was marked for deletion, it is gone.
   * A copy of one that was not is what there is of it, and is uploaded again. Returns the directory of a copy that is of
   * no use any more.
   */
  removeFromBucket(ulid: string): string | undefined {
    return this.change(() => {
      const row = this.sql('SELECT local, deletion FROM blocks WHERE ulid = ?').get(ulid) as
        | { readonly local: string | null; readonly deletion: number | null }
        | undefined;
      if (row?.deletion === null && this.#makeLocal(ulid)) return undefined;
      this.sql('DELETE FROM blocks WHERE ulid = ?').run(ulid);
      return row?.local ?? undefined;
    });
  }

  /** A block of this instance is not whole in the bucket after all: its copy on this disk is uploaded, if there is one. */
  uploadAgain(ulid: string): boolean {
    return this.change(
      () =>
        this.sql("SELECT 1 FROM blocks WHERE ulid = ? AND state = 'uploaded'").get(ulid) !== undefined &&
        this.#makeLocal(ulid),
    );
  }

  /** The copy on this disk is what there is of a block; false if there is none. */
  #makeLocal(ulid: string): boolean {
    const { changes } = this.sql(
      `UPDATE blocks SET state = 'local', directory = NULL, sent = '[]', uploaded = NULL, listed = NULL, missing = 0
       WHERE ulid = ? AND local IS NOT NULL`,
    ).run(ulid);
    return changes > 0;
  }

  /** What the bucket's meta.json says of a block there; one of ours is uploaded with that. Throws CorruptionError. */
  readMeta(ulid: string, bytes: Uint8Array, file: string): void {
    const meta = parseMeta(bytes, file);
    if (meta.ulid !== ulid) throw new CorruptionError(file, 0, `it is of the block ${meta.ulid}`);
    const coverage = this.#ownCoverage(meta, file);
    const uploadedMs = uploadTimeMs(meta);
    const isAtOnce = coverage !== undefined || COMPACTED_SOURCES.has(meta.thanos?.source ?? '');
    const visibleFrom = isAtOnce ? 0 : (uploadedMs ?? ulidTimeMs(ulid)) + (this.rules.consistencyDelayMs ?? 0);
    this.change(() => {
      this.#describe(meta, coverage);
      this.sql(
        `UPDATE blocks SET state = ?, reason = NULL, uploaded = ?, visible_from = ?, version = listed_version
         WHERE ulid = ?`,
      ).run(coverage === undefined ? 'foreign' : 'uploaded', uploadedMs ?? null, visibleFrom, ulid);
    });
  }

  /** The bucket's meta.json makes no sense, and why. */
  refuseMeta(ulid: string, reason: string): void {
    this.change(() =>
      this.sql("UPDATE blocks SET state = 'unreadable', reason = ?, version = listed_version WHERE ulid = ?").run(
        reason,
        ulid,
      ),
    );
  }

  /** All that is known, by name; for people. */
  entries(): CatalogEntry[] {
    return this.sql(`SELECT ${ENTRY} FROM blocks ORDER BY ulid`).all() as CatalogEntry[];
  }

  /** What is in the bucket and not of this instance: what is no whole block first, then blocks of others, newest first. */
  leftAlone(limit: number): CatalogEntry[] {
    return this.sql(
      `SELECT ${ENTRY} FROM blocks WHERE state IN ('partial', 'unread', 'unreadable', 'foreign')
       ORDER BY state = 'foreign', ulid DESC LIMIT ?`,
    ).all(limit) as CatalogEntry[];
  }

  #describe(meta: BlockMeta, coverage: BlockCoverage | undefined): void {
    const { ulid, minTime, maxTime, compaction, thanos } = meta;
    const labels = thanos?.labels ?? {};
    const files = thanos?.files ?? [];
    this.sql(
      `UPDATE blocks SET tenant = ?, min_time = ?, max_time = ?, resolution = ?, level = ?, source = ?, labels = ?,
         epoch = ?, coverage = ?, meta = ?, files = ?, bytes = ? WHERE ulid = ?`,
    ).run(
      tenantOf(labels, this.rules),
      minTime,
      maxTime,
      thanos?.downsample.resolution ?? 0,
      compaction.level,
      thanos?.source ?? '',
      JSON.stringify(labels),
      coverage?.epoch ?? null,
      coverage === undefined ? null : JSON.stringify(coverage),
      JSON.stringify(meta),
      JSON.stringify(files),
      files.reduce((sum, { size_bytes = 0 }) => sum + size_bytes, 0),
      ulid,
    );
    this.#metas.delete(ulid);
  }

  /** What a block covers of the log of this instance; undefined for a block of others, and for one that makes no sense. */
  #ownCoverage(meta: BlockMeta, file: string): BlockCoverage | undefined {
    try {
      const coverage = blockCoverage(meta, file);
      return coverage?.instance === this.rules.instance ? coverage : undefined;
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      this.#onEvent({ kind: 'block-skipped', message: error.message });
      return undefined;
    }
  }

  #parsed(ulid: string, text: string): BlockMeta {
    let meta = this.#metas.get(ulid);
    if (meta === undefined) {
      meta = JSON.parse(text) as BlockMeta;
      this.#metas.set(ulid, meta, { size: text.length });
    }
    return meta;
  }

  /** What the rows were made by must be what holds now. */
  #keepTo({ instance, bucket, tenantLabelName, defaultTenant }: CatalogRules): void {
    if (this.#differs('instance', instance)) this.sql('DELETE FROM blocks').run();
    if (this.#differs('bucket', bucket ?? '')) this.#forgetBucket();
    if (this.#differs('tenants', JSON.stringify([tenantLabelName, defaultTenant]))) this.#nameTenants();
  }

  /** Notes a fact that the rows rest on; true if it was another one. */
  #differs(name: string, value: string): boolean {
    const known = this.sql('SELECT value FROM facts WHERE name = ?').pluck().get(name);
    this.sql('INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)').run(name, value);
    return known !== value;
  }

  #forgetBucket(): void {
    this.sql('DELETE FROM blocks WHERE local IS NULL').run();
    this.sql(
      `UPDATE blocks SET state = 'local', reason = NULL, directory = NULL, sent = '[]', uploaded = NULL, deletion = NULL,
         visible_from = 0, listed = NULL, missing = 0, version = NULL, listed_version = NULL, marked = 0`,
    ).run();
  }

  #nameTenants(): void {
    const rows = this.sql('SELECT ulid, labels FROM blocks WHERE labels IS NOT NULL').all() as {
      ulid: string;
      labels: string;
    }[];
    for (const { ulid, labels } of rows) {
      const tenant = tenantOf(JSON.parse(labels) as Record<string, string>, this.rules);
      this.sql('UPDATE blocks SET tenant = ? WHERE ulid = ?').run(tenant, ulid);
    }
  }
}

function tenantOf(
  labels: Readonly<Record<string, string>>,
  { tenantLabelName, defaultTenant }: Pick<CatalogRules, 'tenantLabelName' | 'defaultTenant'>,
): string {
  return labels[tenantLabelName] ?? labels[MIMIR_TENANT_LABEL] ?? defaultTenant;
}

/** Go writes a time that nobody has set as that of the year 1. */
function uploadTimeMs(meta: BlockMeta): number | undefined {
  const ms = Date.parse(meta.thanos?.upload_time ?? '');
  return ms > 0 ? ms : undefined;
}
