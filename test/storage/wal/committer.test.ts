import { expect, test } from 'vitest';
import { FaultyFileSystem } from '../../support/faulty-file-system.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';
import { committerOf, isDurable, payloadOf, Ring, range, readAll, recover } from './log.ts';

function disk(): SimFileSystem {
  const made = new SimFileSystem();
  made.makeDirectory('/data');
  made.syncDirectory('/');
  return made;
}

test('frames come back in order, and survive a power cut right after the commit', () => {
  const fileSystem = disk();
  const ring = new Ring(4096);
  const committer = committerOf(ring, fileSystem, { segmentBytes: 65_536 });
  expect(committer.commit()).toBeUndefined();
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 7; i++) ring.append(payloadOf(ring.nextSequence, 1 + i * 11));
    expect(committer.commit()).toEqual({ durable: ring.word('head'), recovered: false });
    expect(ring.word('tail')).toBe(ring.word('head'));
  }
  expect(ring.word('syncs')).toBe(10);
  expect(ring.word('segment')).toBe(1);
  fileSystem.crash(seededChance(1));
  const { sequences, payloads, report } = recover(fileSystem);
  expect(sequences).toEqual(range(1, 70));
  expect(payloads.get(70)).toEqual(payloadOf(70, 67));
  expect(report).toMatchObject({
    nextSequence: 71,
    nextGeneration: 2,
    nextSegment: 2,
    damages: [],
    gaps: [],
    tornTails: [],
  });
});

test('a batch may wrap in the ring at any offset, and positions may pass 2^32', () => {
  const frameLength = 24 + 40;
  for (let shift = 0; shift < 256; shift++) {
    const fileSystem = disk();
    const ring = new Ring(256, 2 ** 32 - 256 + shift);
    const committer = committerOf(ring, fileSystem, { segmentBytes: 4096 });
    for (let i = 0; i < 6; i++) {
      ring.append(payloadOf(ring.nextSequence, 40));
      if (i % 2 === 1) ring.append(payloadOf(ring.nextSequence, 40));
      expect(isDurable(committer.commit())).toBe(true);
    }
    expect(ring.word('tail')).toBe((2 ** 32 - 256 + shift + 9 * frameLength) % 2 ** 32);
    const { sequences, payloads } = recover(fileSystem);
    expect(sequences).toEqual(range(1, 9));
    for (const sequence of sequences) expect(payloads.get(sequence)).toEqual(payloadOf(sequence, 40));
  }
});

test('a full segment is followed by the next at a frame border, also within one batch', () => {
  const fileSystem = disk();
  const ring = new Ring(8192);
  const committer = committerOf(ring, fileSystem, { segmentBytes: 500 });
  for (let i = 0; i < 50; i++) ring.append(payloadOf(ring.nextSequence, 100));
  committer.commit();
  expect(ring.word('segment')).toBe(17);
  for (let number = 1; number < 17; number++) {
    const bytes = readAll(fileSystem, `/data/wal/${String(number).padStart(8, '0')}`);
    expect(bytes.length).toBe(32 + 3 * 124);
    expect(new TextDecoder().decode(bytes.subarray(0, 8))).toBe('VARVEWAL');
  }
  expect(recover(fileSystem)).toMatchObject({
    sequences: range(1, 50),
    report: { nextSegment: 18, gaps: [], damages: [] },
  });
});

test('a frame longer than a segment gets one of its own', () => {
  const fileSystem = disk();
  const ring = new Ring(8192);
  const committer = committerOf(ring, fileSystem, { segmentBytes: 500 });
  for (const length of [10, 3000, 10]) ring.append(payloadOf(ring.nextSequence, length));
  committer.commit();
  expect(ring.word('segment')).toBe(3);
  expect(recover(fileSystem).payloads.get(2)).toEqual(payloadOf(2, 3000));
});

test('a long batch is written in pieces of whole frames, and none is lost when one of them fails', () => {
  const mebibytes = [1.5, 1.5, 1.5, 5, 0.3, 1.5];
  // Pieces: two frames, one, the long one alone, two. The ring wraps in the long one.
  for (const failing of [2, 4]) {
    const sim = disk();
    const fileSystem = new FaultyFileSystem(sim);
    const ring = new Ring(2 ** 24, 2 ** 32 - 6 * 2 ** 20);
    const committer = committerOf(ring, fileSystem, { segmentBytes: 2 ** 26 });
    for (const length of mebibytes) ring.append(payloadOf(ring.nextSequence, length * 2 ** 20));
    fileSystem.breakAt({ at: failing, calls: ['write'], code: 'ENOSPC' });
    expect(committer.commit()).toEqual({ failing: expect.stringContaining('ENOSPC') });
    expect(committer.commit()).toEqual({ durable: ring.word('head'), recovered: true });
    expect(ring.word('syncs')).toBe(1);
    sim.crash(seededChance(failing));
    const { sequences, payloads, report } = recover(sim);
    expect(sequences).toEqual(range(1, mebibytes.length));
    mebibytes.forEach((length, i) => {
      const payload = payloadOf(i + 1, length * 2 ** 20);
      expect(Buffer.compare(payloads.get(i + 1) ?? new Uint8Array(), payload)).toBe(0);
    });
    expect(report).toMatchObject({ damages: [], gaps: [], tornTails: [] });
  }
});

test('the next segment is made ahead of zeros, and used', () => {
  const fileSystem = disk();
  const ring = new Ring(8192);
  const committer = committerOf(ring, fileSystem, { segmentBytes: 1000 });
  ring.append(payloadOf(1));
  committer.growSpares();
  committer.commit();
  committer.growSpares();
  expect(readAll(fileSystem, '/data/wal/.spare')).toEqual(new Uint8Array(1000));
  while (ring.word('segment') === 1) {
    ring.append(payloadOf(ring.nextSequence));
    committer.commit();
    committer.growSpares();
  }
  expect(readAll(fileSystem, '/data/wal/00000002').length).toBe(1000);
  const { sequences, report } = recover(fileSystem);
  expect(sequences).toEqual(range(1, ring.nextSequence - 1));
  expect(report).toMatchObject({ damages: [], tornTails: [] });
  expect(fileSystem.exists('/data/wal/.spare')).toBe(false);
});

test('after a failed sync the file is never touched again and the same frames go into a new one', () => {
  const sim = disk();
  const fileSystem = new FaultyFileSystem(sim);
  const ring = new Ring(4096);
  const committer = committerOf(ring, fileSystem, { segmentBytes: 65_536 });
  ring.append(payloadOf(1));
  committer.commit();
  ring.append(payloadOf(2));
  fileSystem.breakAt({ at: 1, calls: ['sync'], code: 'EIO' });
  expect(committer.commit()).toEqual({ failing: expect.stringContaining('EIO') });
  expect(ring.word('state')).toBe(1);
  expect(ring.word('tail')).not.toBe(ring.word('head'));
  ring.append(payloadOf(3));
  expect(committer.commit()).toEqual({ durable: ring.word('head'), recovered: true });
  expect(ring.word('state')).toBe(0);
  expect(ring.word('segment')).toBe(2);
  sim.crash(seededChance(4));
  expect(recover(sim)).toMatchObject({ sequences: [1, 2, 3], report: { damages: [], gaps: [] } });
});

test('a frame whose sync failed before a kill is on disk for good once it was recovered', () => {
  for (let seed = 0; seed < 20; seed++) {
    const sim = disk();
    const fileSystem = new FaultyFileSystem(sim);
    const ring = new Ring(4096);
    const committer = committerOf(ring, fileSystem, { segmentBytes: 65_536 });
    ring.append(payloadOf(1));
    committer.commit();
    ring.append(payloadOf(2));
    fileSystem.breakAt({ at: 1, calls: ['sync'], code: 'EIO' });
    committer.commit();
    expect(recover(sim).sequences).toEqual([1, 2]);
    sim.crash(seededChance(seed));
    expect(recover(sim).sequences).toEqual([1, 2]);
  }
});

test('a full disk loses nothing, leaves no litter, and the log goes on once there is space', () => {
  const fileSystem = disk();
  const ring = new Ring(8192);
  const committer = committerOf(ring, fileSystem, { segmentBytes: 2000 });
  fileSystem.capacity = 3000;
  let acknowledged = 0;
  let failures = 0;
  for (let i = 0; i < 60; i++) {
    if (ring.freeBytes > 200) ring.append(payloadOf(ring.nextSequence, 100));
    if (isDurable(committer.commit())) acknowledged = ring.nextSequence - 1;
    else failures++;
    committer.growSpares();
  }
  expect(failures).toBeGreaterThan(20);
  expect(acknowledged).toBeGreaterThan(10);
  expect(fileSystem.list('/data/wal').length).toBeLessThanOrEqual(3);
  fileSystem.capacity = 1_000_000;
  expect(committer.commit()).toEqual({ durable: ring.word('head'), recovered: true });
  fileSystem.crash(seededChance(9));
  expect(recover(fileSystem)).toMatchObject({
    sequences: range(1, ring.nextSequence - 1),
    report: { damages: [], gaps: [] },
  });
});

test('spares keep pace with a log whose segments follow each other at every commit', () => {
  const fileSystem = disk();
  const ring = new Ring(2 ** 21);
  const segmentBytes = 3 * 2 ** 20;
  const committer = committerOf(ring, fileSystem, { segmentBytes });
  while (ring.word('segment') < 10) {
    ring.append(payloadOf(ring.nextSequence, 2 ** 21 - 24));
    committer.commit();
    committer.growSpares();
  }
  const sizes = range(1, 10).map(
    (number) => readAll(fileSystem, `/data/wal/${String(number).padStart(8, '0')}`).length,
  );
  // The first begins before there can be one, and the second after a single commit.
  expect(sizes.slice(2)).toEqual(Array(8).fill(segmentBytes));
});

test('below the floor of free space no spare is made, and the log says so while it can still be written', () => {
  const fileSystem = disk();
  const ring = new Ring(8192);
  Atomics.store(ring.words, ring.addresses.floor >> 2, 1);
  const committer = committerOf(ring, fileSystem, { segmentBytes: 2000 });
  const commit = (): boolean => {
    ring.append(payloadOf(ring.nextSequence, 1500));
    const isTaken = isDurable(committer.commit());
    while (committer.growSpares());
    return isTaken;
  };
  expect([commit(), committer.shortage]).toEqual([true, undefined]);
  fileSystem.capacity = fileSystem.usedBytes() + 2 ** 20;
  expect(commit()).toBe(true);
  expect(committer.shortage).toContain(`${2 ** 20} are kept`);
  const left = fileSystem.volume().freeBytes;
  // For what gives space back: one spare is left.
  expect(commit()).toBe(true);
  expect(fileSystem.volume().freeBytes).toBe(left);
  fileSystem.capacity += 10_000;
  expect(committer.growSpares()).toBe(true);
  expect(committer.shortage).toBeUndefined();
});

test('without a sync what is written survives a kill, stays in the ring, and is synced later', () => {
  const fileSystem = disk();
  const ring = new Ring(4096);
  const committer = committerOf(ring, fileSystem, { segmentBytes: 65_536 });
  for (let i = 0; i < 5; i++) {
    ring.append(payloadOf(ring.nextSequence));
    expect(committer.commit(false)).toEqual({ durable: 0, recovered: false });
    expect([committer.written, ring.word('tail'), ring.word('syncs')]).toEqual([ring.word('head'), 0, 0]);
  }
  expect(committer.commit(false)).toBeUndefined();
  expect(committer.commit()).toEqual({ durable: ring.word('head'), recovered: false });
  expect([committer.unsyncedBytes, ring.word('syncs')]).toEqual([0, 1]);
  fileSystem.crash(seededChance(3));
  expect(recover(fileSystem).sequences).toEqual(range(1, 5));
});

test('a sync that fails after several writes costs none of them', () => {
  for (const written of [1, 3]) {
    const sim = disk();
    const fileSystem = new FaultyFileSystem(sim);
    const ring = new Ring(4096);
    const committer = committerOf(ring, fileSystem, { segmentBytes: 200 });
    for (let i = 0; i < written; i++) {
      ring.append(payloadOf(ring.nextSequence));
      committer.commit(false);
    }
    fileSystem.breakAt({ at: 1, calls: ['sync'], code: 'EIO' });
    expect(committer.commit()).toEqual({ failing: expect.stringContaining('EIO') });
    expect(committer.commit()).toEqual({ durable: ring.word('head'), recovered: true });
    sim.crash(seededChance(written));
    expect(recover(sim).sequences).toEqual(range(1, written));
  }
});

test('a spare that cannot be made is no failure', () => {
  const sim = disk();
  const fileSystem = new FaultyFileSystem(sim);
  const ring = new Ring(4096);
  const committer = committerOf(ring, fileSystem, { segmentBytes: 1000 });
  ring.append(payloadOf(1));
  committer.commit();
  fileSystem.breakAt({ at: 1, calls: ['open'], code: 'EMFILE', sticky: true });
  expect([committer.growSpares(), committer.growSpares(), fileSystem.failed]).toEqual([false, false, 2]);
  expect([ring.word('state'), committer.shortage]).toEqual([0, undefined]);
  expect(sim.exists('/data/wal/.spare')).toBe(false);
  ring.append(payloadOf(2));
  expect(isDurable(committer.commit())).toBe(true);
  fileSystem.repair();
  while (committer.growSpares());
  expect(['.spare', '.spare-2'].filter((name) => sim.exists(`/data/wal/${name}`))).toHaveLength(2);
});

test('bytes in the ring that are no frames end the committer', () => {
  const ring = new Ring(4096);
  const committer = committerOf(ring, disk(), { segmentBytes: 100 });
  Atomics.store(ring.words, ring.addresses.head >> 2, 300);
  expect(() => committer.commit()).toThrow('no frame');
});

test('the place where the log is on disk up to is told, and is never behind the tail', () => {
  const fileSystem = disk();
  const ring = new Ring(8192);
  const committer = committerOf(ring, fileSystem, { segmentBytes: 500 });
  expect(ring.synced).toEqual({ segment: 0, offset: 0 });
  ring.append(payloadOf(1, 100));
  committer.commit();
  expect(ring.synced).toEqual({ segment: 1, offset: 32 + 124 });
  // Written and not synced, and then a segment that is full, which is synced in any case.
  ring.append(payloadOf(2, 100));
  committer.commit(false);
  expect(ring.synced).toEqual({ segment: 1, offset: 32 + 124 });
  for (const sequence of [3, 4]) ring.append(payloadOf(sequence, 100));
  committer.commit(false);
  expect(ring.synced).toEqual({ segment: 1, offset: 32 + 3 * 124 });
  committer.commit();
  expect(ring.synced).toEqual({ segment: 2, offset: 32 + 124 });
  expect(ring.word('tail')).toBe(ring.word('head'));
});
