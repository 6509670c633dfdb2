/** The disk of a test's machine (`TEST_MACHINE`), in the program and in its threads. */
import type { File, FileSystem } from '../../storage/io/file-system.ts';
import { nodeFileSystem } from '../../storage/io/node-file-system.ts';
import type { MachineOptions } from './varve.ts';

export const machineOptions: MachineOptions = JSON.parse(process.env.TEST_MACHINE ?? '{}') as MachineOptions;

/** The real disk, but for its syncs: they do nothing and say nothing of it, or take their time. */
export const machineFileSystem: FileSystem = {
  ...nodeFileSystem,
  open: (path, mode) => fileOf(nodeFileSystem.open(path, mode)),
  syncDirectory(path) {
    if (machineOptions.isUnsynced !== true) nodeFileSystem.syncDirectory(path);
  },
};

function fileOf(inner: File): File {
  return {
    path: inner.path,
    size: () => inner.size(),
    modifiedMs: () => inner.modifiedMs(),
    read: (target, position) => inner.read(target, position),
    write: (bytes, position) => inner.write(bytes, position),
    sync() {
      const { isUnsynced = false, syncDelayMs = 0 } = machineOptions;
      if (syncDelayMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, syncDelayMs);
      if (!isUnsynced) inner.sync();
    },
    truncate: (size) => inner.truncate(size),
    close: () => inner.close(),
  };
}
