/** A disk that says it has synced and has not: what a test of durability must notice. */
import type { File, FileSystem } from '../../storage/io/file-system.ts';

export function unsynced(inner: FileSystem): FileSystem {
  return { ...inner, open: (path, mode) => unsyncedFile(inner.open(path, mode)), syncDirectory: () => {} };
}

function unsyncedFile(inner: File): File {
  return {
    path: inner.path,
    size: () => inner.size(),
    read: (target, position) => inner.read(target, position),
    write: (bytes, position) => inner.write(bytes, position),
    sync: () => {},
    truncate: (size) => inner.truncate(size),
    close: () => inner.close(),
  };
}
