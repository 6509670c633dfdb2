import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { DiskPages, PAGE_BYTES } from '../../../storage/bucket/disk-pages.ts';
import { FaultyFileSystem } from '../../support/faulty-file-system.ts';
import { SimFileSystem } from '../../support/sim-file-system.ts';
import { SimClock } from '../../support/sim-machine.ts';

const SLOT_BYTES: number = 256 + PAGE_BYTES;
const FILE = '/cache/pages';

let disk: SimFileSystem;
let fileSystem: FaultyFileSystem;
let clock: SimClock;

beforeEach(() => {
  disk = new SimFileSystem();
  fileSystem = new FaultyFileSystem(disk);
  clock = new SimClock(1_700_000_000_000);
});

function open(slots: number, keepFreeBytes = 0): DiskPages {
  return new DiskPages({ fileSystem, clock, directory: '/cache', maxBytes: slots * SLOT_BYTES, keepFreeBytes });
}

const page = (fill: number, length = 100): Uint8Array => new Uint8Array(length).fill(fill);

test('what was put is there, for other threads and after a start too, until it is deleted', () => {
  const pages = open(8);
  expect(pages.get('a')).toBeUndefined();
  pages.put('a', page(1));
  pages.put('b', page(2, PAGE_BYTES));
  pages.put('c', page(3, 0));
  for (const reader of [pages, open(8)]) {
    expect(reader.get('a')).toEqual(page(1));
    expect(reader.get('b')).toEqual(page(2, PAGE_BYTES));
    expect(reader.get('c')).toEqual(page(3, 0));
  }
  pages.put('a', page(4, 50));
  expect(pages.get('a')).toEqual(page(4, 50));
  pages.delete('a');
  pages.delete('never');
  expect([pages.get('a'), pages.get('b')?.length]).toEqual([undefined, PAGE_BYTES]);
});

test('a page of one key is never given for another, and the file stays within its budget', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('get', 'put', 'delete'), fc.nat(40), fc.nat(255)), { maxLength: 200 }),
      (steps) => {
        fileSystem.remove('/cache');
        const pages = open(8);
        const last = new Map<string, number>();
        for (const [step, number, fill] of steps) {
          const key = `key ${number}`;
          if (step === 'put') {
            pages.put(key, page(fill));
            last.set(key, fill);
          } else if (step === 'delete') {
            pages.delete(key);
            last.delete(key);
          } else {
            const found = pages.get(key);
            if (found !== undefined) expect(found).toEqual(page(last.get(key) ?? -1));
          }
        }
        if (fileSystem.exists(FILE)) {
          const file = fileSystem.open(FILE, 'read');
          expect(file.size()).toBeLessThanOrEqual(8 * SLOT_BYTES);
          file.close();
        }
      },
    ),
    { numRuns: 50 },
  );
});

test('the page that was used longest ago makes room', () => {
  const pages = open(4); // One set: all keys share its four slots.
  for (const key of ['a', 'b', 'c', 'd']) {
    pages.put(key, page(1));
    clock.advance(100_000);
  }
  expect(pages.get('a')).toBeDefined();
  pages.put('e', page(2));
  expect(['a', 'b', 'c', 'd', 'e'].filter((key) => pages.get(key) !== undefined)).toEqual(['a', 'c', 'd', 'e']);
});

test('a damaged or torn slot is no page', () => {
  const pages = open(4);
  pages.put('a', page(7, 1000));
  const file = fileSystem.open(FILE, 'update');
  const size = file.size();
  const whole = new Uint8Array(size);
  file.read(whole, 0);
  for (let at = 0; at < 300; at++) {
    file.write(Uint8Array.of((whole[at] as number) ^ 0xff), at);
    const found = pages.get('a');
    // The stamp, and only the stamp, may be anything.
    if (at >= 4 && at < 8) expect(found).toEqual(page(7, 1000));
    else expect(found, String(at)).toBeUndefined();
    file.write(whole.subarray(0, size), 0);
  }
  file.truncate(size - 1);
  expect(pages.get('a')).toBeUndefined();
});

test('a file of a larger budget is cut, and one that is deleted is begun anew', () => {
  const large = open(400);
  for (let i = 0; i < 300; i++) large.put(`key ${i}`, page(i % 256));
  const small = open(8);
  small.put('x', page(1));
  const file = fileSystem.open(FILE, 'read');
  expect(file.size()).toBeLessThanOrEqual(8 * SLOT_BYTES);
  expect(small.get('x')).toEqual(page(1));
  fileSystem.remove(FILE);
  small.put('y', page(2));
  const again = open(8);
  expect(again.get('y')).toBeUndefined();
  again.put('z', page(3));
  expect(again.get('z')).toEqual(page(3));
});

test('nothing is written while the disk is short, and a disk that fails is left alone', () => {
  disk.capacity = 1000;
  const short = open(8, 10_000);
  short.put('a', page(1));
  expect(short.get('a')).toBeUndefined();
  disk.capacity = Number.POSITIVE_INFINITY;
  const failing = open(8);
  failing.put('a', page(1));
  fileSystem.breakAt({ at: 1, code: 'EIO' });
  failing.put('b', page(2));
  expect([failing.get('a'), failing.get('b')]).toEqual([undefined, undefined]);
});

test('a budget below four pages, or a key without end, keeps nothing', () => {
  const none = open(3);
  none.put('a', page(1));
  expect([none.get('a'), none.maxBytes, fileSystem.exists('/cache')]).toEqual([undefined, 0, false]);
  const pages = open(4);
  const key = 'k'.repeat(243);
  pages.put(key, page(1));
  expect(pages.get(key)).toBeUndefined();
});

test('a slot is these bytes', () => {
  const pages = open(4);
  pages.put('01ABC/index#0', page(0xaa, 4));
  const file = fileSystem.open(FILE, 'read');
  const set = new Uint8Array(file.size());
  file.read(set, 0);
  const start = set.findIndex((byte) => byte !== 0);
  const slot = set.subarray(start - (start % SLOT_BYTES));
  // The worked example of docs/formats/data-directory.md.
  expect(Buffer.from(slot.subarray(0, 28)).toString('hex')).toMatchInlineSnapshot(
    `"c89f68e46553f100000d0000000430314142432f696e646578233000"`,
  );
  expect(Buffer.from(slot.subarray(256, 260)).toString('hex')).toBe('aaaaaaaa');
});
