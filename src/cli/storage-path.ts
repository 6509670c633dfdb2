import { accessSync, constants, mkdirSync, realpathSync, statSync } from 'node:fs';
import { FlagError } from '../config/flags.ts';

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  EEXIST: 'it is not a directory',
  ENOTDIR: 'a part of the path is not a directory',
  ELOOP: 'the path is a loop of symbolic links',
  ENAMETOOLONG: 'the path is too long',
};

/**
 * Makes the data directory if it is not there and returns its absolute path. Throws FlagError, naming the path, for one
 * that cannot be used: the fault of the command line, not of the running server.
 */
export function openStoragePath(path: string): string {
  try {
    mkdirSync(path, { recursive: true });
    if (!statSync(path).isDirectory()) throw new FlagError(unusable(path, REASONS.EEXIST as string));
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    return realpathSync(path);
  } catch (error) {
    if (error instanceof FlagError) throw error;
    const { code = '', message } = error as NodeJS.ErrnoException;
    throw new FlagError(unusable(path, REASONS[code] ?? message), { cause: error });
  }
}

function unusable(path: string, reason: string): string {
  return `cannot use the data directory ${path} (--storage.path): ${reason}`;
}
