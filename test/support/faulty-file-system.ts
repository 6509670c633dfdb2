/** Another file system with failures in it: the n-th changing call, once or from then on. */
import type { DirectoryEntry, DirectoryLock, File, FileSystem, OpenMode } from '../../storage/io/file-system.ts';
import { systemError } from './sim-file-system.ts';

export type Call = 'open' | 'write' | 'sync' | 'truncate' | 'makeDirectory' | 'rename' | 'remove' | 'syncDirectory';

/** Which calls fail, and how. Calls are counted from 1 over the whole file system. */
export interface Fault {
  readonly at: number;
  /** Only these count; all changing calls by default. */
  readonly calls?: readonly Call[];
  /** Fails from then on, until `repair`. */
  readonly sticky?: boolean;
  readonly code: 'EIO' | 'ENOSPC' | 'EMFILE' | 'EROFS';
  /** A write that fails leaves this share of its bytes written. */
  readonly written?: number;
}

/** Can forget what was dirty when its sync failed; the simulated disk's files can. */
interface FailingSync {
  failSync?(): void;
}

export class FaultyFileSystem implements FileSystem {
  readonly #inner: FileSystem;
  #fault: Fault | undefined;
  #calls = 0;
  #failed = 0;
  /** Bad sectors: reads of any of these bytes of the file fail. */
  unreadable: { path: string; from: number; to: number } | undefined;

  constructor(inner: FileSystem, fault?: Fault) {
    this.#inner = inner;
    this.#fault = fault;
  }

  /** How many calls have failed. */
  get failed(): number {
    return this.#failed;
  }

  /** From now on nothing fails. */
  repair(): void {
    this.#fault = undefined;
  }

  /** Starts to count anew for another fault. */
  breakAt(fault: Fault): void {
    this.#fault = fault;
    this.#calls = 0;
  }

  open(path: string, mode: OpenMode): File {
    if (mode !== 'read') this.check('open', path);
    return new FaultyFile(this, this.#inner.open(path, mode));
  }

  makeDirectory(path: string): void {
    this.check('makeDirectory', path);
    this.#inner.makeDirectory(path);
  }

  list(path: string): DirectoryEntry[] {
    return this.#inner.list(path);
  }

  exists(path: string): boolean {
    return this.#inner.exists(path);
  }

  rename(from: string, to: string): void {
    this.check('rename', from);
    this.#inner.rename(from, to);
  }

  remove(path: string): void {
    this.check('remove', path);
    this.#inner.remove(path);
  }

  syncDirectory(path: string): void {
    this.check('syncDirectory', path);
    this.#inner.syncDirectory(path);
  }

  lockDirectory(path: string): DirectoryLock {
    return this.#inner.lockDirectory(path);
  }

  volume(path: string): { freeBytes: number; type: string } {
    return this.#inner.volume(path);
  }

  /** Throws if this call is to fail; `before` runs first then. */
  check(call: Call, path: string, before?: (fault: Fault) => void): void {
    const fault = this.#fault;
    if (fault === undefined || (fault.calls !== undefined && !fault.calls.includes(call))) return;
    this.#calls++;
    if (fault.sticky === true ? this.#calls < fault.at : this.#calls !== fault.at) return;
    this.#failed++;
    before?.(fault);
    throw systemError(fault.code, call, path);
  }
}

class FaultyFile implements File {
  readonly path: string;
  readonly #faults: FaultyFileSystem;
  readonly #inner: File & FailingSync;

  constructor(faults: FaultyFileSystem, inner: File) {
    this.path = inner.path;
    this.#faults = faults;
    this.#inner = inner;
  }

  size(): number {
    return this.#inner.size();
  }

  modifiedMs(): number {
    return this.#inner.modifiedMs();
  }

  read(target: Uint8Array, position: number): number {
    const bad = this.#faults.unreadable;
    if (bad?.path === this.path && position < bad.to && bad.from < position + target.length) {
      throw systemError('EIO', 'read', this.path);
    }
    return this.#inner.read(target, position);
  }

  write(bytes: Uint8Array, position: number): void {
    this.#faults.check('write', this.path, ({ written = 0 }) => {
      const count = Math.floor(bytes.length * written);
      if (count > 0) this.#inner.write(bytes.subarray(0, count), position);
    });
    this.#inner.write(bytes, position);
  }

  sync(): void {
    this.#faults.check('sync', this.path, () => this.#inner.failSync?.());
    this.#inner.sync();
  }

  truncate(size: number): void {
    this.#faults.check('truncate', this.path);
    this.#inner.truncate(size);
  }

  close(): void {
    this.#inner.close();
  }
}
