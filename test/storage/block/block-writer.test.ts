import { expect, test } from 'vitest';
import { writeBlock } from '../../../storage/block/block-writer.ts';
import { parseMeta } from '../../../storage/block/meta.ts';
import {
  BLOCK_DIRECTORY,
  blockInput,
  bytesOf,
  EVER,
  expectedRead,
  openBlock,
  readAll,
  smallSeries,
  TEST_ULID,
  writtenBlock,
} from '../../support/blocks.ts';
import { FaultyFileSystem } from '../../support/faulty-file-system.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';

test('meta.json tells what was written, and comes last', () => {
  const fileSystem = writtenBlock(smallSeries);
  expect(fileSystem.paths().at(-1)).toBe(`${BLOCK_DIRECTORY}/meta.json`);
  const sizes = (name: string): number => bytesOf(fileSystem, name).length;
  expect(parseMeta(bytesOf(fileSystem, 'meta.json'), 'meta.json')).toEqual({
    ulid: TEST_ULID,
    minTime: 0,
    maxTime: 36,
    stats: { numSamples: 7, numFloatSamples: 7, numSeries: 3, numChunks: 4 },
    compaction: { level: 1, sources: [TEST_ULID] },
    version: 1,
    thanos: {
      version: 1,
      labels: { tenant_id: 'default-tenant' },
      downsample: { resolution: 0 },
      source: 'receive',
      segment_files: ['000001'],
      files: [
        { rel_path: 'chunks/000001', size_bytes: sizes('chunks/000001') },
        { rel_path: 'index', size_bytes: sizes('index') },
        { rel_path: 'meta.json' },
      ],
      index_stats: { series_max_size: 17, chunk_max_size: 22 },
    },
  });
});

test('extensions, labels and compaction are those given', () => {
  const fileSystem = new SimFileSystem();
  const varve = { format: 1, instance: 'i', epoch: 0, tenant: 't', window: 0, generation: 0, position: 9 };
  const compaction = { level: 2, sources: [TEST_ULID, TEST_ULID] };
  const meta = writeBlock(
    fileSystem,
    BLOCK_DIRECTORY,
    blockInput(smallSeries, {
      extensions: { varve },
      thanosLabels: { b: '1', a: '2' },
      compaction,
      resolutionMs: 300_000,
    }),
  );
  expect(Object.keys(meta.thanos?.labels ?? {})).toEqual(['a', 'b']);
  expect([meta.compaction, meta.thanos?.downsample, meta.thanos?.extensions]).toEqual([
    compaction,
    { resolution: 300_000 },
    { varve },
  ]);
});

test('a chunk outside the block, or series out of order, are refused and leave no meta.json', () => {
  const fileSystem = new SimFileSystem();
  const outside = blockInput(smallSeries, { maxTimeMs: 35 });
  expect(() => writeBlock(fileSystem, BLOCK_DIRECTORY, outside)).toThrow(/outside its block/);
  const input = blockInput(smallSeries);
  const unordered = { ...input, series: [...input.series].reverse() };
  expect(() => writeBlock(fileSystem, BLOCK_DIRECTORY, unordered)).toThrow(/label order/);
  expect(fileSystem.exists(`${BLOCK_DIRECTORY}/meta.json`)).toBe(false);
});

test('chunks of other encodings are handed on with their byte', async () => {
  const fileSystem = new SimFileSystem();
  const chunks = [
    { minTimeMs: 0, maxTimeMs: 1, encoding: 2, bytes: Uint8Array.of(0, 3, 0) },
    { minTimeMs: 2, maxTimeMs: 3, encoding: 0xff, bytes: new Uint8Array(0) },
  ];
  const input = { ...blockInput(smallSeries), symbols: ['a', 'b'], series: [{ labels: [0, 1], chunks }] };
  const meta = writeBlock(fileSystem, BLOCK_DIRECTORY, input);
  expect(meta.stats).toEqual({ numSamples: 3, numHistogramSamples: 3, numSeries: 1, numChunks: 2 });
  expect(await readAll(await openBlock(fileSystem), [], EVER)).toEqual([{ labels: ['a', 'b'], chunks }]);
});

test('wherever writing fails and the power with it, a whole meta.json means a whole block', async () => {
  const expected = expectedRead(smallSeries, [], EVER);
  let failures = 0;
  let whole = 0;
  for (let seed = 0; seed < 200; seed++) {
    const disk = new SimFileSystem();
    disk.makeDirectory('/bucket');
    disk.syncDirectory('/');
    const faults = new FaultyFileSystem(disk, { at: 1 + (seed % 20), sticky: true, code: 'EIO', written: 0.5 });
    let isWritten = false;
    try {
      writeBlock(faults, BLOCK_DIRECTORY, blockInput(smallSeries));
      disk.syncDirectory('/bucket');
      isWritten = true;
    } catch (error) {
      expect(error).toMatchObject({ code: 'EIO' });
      failures++;
    }
    disk.crash(seededChance(seed));
    const isThere = disk.exists(`${BLOCK_DIRECTORY}/meta.json`) && isJson(bytesOf(disk, 'meta.json'));
    if (isWritten) expect(isThere).toBe(true);
    if (isThere) {
      expect(await readAll(await openBlock(disk), [], EVER)).toEqual(expected);
      whole++;
    }
  }
  expect([failures > 50, whole > 20]).toEqual([true, true]);
});

function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder().decode(bytes));
    return true;
  } catch {
    return false;
  }
}

test('a failed write leaves no file open', () => {
  for (let at = 1; at < 15; at++) {
    const disk = new SimFileSystem();
    let open = 0;
    const faults = new FaultyFileSystem(disk, { at, sticky: true, code: 'ENOSPC' });
    const original = faults.open.bind(faults);
    faults.open = (path, mode) => {
      const file = original(path, mode);
      open++;
      const close = file.close.bind(file);
      return Object.assign(file, {
        close: () => {
          open--;
          close();
        },
      });
    };
    expect(() => writeBlock(faults, BLOCK_DIRECTORY, blockInput(smallSeries))).toThrow('ENOSPC');
    expect(open).toBe(0);
  }
});
