/**
 * The data directory: one owner, one identity.
 *
 *   varve.json   { "format": 1, "instance": ULID, "epoch": n }    who writes the log and the blocks cut from it
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
}

/** Reads the identity, or makes it with `newInstance`. Throws StorageError if a newer version made the directory. */
export function readIdentity(fileSystem: FileSystem, directory: string, newInstance: () => string): Identity {
  const path = `${directory}/${IDENTITY_FILE}`;
  if (!fileSystem.exists(path)) {
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
  return identity;
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
    const { format, instance, epoch } = JSON.parse(new TextDecoder().decode(bytes)) as Partial<Identity>;
    if (Number.isInteger(format) && typeof instance === 'string' && Number.isInteger(epoch))
      return { format, instance, epoch } as Identity;
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
