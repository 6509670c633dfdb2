import { beforeEach, expect, test } from 'vitest';
import { CheckpointWriter } from '../../../storage/wal/checkpoint.ts';
import type { WalCommitter } from '../../../storage/wal/committer.ts';
import { FaultyFileSystem } from '../../support/faulty-file-system.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';
import { committerOf, payloadOf, Ring, range, readAll, recover, writeAll } from './log.ts';

const CHECKPOINT = '/data/wal/checkpoint.00000003';

let fileSystem: SimFileSystem;
let ring: Ring;
let committer: WalCommitter;

/** Sixteen frames, four a segment. */
beforeEach(() => {
  fileSystem = new SimFileSystem();
  fileSystem.makeDirectory('/data');
  fileSystem.syncDirectory('/');
  ring = new Ring(4096);
  committer = committerOf(ring, fileSystem, { segmentBytes: 250 });
  appendFrames(16);
});

function appendFrames(count: number): void {
  for (let i = 0; i < count; i++) {
    ring.append(payloadOf(ring.nextSequence, 30));
    committer.commit();
  }
}

function writeCheckpoint(disk = new FaultyFileSystem(fileSystem), lastSegment = 3): void {
  const position = { generation: ring.generation, sequence: ring.nextSequence - 1 };
  const writer = new CheckpointWriter(disk, '/data', position);
  for (const sequence of range(1, 12)) writer.append(payloadOf(sequence, 30));
  writer.finish(lastSegment);
}

function segments(): string[] {
  return fileSystem
    .list('/data/wal')
    .map(({ name }) => name)
    .filter((name) => /^\d+$/.test(name));
}

const checkpointPayloads = range(1, 12).map((sequence) => payloadOf(sequence, 30));

test('a checkpoint replaces its segments, and recovery reads it before the rest', () => {
  writeCheckpoint();
  expect(segments()).toEqual(['00000004']);
  fileSystem.crash(seededChance(1));
  const { checkpoint, sequences, report } = recover(fileSystem);
  expect(checkpoint).toEqual(checkpointPayloads);
  expect(sequences).toEqual(range(13, 16));
  expect(report).toMatchObject({ gaps: [], damages: [], missingInCheckpoint: 0, nextSequence: 17, nextSegment: 5 });
});

test('a checkpoint of the whole log keeps the sequence and the segment number going', () => {
  writeCheckpoint(undefined, 4);
  expect(segments()).toEqual([]);
  const { sequences, report } = recover(fileSystem);
  expect(sequences).toEqual([]);
  expect(report).toMatchObject({ nextSequence: 17, nextGeneration: 2, nextSegment: 5 });
});

test('an older checkpoint goes with the next one', () => {
  writeCheckpoint();
  appendFrames(8);
  writeCheckpoint(undefined, 5);
  expect(fileSystem.exists(CHECKPOINT)).toBe(false);
  const { sequences, report } = recover(fileSystem);
  expect(sequences).toEqual(range(21, 24));
  expect(report.gaps).toEqual([]);
});

test('the first segment behind the checkpoint is missed when it is gone', () => {
  appendFrames(4);
  writeCheckpoint();
  fileSystem.remove('/data/wal/00000004');
  expect(recover(fileSystem)).toMatchObject({ sequences: range(17, 20), report: { gaps: [{ first: 13, last: 16 }] } });
});

test('records larger than the write buffer pass, and abort leaves nothing', () => {
  const writer = new CheckpointWriter(fileSystem, '/data', { generation: 1, sequence: 16 });
  writer.append(payloadOf(1));
  writer.append(payloadOf(2, 2_000_000));
  writer.append(payloadOf(3));
  expect(writer.bytes).toBe(32 + 3 * 24 + 20 + 2_000_000 + 20);
  expect(() => writer.append(new Uint8Array(5))).toThrow(RangeError);
  expect(() => writer.finish(-1)).toThrow(RangeError);
  writer.finish(3);
  expect(recover(fileSystem).checkpoint).toEqual([payloadOf(1), payloadOf(2, 2_000_000), payloadOf(3)]);
  const aborted = new CheckpointWriter(fileSystem, '/data', { generation: 1, sequence: 16 });
  aborted.append(payloadOf(1));
  aborted.abort();
  expect(fileSystem.exists('/data/wal/checkpoint.tmp')).toBe(false);
});

test('a failure or a crash at any call loses nothing: the old files or the checkpoint are there', () => {
  const before = fileSystem;
  for (let at = 1; ; at++) {
    fileSystem = new SimFileSystem();
    for (const { name } of before.list('/data/wal')) {
      fileSystem.makeDirectory('/data/wal');
      writeAll(fileSystem, `/data/wal/${name}`, readAll(before, `/data/wal/${name}`));
    }
    for (const path of ['/', '/data', '/data/wal']) fileSystem.syncDirectory(path);
    const disk = new FaultyFileSystem(fileSystem, { at, sticky: true, code: 'EIO', written: 0.5 });
    try {
      writeCheckpoint(disk);
    } catch (error) {
      expect(error).toMatchObject({ code: 'EIO' });
    }
    fileSystem.crash(seededChance(at));
    const { checkpoint, sequences, report } = recover(fileSystem);
    if (checkpoint.length > 0) expect(checkpoint).toEqual(checkpointPayloads);
    expect(sequences).toEqual(checkpoint.length > 0 ? range(13, 16) : range(1, 16));
    expect(report).toMatchObject({ gaps: [], damages: [], nextSequence: 17 });
    if (disk.failed === 0) break;
  }
});

test('a checkpoint cut at any byte is left out while its segments are there, and used when they are not', () => {
  const old = segments().map((name) => [name, readAll(fileSystem, `/data/wal/${name}`)] as const);
  writeCheckpoint();
  const whole = readAll(fileSystem, CHECKPOINT);
  for (let size = 0; size < whole.length; size++) {
    writeAll(fileSystem, CHECKPOINT, whole.subarray(0, size));
    for (const [name] of old.slice(0, 3)) fileSystem.remove(`/data/wal/${name}`);
    const alone = recover(fileSystem);
    const frames = Math.max(0, Math.floor((size - 32) / 54));
    expect(alone.checkpoint).toEqual(checkpointPayloads.slice(0, frames));
    expect(alone.sequences).toEqual(range(13, 16));
    expect(fileSystem.exists(CHECKPOINT)).toBe(true);
    for (const [name, bytes] of old) writeAll(fileSystem, `/data/wal/${name}`, bytes);
    expect(recover(fileSystem)).toMatchObject({ checkpoint: [], sequences: range(1, 16), report: { gaps: [] } });
    expect(fileSystem.exists(CHECKPOINT)).toBe(false);
  }
});

test('a flip of any byte of a checkpoint costs at most the record that covers it', () => {
  writeCheckpoint();
  const whole = readAll(fileSystem, CHECKPOINT);
  for (let offset = 0; offset < whole.length; offset++) {
    const flipped = whole.slice();
    flipped[offset] = ~(whole[offset] as number);
    writeAll(fileSystem, CHECKPOINT, flipped);
    const { checkpoint, sequences, report } = recover(fileSystem);
    const hit = offset < 32 ? -1 : Math.floor((offset - 32) / 54);
    expect(checkpoint).toEqual(checkpointPayloads.filter((_, index) => index !== hit));
    expect(sequences).toEqual(range(13, 16));
    expect(report.damages.length).toBe(1);
    expect(report.missingInCheckpoint).toBe(hit >= 0 && hit < 12 ? 1 : 0);
    expect(report.nextSequence).toBe(17);
  }
});

test('a file that could not be synced, nor removed, is not the file of the next checkpoint', () => {
  const faulty = new FaultyFileSystem(fileSystem, { at: 1, calls: ['sync'], code: 'EIO' });
  // A file of other content, as large as the next one: what is left of it must not show through.
  const failed = new CheckpointWriter(faulty, '/data', { generation: 1, sequence: 16 });
  for (const sequence of range(101, 112)) failed.append(payloadOf(sequence, 30));
  expect(() => failed.finish(3)).toThrow('EIO');
  writeCheckpoint();
  for (let seed = 0; seed < 10; seed++) {
    fileSystem.crash(seededChance(seed));
    const { checkpoint, sequences } = recover(fileSystem);
    expect(checkpoint).toEqual(checkpointPayloads);
    expect(sequences).toEqual(range(13, 16));
  }
});
