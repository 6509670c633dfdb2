import { expect, test } from 'vitest';
import { DirectoryBlockFiles } from '../../../storage/block/block-files.ts';
import { BLOCK_DIRECTORY, EVER, openBlock, readAll, smallSeries, writtenBlock } from '../../support/blocks.ts';

test('files are opened once and closed together', async () => {
  const fileSystem = writtenBlock(smallSeries);
  let open = 0;
  let opened = 0;
  const original = fileSystem.open.bind(fileSystem);
  fileSystem.open = (path, mode) => {
    const file = original(path, mode);
    open++;
    opened++;
    return Object.assign(file, { close: () => void open-- });
  };
  const files = new DirectoryBlockFiles(fileSystem, BLOCK_DIRECTORY);
  const reader = await openBlock(fileSystem, files);
  await readAll(reader, [], EVER);
  await readAll(reader, [], EVER);
  // Index and segment; meta.json was closed again.
  expect([open, opened]).toEqual([2, 3]);
  files.close();
  expect(open).toBe(0);
});
