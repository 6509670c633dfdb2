/** What a listing is held to, and what a bucket makes of its pages. */
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

/** The objects of the pages, whose names begin with the configured prefix, by their names in the bucket. */
export async function* objectsIn(pages: AsyncIterable<Page>, prefix: string): AsyncIterable<readonly BucketObject[]> {
  for await (const { objects } of pages)
    if (objects.length > 0) yield objects.map((object) => ({ ...object, name: object.name.slice(prefix.length) }));
}

/** What the names of the pages' directories have behind what was asked for, without a slash. */
export async function directoriesIn(pages: AsyncIterable<Page>, asked: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { directories } of pages)
    found.push(...directories.map((directory) => directory.slice(asked.length, -1)));
  return found;
}
