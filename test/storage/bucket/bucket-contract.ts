/** What every Bucket does. An implementation's test calls `testBucket` with a way to make an empty one. */
import { expect, test } from 'vitest';
import { type Bucket, bytesContent } from '../../../storage/bucket/bucket.ts';

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const content = (value: string) => bytesContent(new TextEncoder().encode(value));

async function names(bucket: Bucket, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const page of bucket.list(prefix)) {
    expect(page.length).toBeGreaterThan(0);
    found.push(...page.map(({ name }) => name));
  }
  return found;
}

export function testBucket(kind: string, make: () => Promise<Bucket>): void {
  test(`${kind}: an empty bucket has no objects and no directories`, async () => {
    const bucket = await make();
    expect(await names(bucket, '')).toEqual([]);
    expect(await bucket.directories('')).toEqual([]);
    for (const call of [bucket.get('a/b'), bucket.getRange('a/b', 0, 1), bucket.size('a/b')])
      await expect(call).rejects.toMatchObject({ kind: 'not-found', message: expect.stringContaining('a/b') });
    expect(bucket.description).not.toBe('');
  });

  test(`${kind}: an object that was put is read whole and in ranges`, async () => {
    const bucket = await make();
    await bucket.put('a/object', content('0123456789'));
    expect(text(await bucket.get('a/object'))).toBe('0123456789');
    expect(text(await bucket.getRange('a/object', 2, 3))).toBe('234');
    expect(text(await bucket.getRange('a/object', 8, 100))).toBe('89');
    expect(text(await bucket.getRange('a/object', 10, 5))).toBe('');
    expect(await bucket.size('a/object')).toBe(10);
  });

  test(`${kind}: an empty object is one`, async () => {
    const bucket = await make();
    await bucket.put('empty', content(''));
    expect((await bucket.get('empty')).length).toBe(0);
    expect(await bucket.size('empty')).toBe(0);
  });

  test(`${kind}: the last of two puts counts`, async () => {
    const bucket = await make();
    await bucket.put('a', content('the first, which is longer'));
    await bucket.put('a', content('the second'));
    expect(text(await bucket.get('a'))).toBe('the second');
  });

  test(`${kind}: objects are listed in name order with their sizes, below a prefix and whole`, async () => {
    const bucket = await make();
    const all = ['a/1', 'a/2/3', 'a0', 'ab', 'b/a b+c%d=é'];
    for (const name of [...all].reverse()) await bucket.put(name, content(name));
    expect(await names(bucket, '')).toEqual(all);
    expect(await names(bucket, 'a/')).toEqual(['a/1', 'a/2/3']);
    expect(await names(bucket, 'a')).toEqual(['a/1', 'a/2/3', 'a0', 'ab']);
    expect(await names(bucket, 'c')).toEqual([]);
    for await (const page of bucket.list('a/2/')) expect(page).toMatchObject([{ name: 'a/2/3', bytes: 5 }]);
    expect(text(await bucket.get('b/a b+c%d=é'))).toBe('b/a b+c%d=é');
  });

  test(`${kind}: directories are told from objects`, async () => {
    const bucket = await make();
    for (const name of ['a/1', 'a/2', 'b/c/d', 'e']) await bucket.put(name, content('x'));
    expect(await bucket.directories('')).toEqual(['a', 'b']);
    expect(await bucket.directories('b/')).toEqual(['c']);
    expect(await bucket.directories('e/')).toEqual([]);
  });

  test(`${kind}: what was deleted is gone, and may be deleted again`, async () => {
    const bucket = await make();
    await bucket.put('a/b/c', content('x'));
    await bucket.put('a/d', content('x'));
    for (let i = 0; i < 2; i++) await bucket.delete('a/b/c');
    expect(await names(bucket, '')).toEqual(['a/d']);
    expect(await bucket.directories('a/')).toEqual([]);
    await expect(bucket.get('a/b/c')).rejects.toMatchObject({ kind: 'not-found' });
  });
}
