/** What a listing is held to. */
import { type BucketObject, compareUtf8, StorageError } from '../../storage/index.ts';

/** One answer of a store; names are whole, directories end with a slash. */
export interface Page {
  readonly objects: readonly BucketObject[];
  readonly directories: readonly string[];
}

/**
 * The last name of a page. Throws StorageError 'unavailable' for one that does not come after `last` and in order: a store
 * that repeats pages would be listed for ever, and one that does not sort would hide objects.
 */
export function checkPage({ objects, directories }: Page, last: string, store: string): string {
  let end = last;
  for (const names of [objects.map(({ name }) => name), directories]) {
    let before = last;
    for (const name of names) {
      if (compareUtf8(before, name) >= 0) {
        throw new StorageError(
          'unavailable',
          `${store}: list: ${JSON.stringify(name)} comes after ${JSON.stringify(before)}`,
        );
      }
      before = name;
    }
    if (compareUtf8(before, end) > 0) end = before;
  }
  return end;
}
