/** What every Bucket does. An implementation's test calls `testBucket` with a way to make an empty one. */
import { expect, test } from 'vitest';
import { type Bucket, bytesContent, type ObjectContent } from '../../../storage/bucket/bucket.ts';

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const content = (value: string) => bytesContent(new TextEncoder().encode(value));

/** Pseudorandom bytes, of which only those are held that were read last: what was read before must not be used. */
function largeContent(bytes: number, seed: number): ObjectContent {
  const buffer = Buffer.alloc(bytes);
  return {
    bytes,
    read(offset, length) {
      const part = buffer.subarray(0, length);
      for (let i = 0; i < length; i++) part[i] = byteAt(offset + i, seed);
      buffer.fill(0, length);
      return part;
    },
  };
}

function byteAt(offset: number, seed: number): number {
  return Math.imul(offset + seed, 0x9e3779b1) >>> 24;
}

function expectLarge(bytes: Uint8Array, { offset, length }: { offset: number; length: number }, seed: number): void {
  expect(bytes.length).toBe(length);
  const wrong = bytes.findIndex((byte, i) => byte !== byteAt(offset + i, seed));
  expect(wrong).toBe(-1);
}

async function names(bucket: Bucket, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const page of bucket.list(prefix)) {
    expect(page.length).toBeGreaterThan(0);
    found.push(...page.map(({ name }) => name));
  }
  return found;
}

/** `pageObjects`: how many objects the bucket lists at once, where that is few enough to see; `largeBytes`: more than two parts. */
export function testBucket(
  kind: string,
  make: () => Promise<Bucket>,
  { pageObjects, largeBytes = 1_000_001 }: { readonly pageObjects?: number; readonly largeBytes?: number } = {},
): void {
  test(`${kind}: an empty bucket has no objects and no directories`, async () => {
    const bucket = await make();
    expect(await names(bucket, '')).toEqual([]);
    expect(await bucket.directories('')).toEqual([]);
    for (const call of [() => bucket.get('a/b'), () => bucket.getRange('a/b', 0, 1), () => bucket.size('a/b')])
      await expect(call()).rejects.toMatchObject({ kind: 'not-found', message: expect.stringContaining('a/b') });
    expect(bucket.description).not.toBe('');
  });

  test(`${kind}: an object that was put is read whole and in ranges`, async () => {
    const bucket = await make();
    await bucket.put('a/object', content('0123456789'));
    expect(text(await bucket.get('a/object'))).toBe('0123456789');
    expect(text(await bucket.getRange('a/object', 2, 3))).toBe('234');
    expect(text(await bucket.getRange('a/object', 8, 100))).toBe('89');
    expect(text(await bucket.getRange('a/object', 10, 5))).toBe('');
    expect(text(await bucket.getRange('a/object', 1000, 5))).toBe('');
    expect(text(await bucket.getRange('a/object', 3, 0))).toBe('');
    expect(text(await bucket.getRange('a/object', 0, Number.MAX_SAFE_INTEGER))).toBe('0123456789');
    expect(await bucket.size('a/object')).toBe(10);
  });

  test(`${kind}: an empty object is one`, async () => {
    const bucket = await make();
    await bucket.put('empty', content(''));
    expect((await bucket.get('empty')).length).toBe(0);
    expect(await bucket.size('empty')).toBe(0);
    expect((await bucket.getRange('empty', 0, 10)).length).toBe(0);
    expect(await names(bucket, '')).toEqual(['empty']);
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

  test(`${kind}: a large object is put in parts and is the same afterwards, also in place of another`, async () => {
    const bucket = await make();
    for (const seed of [1, 2]) {
      await bucket.put('large', largeContent(largeBytes, seed));
      expect(await bucket.size('large')).toBe(largeBytes);
      expectLarge(await bucket.get('large'), { offset: 0, length: largeBytes }, seed);
      const offset = largeBytes - 700_000;
      expectLarge(await bucket.getRange('large', offset, 1_000_000), { offset, length: 700_000 }, seed);
    }
    expect(await names(bucket, '')).toEqual(['large']);
  });

  test(`${kind}: an upload of which the content cannot be read leaves what was there`, async () => {
    const bucket = await make();
    await bucket.put('a', content('before'));
    const broken: ObjectContent = {
      bytes: largeBytes,
      read(offset, length) {
        if (offset + length >= largeBytes) throw new Error('a bad sector');
        return new Uint8Array(length);
      },
    };
    await expect(bucket.put('a', broken)).rejects.toThrow('a bad sector');
    expect(text(await bucket.get('a'))).toBe('before');
    expect(await names(bucket, '')).toEqual(['a']);
  });

  if (pageObjects !== undefined)
    test(`${kind}: a listing goes on over its pages`, async () => {
      const bucket = await make();
      const count = 3 * pageObjects + 1;
      const all = Array.from({ length: count }, (_, i) => `many/${String(i).padStart(4, '0')}/x`);
      await Promise.all(all.map((name) => bucket.put(name, content('x'))));
      expect(await names(bucket, 'many/')).toEqual(all);
      expect(await bucket.directories('many/')).toEqual(all.map((name) => name.split('/')[1]));
      let pages = 0;
      for await (const page of bucket.list('')) pages += page.length <= pageObjects ? 1 : 100;
      expect(pages).toBe(4);
    });

  test.each(['', '/a', 'a/', 'a//b', 'a/../b', '.', 'a\nb', 'a\\b'])(
    `${kind}: %j is no name of an object`,
    async (name) => {
      const bucket = await make();
      for (const call of [
        () => bucket.put(name, content('x')),
        () => bucket.get(name),
        () => bucket.size(name),
        () => bucket.delete(name),
      ])
        await expect(call()).rejects.toMatchObject({ kind: 'invalid' });
    },
  );

  test(`${kind}: names that URLs and XML have other ideas about`, async () => {
    const bucket = await make();
    const all = ['!', '%2F', '&amp;<>"', "'()*", '+', ':@=,;$', '?x#y', 'a b/ c', '~', 'ü', '日本/語', '𝛼'];
    for (const name of all) await bucket.put(name, content(name));
    expect(await names(bucket, '')).toEqual([...all].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
    for (const name of all) {
      expect(text(await bucket.get(name))).toBe(name);
      expect(await names(bucket, name)).toEqual([name]);
      await bucket.delete(name);
    }
    expect(await names(bucket, '')).toEqual([]);
  });

  test(`${kind}: the directories below half a name`, async () => {
    const bucket = await make();
    for (const name of ['blocks/1', 'blobs/1', 'other/1', 'bl']) await bucket.put(name, content('x'));
    expect(await bucket.directories('bl')).toEqual(['obs', 'ocks']);
  });

  test(`${kind}: the same bucket for another purpose`, async () => {
    const bucket = await make();
    await bucket.for('upload').put('a', content('x'));
    expect(text(await bucket.for('query').get('a'))).toBe('x');
  });
}
