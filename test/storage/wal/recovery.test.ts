import { expect, test } from 'vitest';
import { crc32c } from '../../../storage/lib/crc32c.ts';
import { encodeFrame } from '../../../storage/wal/frame.ts';
import { recoverWal } from '../../../storage/wal/recovery.ts';
import { encodeFileHeader, readFileHeader } from '../../../storage/wal/segment.ts';
import { FaultyFileSystem } from '../../support/faulty-file-system.ts';
import { SimFileSystem } from '../../support/sim-file-system.ts';
import { committerOf, payloadOf, Ring, range, readAll, recover, writeAll } from './log.ts';

/** A frame of the log as it lies on disk. */
interface Place {
  readonly path: string;
  readonly from: number;
  readonly to: number;
  readonly sequence: number;
}

/** Five segments of four frames; the last one has zeros behind its frames. */
function smallLog(): { files: Map<string, Uint8Array>; places: Place[] } {
  const fileSystem = new SimFileSystem();
  fileSystem.makeDirectory('/data');
  const ring = new Ring(1024);
  const committer = committerOf(ring, fileSystem, { segmentBytes: 250 });
  for (let i = 0; i < 20; i++) {
    ring.append(payloadOf(ring.nextSequence, 30));
    committer.commit();
    committer.growSpares();
  }
  committer.close();
  const places = [...recoverWal(fileSystem, '/data').frames()].map(({ segment, offset, sequence }) => {
    return { path: `/data/wal/${String(segment).padStart(8, '0')}`, from: offset, to: offset + 54, sequence };
  });
  const paths = [...new Set(places.map(({ path }) => path))];
  return { files: new Map(paths.map((path) => [path, readAll(fileSystem, path)])), places };
}

function diskWith(files: Map<string, Uint8Array>): SimFileSystem {
  const fileSystem = new SimFileSystem();
  fileSystem.makeDirectory('/data/wal');
  for (const [path, bytes] of files) writeAll(fileSystem, path, bytes);
  return fileSystem;
}

const log = smallLog();
const paths = [...log.files.keys()];

/** Recovers the small log with one file changed; every payload that comes back must be the one that was written. */
function recoverWith(path: string, change: (bytes: Uint8Array) => Uint8Array): ReturnType<typeof recover> {
  const files = new Map(log.files);
  files.set(path, change((files.get(path) as Uint8Array).slice()));
  const recovered = recover(diskWith(files));
  for (const [sequence, payload] of recovered.payloads) expect(payload).toEqual(payloadOf(sequence, 30));
  expect(recovered.sequences).toEqual([...recovered.sequences].sort((a, b) => a - b));
  return recovered;
}

test('the small log has several segments and is whole', () => {
  expect(paths.length).toBe(5);
  expect(log.places.map(({ sequence }) => sequence)).toEqual(range(1, 20));
});

test('a flip of any byte costs only the frame that covers it, and is reported', () => {
  for (const path of paths) {
    const length = (log.files.get(path) as Uint8Array).length;
    for (let offset = 0; offset < length; offset++) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const { sequences, report } = recoverWith(path, (bytes) => {
          bytes[offset] = (bytes[offset] as number) ^ mask;
          return bytes;
        });
        const hit = log.places.find((place) => place.path === path && place.from <= offset && offset < place.to);
        expect(sequences, `${path} at ${offset}`).toEqual(
          range(1, 20).filter((sequence) => sequence !== hit?.sequence),
        );
        const found = [...report.damages, ...report.tornTails];
        expect(found.some((bad) => bad.offset <= offset && offset < bad.offset + bad.length)).toBe(true);
        // Only the very last frame can look like one whose write was cut short.
        if (offset < 32 || (hit !== undefined && hit.sequence < 20)) expect(report.damages.length).toBe(1);
      }
    }
  }
}, 120_000);

test('a file cut at any byte loses what was cut and nothing else', () => {
  for (const path of paths) {
    const length = (log.files.get(path) as Uint8Array).length;
    for (let size = 0; size < length; size++) {
      const { sequences, report } = recoverWith(path, (bytes) => bytes.subarray(0, size));
      const lost = log.places.filter((place) => place.path === path && place.to > size).map(({ sequence }) => sequence);
      expect(sequences).toEqual(range(1, 20).filter((sequence) => !lost.includes(sequence)));
      if (path === paths.at(-1)) expect(report).toMatchObject({ damages: [], gaps: [] });
      else if (lost.length > 0) expect(report.gaps).toEqual([{ first: lost[0], last: lost.at(-1) }]);
    }
  }
});

test('garbage behind the last frame of the newest segment is a torn tail', () => {
  const { sequences, report } = recoverWith(paths.at(-1) as string, (bytes) => {
    const end = (log.places.at(-1) as Place).to;
    const longer = new Uint8Array(end + 200);
    longer.set(bytes.subarray(0, end));
    return longer.fill(0xab, end + 3, end + 100);
  });
  expect(sequences).toEqual(range(1, 20));
  expect(report.damages).toEqual([]);
  expect(report.tornTails).toEqual([{ file: '00000005', segment: 5, offset: 248, length: 100 }]);
});

test('zeroed and swapped sectors cost the frames in them, and their bytes are kept aside', () => {
  const fileSystem = new SimFileSystem();
  fileSystem.makeDirectory('/data');
  const ring = new Ring(65_536);
  const committer = committerOf(ring, fileSystem, { segmentBytes: 20_000 });
  for (let i = 0; i < 100; i++) ring.append(payloadOf(ring.nextSequence, 100 + i));
  committer.commit();
  const path = '/data/wal/00000001';
  const bytes = readAll(fileSystem, path);
  const places = [...recoverWal(fileSystem, '/data').frames()].filter(({ segment }) => segment === 1);
  for (let sector = 0; sector + 2 < Math.ceil(bytes.length / 512); sector++) {
    const from = sector * 512;
    const zeroed = bytes.slice().fill(0, from, from + 512);
    const swapped = bytes.slice();
    swapped.copyWithin(from, from + 512, from + 1024);
    swapped.set(bytes.subarray(from, from + 512), from + 512);
    for (const [damaged, until] of [
      [zeroed, from + 512],
      [swapped, from + 1024],
    ] as const) {
      writeAll(fileSystem, path, damaged);
      const { sequences, report } = recover(fileSystem);
      const untouched = places.filter(({ offset, payload }) => offset + 24 + payload.length <= from || offset >= until);
      for (const { sequence } of untouched) expect(sequences).toContain(sequence);
      expect(new Set(sequences).size).toBe(sequences.length);
      expect(report.damages.length).toBeGreaterThan(0);
      for (const { offset, length, quarantine } of report.damages) {
        expect(quarantine).toBe(`/data/quarantine/wal-00000001-${offset}`);
        expect(readAll(fileSystem, quarantine as string)).toEqual(damaged.subarray(offset, offset + length));
      }
      fileSystem.remove('/data/quarantine');
    }
  }
});

test('a sector that cannot be read costs the frames in its page, and the rest starts', () => {
  const fileSystem = new FaultyFileSystem(new SimFileSystem());
  fileSystem.makeDirectory('/data');
  const ring = new Ring(65_536);
  const committer = committerOf(ring, fileSystem, { segmentBytes: 60_000 });
  for (let i = 0; i < 100; i++) ring.append(payloadOf(ring.nextSequence, 500));
  committer.commit();
  const path = '/data/wal/00000001';
  const places = [...recoverWal(fileSystem, '/data').frames()];
  for (let page = 0; page < 13; page++) {
    fileSystem.unreadable = { path, from: page * 4096 + 700, to: page * 4096 + 1212 };
    const { sequences, report } = recover(fileSystem);
    const untouched = places.filter(({ offset }) => offset + 524 <= page * 4096 || offset >= (page + 1) * 4096);
    expect(sequences).toEqual(untouched.map(({ sequence }) => sequence));
    expect(report.damages).toContainEqual(expect.objectContaining({ offset: page * 4096 }));
  }
  fileSystem.unreadable = undefined;
  expect(recover(fileSystem).sequences).toEqual(range(1, 100));
});

test('a length field of zero or of 4 GiB is damage, not an order to read', () => {
  for (const length of [0, 0xffffffff, 0x00ffff00]) {
    const { sequences, report } = recoverWith(paths[1] as string, (bytes) => {
      new DataView(bytes.buffer).setUint32(32 + 54 + 4, length, true);
      return bytes;
    });
    expect(sequences).toEqual(range(1, 20).filter((sequence) => sequence !== 6));
    expect(report.gaps).toEqual([{ first: 6, last: 6 }]);
  }
});

test('a frame inside the payload of a damaged frame is not taken for one', () => {
  const fileSystem = new SimFileSystem();
  fileSystem.makeDirectory('/data');
  const ring = new Ring(65_536);
  const committer = committerOf(ring, fileSystem, { segmentBytes: 20_000 });
  ring.append(payloadOf(1));
  const inner = encodeFrame({ generation: 1, sequence: 3, payload: payloadOf(99) });
  ring.append(Uint8Array.from([1, 2, 3, ...inner, 4, 5, 6]));
  ring.append(payloadOf(3));
  committer.commit();
  const path = '/data/wal/00000001';
  const bytes = readAll(fileSystem, path);
  bytes[32 + 44 + 24] = 77;
  writeAll(fileSystem, path, bytes);
  const { sequences, payloads } = recover(fileSystem);
  expect(sequences).toEqual([1, 3]);
  expect(payloads.get(3)).toEqual(payloadOf(3));
});

test('a whole frame of another generation or of an older place is not taken', () => {
  for (const foreign of [
    { generation: 2, sequence: 21 },
    { generation: 1, sequence: 2 },
  ]) {
    const { sequences, report } = recoverWith(paths.at(-1) as string, (bytes) => {
      const end = (log.places.at(-1) as Place).to;
      const frame = encodeFrame({ ...foreign, payload: payloadOf(foreign.sequence, 30) });
      return Uint8Array.from([...bytes.subarray(0, end), ...frame]);
    });
    expect(sequences).toEqual(range(1, 20));
    expect(report).toMatchObject({ duplicates: 0, damages: [], tornTails: [{ length: 54 }] });
  }
});

test('a missing segment is a gap; a copied one adds nothing; a renamed one keeps its place', () => {
  const bytes = (index: number): Uint8Array => log.files.get(paths[index] as string) as Uint8Array;
  const missing = new Map(log.files);
  missing.delete(paths[2] as string);
  expect(recover(diskWith(missing))).toMatchObject({
    sequences: [...range(1, 8), ...range(13, 20)],
    report: { gaps: [{ first: 9, last: 12 }], damages: [] },
  });
  const copied = new Map(log.files).set('/data/wal/00000009', bytes(1));
  expect(recover(diskWith(copied))).toMatchObject({
    sequences: range(1, 20),
    report: { duplicates: 4, gaps: [], nextSegment: 10 },
  });
  const renamed = new Map(missing).set('/data/wal/00000009', bytes(2));
  expect(recover(diskWith(renamed))).toMatchObject({ sequences: range(1, 20), report: { gaps: [], damages: [] } });
  const emptied = new Map(log.files).set(paths[2] as string, new Uint8Array(0));
  expect(recover(diskWith(emptied)).report.gaps).toEqual([{ first: 9, last: 12 }]);
});

test('a damaged frame is taken from the copy that was written after a failure', () => {
  const copy = log.files.get(paths[1] as string) as Uint8Array;
  const damaged = copy.slice();
  damaged[120] = ~(damaged[120] as number);
  const files = new Map(log.files).set(paths[1] as string, damaged).set('/data/wal/00000009', copy);
  expect(recover(diskWith(files))).toMatchObject({ sequences: range(1, 20), report: { gaps: [], duplicates: 3 } });
});

test('a segment of a newer version is refused by the version that is needed, before anything is changed', () => {
  const newer = (log.files.get(paths[3] as string) as Uint8Array).slice();
  const view = new DataView(newer.buffer);
  view.setUint32(8, 7, true);
  view.setUint32(28, crc32c(newer.subarray(0, 28)), true);
  const fileSystem = diskWith(
    new Map(log.files).set(paths[3] as string, newer).set('/data/wal/.spare', new Uint8Array(9)),
  );
  const refusal = { kind: 'invalid', message: expect.stringMatching(/00000004 has format version 7.*version 7$/) };
  expect(() => recoverWal(fileSystem, '/data')).toThrow(expect.objectContaining(refusal));
  expect(fileSystem.exists('/data/wal/.spare')).toBe(true);
});

test('files of others stay, leftovers of ours go', () => {
  const files = new Map(log.files);
  for (const name of ['notes.txt', '1', '.spare', 'checkpoint.tmp']) files.set(`/data/wal/${name}`, new Uint8Array(3));
  const fileSystem = diskWith(files);
  expect(recover(fileSystem).sequences).toEqual(range(1, 20));
  const names = fileSystem.list('/data/wal').map(({ name }) => name);
  expect(names).toEqual([...paths.map((path) => path.slice(10)), '1', 'notes.txt'].sort());
});

test('an absent log is an empty one', () => {
  const fileSystem = new SimFileSystem();
  fileSystem.makeDirectory('/data');
  const { sequences, report } = recover(fileSystem);
  expect(sequences).toEqual([]);
  expect(report).toMatchObject({ nextSequence: 1, nextGeneration: 1, nextSegment: 1 });
});

test('what was written and not synced before a kill is durable after recovery', () => {
  const fileSystem = diskWith(log.files);
  fileSystem.syncDirectory('/');
  fileSystem.syncDirectory('/data');
  const file = fileSystem.open(paths.at(-1) as string, 'update');
  file.write(encodeFrame({ generation: 1, sequence: 21, payload: payloadOf(21, 30) }), file.size());
  file.close();
  expect(recover(fileSystem).sequences).toEqual(range(1, 21));
  fileSystem.crash(() => 0.9);
  expect(recover(fileSystem).sequences).toEqual(range(1, 21));
});

test('frames larger than the read buffer pass, and progress ends at the total', () => {
  const fileSystem = new SimFileSystem();
  fileSystem.makeDirectory('/data');
  const ring = new Ring(2 ** 23);
  const committer = committerOf(ring, fileSystem, { segmentBytes: 2 ** 24 });
  const big = new Uint8Array(3_000_000).fill(5);
  for (let i = 0; i < 12; i++) {
    ring.append(i % 2 === 0 ? big : payloadOf(i));
    committer.commit();
  }
  const progress: number[][] = [];
  const recovery = recoverWal(
    fileSystem,
    '/data',
    ({ replayedBytes, totalBytes, segment, firstSegment, lastSegment }) =>
      progress.push([replayedBytes, totalBytes, firstSegment, segment, lastSegment]),
  );
  const lengths = [...recovery.frames()].map(({ payload }) => payload.length);
  expect(lengths).toEqual([...Array(6)].flatMap(() => [3_000_000, 20]));
  expect(progress.at(-1)).toEqual([recovery.totalBytes, recovery.totalBytes, 1, 2, 2]);
  expect(() => recoverWal(fileSystem, '/data').report).toThrow(RangeError);
});

test('a header comes back, and a file without one has none', () => {
  const fileSystem = new SimFileSystem();
  const bytes = new Uint8Array(32);
  encodeFileHeader(bytes, 'segment', { number: 7, generation: 2, sequence: 2 ** 40 + 1 });
  writeAll(fileSystem, '/a', bytes);
  const file = fileSystem.open('/a', 'read');
  expect(readFileHeader(file, 'segment')).toEqual({ version: 1, number: 7, generation: 2, sequence: 2 ** 40 + 1 });
  expect(readFileHeader(file, 'checkpoint')).toBeUndefined();
});
