/** The file of the catalogue and its tables. Spec: docs/formats/data-directory.md. */
import Sqlite from 'better-sqlite3';
import type { FileSystem } from '../io/file-system.ts';

/** The version of the tables; a file of another one is made anew. */
const CATALOG_FORMAT = 1;

const SCHEMA = `
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE blocks (
  ulid TEXT PRIMARY KEY,
  state TEXT NOT NULL,
  reason TEXT,
  tenant TEXT,
  min_time INTEGER,
  max_time INTEGER,
  resolution INTEGER,
  level INTEGER,
  source TEXT,
  labels TEXT,
  epoch INTEGER,
  coverage TEXT,
  meta TEXT,
  files TEXT NOT NULL DEFAULT '[]',
  bytes INTEGER NOT NULL DEFAULT 0,
  local TEXT,
  directory TEXT,
  sent TEXT NOT NULL DEFAULT '[]',
  first_seen INTEGER NOT NULL,
  uploaded INTEGER,
  deletion INTEGER,
  visible_from INTEGER NOT NULL DEFAULT 0,
  listed INTEGER,
  missing INTEGER NOT NULL DEFAULT 0,
  version TEXT,
  listed_version TEXT,
  marked INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX blocks_by_time ON blocks (tenant, max_time, min_time);
CREATE INDEX blocks_by_state ON blocks (state, deletion, local, bytes, max_time, ulid);
CREATE INDEX blocks_by_epoch ON blocks (epoch, ulid) WHERE epoch IS NOT NULL;
CREATE INDEX blocks_by_listing ON blocks (listed, ulid) WHERE directory IS NOT NULL;
CREATE INDEX blocks_here ON blocks (max_time, ulid, bytes, state) WHERE local IS NOT NULL;
PRAGMA user_version = ${CATALOG_FORMAT};
`;

export interface CatalogFile {
  readonly path: string;
  /** That the file is on. SQLite itself works on the machine's. */
  readonly fileSystem: FileSystem;
}

/** Opens the file, or makes it; undefined: in memory. `onLost` hears of one that is damaged, or cannot be opened. */
export function openCatalogFile(file: CatalogFile | undefined, onLost: (message: string) => void): Sqlite.Database {
  if (file === undefined) return withTables(new Sqlite(':memory:'));
  try {
    return openFile(file.path);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    onLost(`${file.path} is made anew: ${error.message}`);
  }
  try {
    for (const suffix of ['', '-wal', '-shm']) file.fileSystem.remove(file.path + suffix);
    return openFile(file.path);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    onLost(`${file.path} cannot be made, the catalogue is kept in memory: ${error.message}`);
    return withTables(new Sqlite(':memory:'));
  }
}

/** All that a database holds, in memory. */
export function copyInMemory(sqlite: Sqlite.Database): Sqlite.Database {
  const bytes = sqlite.serialize();
  // The file format's versions for writing and reading (sqlite.org/fileformat.html): 2 is a WAL, which memory has none of.
  bytes.fill(1, 18, 20);
  return new Sqlite(bytes);
}

function openFile(path: string): Sqlite.Database {
  const sqlite = new Sqlite(path);
  try {
    sqlite.pragma('locking_mode = EXCLUSIVE');
    sqlite.pragma('journal_mode = WAL');
    // A commit outlives the process; one that a power cut takes, the directories and the bucket tell again.
    sqlite.pragma('synchronous = NORMAL');
    const [check] = sqlite.pragma('quick_check(1)') as { readonly quick_check: string }[];
    if (check?.quick_check !== 'ok') throw new Error(`damaged: ${check?.quick_check}`);
    return withTables(sqlite);
  } catch (error) {
    sqlite.close();
    throw error;
  }
}

function withTables(sqlite: Sqlite.Database): Sqlite.Database {
  const format = sqlite.pragma('user_version', { simple: true });
  if (format === CATALOG_FORMAT) return sqlite;
  const isEmpty = sqlite.prepare('SELECT count(*) FROM sqlite_master').pluck().get() === 0;
  if (!isEmpty) throw new Error(`format ${format}, but this version writes ${CATALOG_FORMAT}`);
  sqlite.transaction(() => sqlite.exec(SCHEMA))();
  return sqlite;
}
