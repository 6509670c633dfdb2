/**
 * The data directory: one owner, one identity.
 *
 *   varve.json   { "format": 1, "instance": ULID, "epoch": n }    who writes the log and the blocks cut from it;
 *                after a restore also "restored": { "epoch": m }
 *   lock         held by the process that owns the directory
 *   wal/         the log           blocks/   blocks being made
 *   bucket/      the blocks, where no other bucket is configured
 */
import { dirname } from 'node:path';
import type { FileSystem } from './io/file-system.ts';
import { isSystemError } from './io/system-error.ts';
import { CorruptionError, StorageError } from './lib/errors.ts';

export const IDENTITY_FORMAT = 1;
const IDENTITY_FILE = 'varve.json';
const NOT_OURS: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'EROFS', 'EINVAL']);

export interface Identity {
  readonly format: number;
  /** Made once with the directory. */
  readonly instance: string;
  /** Counts restores from the bucket. */
  readonly epoch: number;
  /** The log is that of another epoch, as a restore brought it here; no checkpoint of this epoch has taken its place yet. */
  readonly restored?: RestoredFrom;
}

/** Where a restored log comes from. */
export interface RestoredFrom {
  readonly epoch: number;
}

/** Where a restore puts the log until it is complete; a directory of the same form as the data directory. */
export const RESTORE_DIRECTORY = 'restore.tmp';

/**
 * Reads the identity, or makes it with `newInstance`. Brings a restore to its end whose log was complete. Throws
 * StorageError 'invalid' if a newer version made the directory, or a restore was cut short.
 */
export function readIdentity(fileSystem: FileSystem, directory: string, newInstance: () => string): Identity {
  const path = `${directory}/${IDENTITY_FILE}`;
  const restore = `${directory}/${RESTORE_DIRECTORY}`;
  if (!fileSystem.exists(path)) {
    if (fileSystem.exists(restore)) {
      const advice = 'run varve restore again, or start with --restore; or remove it to start empty';
      throw new StorageError('invalid', `${restore} is what a restore left that was cut short: ${advice}`);
    }
    syncParents(fileSystem, directory);
    return writeIdentity(fileSystem, directory, { format: IDENTITY_FORMAT, instance: newInstance(), epoch: 1 });
  }
  const file = fileSystem.open(path, 'read');
  const bytes = new Uint8Array(file.size());
  file.read(bytes, 0);
  file.close();
  const identity = parseIdentity(bytes, path);
  if (identity.format > IDENTITY_FORMAT) {
    throw new StorageError(
      'invalid',
      `${path} has format ${identity.format}; this version reads up to ${IDENTITY_FORMAT}: a newer Varve made it`,
    );
  }
  if (fileSystem.exists(restore)) placeRestoredLog(fileSystem, directory);
  return identity;
}

/** Whether there is nothing in a data directory that a restore would have to spare: not even what one left. */
export function isRestorable(fileSystem: FileSystem, directory: string): boolean {
  return !['varve.json', 'wal', 'bucket', 'quarantine'].some((name) => fileSystem.exists(`${directory}/${name}`));
}

/**
 * Puts the log that a restore has brought into `restore.tmp/wal` into its place: with the identity, which is written first,
 * the restore is done, and what a crash leaves open is brought to its end at the next start.
 */
export function adoptRestoredLog(
  fileSystem: FileSystem,
  directory: string,
  identity: Omit<Identity, 'format'> & { readonly restored: RestoredFrom },
): void {
  syncParents(fileSystem, directory);
  writeIdentity(fileSystem, directory, { format: IDENTITY_FORMAT, ...identity });
  placeRestoredLog(fileSystem, directory);
}

/** The log is this epoch's own from now on. */
export function finishRestore(fileSystem: FileSystem, directory: string, { instance, epoch }: Identity): Identity {
  return writeIdentity(fileSystem, directory, { format: IDENTITY_FORMAT, instance, epoch });
}

function placeRestoredLog(fileSystem: FileSystem, directory: string): void {
  const restore = `${directory}/${RESTORE_DIRECTORY}`;
  if (fileSystem.exists(`${restore}/wal`)) {
    fileSystem.rename(`${restore}/wal`, `${directory}/wal`);
    fileSystem.syncDirectory(directory);
    fileSystem.syncDirectory(restore);
  }
  fileSystem.remove(restore);
  fileSystem.syncDirectory(directory);
}

/** Makes the name of a new directory durable, and those of its parents: any of them may be new. */
function syncParents(fileSystem: FileSystem, directory: string): void {
  for (let path = directory; dirname(path) !== path; ) {
    path = dirname(path);
    try {
      fileSystem.syncDirectory(path);
    } catch (error) {
      // What may not be synced was not made by us either.
      if (!isSystemError(error) || !NOT_OURS.has(error.code ?? '')) throw error;
    }
  }
}

function parseIdentity(bytes: Uint8Array, path: string): Identity {
  try {
    const identity = JSON.parse(new TextDecoder().decode(bytes)) as Partial<Identity>;
    const { format, instance, epoch, restored } = identity;
    const isRestored = restored === undefined || Number.isInteger(restored.epoch);
    if (Number.isInteger(format) && typeof instance === 'string' && Number.isInteger(epoch) && isRestored)
      return { format, instance, epoch, ...(restored === undefined ? {} : { restored }) } as Identity;
  } catch {
    // Falls through to the same error: it is not what we wrote.
  }
  throw new CorruptionError(path, 0, 'not an identity of a data directory');
}

function writeIdentity(fileSystem: FileSystem, directory: string, identity: Identity): Identity {
  const path = `${directory}/${IDENTITY_FILE}`;
  // One that could not be synced may have been left there: that file is not to be written again.
  fileSystem.remove(`${path}.tmp`);
  const file = fileSystem.open(`${path}.tmp`, 'create');
  file.write(new TextEncoder().encode(`${JSON.stringify(identity)}\n`), 0);
  file.sync();
  file.close();
  fileSystem.rename(`${path}.tmp`, path);
  fileSystem.syncDirectory(directory);
  return identity;
}
