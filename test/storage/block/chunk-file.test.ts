import { expect, test } from 'vitest';
import { CorruptionError } from '../../../storage/lib/errors.ts';
import {
  BLOCK_DIRECTORY,
  bytesOf,
  EVER,
  expectedRead,
  openBlock,
  overwrite,
  type PlainSeries,
  readAll,
  smallSeries,
  writtenBlock,
} from '../../support/blocks.ts';

test('a segment begins with its magic and version, and a chunk is framed by length, encoding and checksum', () => {
  const fileSystem = writtenBlock([{ labels: ['a', 'b'], chunks: [[[1000, 1]]] }]);
  const segment = bytesOf(fileSystem, 'chunks/000001');
  expect(Buffer.from(segment).toString('hex')).toBe(
    `85bd40dd01000000${'0c'}${'01'}${'0001d00f3ff0000000000000'}${'b1834301'}`,
  );
});

test('chunks go to a new segment when one is full, and no chunk is split', async () => {
  const series: PlainSeries[] = Array.from({ length: 20 }, (_, i) => ({
    labels: ['n', `v${i}`],
    chunks: [
      [
        [0, i],
        [1, 0.1 * i],
      ],
    ],
  }));
  const fileSystem = writtenBlock(series, 100);
  const segments = fileSystem.list(`${BLOCK_DIRECTORY}/chunks`).map(({ name }) => name);
  expect(segments.slice(0, 3)).toEqual(['000001', '000002', '000003']);
  for (const name of segments) {
    expect(bytesOf(fileSystem, `chunks/${name}`).length).toBeLessThanOrEqual(100);
  }
  const reader = await openBlock(fileSystem);
  expect(reader.meta.thanos?.segment_files).toEqual(segments);
  expect(await readAll(reader, [], EVER)).toEqual(expectedRead(series, [], EVER));
});

test('a segment cut short anywhere is corrupt', async () => {
  const fileSystem = writtenBlock(smallSeries);
  const bytes = bytesOf(fileSystem, 'chunks/000001');
  const reader = await openBlock(fileSystem);
  for (let length = 0; length < bytes.length; length++) {
    overwrite(fileSystem, 'chunks/000001', bytes.slice(0, length));
    await expect(readAll(reader, [], EVER)).rejects.toThrow(CorruptionError);
  }
});
