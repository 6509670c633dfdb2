/**
 * The end of the server in the middle of everything, again and again: power cuts or kills under the load of four
 * senders, each at a moment when the log begins a segment, a block is cut or a checkpoint is written, or at any other.
 * After each the store is held against the senders' records.
 */
import { existsSync, type FSWatcher, readdirSync, watch } from 'node:fs';
import { join } from 'node:path';
import { DurableLoad } from '../support/durable-load.ts';
import { readStreamed } from '../support/remote-read.ts';
import { SmallDisk } from '../support/small-disk.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { pause, until } from '../support/until.ts';
import { Varve } from '../support/varve.ts';

const MOMENTS = ['segment', 'cut', 'checkpoint'] as const;
type Moment = (typeof MOMENTS)[number];

export interface CrashOptions {
  readonly kind: 'power-cut' | 'kill';
  readonly rounds: number;
  /** The negative control: a disk that does not sync. Only a power cut shows it. */
  readonly isUnsynced?: boolean;
  /** Of the server. */
  readonly flags?: readonly string[];
  readonly log?: (line: string) => void;
}

export interface CrashTally {
  rounds: number;
  acknowledged: number;
  refused: number;
  /** Rounds in which this was going on, or had just been, when the server ended. */
  readonly hits: Record<Moment, number>;
  /** What the store has otherwise than the answers promised. */
  readonly violations: string[];
  /** What the server said of damage in its log. */
  readonly damages: string[];
}

/** So many answers come before each crash. */
const ACKNOWLEDGED_BEFORE = 20;
/** A fresh directory now and then, so that the comparison of everything stays short. */
const ROUNDS_A_DIRECTORY = 20;
const DISK_BYTES = 512 * 2 ** 20;
/** Segments of a few dozen requests. */
const SEGMENT_BYTES = 16 * 1024;
/** Five minutes of data a request: a window of two hours every few dozen requests. */
const SHAPE = { series: 5, samples: 10, stepMs: 30_000 };
/** What has happened so shortly before the end counts as going on. */
const JUST_MS = 4;
/** A moment that does not come within this time is not waited for. */
const PATIENCE_MS = 2500;

export async function runCrashes(options: CrashOptions): Promise<CrashTally> {
  const tally: CrashTally = {
    rounds: 0,
    acknowledged: 0,
    refused: 0,
    hits: { segment: 0, cut: 0, checkpoint: 0 },
    violations: [],
    damages: [],
  };
  while (tally.rounds < options.rounds) {
    await runDirectory(options, Math.min(options.rounds - tally.rounds, ROUNDS_A_DIRECTORY), tally);
    options.log?.(crashLine(tally));
  }
  return tally;
}

export function crashLine({ rounds, acknowledged, refused, hits, violations, damages }: CrashTally): string {
  const moments = MOMENTS.map((moment) => `${hits[moment]} at a ${moment}`).join(', ');
  return `${rounds} rounds (${moments}), ${acknowledged} requests acknowledged, ${refused} refused, ${violations.length} violations, ${damages.length} reports of damage`;
}

async function runDirectory(options: CrashOptions, rounds: number, tally: CrashTally): Promise<void> {
  using disk = options.kind === 'power-cut' ? new SmallDisk(DISK_BYTES) : undefined;
  using temporary = new TemporaryDirectory('crashes');
  const directory = join(disk?.path ?? temporary.path, 'data');
  const machine = { segmentBytes: SEGMENT_BYTES, isUnsynced: options.isUnsynced ?? false };
  await using varve = await Varve.start({ directory, machine, flags: options.flags ?? [] });
  const load = new DurableLoad(SHAPE);
  const { journal } = load;
  for (let round = 0; round < rounds; round++) {
    const [acknowledged, refused] = [journal.count('acknowledged'), journal.count('refused')];
    const running = load.run(varve, () => false);
    await until('enough answers', () => journal.count('acknowledged') >= acknowledged + ACKNOWLEDGED_BEFORE, {
      everyMs: 2,
    });
    const wanted = [...MOMENTS, undefined][tally.rounds % (MOMENTS.length + 1)];
    for (const moment of await crashAt(wanted, varve, disk)) tally.hits[moment]++;
    await running;
    disk?.powerOn();
    await varve.restart(options.flags);
    tally.rounds++;
    tally.acknowledged += journal.count('acknowledged') - acknowledged;
    tally.refused += journal.count('refused') - refused;
    const violations = journal.violations(await readStreamed(varve.url, load.wholeRange));
    tally.violations.push(...violations);
    tally.damages.push(...varve.output.split('\n').filter((line) => line.includes('damage in the WAL')));
    // What is lost once is missing in every later round.
    if (violations.length > 0) return;
  }
}

/** Ends the server when the moment has come, or after a random while; answers what was going on then. */
async function crashAt(wanted: Moment | undefined, varve: Varve, disk: SmallDisk | undefined): Promise<Moment[]> {
  const { directory, pid } = varve;
  using watched = new Watched(directory);
  if (wanted === undefined) await pause(Math.random() * 50);
  else await watched.next(wanted);
  process.kill(pid, disk === undefined ? 'SIGKILL' : 'SIGSTOP');
  const endedMs = performance.now();
  if (disk !== undefined) await disk.stop(pid);
  await watched.settle();
  const going = MOMENTS.filter((moment) => endedMs - watched.lastMs(moment) <= JUST_MS || isGoingOn(moment, directory));
  if (disk !== undefined) await disk.cutPower(pid);
  await varve.kill();
  return going;
}

/** As the files say. */
function isGoingOn(moment: Moment, directory: string): boolean {
  if (moment === 'checkpoint') return existsSync(join(directory, 'wal/checkpoint.tmp'));
  return moment === 'cut' && readdirSync(join(directory, 'blocks')).length > 0;
}

/** When something of each kind last happened in the data directory. */
class Watched implements Disposable {
  readonly #watchers: FSWatcher[];
  readonly #lastMs = new Map<Moment, number>();
  #waiting: { readonly moment: Moment; readonly wake: () => void } | undefined;

  constructor(directory: string) {
    this.#watchers = [
      watch(join(directory, 'wal'), (event, name) => {
        if (event !== 'rename' || name === null) return;
        if (/^\d+$/.test(name)) this.#note('segment');
        if (name.startsWith('checkpoint')) this.#note('checkpoint');
      }),
      watch(join(directory, 'blocks'), (event) => {
        if (event === 'rename') this.#note('cut');
      }),
    ];
  }

  lastMs(moment: Moment): number {
    return this.#lastMs.get(moment) ?? Number.NEGATIVE_INFINITY;
  }

  /** Resolves within a few milliseconds after the next of its kind began, or after a while without one. */
  async next(moment: Moment): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, PATIENCE_MS);
      const wake = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.#waiting = { moment, wake };
    });
    const untilMs = performance.now() + Math.random() * 3;
    while (performance.now() < untilMs);
  }

  /** Lets in what had happened already. */
  async settle(): Promise<void> {
    await pause(1);
  }

  [Symbol.dispose](): void {
    for (const watcher of this.#watchers) watcher.close();
  }

  #note(moment: Moment): void {
    this.#lastMs.set(moment, performance.now());
    if (this.#waiting?.moment !== moment) return;
    this.#waiting.wake();
    this.#waiting = undefined;
  }
}
