import { beforeEach, expect, test } from 'vitest';
import { readIdentity } from '../../storage/data-directory.ts';
import { CorruptionError } from '../../storage/lib/errors.ts';
import { FaultyFileSystem } from '../support/faulty-file-system.ts';
import { SimFileSystem, seededChance } from '../support/sim-file-system.ts';

let disk: SimFileSystem;
beforeEach(() => {
  disk = new SimFileSystem();
  disk.makeDirectory('/var/lib/varve');
});

function put(text: string): void {
  const file = disk.open('/var/lib/varve/varve.json', 'create');
  file.write(new TextEncoder().encode(text), 0);
}

const read = (instance = 'NEW') => readIdentity(disk, '/var/lib/varve', () => instance);

test('a directory gets its identity once, and keeps it, also when the power fails right after', () => {
  for (let seed = 0; seed < 20; seed++) {
    disk = new SimFileSystem();
    disk.makeDirectory('/var/lib/varve');
    expect(read('ONE')).toEqual({ format: 1, instance: 'ONE', epoch: 1 });
    disk.crash(seededChance(seed));
    expect(read('TWO')).toEqual({ format: 1, instance: 'ONE', epoch: 1 });
  }
});

test('parents that belong to others need not be synced', () => {
  const faulty = new FaultyFileSystem(disk, { at: 3, code: 'EROFS', calls: ['syncDirectory'] });
  expect(readIdentity(faulty, '/var/lib/varve', () => 'ONE').instance).toBe('ONE');
  disk.remove('/var/lib/varve/varve.json');
  faulty.breakAt({ at: 1, code: 'EIO', calls: ['syncDirectory'] });
  expect(() => readIdentity(faulty, '/var/lib/varve', () => 'TWO')).toThrow('EIO');
});

test('a directory of a newer version is refused by the names of the file and the formats', () => {
  put('{"format": 2, "instance": "X", "epoch": 1}');
  expect(() => read()).toThrow(
    expect.objectContaining({
      kind: 'invalid',
      message: '/var/lib/varve/varve.json has format 2; this version reads up to 1: a newer Varve made it',
    }),
  );
});

test.each(['', '{', '[]', 'null', '{"format": 1}', '{"format": 1, "instance": 7, "epoch": 1}', '\u0000\u0000'])(
  'a damaged identity (%j) is an error that names the file, and is not overwritten',
  (text) => {
    put(text);
    expect(() => read()).toThrow(CorruptionError);
    expect(() => read()).toThrow('/var/lib/varve/varve.json');
  },
);
