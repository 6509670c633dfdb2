/**
 * The disk of a test's machine (`TEST_MACHINE`), in the program and in its threads: the real one, but its syncs may do
 * nothing and say nothing of it, or take their time, and the process may end at one of its calls.
 */
import { readFileSync } from 'node:fs';
import type { File, FileSystem } from '../../storage/io/file-system.ts';
import { nodeFileSystem } from '../../storage/io/node-file-system.ts';
import type { KillPhase } from './kill-phase.ts';
import type { MachineOptions } from './varve.ts';

export const machineOptions: MachineOptions = JSON.parse(process.env.TEST_MACHINE ?? '{}') as MachineOptions;

/** At which call that changes the disk the process ends with SIGKILL. */
export interface FileOrders {
  readonly killAt?: {
    /** Which calls count: a regular expression on `<operation> <path>`, such as `write …/wal/checkpoint.tmp`. */
    readonly calls: string;
    /** From 1; each thread counts its own. */
    readonly call: number;
    /** Before it, when half of a write is written, or after it. */
    readonly phase: KillPhase;
  };
}

const { killAt }: FileOrders =
  machineOptions.fileOrders === undefined
    ? {}
    : (JSON.parse(readFileSync(machineOptions.fileOrders, 'utf8')) as FileOrders);
const counted = new RegExp(killAt?.calls ?? '^$');
let calls = 0;

export const machineFileSystem: FileSystem = {
  ...nodeFileSystem,
  open(path, mode) {
    return mode === 'read'
      ? fileOf(nodeFileSystem.open(path, mode))
      : changing(mode, path, () => fileOf(nodeFileSystem.open(path, mode)));
  },
  makeDirectory: (path) => changing('makeDirectory', path, () => nodeFileSystem.makeDirectory(path)),
  rename: (from, to) => changing('rename', from, () => nodeFileSystem.rename(from, to)),
  remove: (path) => changing('remove', path, () => nodeFileSystem.remove(path)),
  syncDirectory(path) {
    changing('syncDirectory', path, () => {
      if (machineOptions.isUnsynced !== true) nodeFileSystem.syncDirectory(path);
    });
  },
};

function fileOf(inner: File): File {
  const { path } = inner;
  return {
    path,
    size: () => inner.size(),
    modifiedMs: () => inner.modifiedMs(),
    read: (target, position) => inner.read(target, position),
    write(bytes, position) {
      changing(
        'write',
        path,
        () => inner.write(bytes, position),
        () => inner.write(bytes.subarray(0, bytes.length >> 1), position),
      );
    },
    sync() {
      const { isUnsynced = false, syncDelayMs = 0 } = machineOptions;
      if (syncDelayMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, syncDelayMs);
      changing('sync', path, () => {
        if (!isUnsynced) inner.sync();
      });
    },
    truncate: (size) => changing('truncate', path, () => inner.truncate(size)),
    close: () => inner.close(),
  };
}

/** Makes a call that changes the disk, unless the process is to end at it. */
function changing<T>(operation: string, path: string, call: () => T, half: () => void = () => {}): T {
  if (killAt === undefined || !counted.test(`${operation} ${path}`) || ++calls !== killAt.call) return call();
  if (killAt.phase === 'during') half();
  if (killAt.phase === 'after') call();
  process.kill(process.pid, 'SIGKILL');
  return call();
}
