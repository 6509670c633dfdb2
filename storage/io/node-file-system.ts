/**
 * The file system of the machine, on Node's synchronous calls. The asynchronous ones share four threads with
 * compression and name look-ups and starve behind them; whoever uses this class has a thread of its own or is starting.
 *
 * Invariant: a write either wrote every byte or threw; Node's `writeSync` may write less without an error (a full disk
 * does that first), so it is continued until the system says why it cannot.
 */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { lockDirectory } from './directory-lock.ts';
import type { DirectoryEntry, File, FileSystem, OpenMode } from './file-system.ts';

const FLAGS = { read: 'r', create: 'w+', update: 'r+' } as const;

/** `f_type` of statfs(2); the numbers are those of the kernel's `linux/magic.h`. */
const VOLUME_TYPES: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x2fc12fc1, 'zfs'],
  [0xf2f52010, 'f2fs'],
  [0x01021994, 'tmpfs'],
  [0x794c7630, 'overlay'],
  [0x6969, 'nfs'],
  [0xff534d42, 'cifs'],
  [0xfe534d42, 'smb2'],
  [0x65735546, 'fuse'],
  [0x01021997, '9p'],
]);

/** The real disk. Stateless; every call throws Node's error with its `code`, `syscall` and `path`. */
export const nodeFileSystem: FileSystem = {
  open(path: string, mode: OpenMode): File {
    return new NodeFile(path, openSync(path, FLAGS[mode]));
  },

  makeDirectory(path: string): void {
    mkdirSync(path, { recursive: true });
  },

  list(path: string): DirectoryEntry[] {
    try {
      return readdirSync(path, { withFileTypes: true })
        .map((entry) => ({ name: entry.name, isDirectory: entry.isDirectory() }))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  },

  exists: existsSync,
  rename: renameSync,

  remove(path: string): void {
    rmSync(path, { recursive: true, force: true });
  },

  syncDirectory(path: string): void {
    const directory = openSync(path, 'r');
    try {
      fsyncSync(directory);
    } finally {
      closeSync(directory);
    }
  },

  lockDirectory,

  volume(path: string): { freeBytes: number; type: string } {
    const { bavail, bsize, type } = statfsSync(path);
    // The field is a signed word on some machines.
    const magic = type >>> 0;
    return { freeBytes: bavail * bsize, type: VOLUME_TYPES.get(magic) ?? `0x${magic.toString(16)}` };
  },
};

class NodeFile implements File {
  readonly path: string;
  readonly #descriptor: number;

  constructor(path: string, descriptor: number) {
    this.path = path;
    this.#descriptor = descriptor;
  }

  size(): number {
    return fstatSync(this.#descriptor).size;
  }

  modifiedMs(): number {
    return Math.floor(fstatSync(this.#descriptor).mtimeMs);
  }

  read(target: Uint8Array, position: number): number {
    let count = 0;
    while (count < target.length) {
      const got = readSync(this.#descriptor, target, count, target.length - count, position + count);
      if (got === 0) break;
      count += got;
    }
    return count;
  }

  write(bytes: Uint8Array, position: number): void {
    let count = 0;
    while (count < bytes.length) {
      count += writeSync(this.#descriptor, bytes, count, bytes.length - count, position + count);
    }
  }

  sync(): void {
    fdatasyncSync(this.#descriptor);
  }

  truncate(size: number): void {
    ftruncateSync(this.#descriptor, size);
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
