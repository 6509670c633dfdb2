/** A file system in memory, for tests that write thousands of small files. Syncs do nothing; paths are plain keys. */
import type { DirectoryEntry, File, FileSystem, OpenMode } from '../../storage/io/file-system.ts';

export class MemoryFileSystem implements FileSystem {
  /** The content of each file by its path. Tests may damage it. */
  readonly files: Map<string, Uint8Array> = new Map<string, Uint8Array>();
  readonly #directories = new Set<string>();

  open(path: string, mode: OpenMode): File {
    if (mode === 'create') this.files.set(path, new Uint8Array(0));
    else if (!this.files.has(path)) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
    return new MemoryFile(this.files, path);
  }

  makeDirectory(path: string): void {
    path.split('/').forEach((_, i, parts) => void this.#directories.add(parts.slice(0, i + 1).join('/')));
  }

  list(path: string): DirectoryEntry[] {
    const entries = new Map<string, boolean>();
    for (const [paths, isDirectory] of [[this.#directories, true] as const, [this.files.keys(), false] as const]) {
      for (const inside of paths) {
        const name = inside.startsWith(`${path}/`) ? inside.slice(path.length + 1) : '';
        if (name !== '' && !name.includes('/')) entries.set(name, isDirectory);
      }
    }
    return [...entries]
      .map(([name, isDirectory]) => ({ name, isDirectory }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  exists(path: string): boolean {
    return this.files.has(path) || this.#directories.has(path);
  }

  rename(from: string, to: string): void {
    const moved = (path: string): string => to + path.slice(from.length);
    const inside = (path: string): boolean => path === from || path.startsWith(`${from}/`);
    for (const [path, bytes] of [...this.files].filter(([path]) => inside(path))) {
      this.files.delete(path);
      this.files.set(moved(path), bytes);
    }
    for (const path of [...this.#directories].filter(inside)) {
      this.#directories.delete(path);
      this.#directories.add(moved(path));
    }
  }

  remove(path: string): void {
    const inside = (candidate: string): boolean => candidate === path || candidate.startsWith(`${path}/`);
    for (const candidate of [...this.files.keys()].filter(inside)) this.files.delete(candidate);
    for (const candidate of [...this.#directories].filter(inside)) this.#directories.delete(candidate);
  }

  syncDirectory(): void {}

  volume(): { freeBytes: number; type: string } {
    return { freeBytes: Number.MAX_SAFE_INTEGER, type: 'memory' };
  }
}

class MemoryFile implements File {
  readonly path: string;
  readonly #files: Map<string, Uint8Array>;

  constructor(files: Map<string, Uint8Array>, path: string) {
    this.#files = files;
    this.path = path;
  }

  get #bytes(): Uint8Array {
    return this.#files.get(this.path) ?? new Uint8Array(0);
  }

  size(): number {
    return this.#bytes.length;
  }

  read(target: Uint8Array, position: number): number {
    const part = this.#bytes.subarray(position, position + target.length);
    target.set(part);
    return part.length;
  }

  write(bytes: Uint8Array, position: number): void {
    if (position + bytes.length > this.size()) this.truncate(position + bytes.length);
    this.#bytes.set(bytes, position);
  }

  sync(): void {}

  truncate(size: number): void {
    const resized = new Uint8Array(size);
    resized.set(this.#bytes.subarray(0, size));
    this.#files.set(this.path, resized);
  }

  close(): void {}
}
