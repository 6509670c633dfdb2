/**
 * The lock of a data directory: SQLite's exclusive lock on the file `lock` inside it. That is a lock of the operating
 * system, so it ends with the process however the process ends; the file that stays behind means nothing, and process
 * numbers, which are reused, play no part. Node itself has no call for file locks.
 *
 * POSIX drops a process's locks on a file when the process closes any descriptor of it: nothing else may open `lock`.
 */
import Database from 'better-sqlite3';
import { StorageError } from '../lib/errors.ts';
import type { DirectoryLock } from './file-system.ts';

/**
 * Takes an existing directory for this process. Throws StorageError: 'locked' if another holder has it, 'unavailable'
 * if the lock file cannot be opened or written; both name the directory.
 */
export function lockDirectory(path: string): DirectoryLock {
  let database: Database.Database | undefined;
  try {
    database = new Database(`${path}/lock`, { timeout: 0 });
    database.pragma('locking_mode = EXCLUSIVE');
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database?.close();
    const code = (cause as { code?: string }).code ?? '';
    if (code.startsWith('SQLITE_BUSY'))
      throw new StorageError('locked', `${path} is in use by another server`, { cause });
    throw new StorageError('unavailable', `cannot lock ${path}: ${(cause as Error).message}`, { cause });
  }
  const held = database;
  return { close: () => void held.close() };
}
