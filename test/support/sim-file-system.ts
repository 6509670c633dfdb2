/**
 * A disk in memory that forgets. What was written lies in a cache until `sync`, and names until `syncDirectory`;
 * `crash` keeps a random part of the rest: each written sector of 512 bytes, each change of a directory, by itself.
 * A sync that failed (`failSync`) keeps its promise never again for what was dirty then, as Linux does it.
 */
import type { DirectoryEntry, DirectoryLock, File, FileSystem, OpenMode } from '../../storage/io/file-system.ts';
import { StorageError } from '../../storage/lib/errors.ts';

const SECTOR_BYTES = 512;

/** Numbers in [0, 1). */
export type Chance = () => number;

/** A small generator of a seed (mulberry32), so that a failing run can be repeated. */
export function seededChance(seed: number): Chance {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Write {
  readonly position: number;
  /** null: the file's size was set to `position`. */
  readonly bytes: Uint8Array | null;
}

class SimNode {
  content: Uint8Array = new Uint8Array(0);
  durable: Uint8Array = new Uint8Array(0);
  /** Since the last sync. */
  pending: Write[] = [];
  /** Dirty when a sync failed: in the cache, and perhaps nowhere else, for ever. */
  doomed: Write[] = [];

  change(write: Write): void {
    this.content = applied(this.content, write);
    this.pending.push(write);
  }

  sync(): void {
    for (const write of this.pending) this.durable = applied(this.durable, write);
    this.pending = [];
  }

  failSync(): void {
    this.doomed.push(...this.pending);
    this.pending = [];
  }

  crash(chance: Chance): void {
    for (const write of [...this.doomed, ...this.pending]) {
      for (const part of sectors(write)) if (chance() < 0.5) this.durable = applied(this.durable, part);
    }
    this.content = this.durable.slice();
    this.pending = [];
    this.doomed = [];
  }
}

function applied(content: Uint8Array, { position, bytes }: Write): Uint8Array {
  const end = bytes === null ? position : Math.max(content.length, position + bytes.length);
  let next = content;
  if (end !== content.length) {
    next = new Uint8Array(end);
    next.set(content.subarray(0, end));
  }
  if (bytes !== null) next.set(bytes, position);
  return next;
}

function* sectors(write: Write): Generator<Write> {
  const { bytes, position } = write;
  if (bytes === null) yield write;
  for (let from = 0; bytes !== null && from < bytes.length; ) {
    const to = Math.min(bytes.length, from + SECTOR_BYTES - ((position + from) % SECTOR_BYTES));
    yield { position: position + from, bytes: bytes.subarray(from, to) };
    from = to;
  }
}

/** A change of names that is not durable yet; `undo` and `redo` are told by what each name stood for. */
interface NameChange {
  readonly directories: readonly string[];
  readonly set: readonly (readonly [path: string, node: SimNode | 'directory' | undefined])[];
}

type Names = Map<string, SimNode | 'directory'>;

export class SimFileSystem implements FileSystem {
  readonly #names: Names = new Map([['/', 'directory']]);
  #durableNames: Names = new Map(this.#names);
  #pending: NameChange[] = [];
  /** The holders of directories, who end with the power. */
  readonly #locks = new Map<string, DirectoryLock>();
  /** Limits the bytes of all files; a write beyond it throws ENOSPC with a part of it written. */
  capacity: number = Number.POSITIVE_INFINITY;

  /** The power fails: open files are of no use any more, and the rest is what the disk kept. */
  crash(chance: Chance): void {
    for (const change of this.#pending) if (chance() < 0.5) applyNames(this.#durableNames, change);
    this.#pending = [];
    this.#locks.clear();
    for (const path of [...this.#durableNames.keys()]) {
      if (!isReachable(this.#durableNames, path)) this.#durableNames.delete(path);
    }
    this.#names.clear();
    for (const [path, node] of this.#durableNames) this.#names.set(path, node);
    for (const node of new Set(this.#names.values())) if (node !== 'directory') node.crash(chance);
  }

  open(path: string, mode: OpenMode): File {
    let node = this.#names.get(path);
    if (node === 'directory') throw systemError('EISDIR', 'open', path);
    if (node === undefined) {
      if (mode !== 'create' || this.#names.get(parent(path)) !== 'directory') throw systemError('ENOENT', 'open', path);
      node = new SimNode();
      this.#change({ directories: [parent(path)], set: [[path, node]] });
    } else if (mode === 'create') node.change({ position: 0, bytes: null });
    return new SimFile(this, path, node, mode !== 'read');
  }

  makeDirectory(path: string): void {
    if (this.#names.has(path)) return;
    this.makeDirectory(parent(path));
    this.#change({ directories: [parent(path)], set: [[path, 'directory']] });
  }

  list(path: string): DirectoryEntry[] {
    return [...this.#names]
      .filter(([name]) => name !== '/' && parent(name) === path)
      .map(([name, node]) => ({ name: name.slice(name.lastIndexOf('/') + 1), isDirectory: node === 'directory' }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  exists(path: string): boolean {
    return this.#names.has(path);
  }

  rename(from: string, to: string): void {
    const node = this.#names.get(from);
    if (node === undefined || !this.#names.has(parent(to))) throw systemError('ENOENT', 'rename', from);
    const set = this.#below(from).flatMap(([path, moved]) => [
      [path, undefined] as const,
      [to + path.slice(from.length), moved] as const,
    ]);
    this.#change({ directories: [...new Set([parent(from), parent(to)])], set });
  }

  remove(path: string): void {
    const set = this.#below(path).map(([below]) => [below, undefined] as const);
    if (set.length > 0) this.#change({ directories: [parent(path)], set });
  }

  syncDirectory(path: string): void {
    if (this.#names.get(path) !== 'directory') throw systemError('ENOENT', 'open', path);
    this.#pending = this.#pending.filter((change) => {
      if (!change.directories.includes(path)) return true;
      applyNames(this.#durableNames, change);
      return false;
    });
  }

  lockDirectory(path: string): DirectoryLock {
    if (this.#names.get(path) !== 'directory') throw new StorageError('unavailable', `cannot lock ${path}`);
    if (this.#locks.has(path)) throw new StorageError('locked', `${path} is in use by another server`);
    const lock: DirectoryLock = {
      close: () => {
        if (this.#locks.get(path) === lock) this.#locks.delete(path);
      },
    };
    this.#locks.set(path, lock);
    return lock;
  }

  volume(): { freeBytes: number; type: string } {
    return { freeBytes: this.capacity - this.usedBytes(), type: 'sim' };
  }

  usedBytes(): number {
    let bytes = 0;
    for (const node of this.#names.values()) if (node !== 'directory') bytes += node.content.length;
    return bytes;
  }

  /** The names of files and directories, for looking at what is left. */
  paths(): string[] {
    return [...this.#names.keys()];
  }

  #below(path: string): [string, SimNode | 'directory'][] {
    return [...this.#names].filter(([name]) => name === path || name.startsWith(`${path}/`));
  }

  #change(change: NameChange): void {
    applyNames(this.#names, change);
    this.#pending.push(change);
  }
}

function applyNames(names: Names, { set }: NameChange): void {
  for (const [path, node] of set) {
    if (node === undefined) names.delete(path);
    else names.set(path, node);
  }
}

function isReachable(names: Names, path: string): boolean {
  return path === '/' || (names.get(parent(path)) === 'directory' && isReachable(names, parent(path)));
}

function parent(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf('/')));
}

/** An error as Node gives it. */
export function systemError(code: string, syscall: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${syscall} '${path}'`), { code, syscall, path });
}

class SimFile implements File {
  readonly path: string;
  readonly #disk: SimFileSystem;
  readonly #node: SimNode;
  readonly #isWritable: boolean;
  #isOpen = true;

  constructor(disk: SimFileSystem, path: string, node: SimNode, isWritable: boolean) {
    this.path = path;
    this.#disk = disk;
    this.#node = node;
    this.#isWritable = isWritable;
  }

  size(): number {
    return this.#node.content.length;
  }

  /** This disk keeps no times. */
  modifiedMs(): number {
    return 0;
  }

  read(target: Uint8Array, position: number): number {
    this.#check('read', true);
    const bytes = this.#node.content.subarray(position, position + target.length);
    target.set(bytes);
    return bytes.length;
  }

  write(bytes: Uint8Array, position: number): void {
    this.#check('write', this.#isWritable);
    const growth = Math.max(0, position + bytes.length - this.#node.content.length);
    const room = this.#disk.capacity - this.#disk.usedBytes();
    const fits = growth <= room ? bytes.length : Math.max(0, bytes.length - (growth - Math.max(0, room)));
    if (fits > 0) this.#node.change({ position, bytes: bytes.slice(0, fits) });
    if (fits < bytes.length) throw systemError('ENOSPC', 'write', this.path);
  }

  sync(): void {
    this.#check('fdatasync', true);
    this.#node.sync();
  }

  failSync(): void {
    this.#node.failSync();
  }

  truncate(size: number): void {
    this.#check('ftruncate', this.#isWritable);
    this.#node.change({ position: size, bytes: null });
  }

  close(): void {
    this.#check('close', true);
    this.#isOpen = false;
  }

  #check(syscall: string, isAllowed: boolean): void {
    if (!this.#isOpen || !isAllowed) throw systemError('EBADF', syscall, this.path);
  }
}
