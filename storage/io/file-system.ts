/**
 * The file system as the engine sees it. Everything that touches a disk goes through here, so that a test can put a
 * failing or simulated disk in its place. Calls are synchronous: they run on the threads that do nothing else (WAL
 * writer, cut, readers), and at start.
 */

/** An open file. Positions and lengths are bytes. Errors are Node's, with their `code` (ENOSPC, EIO, ENOENT …). */
export interface File {
  readonly path: string;
  size(): number;
  /** When it was last written, in ms since 1970. */
  modifiedMs(): number;
  /** Reads up to `target.length` bytes at `position`; returns how many there were before the end of the file. */
  read(target: Uint8Array, position: number): number;
  /** Writes all of `bytes` at `position`; a short write is continued, and an error leaves an unknown part written. */
  write(bytes: Uint8Array, position: number): void;
  /** fdatasync. An error is final for this open file: what was written since the last sync may be gone. */
  sync(): void;
  truncate(size: number): void;
  close(): void;
}

export interface DirectoryEntry {
  readonly name: string;
  readonly isDirectory: boolean;
}

/** 'read' wants an existing file, 'create' makes or empties one, 'update' opens an existing one for reading and writing. */
export type OpenMode = 'read' | 'create' | 'update';

/** Holds a directory for this process. */
export interface DirectoryLock {
  /** Gives the directory free. A second call does nothing. */
  close(): void;
}

export interface FileSystem {
  open(path: string, mode: OpenMode): File;
  /** Makes the directory and its missing parents. */
  makeDirectory(path: string): void;
  /** The entries of a directory in name order; an absent directory has none. */
  list(path: string): DirectoryEntry[];
  exists(path: string): boolean;
  /** Atomic within one file system. Durable only after `syncDirectory` on both parents. */
  rename(from: string, to: string): void;
  /** Removes a file or a whole directory; nothing there is fine. */
  remove(path: string): void;
  /** Makes the names inside the directory durable. */
  syncDirectory(path: string): void;
  /**
   * Takes an existing directory for this process; the lock ends with the process however that ends. Throws StorageError:
   * 'locked' if another holder has it, 'unavailable' if it cannot be locked; both name the directory.
   */
  lockDirectory(path: string): DirectoryLock;
  /** Free bytes on the file system that holds `path`, and its type (ext4, tmpfs …). */
  volume(path: string): { freeBytes: number; type: string };
}
