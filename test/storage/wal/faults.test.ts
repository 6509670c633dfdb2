import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Call, type Fault, FaultyFileSystem } from '../../support/faulty-file-system.ts';
import { type Chance, SimFileSystem, seededChance } from '../../support/sim-file-system.ts';
import { committerOf, isDurable, payloadOf, Ring, range, recover } from './log.ts';

/** A log on a simulated disk, and which of its frames were acknowledged. */
class Scene {
  readonly disk: SimFileSystem = new SimFileSystem();
  readonly faulty: FaultyFileSystem = new FaultyFileSystem(this.disk);
  ring: Ring = new Ring(2048);
  readonly lengths: Map<number, number> = new Map();
  acknowledged: Set<number> = new Set();
  #firstSequence = 1;
  #committer = committerOf(this.ring, this.faulty, { segmentBytes: 1500 });

  constructor() {
    this.disk.makeDirectory('/data');
    this.disk.syncDirectory('/');
  }

  append(length: number): void {
    if (this.ring.freeBytes < 24 + length) return;
    this.lengths.set(this.ring.nextSequence, length);
    this.ring.append(payloadOf(this.ring.nextSequence, length));
  }

  /** Returns whether everything is durable now. */
  commit(): boolean {
    const outcome = this.#committer.commit();
    if (isDurable(outcome)) this.#committer.growSpares();
    const durable = outcome === undefined ? this.ring.freeBytes === 2048 : isDurable(outcome);
    // A round that fails may have made a part durable; that part counts as acknowledged too.
    let unacknowledged = (this.ring.word('head') - this.ring.word('tail')) >>> 0;
    for (let sequence = this.ring.nextSequence - 1; sequence >= this.#firstSequence; sequence--) {
      if (unacknowledged > 0) unacknowledged -= 24 + (this.lengths.get(sequence) as number);
      else this.acknowledged.add(sequence);
    }
    return durable;
  }

  /** The power fails; the program starts again. Nothing acknowledged is missing, nothing is doubled or invented. */
  crashAndRecover(chance: Chance): void {
    this.disk.crash(chance);
    this.#recover();
  }

  /** The program is killed; the disk keeps its cache. */
  killAndRecover(): void {
    this.#recover();
  }

  #recover(): void {
    this.faulty.repair();
    const { sequences, payloads, report } = recover(this.disk);
    expect(new Set(sequences).size).toBe(sequences.length);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    expect([...this.acknowledged].filter((sequence) => !payloads.has(sequence))).toEqual([]);
    for (const [sequence, payload] of payloads) {
      expect(payload).toEqual(payloadOf(sequence, this.lengths.get(sequence) ?? -1));
    }
    // What recovery delivered is durable: a later one must deliver it, too.
    this.acknowledged = new Set(sequences);
    expect(report.nextSequence).toBeGreaterThan(sequences.at(-1) ?? 0);
    this.ring = new Ring(2048);
    this.ring.nextSequence = report.nextSequence;
    this.#firstSequence = report.nextSequence;
    this.ring.generation = report.nextGeneration;
    this.#committer = committerOf(this.ring, this.faulty, { segmentBytes: 1500, firstSegment: report.nextSegment });
  }
}

function load(scene: Scene): void {
  for (let round = 0; round < 12; round++) {
    for (let i = 0; i <= round % 3; i++) scene.append(20 + ((round * 37 + i * 11) % 200));
    scene.commit();
  }
}

const RUNS = 1000;

const KINDS: [string, readonly Call[] | undefined, number][] = [
  ['any call', undefined, 0],
  ['a write that stops half-way', ['write'], 0.5],
  ['a write that stops just before its end', ['write'], 0.99],
  ['a sync', ['sync'], 0],
  ['a directory sync', ['syncDirectory'], 0],
];

for (const [name, calls, written] of KINDS) {
  for (const sticky of [false, true]) {
    test(`${name} fails at the n-th time, ${sticky ? 'from then on' : 'once'}: no acknowledged frame is lost or doubled`, () => {
      for (let at = 1; ; at++) {
        for (const code of ['EIO', 'ENOSPC'] as const) {
          const scene = new Scene();
          const fault: Fault = { at, sticky, code, written, ...(calls === undefined ? {} : { calls }) };
          scene.faulty.breakAt(fault);
          load(scene);
          if (scene.faulty.failed === 0) return;
          scene.crashAndRecover(seededChance(at));
          load(scene);
          expect(scene.commit() || scene.ring.freeBytes < 2048).toBe(true);
          scene.crashAndRecover(seededChance(at + 1000));
        }
      }
    });
  }
}

test('after a sticky failure ends, everything in the ring is made durable', () => {
  for (let at = 1; at < 60; at++) {
    const scene = new Scene();
    scene.faulty.breakAt({ at, sticky: true, code: 'ENOSPC', written: 0.7 });
    load(scene);
    scene.faulty.repair();
    scene.append(30);
    expect(scene.commit()).toBe(true);
    expect(scene.acknowledged).toEqual(new Set(range(1, scene.ring.nextSequence - 1)));
    scene.crashAndRecover(seededChance(at));
  }
});

test('power cuts and kills at random moments, with failures between, lose nothing acknowledged', () => {
  const step = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({ kind: fc.constant('append' as const), length: fc.integer({ min: 1, max: 700 }) }),
    },
    { weight: 6, arbitrary: fc.constant({ kind: 'commit' as const }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const), seed: fc.integer() }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'kill' as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'repair' as const }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('break' as const),
        at: fc.integer({ min: 1, max: 8 }),
        sticky: fc.boolean(),
        written: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    },
  );
  // fast-check prints the seed and the shortest failing run.
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), fc.integer(), (steps, seed) => {
      const scene = new Scene();
      for (const step of steps) {
        if (step.kind === 'append') scene.append(step.length);
        else if (step.kind === 'commit') scene.commit();
        else if (step.kind === 'crash') scene.crashAndRecover(seededChance(step.seed));
        else if (step.kind === 'kill') scene.killAndRecover();
        else if (step.kind === 'repair') scene.faulty.repair();
        else scene.faulty.breakAt({ ...step, code: 'EIO' });
      }
      scene.crashAndRecover(seededChance(seed));
    }),
    { numRuns: RUNS },
  );
});
