/** Bytes of the log that recovery could not make sense of are kept: `<data>/quarantine/wal-<file>-<offset>`. */
import type { FileSystem } from '../io/file-system.ts';
import { isSystemError } from '../io/system-error.ts';
import type { BadBytes } from './frame-reader.ts';
import type { LogFile } from './log-files.ts';
import { SalvagedFile } from './salvaged-file.ts';

/**
 * Copies bad bytes aside and returns the path of the copy; undefined if the disk cannot take it, which stops nobody. What
 * an earlier start copied is not copied again.
 */
export function keepAside(
  fileSystem: FileSystem,
  dataDirectory: string,
  file: LogFile,
  { offset, length }: BadBytes,
): string | undefined {
  const directory = `${dataDirectory}/quarantine`;
  const path = `${directory}/wal-${file.name}-${offset}`;
  if (fileSystem.exists(path)) return path;
  const source = new SalvagedFile(fileSystem, file.path);
  try {
    fileSystem.makeDirectory(directory);
    fileSystem.syncDirectory(dataDirectory);
    const target = fileSystem.open(path, 'create');
    try {
      source.copy(offset, length, target, 0);
      target.sync();
    } finally {
      target.close();
    }
    fileSystem.syncDirectory(directory);
    return path;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    fileSystem.remove(path);
    return undefined;
  } finally {
    source.close();
  }
}
