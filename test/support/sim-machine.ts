/**
 * A machine for one database: a simulated disk whose power fails at a chosen call, a clock that moves when it is told to,
 * random bytes of a seed, and threads that are turns of the test's own event loop.
 */
import type { Clock } from '../../storage/io/clock.ts';
import { type Executor, inlineExecutor, loadActivity, nextTurn, type Port } from '../../storage/io/executor.ts';
import type { Random } from '../../storage/io/random.ts';
import { type Call, type Fault, FaultyFileSystem } from './faulty-file-system.ts';
import type { Chance, SimFileSystem } from './sim-file-system.ts';

/** What runs inline is there before the first turn is counted: loading takes turns that no seed knows of. */
const ACTIVITIES = ['wal/wal-thread.ts', 'head/background.ts', 'bucket/bucket-work.ts', 'ship/ship-thread.ts'];
await Promise.all(ACTIVITIES.map((path) => loadActivity(new URL(`../../storage/${path}`, import.meta.url))));

interface Timer {
  atMs: number;
  /** 0: once. */
  readonly everyMs: number;
  readonly callback: () => void;
}

/** A wait below it lasts some turns of the event loop, since no test moves its clock so finely. */
const SHORT_MS = 10;
const SHORT_TURNS = 5;

/** Stands still between calls of `advance`. */
export class SimClock implements Clock {
  readonly #timers = new Set<Timer>();
  #nowMs: number;
  #monotonicMs = 0;

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  every(everyMs: number, callback: () => void): () => void {
    return this.#add({ atMs: this.#monotonicMs + everyMs, everyMs, callback });
  }

  after(delayMs: number, callback: () => void): () => void {
    if (delayMs < SHORT_MS) return afterTurns(callback);
    return this.#add({ atMs: this.#monotonicMs + delayMs, everyMs: 0, callback });
  }

  /** Moves both clocks and calls what is due, once each, as after a long pause of the machine. */
  advance(ms: number): void {
    this.#nowMs += ms;
    this.#monotonicMs += ms;
    for (const timer of [...this.#timers]) {
      if (timer.atMs > this.#monotonicMs || !this.#timers.has(timer)) continue;
      if (timer.everyMs === 0) this.#timers.delete(timer);
      timer.atMs = this.#monotonicMs + timer.everyMs;
      timer.callback();
    }
  }

  /** Somebody sets the wall clock. */
  setWall(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  #add(timer: Timer): () => void {
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }
}

function afterTurns(callback: () => void): () => void {
  let isStopped = false;
  void (async () => {
    for (let i = 0; i < SHORT_TURNS; i++) await nextTurn();
    if (!isStopped) callback();
  })();
  return () => {
    isStopped = true;
  };
}

/** A file system with faults, whose machine loses power at a chosen changing call: from then on every one throws. */
export class PoweredFileSystem extends FaultyFileSystem {
  #callsLeft = Number.POSITIVE_INFINITY;
  #isOff = false;

  get isOff(): boolean {
    return this.#isOff;
  }

  /** How many more calls the disk answers. */
  cutPowerAfter(calls: number): void {
    this.#callsLeft = calls;
  }

  cutPower(): void {
    this.#isOff = true;
  }

  override check(call: Call, path: string, before?: (fault: Fault) => void): void {
    if (--this.#callsLeft < 0) this.#isOff = true;
    if (this.#isOff) throw new Error('the power is off');
    super.check(call, path, before);
  }
}

/** Between two losses of power. */
export class SimMachine {
  readonly fileSystem: PoweredFileSystem;
  readonly clock: SimClock;
  readonly random: Random;
  readonly executor: Executor;
  readonly #ports: Port[] = [];

  constructor(disk: SimFileSystem, nowMs: number, chance: Chance) {
    this.fileSystem = new PoweredFileSystem(disk);
    this.clock = new SimClock(nowMs);
    this.random = {
      fill(target) {
        for (let i = 0; i < target.length; i++) target[i] = chance() * 256;
      },
    };
    const inline = inlineExecutor(this);
    this.executor = {
      notify: inline.notify,
      start: (entry, init) => {
        const port = inline.start(entry, init);
        this.#ports.push(port);
        return port;
      },
    };
  }

  /** Lets what was begun go on for a while: the threads are turns of this event loop. */
  async turns(count = 20): Promise<void> {
    for (let i = 0; i < count; i++) await nextTurn();
  }

  /** Moves the clock by small steps until the condition holds. */
  async until(
    what: string,
    condition: () => boolean,
    { stepMs = 1000, steps = 200 }: { stepMs?: number; steps?: number } = {},
  ): Promise<void> {
    for (let i = 0; i < steps; i++) {
      if (condition()) return;
      this.clock.advance(stepMs);
      await this.turns();
    }
    throw new Error(`waited ${(steps * stepMs) / 1000} s for ${what}`);
  }

  /** What ran here runs no more. */
  stop(): void {
    this.fileSystem.cutPower();
    for (const port of this.#ports) port.close();
  }
}
