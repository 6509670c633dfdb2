import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SimFileSystem } from '../../support/sim-file-system.ts';
import { committerOf, Ring, readAll } from './log.ts';

test('the example of docs/formats/wal.md is what is written', () => {
  const fileSystem = new SimFileSystem();
  fileSystem.makeDirectory('/data');
  const ring = new Ring(1024);
  ring.generation = 3;
  ring.nextSequence = 1001;
  const committer = committerOf(ring, fileSystem, { segmentBytes: 4096, firstSegment: 7 });
  ring.append(Uint8Array.of(1, 0xaa, 0xbb));
  ring.append(Uint8Array.of(2, 0xcc));
  committer.commit();
  const page = readFileSync(new URL('../../../docs/formats/wal.md', import.meta.url), 'utf8');
  const lines = [...page.matchAll(/^00[0-9a-f]{2} {2}((?:[0-9a-f]{2} {1,2}){1,16})/gm)];
  expect(lines.length).toBe(6);
  const documented = Buffer.from(
    lines
      .map((line) => line[1])
      .join('')
      .replaceAll(' ', ''),
    'hex',
  );
  expect(Buffer.from(readAll(fileSystem, '/data/wal/00000007'))).toEqual(documented);
});
