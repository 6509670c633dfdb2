import { expect, test } from 'vitest';
import { type BlockFiles, DirectoryBlockFiles } from '../../../storage/block/block-files.ts';
import { writeBlock } from '../../../storage/block/block-writer.ts';
import type { Chunk } from '../../../storage/model/series-source.ts';
import { BLOCK_DIRECTORY, blockInput, EVER, openBlock, smallSeries } from '../../support/blocks.ts';
import { SimFileSystem } from '../../support/sim-file-system.ts';

/** Counts and keeps every ranged read. */
class CountedFiles implements BlockFiles {
  readonly reads: { name: string; offset: number; length: number }[] = [];
  readonly gapBytes: number;
  readonly readsAtOnce: number;
  readonly aheadBytes: number;
  readonly #files: BlockFiles;

  constructor(files: BlockFiles) {
    this.#files = files;
    this.gapBytes = files.gapBytes;
    this.readsAtOnce = files.readsAtOnce;
    this.aheadBytes = files.aheadBytes;
  }

  read(name: string, offset: number, length: number): Promise<Uint8Array> {
    this.reads.push({ name, offset, length });
    return this.#files.read(name, offset, length);
  }

  size(name: string): Promise<number> {
    return this.#files.size(name);
  }
}

/** A chunk of an encoding that nobody knows, of so many bytes. */
function foreignChunk(minTimeMs: number, size: number): Chunk {
  return { minTimeMs, maxTimeMs: minTimeMs, encoding: 0xff, bytes: new Uint8Array(size).fill(minTimeMs) };
}

test('close chunks are read together, distant ones and those of 8 MiB apart', async () => {
  const sizes = [100, 100, 30_000, 100, 90_000, 100, 5_000_000, 5_000_000, 100];
  const fileSystem = new SimFileSystem();
  writeBlock(fileSystem, BLOCK_DIRECTORY, {
    ...blockInput(smallSeries),
    symbols: ['n', ...sizes.map((_, i) => `v${i}`)],
    series: sizes.map((size, i) => ({ labels: [0, i + 1], chunks: [foreignChunk(i, size)] })),
  });
  const files = new CountedFiles(new DirectoryBlockFiles(fileSystem, BLOCK_DIRECTORY));
  const reader = await openBlock(fileSystem, files);
  const selected = await reader.select([], EVER);
  const readSizes = async (...which: number[]): Promise<number[]> => {
    files.reads.length = 0;
    const chunks = await reader.readChunks(
      which.map((i) => selected[i] as (typeof selected)[number]),
      EVER,
    );
    which.forEach((i, k) => {
      const [chunk] = chunks[k] as [Chunk];
      const expected = foreignChunk(i, sizes[i] as number);
      expect([chunk.minTimeMs, chunk.encoding]).toEqual([expected.minTimeMs, expected.encoding]);
      expect(Buffer.compare(chunk.bytes, expected.bytes)).toBe(0);
    });
    return files.reads.filter(({ name }) => name !== 'index').map(({ length }) => length);
  };
  expect(await readSizes(0, 1)).toHaveLength(1); // Neighbours.
  expect(await readSizes(1, 3)).toHaveLength(1); // 30 kB between them, of which the guess takes 16.
  expect(await readSizes(3, 5)).toHaveLength(2); // 90 kB between them, of which the guess takes 16.
  expect(await readSizes(2)).toHaveLength(2); // Longer than the guess: read again.
  expect(Math.max(...(await readSizes(0, 1, 2, 3, 4, 5, 6, 7, 8)))).toBeLessThanOrEqual(8 * 1024 * 1024);
  expect(await readSizes(5, 0, 3, 1)).toHaveLength(2); // In any order.
  expect(await readSizes(0, 0, 1, 1)).toHaveLength(1); // Repeated.
});
