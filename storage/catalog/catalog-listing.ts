/**
 * What a listing of the bucket changes in the catalogue. A listing may be stale: what it does not have, while the
 * catalogue has it, is asked for by name, and gone only when that or a second listing says so.
 */
import { META_FILE } from '../block/layout.ts';
import type { BlockFile } from '../block/meta.ts';
import type { ListedBlock } from '../bucket/block-listing.ts';
import type { BlockState, Catalog } from './catalog.ts';

/** A block's directory in the bucket. */
export interface BucketPlace {
  readonly ulid: string;
  readonly directory: string;
}

interface KnownRow {
  readonly state: BlockState;
  readonly directory: string | null;
  readonly listed: number | null;
  readonly listed_version: string | null;
  readonly bytes: number;
}

const WHOLE: ReadonlySet<BlockState> = new Set(['uploaded', 'foreign']);
const HERE: ReadonlySet<BlockState> = new Set(['local', 'uploading']);
/** So many listings in a row have to be without a block. */
const LISTINGS_WITHOUT = 2;

export class CatalogListing {
  readonly #catalog: Catalog;
  readonly #number: number;
  readonly #nowMs: number;
  /** Blocks that the listing has. */
  count = 0;
  /** Of those, the ones that nobody knew. */
  added = 0;
  /** Whole blocks, by their names, of which the listing shows a file not at all or in another size, and what it shows. */
  readonly damaged: Map<string, string> = new Map();

  constructor(catalog: Catalog, nowMs: number) {
    this.#catalog = catalog;
    this.#nowMs = nowMs;
    this.#number = ((catalog.sql('SELECT max(listed) FROM blocks').pluck().get() as number | null) ?? 0) + 1;
  }

  /** `onTwice` hears of a block that lies in a second directory. */
  note(blocks: readonly ListedBlock[], onTwice: (message: string) => void): void {
    this.#catalog.change(() => {
      for (const block of blocks) this.#noteOne(block, onTwice);
    });
  }

  /** Blocks whose meta.json was not read yet, or has changed. */
  unread(limit: number): BucketPlace[] {
    return this.#places(
      `listed = ? AND listed_version IS NOT NULL AND listed_version IS NOT version
       AND state NOT IN ('local', 'uploading')`,
      limit,
    );
  }

  /** Blocks with a mark for deletion that was not read yet. */
  marked(limit: number): BucketPlace[] {
    return this.#places('listed = ? AND marked = 1 AND deletion IS NULL', limit);
  }

  noteDeletion(ulid: string, deletionMs: number): void {
    this.#catalog.change(() =>
      this.#catalog.sql('UPDATE blocks SET deletion = ? WHERE ulid = ?').run(deletionMs, ulid),
    );
  }

  /** Blocks that the catalogue has whole in the bucket and that the listing, which is complete, has not. */
  missing(limit: number): BucketPlace[] {
    return this.#places("(listed IS NULL OR listed < ?) AND state NOT IN ('local', 'uploading', 'partial')", limit);
  }

  /** The listing was stale. */
  notePresent(ulid: string): void {
    this.#catalog.change(() =>
      this.#catalog.sql('UPDATE blocks SET listed = ?, missing = 0 WHERE ulid = ?').run(this.#number, ulid),
    );
  }

  /**
   * What is known of none that is missing, counts once; what no other reason keeps is gone. Returns those that are. Where
   * the bucket had nothing at all, it may be another one, or not be mounted: then only what is on this disk too is taken
   * for gone, so that it is uploaded again, and queries tell that they miss the rest.
   */
  endMissing(isEmptied: boolean): BucketPlace[] {
    const { sql, change } = bound(this.#catalog);
    return change(() => {
      const without = 'directory IS NOT NULL AND (listed IS NULL OR listed < ?)';
      sql(`UPDATE blocks SET directory = NULL WHERE ${without} AND state IN ('local', 'uploading')`).run(this.#number);
      sql(`DELETE FROM blocks WHERE ${without} AND state = 'partial'`).run(this.#number);
      sql(`UPDATE blocks SET missing = missing + 1 WHERE ${without}`).run(this.#number);
      const gone = isEmptied ? `${without} AND local IS NOT NULL` : without;
      return sql(`SELECT ulid, directory FROM blocks WHERE ${gone} AND missing >= ?`).all(
        this.#number,
        LISTINGS_WITHOUT,
      ) as BucketPlace[];
    });
  }

  #noteOne(block: ListedBlock, onTwice: (message: string) => void): void {
    const { ulid, directory, metaVersion = null, hasDeletionMark } = block;
    const sql = (text: string) => this.#catalog.sql(text);
    const known = sql('SELECT state, directory, listed, listed_version, bytes FROM blocks WHERE ulid = ?').get(ulid) as
      | KnownRow
      | undefined;
    if (known?.listed === this.#number && known.directory !== directory) {
      onTwice(`${directory} is left out: the same block is in ${known.directory}`);
      return;
    }
    this.count++;
    if (known === undefined) {
      this.added++;
      sql("INSERT INTO blocks (ulid, state, first_seen) VALUES (?, 'partial', ?)").run(ulid, this.#nowMs);
    }
    const state = known?.state ?? 'partial';
    // A listing that has lost a meta.json may be stale: whether the block is gone is asked for by name.
    if (WHOLE.has(state) && metaVersion === null) return;
    sql(
      `UPDATE blocks SET directory = ?, listed = ?, missing = 0, listed_version = ?, marked = ?,
         deletion = iif(? = 0, NULL, deletion) WHERE ulid = ?`,
    ).run(directory, this.#number, metaVersion, Number(hasDeletionMark), Number(hasDeletionMark), ulid);
    // What we put ourselves need not be read.
    if (state === 'uploaded' && known?.listed_version === null)
      sql('UPDATE blocks SET version = listed_version WHERE ulid = ?').run(ulid);
    if (WHOLE.has(state) && !hasDeletionMark) this.#check(block, known?.bytes ?? 0);
    if (WHOLE.has(state) || HERE.has(state)) return;
    const isChanged = metaVersion !== known?.listed_version;
    if (metaVersion === null || isChanged || state === 'partial') {
      const next = metaVersion === null ? 'partial' : 'unread';
      sql('UPDATE blocks SET state = ?, reason = NULL, files = ?, bytes = ? WHERE ulid = ?').run(
        next,
        JSON.stringify(block.files.map(({ name, bytes }) => ({ rel_path: name, size_bytes: bytes }))),
        block.bytes,
        ulid,
      );
    }
  }

  /** Holds the files that are there against those that the block's meta.json names with their sizes. */
  #check({ ulid, files }: ListedBlock, wantedBytes: number): void {
    const content = files.filter(({ name }) => name !== META_FILE);
    if (content.reduce((sum, { bytes }) => sum + bytes, 0) === wantedBytes) return;
    const sizes = new Map(content.map(({ name, bytes }) => [name, bytes]));
    const text = this.#catalog.sql('SELECT files FROM blocks WHERE ulid = ?').pluck().get(ulid) as string;
    const wrong = (JSON.parse(text) as BlockFile[]).find(
      ({ rel_path: name, size_bytes }) =>
        name !== META_FILE && size_bytes !== undefined && sizes.get(name) !== size_bytes,
    );
    if (wrong === undefined) return;
    const found = sizes.get(wrong.rel_path);
    const what = found === undefined ? 'is not there' : `has ${found} bytes instead of ${wrong.size_bytes}`;
    this.damaged.set(ulid, `${wrong.rel_path} ${what}`);
  }

  #places(condition: string, limit: number): BucketPlace[] {
    return this.#catalog
      .sql(`SELECT ulid, directory FROM blocks WHERE directory IS NOT NULL AND ${condition} ORDER BY ulid LIMIT ?`)
      .all(this.#number, limit) as BucketPlace[];
  }
}

function bound(catalog: Catalog): { sql: Catalog['sql']; change: Catalog['change'] } {
  return { sql: (text) => catalog.sql(text), change: (work) => catalog.change(work) };
}
