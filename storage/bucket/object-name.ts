/** Names of objects, as every store and every directory can hold them. */
import { StorageError } from '../lib/errors.ts';

/** The name as it is. Throws StorageError 'invalid' for one that some store or a directory could not hold. */
export function checkedName(name: string): string {
  const isRefused = name.split('/').some((part) => part === '' || part === '.' || part === '..');
  // Control characters cannot be written in the XML of a listing; Azure makes slashes of backslashes; S3 takes 1024 bytes.
  if (isRefused || /[\p{Cc}\\]/u.test(name) || !name.isWellFormed() || Buffer.byteLength(name) > 1024)
    throw new StorageError('invalid', `${JSON.stringify(name)} is no name of an object`);
  return name;
}
